//! From the logs that a run has copied from its nodes to what a page shows of them.

mod common;
#[path = "common/browser.rs"]
mod driver;
#[allow(dead_code)] // Each test file uses its part.
#[path = "common/pages.rs"]
mod pages;

use common::run;
use driver::Browser;
use pages::stale;
use serde_json::{Value as Json, json};
use std::fs;
use std::path::{Path, PathBuf};

/// 2026-11-30T10:58:30Z, as nanoseconds.
const ZERO: i64 = 1_796_036_310_000_000_000;

/// A run of three nodes with a stale read at 0.9 s, whose first node has logged something.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new(log: &str) -> Scene {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("history.jsonl"), stale()).expect("written");
        let history = at("history.jsonl");
        let judged = run(["check", text(&history), "--model", "register", "--format", "json"]).expect(1);
        let mut results: Json = serde_json::from_str(&judged.out).expect("results");
        results["run"] = json!({"system": "db", "version": "1", "claims": "linearizable", "workload": "register",
            "nodes": ["n1", "n2", "n3"], "seed": 1, "started": "2026-11-30T10:58:29Z", "zero": ZERO, "interrupted": false,
            "config": [], "command": "perjury test", "environment": [], "notes": []});
        fs::write(at("results.json"), results.to_string()).expect("written");
        fs::create_dir(at("n1")).expect("made");
        fs::write(at("n1").join("db.log"), log).expect("written");
        Scene { dir }
    }

    fn page(&self) -> PathBuf {
        run(["report", text(self.dir.path())]).expect(0);
        self.dir.path().join("report.html")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

const LOG: &str = "2026-11-30 10:58:29.100 [1] INFO  ready\n\
    2026-11-30 10:58:30.300 [1] WARN  the disk is slow\n\
    2026-11-30 10:58:30.905 [1] ERROR <img src=x onerror=alert(1)> could not replicate 7002\n\
    2026-11-30 10:58:30.912 [1] INFO  leader again\n";

#[test]
fn the_logs_of_a_run_are_in_its_page_in_words_ticks_and_files() {
    let scene = Scene::new(LOG);
    let page = scene.page();
    let Some(mut browser) = Browser::start() else { return };
    let mut tab = browser.tab(1440, 900);
    tab.open(&page, "#t=0.5-0.91");
    let plain = |text: String| text.replace('\u{a0}', " ");
    let context = plain(tab.text("document.querySelector('.context').textContent"));
    assert!(context.contains("Meanwhile n1 logged 2 lines, 1 error among them: see below."), "{context}");
    tab.eval("document.querySelector('details.logs').open = true");
    let rows = "[...document.querySelectorAll('details.logs tbody tr')].map(row => [...row.cells].map(c => c.textContent).join(' | ')).join('\\n')";
    assert_eq!(
        plain(tab.text(rows)),
        "0.905 s | n1 | error 2026-11-30 10:58:30.905 [1] ERROR <img src=x onerror=alert(1)> could not replicate 7002\n\
         0.912 s | n1 | 2026-11-30 10:58:30.912 [1] INFO  leader again"
    );
    // A tick says what it stands for, to whoever points at it.
    let tip = tab.text(
        "(() => { const c = document.querySelector('canvas.heading'), box = c.getBoundingClientRect();
            const x = box.left + 92 + (0.905 - 0.5) / 0.41 * (box.width - 102), y = box.bottom - 8;
            c.dispatchEvent(new PointerEvent('pointermove', { clientX: x, clientY: y, bubbles: true }));
            return document.querySelector('.tip').textContent; })()",
    );
    assert!(tip.contains("n1 error 2026-11-30 10:58:30.905"), "{tip}");
    let file = |name: &str| {
        format!(
            "(async () => await (await new Response(Uint8Array.from(atob(document.querySelector('a[download=\"{name}\"]').href.split(',')[1]), c => c.charCodeAt(0)))).text())()"
        )
    };
    let excerpt = tab.text(&file("anomaly-1.log"));
    assert_eq!(excerpt.lines().count(), 2, "{excerpt}");
    let warnings = tab.text(&file("warnings.log"));
    assert_eq!(warnings.lines().count(), 2, "{warnings}");
    assert!(
        warnings.starts_with(" 0.300000 s  n1  db.log  2026-11-30 10:58:30.300 [1] WARN  the disk is slow"),
        "{warnings}"
    );
    tab.quiet();
}

#[test]
fn a_page_for_others_can_be_made_without_them() {
    let scene = Scene::new(LOG);
    run(["report", text(scene.dir.path()), "--no-logs"]).expect(0);
    let page = fs::read_to_string(scene.dir.path().join("report.html")).expect("a page");
    assert!(page.contains("Not linearizable") && !page.contains("could not replicate"));
}

#[test]
fn a_log_that_tells_no_time_is_named_and_costs_nothing_else() {
    let scene = Scene::new("what is this?\n");
    let page = fs::read_to_string(scene.page()).expect("a page");
    assert!(page.contains("Logs that are not excerpted: n1/db.log: no line has a time that is understood."));
    assert!(page.contains("Not linearizable") && !page.contains("details class=\"logs\""));
}
