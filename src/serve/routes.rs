//! What each address shows.
//!
//! | address | shows |
//! |---|---|
//! | `/?q=…&sort=…&page=…` | all runs |
//! | `/run/TEST/TIME/` | a run: its report, or what goes on |
//! | `/run/TEST/latest/` | the same, of the latest |
//! | `/run/TEST/TIME/events` | what goes on, as server-sent events |
//! | `/run/TEST/TIME/files/…` | a file of the run, as it is |
//! | `/compare?run=…&run=…` | runs side by side |

use super::files::{Dir, Entry};
use super::http::{self, Body, Request, Response};
use super::index::{self, Index, Listed, Search};
use super::live::{Hub, Watching};
use history::results::Results;
use history::{History, ReadOptions};
use reports::web::{self, Compared, Kept, Listing, Seen, Sort, State, encoded};
use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Runs on a page of the list.
const ROWS: usize = 200;
/// Bytes of a `results.json` that is read.
const RESULTS_MAX: u64 = 64 << 20;
/// Bytes of a history that is read to compare it.
const HISTORY_MAX: u64 = 128 << 20;
/// Files of a run that are listed, and directories deep.
const FILES_MAX: usize = 1000;
const DEPTH_MAX: usize = 4;
/// Runs to compare.
const COMPARED_MAX: usize = 8;
/// A stream is quiet for at most so long.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A report may run its own script, and nothing of it may reach other pages of this server.
const REPORT: &str = "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
/// Anything else in a store is shown as the text that it is.
const FILE: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// What there is to show.
pub struct Site {
    /// The store, as it was named.
    pub store: PathBuf,
    /// The store, opened.
    pub dir: Dir,
    /// Its runs.
    pub index: Mutex<Index>,
    /// Those that are watched.
    pub hub: Hub,
}

/// What is answered.
pub enum Answer {
    /// At once.
    Whole(Response),
    /// As it happens, from the given event on.
    Events(Watching, Option<String>),
}

type Found<T> = Result<T, Response>;

/// Answers a request.
pub fn answer(site: &Site, request: &Request) -> Answer {
    let parts: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let whole = match parts[..] {
        [] => list(site, request),
        ["-", "web.css"] => Ok(Response::new(200, "text/css; charset=utf-8", web::STYLE.into())),
        ["-", "live.js"] => Ok(Response::new(200, "text/javascript; charset=utf-8", web::SCRIPT.into())),
        ["compare"] => compare(site, request),
        ["run", test, "latest"] => latest(site, test),
        ["run", test, time] if !request.slash => Ok(Response::redirect(address(test, time))),
        ["run", test, time] => run(site, test, time),
        ["run", test, time, "events"] => match events(site, test, time) {
            Ok(watching) => return Answer::Events(watching, request.last_event.clone()),
            Err(response) => Err(response),
        },
        ["run", test, time, "files", ref path @ .., name] => file(site, test, time, path, name),
        _ => Err(missing("There is nothing at this address.")),
    };
    Answer::Whole(whole.unwrap_or_else(|response| response))
}

fn missing(text: &str) -> Response {
    Response { status: 404, ..Response::html(web::message("Not here", text)) }
}

fn address(test: &str, time: &str) -> String {
    format!("/run/{}/{}/", encoded(test), encoded(time))
}

fn listed(site: &Site) -> Found<Vec<Arc<Listed>>> {
    let mut index = site.index.lock().unwrap_or_else(PoisonError::into_inner);
    index
        .list(&site.dir)
        .map_err(|error| Response::plain(500, &format!("the store cannot be listed: {error}")))
}

fn list(site: &Site, request: &Request) -> Found<Response> {
    let started = Instant::now();
    let asked = |name: &str| {
        request.query.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value.as_str())
    };
    let sort = Sort::ALL.into_iter().find(|sort| sort.word() == asked("sort")).unwrap_or(Sort::Time);
    let all = listed(site)?;
    let search = Search::new(asked("q"));
    let mut fitting: Vec<Arc<Listed>> = all.iter().filter(|listed| search.fits(listed)).cloned().collect();
    let (groups, groups_more) = index::groups(&fitting);
    index::sort(&mut fitting, sort);
    let pages = fitting.len().div_ceil(ROWS).max(1);
    let page = asked("page").parse::<usize>().unwrap_or(1).clamp(1, pages);
    let listing = Listing {
        store: site.store.display().to_string(),
        search: asked("q").to_string(),
        sort,
        page,
        pages,
        total: all.len(),
        matching: fitting.len(),
        rows: fitting.iter().skip((page - 1) * ROWS).take(ROWS).map(|listed| &listed.row).collect(),
        live: all.iter().map(|listed| &listed.row).filter(|row| row.state == State::Live).collect(),
        groups,
        groups_more,
    };
    let text = web::runs(&listing);
    let took = format!("list;dur={:.1}", started.elapsed().as_secs_f64() * 1e3);
    Ok(Response::html(text).with("Server-Timing", &took))
}

