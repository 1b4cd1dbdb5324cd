//! The script of the page: our own, plain, in one piece, named by its hash in the page's policy.

use std::sync::OnceLock;

/// Each file is one part; together they are one function, so that nothing leaks into the page.
const PARTS: [&str; 9] = [
    include_str!("script/data.js"),
    include_str!("script/filter.js"),
    include_str!("script/rows.js"),
    include_str!("script/view.js"),
    include_str!("script/draw.js"),
    include_str!("script/overview.js"),
    include_str!("script/details.js"),
    include_str!("script/page.js"),
    include_str!("script/scatter.js"),
];
const MAIN: &str = include_str!("script/main.js");

/// The script as it stands in every page: without indentation and lines that are comments.
pub fn script() -> &'static str {
    static SCRIPT: OnceLock<String> = OnceLock::new();
    SCRIPT.get_or_init(|| {
        let mut out = String::from("(() => {\n'use strict';\n");
        for line in PARTS.iter().chain([&MAIN]).flat_map(|part| part.lines()).map(str::trim) {
            if !line.is_empty() && !line.starts_with("//") {
                out.push_str(line);
                out.push('\n');
            }
        }
        out.push_str("})();\n");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_it_ends_the_element_or_needs_its_indentation() {
        let script = script();
        assert!(!script.contains("</") && !script.contains("<!--"), "HTML would end the script there");
        assert!(
            !PARTS.iter().chain([&MAIN]).any(|part| part.lines().any(|l| l.matches('`').count() % 2 == 1)),
            "a text over several lines would lose its indentation"
        );
        assert!(
            !script.contains("innerHTML")
                && !script.contains("insertAdjacentHTML")
                && !script.contains("document.write"),
            "what a system wrote is text, never markup"
        );
        assert!(
            !script.contains("eval(") && !script.contains("fetch(") && !script.contains("XMLHttpRequest")
        );
    }
}
