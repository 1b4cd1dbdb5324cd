//! The pages of `perjury serve` in a real browser. Skipped, with a line that says so, where there is none.

mod common;
#[path = "common/browser.rs"]
mod driver;
#[path = "common/served.rs"]
mod served;

use driver::{Browser, Tab};
use serde_json::json;
use served::{Server, made, running, test};
use std::process::Command;

/// Nothing on the console, and no request but to this server.
#[track_caller]
fn at_home(tab: &mut Tab, server: &Server) {
    let (requests, errors) = tab.trouble();
    assert!(errors.is_empty(), "{errors:?}");
    let home = format!("http://{}/", server.address);
    let away: Vec<&String> =
        requests.iter().filter(|to| !to.starts_with(&home) && !to.starts_with("data:")).collect();
    assert!(away.is_empty(), "{away:?}");
}

/// The runs of the list, from the top.
fn listed(tab: &mut Tab) -> Vec<String> {
    let all = tab.eval("[...document.querySelectorAll('.runs tbody input')].map(box => box.value)");
    serde_json::from_value(all).expect("names")
}

#[test]
fn the_list_is_searched_sorted_grouped_and_compared_by_hand() {
    let dir = tempfile::tempdir().expect("a directory");
    for n in 0..12 {
        let bad = n % 4 == 1;
        let id = format!("{}/20260101T0000{n:02}Z", if n < 8 { "alpha" } else { "beta" });
        made(dir.path(), &id, if bad { "invalid" } else { "valid" }, if bad { "9f2c" } else { "" });
    }
    let server = Server::start(dir.path());
    let Some(mut browser) = Browser::start() else { return };
    let mut tab = browser.tab(1440, 900);
    tab.visit(&format!("http://{}/", server.address));
    let all = listed(&mut tab);
    assert_eq!((all.len(), all[0].as_str()), (12, "beta/20260101T000011Z"), "the latest first");
    // Searching, by typing and Enter.
    tab.eval("document.querySelector('#q').focus()");
    tab.call("Input.insertText", json!({"text": "system:alpha verdict:invalid"}));
    tab.eval("void (window.before = true)");
    tab.key("Enter");
    tab.until("window.before !== true && document.readyState === 'complete'");
    assert_eq!(listed(&mut tab), ["alpha/20260101T000005Z", "alpha/20260101T000001Z"]);
    assert!(tab.text("location.search").contains("q="), "a search is an address");
    assert_eq!(tab.text("document.querySelector('#q').value"), "system:alpha verdict:invalid");
    tab.follow(".search a");
    assert_eq!(listed(&mut tab).len(), 12);
    // Sorting: what is violated comes first.
    tab.follow("thead a[href*='sort=verdict']");
    let sorted = listed(&mut tab);
    assert_eq!(&sorted[..3], ["beta/20260101T000009Z", "alpha/20260101T000005Z", "alpha/20260101T000001Z"]);
    // A group leads to its runs, and a sign in its trend to one of them.
    assert_eq!(tab.eval("document.querySelectorAll('[aria-labelledby=h-groups] tbody tr').length"), 2);
    tab.follow("[aria-labelledby=h-groups] tbody tr:last-child th a");
    let group = listed(&mut tab);
    assert!(group.iter().all(|id| id.starts_with("alpha/")) && group.len() == 8, "{group:?}");
    tab.follow(".trend a.state.invalid");
    assert!(tab.text("location.pathname").starts_with("/run/alpha/"));
    assert!(tab.text("document.querySelector('.seen').textContent").contains("seen in 3 of 12 runs"));
    at_home(&mut tab, &server);
    // A narrow window clips nothing.
    tab.size(390, 800);
    for page in ["/", "/run/alpha/20260101T000001Z/"] {
        tab.visit(&format!("http://{}{page}", server.address));
        assert_eq!(tab.eval("document.documentElement.scrollWidth"), 390, "{page}");
    }
    at_home(&mut tab, &server);
}

