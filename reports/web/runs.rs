//! All runs of a store: a table to search, sort and choose from, and how each experiment fared over time.

use super::shell::{address, page, query};
use crate::clean::{clean, clean_to};
use crate::summary::glyph;
use crate::text::{count, many, span};
use history::results::Verdict;
use history::summary::Shape;
use maud::{Markup, html};

/// A run in the list.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// `demo-quorum-register/20261120T091407Z`.
    pub id: String,
    /// What became of it.
    pub state: State,
    /// The system; the directory's name if nothing else is known.
    pub system: String,
    /// Its version.
    pub version: String,
    /// The workload.
    pub workload: String,
    /// When it began, RFC 3339 if it is known so.
    pub started: String,
    /// Its seed.
    pub seed: Option<u64>,
    /// Operations.
    pub ops: u64,
    /// Nanoseconds.
    pub duration_ns: i64,
    /// Violations by shape.
    pub shapes: Vec<Shape>,
    /// Violations in all.
    pub anomalies: u32,
    /// Kinds of fault that bit, each once.
    pub faults: Vec<String>,
    /// Why there is no plain verdict.
    pub reason: String,
    /// What it has in common with its repetitions.
    pub setup: String,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was judged.
    Done(Verdict),
    /// It goes on.
    Live,
    /// Its controller did not come to the end.
    CutOff,
    /// Its summary cannot be read.
    Unreadable,
}

impl State {
    /// The word that is searched for.
    pub fn word(self) -> &'static str {
        match self {
            State::Done(Verdict::Valid) => "valid",
            State::Done(Verdict::Invalid) => "invalid",
            State::Done(Verdict::Undecided) => "undecided",
            State::Done(Verdict::Vacuous) => "vacuous",
            State::Live => "live",
            State::CutOff => "cut-off",
            State::Unreadable => "unreadable",
        }
    }

    /// Its sign.
    pub(super) fn glyph(self) -> &'static str {
        match self {
            State::Done(verdict) => glyph(verdict),
            State::Live => "●",
            State::CutOff => "–",
            State::Unreadable => "·",
        }
    }
}

/// What the list can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// When it began, the latest first.
    Time,
    /// The verdict, violations first.
    Verdict,
    /// System, workload, version.
    System,
    /// Operations, most first.
    Ops,
    /// Violations, most first.
    Anomalies,
}

impl Sort {
    /// All of them.
    pub const ALL: [Sort; 5] = [Sort::Time, Sort::Verdict, Sort::System, Sort::Ops, Sort::Anomalies];

    /// Its word in an address.
    pub fn word(self) -> &'static str {
        match self {
            Sort::Time => "time",
            Sort::Verdict => "verdict",
            Sort::System => "system",
            Sort::Ops => "ops",
            Sort::Anomalies => "anomalies",
        }
    }
}

/// Runs of one system, workload and version.
#[derive(Clone, Debug)]
pub struct Group {
    /// System, workload, version.
    pub name: (String, String, String),
    /// How many there are.
    pub runs: usize,
    /// How many of them were judged to violate something.
    pub invalid: usize,
    /// The last ones, the latest last.
    pub last: Vec<(String, State)>,
}

/// A page of the list.
#[derive(Clone, Debug)]
pub struct Listing<'a> {
    /// The store's path.
    pub store: String,
    /// What was searched for.
    pub search: String,
    /// By what it is sorted.
    pub sort: Sort,
    /// Which page, from 1.
    pub page: usize,
    /// How many there are.
    pub pages: usize,
    /// Runs in the store.
    pub total: usize,
    /// Those that fit the search.
    pub matching: usize,
    /// Those on this page.
    pub rows: Vec<&'a RunRow>,
    /// Those that go on now.
    pub live: Vec<&'a RunRow>,
    /// The runs that fit, by system, workload and version, the latest first.
    pub groups: Vec<Group>,
    /// Groups beyond those.
    pub groups_more: usize,
}

/// The list. O(rows on the page + groups shown).
pub fn runs(listing: &Listing<'_>) -> String {
    let body = html! {
        (search(listing))
        @for row in &listing.live {
            a.live-row href=(address(&row.id)) {
                span.state.live { "●" } strong { "running" } " " (clean(&row.system)) " " (clean(&row.workload)) " · seed " (seed(row)) " · since " (moment(row))
                span.go { "watch →" }
            }
        }
        (groups(listing))
        form action="/compare" method="get" {
            section.card aria-labelledby="h-runs" {
                h2 #h-runs { "Runs" small { (found(listing)) }
                    button.small type="submit" { "Compare those marked" } }
                @if listing.rows.is_empty() { p.note { "No run fits." } } @else { (table(listing)) }
                (pager(listing))
            }
        }
    };
    page(&clean(&listing.store), false, &body)
}

fn search(listing: &Listing<'_>) -> Markup {
    html! {
        form.search action="/" method="get" role="search" {
            label for="q" { "Search" }
            input #q type="search" name="q" value=(listing.search) placeholder="invalid system:etcd fault:clock kind:stale-read -workload:set" spellcheck="false";
            @if listing.sort != Sort::Time { input type="hidden" name="sort" value=(listing.sort.word()); }
            button type="submit" { "Find" }
            @if !listing.search.is_empty() { a href=(query("/", &[("sort", sort(listing.sort))])) { "all" } }
        }
    }
}

fn found(listing: &Listing<'_>) -> String {
    if listing.search.is_empty() {
        many(listing.total as u64, "run")
    } else {
        format!("{} of {}", count(listing.matching as u64), many(listing.total as u64, "run"))
    }
}