/// The directory of a run, and what is known of it.
fn place(site: &Site, test: &str, time: &str) -> Found<(Dir, Vec<Arc<Listed>>, Arc<Listed>)> {
    let gone = || missing("There is no such run in this store.");
    let all = listed(site)?;
    let id = format!("{test}/{time}");
    let mine = all.iter().find(|listed| listed.row.id == id).cloned().ok_or_else(gone)?;
    let dir = site.dir.dir(test).and_then(|dir| dir.dir(time)).map_err(|_| gone())?;
    Ok((dir, all, mine))
}

fn latest(site: &Site, test: &str) -> Found<Response> {
    let gone = || missing("There is no latest run of this test.");
    let target = site.dir.dir(test).ok().and_then(|dir| dir.link("latest")).ok_or_else(gone)?;
    // It names a neighbour, or it is none of ours.
    if target.contains('/') || target.starts_with('.') {
        return Err(gone());
    }
    Ok(Response::redirect(address(test, &target)))
}

fn run(site: &Site, test: &str, time: &str) -> Found<Response> {
    let (dir, all, mine) = place(site, test, time)?;
    if mine.row.state == State::Live {
        return Ok(Response::html(web::live(&mine.row)));
    }
    let results = results(&dir);
    let headline = match (&results, mine.row.state) {
        (Ok(results), State::Done(_)) => reports::machine::headline(results),
        (Err(why), State::Done(_)) => format!("{}: {why}", mine.row.state.word()),
        (_, _) if mine.row.reason.is_empty() => mine.row.state.word().to_string(),
        (_, _) => mine.row.reason.clone(),
    };
    let command = results.ok().and_then(|results| results.run).map_or(String::new(), |run| run.command);
    let seen = seen(&all, &[&mine]);
    let mut older = all.iter().skip_while(|listed| listed.row.id != mine.row.id).skip(1);
    let before = older
        .find(|listed| listed.judged() && !mine.row.setup.is_empty() && listed.row.setup == mine.row.setup);
    let (mut files, mut more) = (Vec::new(), 0);
    walk(&dir, "", DEPTH_MAX, &mut files, &mut more);
    files.sort();
    let before = before.map(|listed| listed.row.id.as_str());
    Ok(Response::html(web::run(&mine.row, &headline, &seen, before, &files, more, &command)))
}

/// For each shape of these runs, how many runs of their setups have it.
fn seen(all: &[Arc<Listed>], runs: &[&Arc<Listed>]) -> Vec<Seen> {
    let of_setups: Vec<&Arc<Listed>> = all
        .iter()
        .filter(|listed| listed.judged())
        .filter(|listed| {
            runs.iter().any(|run| {
                run.row.id == listed.row.id
                    || (!run.row.setup.is_empty() && run.row.setup == listed.row.setup)
            })
        })
        .collect();
    let mut shapes: BTreeMap<&str, Seen> = BTreeMap::new();
    for shape in runs.iter().flat_map(|run| &run.row.shapes) {
        let has =
            |listed: &&&Arc<Listed>| listed.row.shapes.iter().any(|s| s.fingerprint == shape.fingerprint);
        shapes.entry(&shape.fingerprint).or_insert_with(|| Seen {
            kind: shape.kind.clone(),
            fingerprint: shape.fingerprint.clone(),
            with: of_setups.iter().filter(has).count() as u64,
            of: of_setups.len() as u64,
        });
    }
    let mut seen: Vec<Seen> = shapes.into_values().collect();
    seen.sort_by(|a, b| (b.with, &a.kind).cmp(&(a.with, &b.kind)));
    seen
}