#[test]
fn two_runs_are_marked_and_compared() {
    let dir = tempfile::tempdir().expect("a directory");
    let runs = [test(dir.path(), "7", &[]), test(dir.path(), "8", &["--rate", "200"])];
    let server = Server::start(dir.path());
    let Some(mut browser) = Browser::start() else { return };
    let mut tab = browser.tab(1440, 900);
    tab.visit(&format!("http://{}/", server.address));
    for run in &runs {
        tab.eval(&format!("document.querySelector('.runs input[value=\"{run}\"]').click()"));
    }
    tab.follow("form[action='/compare'] button");
    assert!(tab.text("location.pathname") == "/compare");
    // Each run has a line of its own colour.
    let colours = tab.eval("[...new Set([...document.querySelectorAll('.plot polyline')].map(line => getComputedStyle(line).stroke))].length");
    assert!(colours.as_u64().is_some_and(|n| n >= 2), "{colours}");
    let keys = tab.eval("[...document.querySelectorAll('thead .key')].slice(0, 2).map(key => getComputedStyle(key).backgroundColor)");
    assert_ne!(keys[0], keys[1]);
    let differences = tab.text("document.querySelector('[aria-labelledby=h-differences]').textContent");
    assert!(differences.contains("rate") && differences.contains("200"), "{differences}");
    let violations = tab.text("document.querySelector('[aria-labelledby=h-violations]').textContent");
    assert!(violations.contains("seen in") && violations.contains("runs"), "{violations}");
    at_home(&mut tab, &server);
    // A run's page shows its report in a frame that may run a script and reach nothing.
    tab.visit(&format!("http://{}/run/{}/", server.address, runs[0]));
    assert!(tab.text("document.querySelector('iframe.report').src").ends_with("/files/report.html"));
    at_home(&mut tab, &server);
    // The report itself, as the server sends it, works in its sandbox.
    tab.visit(&format!("http://{}/run/{}/files/report.html", server.address, runs[0]));
    tab.ready();
    assert!(tab.text("document.querySelector('#found').textContent").contains("operations"));
    at_home(&mut tab, &server);
}

#[test]
fn a_run_is_watched_and_its_page_becomes_the_report() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let Some(mut browser) = Browser::start() else { return };
    let mut tab = browser.tab(1440, 900);
    let store = dir.path().to_path_buf();
    let testing = std::thread::spawn(move || test(&store, "7", &["--time-limit", "8s"]));
    let link = running(&server);
    tab.visit(&format!("http://{}{link}", server.address));
    tab.until("document.querySelectorAll('#rate-chart polygon').length > 0");
    tab.until("document.querySelectorAll('#latency-chart polyline').length >= 2");
    tab.until("document.querySelectorAll('#faults tr').length > 0");
    tab.until(
        "!document.querySelector('#violations').hidden && document.querySelectorAll('#found li').length > 0",
    );
    // Another kind may be found first, on a busy machine.
    tab.until("document.querySelector('#found').textContent.includes('stale-read')");
    assert_eq!(tab.eval("document.querySelectorAll('#nodes tr').length"), 3);
    assert_eq!(tab.eval("document.querySelector('#lost').hidden"), true);
    let asked = "Number(document.querySelector('#ops').textContent.replace(/\\D/g, ''))";
    let before = tab.eval(asked).as_u64().expect("a number");
    tab.until(&format!("{asked} > {before}"));
    at_home(&mut tab, &server);
    // Nobody touches the page, and it is the report.
    let id = testing.join().expect("the run ends");
    assert_eq!(link, format!("/run/{id}/"));
    tab.until("document.querySelector('iframe.report') !== null");
    tab.loaded();
    assert!(tab.text("document.querySelector('h1').textContent").contains("Not linearizable"));
    at_home(&mut tab, &server);
}

#[test]
fn a_lost_connection_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path());
    let Some(mut browser) = Browser::start() else { return };
    let mut tab = browser.tab(1440, 900);
    let store = dir.path().to_path_buf();
    let testing = std::thread::spawn(move || test(&store, "7", &["--time-limit", "6s"]));
    let link = running(&server);
    tab.visit(&format!("http://{}{link}", server.address));
    tab.until("document.querySelectorAll('#rate-chart polygon').length > 0");
    let id = server.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
    assert_eq!(server.child.wait().expect("it ends").code(), Some(0));
    tab.until("!document.querySelector('#lost').hidden");
    testing.join().expect("the run ends");
}