fn sort(sort: Sort) -> &'static str {
    if sort == Sort::Time { "" } else { sort.word() }
}

fn groups(listing: &Listing<'_>) -> Markup {
    if listing.groups.is_empty() || listing.matching < 2 {
        return html! {};
    }
    html! {
        section.card aria-labelledby="h-groups" {
            h2 #h-groups { "By system, workload and version" small { "the last runs, the latest to the right" } }
            div.scroll { table {
                thead { tr { th scope="col" { "system" } th scope="col" { "workload" } th scope="col" { "version" }
                    th.num scope="col" { "runs" } th.num scope="col" { "invalid" } th scope="col" { "trend" } } }
                tbody { @for group in &listing.groups {
                    @let (system, workload, version) = &group.name;
                    tr {
                        th scope="row" { a href=(query("/", &[("q", &filter(group)), ("sort", sort(listing.sort))])) { (clean_to(system, 60)) } }
                        td { (clean_to(workload, 60)) } td { (clean_to(version, 40)) }
                        td.num { (count(group.runs as u64)) } td.num.bad[group.invalid > 0] { (count(group.invalid as u64)) }
                        td.trend { @for (id, state) in &group.last {
                            a class={ "state " (state.word()) } href=(address(id)) title=(id) aria-label={ (state.word()) ", " (id) } { (state.glyph()) }
                        } }
                    }
                } }
            } }
            @if listing.groups_more > 0 { p.note { (many(listing.groups_more as u64, "more group")) ". Search for a system or a workload to see them." } }
        }
    }
}

/// The search that finds a group.
fn filter(group: &Group) -> String {
    let (system, workload, version) = &group.name;
    let term = |name: &str, value: &str| format!("{name}:{}", quoted(value));
    let mut terms = vec![term("system", system), term("workload", workload)];
    if !version.is_empty() {
        terms.push(term("version", version));
    }
    terms.join(" ")
}

fn quoted(value: &str) -> String {
    if value.contains(char::is_whitespace) { format!("\"{value}\"") } else { value.to_string() }
}

fn table(listing: &Listing<'_>) -> Markup {
    let head = |by: Sort, name: &str| {
        let href = query("/", &[("q", &listing.search), ("sort", sort(by))]);
        html! { a href=(href) aria-current=[(by == listing.sort).then_some("true")] { (name) } }
    };
    html! { div.scroll { table.runs {
        thead { tr {
            th scope="col" { span.away { "compare" } } th scope="col" { (head(Sort::Verdict, "verdict")) } th scope="col" { (head(Sort::Time, "began")) }
            th scope="col" { (head(Sort::System, "system")) } th scope="col" { "version" } th scope="col" { "workload" }
            th scope="col" { (head(Sort::Anomalies, "what was found")) } th scope="col" { "faults" }
            th.num scope="col" { (head(Sort::Ops, "operations")) } th.num scope="col" { "took" } th.num scope="col" { "seed" }
        } }
        tbody { @for row in &listing.rows { tr {
            td { @if matches!(row.state, State::Done(_)) { input type="checkbox" name="run" value=(row.id) aria-label={ "compare " (row.id) }; } }
            td { span class={ "state " (row.state.word()) } { (row.state.glyph()) } " " (row.state.word()) }
            td { a href=(address(&row.id)) { (moment(row)) } }
            td { (clean_to(&row.system, 60)) } td { (clean_to(&row.version, 40)) } td { (clean_to(&row.workload, 60)) }
            td { (what(row)) } td { (clean_to(&row.faults.join(", "), 80)) }
            td.num { (count(row.ops)) } td.num { @if row.duration_ns > 0 { (span(row.duration_ns)) } } td.num { (seed(row)) }
        } } }
    } } }
}

/// `stale-read ×3, k7, during clock`
pub(super) fn what(row: &RunRow) -> Markup {
    html! {
        @match row.state {
            State::CutOff => "cut off: its controller did not come to the end",
            State::Unreadable => (clean_to(&row.reason, 200)),
            State::Live => "running",
            State::Done(_) if row.shapes.is_empty() => (clean_to(&row.reason, 200)),
            State::Done(_) => {
                @for (i, shape) in row.shapes.iter().take(3).enumerate() {
                    @if i > 0 { "; " }
                    (clean_to(&shape.kind, 60)) @if shape.count > 1 { " ×" (shape.count) }
                    @if let Some(key) = &shape.key { ", " (clean_to(key, 40)) }
                    @if let Some(during) = &shape.during { ", during " (clean_to(during, 40)) }
                }
                @if row.shapes.len() > 3 { "; and " (many(row.shapes.len() as u64 - 3, "more shape")) }
            }
        }
    }
}

fn pager(listing: &Listing<'_>) -> Markup {
    if listing.pages < 2 {
        return html! {};
    }
    let to = |page: usize| {
        query("/", &[("q", &listing.search), ("sort", sort(listing.sort)), ("page", &page.to_string())])
    };
    html! { nav.pager aria-label="Pages of the list" {
        @if listing.page > 1 { a rel="prev" href=(to(listing.page - 1)) { "← before" } }
        span { "page " (listing.page) " of " (listing.pages) }
        @if listing.page < listing.pages { a rel="next" href=(to(listing.page + 1)) { "after →" } }
    } }
}

pub(super) fn seed(row: &RunRow) -> String {
    row.seed.map_or(String::new(), |seed| seed.to_string())
}

/// `2026-11-20 09:14:07`, in UTC.
pub(super) fn moment(row: &RunRow) -> String {
    clean_to(&row.started, 40).replace('T', " ").trim_end_matches('Z').to_string()
}