fn results(dir: &Dir) -> Result<Results, String> {
    let (bytes, _) =
        dir.read("results.json", RESULTS_MAX).map_err(|error| format!("results.json: {error}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("results.json is not of this version: {error}"))
}

fn walk(dir: &Dir, below: &str, deep: usize, files: &mut Vec<Kept>, more: &mut u64) {
    let Ok(entries) = dir.entries() else { return };
    for (name, kind) in entries {
        let path = format!("{below}{name}");
        match kind {
            Entry::Dir if deep > 0 => {
                if let Ok(inner) = dir.dir(&name) {
                    walk(&inner, &format!("{path}/"), deep - 1, files, more);
                }
            }
            Entry::File if files.len() < FILES_MAX => {
                let size = dir.stamp(&name).map_or(0, |stamp| stamp.size);
                files.push(Kept { path, size });
            }
            Entry::Dir | Entry::File => *more += 1,
            Entry::Other => {}
        }
    }
}

fn file(site: &Site, test: &str, time: &str, path: &[&str], name: &str) -> Found<Response> {
    let gone = |_| missing("There is no such file in this run.");
    let mut dir = site.dir.dir(test).and_then(|dir| dir.dir(time)).map_err(gone)?;
    for part in path {
        dir = dir.dir(part).map_err(gone)?;
    }
    let (file, stamp) = dir.file(name).map_err(gone)?;
    let (kind, policy) = match (path, name) {
        ([], "report.html") => ("text/html; charset=utf-8", REPORT),
        _ => ("text/plain; charset=utf-8", FILE),
    };
    let response = Response { status: 200, headers: Vec::new(), body: Body::File(file, stamp.size) };
    Ok(response.with("Content-Type", kind).with("Content-Security-Policy", policy))
}

fn compare(site: &Site, request: &Request) -> Found<Response> {
    let mut ids: Vec<&str> = Vec::new();
    for (name, id) in &request.query {
        if name == "run" && !ids.contains(&id.as_str()) {
            ids.push(id);
        }
    }
    if !(2..=COMPARED_MAX).contains(&ids.len()) {
        let text = format!("Mark two to {COMPARED_MAX} runs in the list; {} were marked.", ids.len());
        return Err(Response { status: 400, ..Response::html(web::message("Nothing to compare", &text)) });
    }
    let (mut runs, mut rows) = (Vec::new(), Vec::new());
    for id in ids {
        let Some((test, time)) = id.split_once('/') else {
            return Err(missing("There is no such run in this store."));
        };
        let (dir, _, mine) = place(site, test, time)?;
        let results = results(&dir)
            .map_err(|why| Response { status: 400, ..Response::html(web::message(id, &why)) })?;
        let history = history(&dir);
        runs.push(Compared::new(mine.row.clone(), results, history.as_ref().map_err(String::clone)));
        rows.push(mine);
    }
    let all = listed(site)?;
    let seen = seen(&all, &rows.iter().collect::<Vec<_>>());
    Ok(Response::html(web::compare(&runs, &seen)))
}

/// The history of a run, unless it is too large to be read for a chart.
fn history(dir: &Dir) -> Result<History, String> {
    let (file, stamp) = dir.file("history.jsonl").map_err(|error| format!("history.jsonl: {error}"))?;
    if stamp.size > HISTORY_MAX {
        return Err(format!(
            "its history has {} MiB, too many to draw its latencies here; the table has those of results.json",
            stamp.size >> 20
        ));
    }
    let options = ReadOptions { own: true, ..ReadOptions::default() };
    history::read("history.jsonl", Box::new(file), &options).map_err(|error| error.to_string())
}

fn events(site: &Site, test: &str, time: &str) -> Found<Watching> {
    let (dir, _, mine) = place(site, test, time)?;
    if mine.row.state != State::Live {
        return Err(missing("This run does not go on any more."));
    }
    let path = site.store.join(test).join(time);
    site.hub
        .join(&mine.row.id, &dir, &path)
        .map_err(|error| Response::plain(503, &format!("the run cannot be watched: {error}")))
}

/// Tells what happens until the run has ended, or nobody listens.
///
/// # Errors
/// Nobody listens.
pub fn stream(stream: &TcpStream, watching: &Watching, after: Option<String>) -> io::Result<()> {
    http::begin_events(stream)?;
    http::send(stream, b"retry: 1000\n\n")?;
    let mut after = after.and_then(|id| watching.number(&id));
    loop {
        let (news, ended) = watching.since(after, HEARTBEAT);
        let mut text = String::new();
        for told in &news {
            text.push_str(&format!(
                "id: {}\nevent: {}\ndata: {}\n\n",
                watching.id(told.number),
                told.name,
                told.data
            ));
            after = Some(told.number);
        }
        if news.is_empty() {
            text.push_str(": still here\n\n");
        }
        http::send(stream, text.as_bytes())?;
        if ended && news.is_empty() {
            return Ok(());
        }
    }
}
