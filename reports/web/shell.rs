//! What every page of `perjury serve` has: the head, the bar on top, and names as parts of addresses.

use maud::{DOCTYPE, Markup, html};

/// A page with `title` around `body`; `script` where it shows something that goes on.
pub(super) fn page(title: &str, script: bool, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · perjury" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/-/web.css";
                @if script { script src="/-/live.js" defer {} }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top { div.wrap {
                    a.brand href="/" { svg width="18" height="18" viewBox="0 0 18 18" aria-hidden="true" { path d="M3 4h5M6 9h9M10 14h5" {} } "perjury" }
                    span.about { (title) }
                    nav aria-label="Pages" { a href="/" { "All runs" } }
                } }
                main #main.wrap { (body) }
            }
        }
    };
    page.into_string()
}

/// A page with a sentence, where there is nothing else to show.
pub fn message(title: &str, text: &str) -> String {
    page(
        title,
        false,
        &html! { section.card { h1 { (title) } p { (text) } p { a href="/" { "All runs" } } } },
    )
}

/// A name as a part of a path, or as a value of a query.
pub fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => out.push(byte as char),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The page of a run: `/run/demo-quorum-register/20261120T091407Z/`.
pub(super) fn address(id: &str) -> String {
    let parts: Vec<String> = id.split('/').map(encoded).collect();
    format!("/run/{}/", parts.join("/"))
}

/// `/?name=value&…`, what is empty left out.
pub(super) fn query(page: &str, values: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = values
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    if pairs.is_empty() { page.to_string() } else { format!("{page}?{}", pairs.join("&")) }
}
