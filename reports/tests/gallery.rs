//! The gallery is what the code makes: one committed page for each kind of finding and each verdict.
//!
//! A page keeps the script and the style sheet that it was made with: only what it says, shows and holds is compared.
//! `UPDATE_GALLERY=1 cargo test -p perjury-reports --test gallery` writes it anew; look at the pages before committing.

mod fixtures;

use fixtures::cases;
use fixtures::unpacked::unpacked;
use std::path::PathBuf;

const PAGE_MAX: usize = 330_000;

fn gallery() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("gallery")
}

#[test]
fn the_committed_pages_are_what_the_code_makes() {
    let update = std::env::var_os("UPDATE_GALLERY").is_some();
    for case in cases::all() {
        let page = reports::html(&case.results, &case.history, &case.logs);
        let path = gallery().join(format!("{}.html", case.name));
        // Some checkouts change line ends.
        let committed = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        let same = unpacked(&committed) == unpacked(&page);
        if update && !same {
            std::fs::write(&path, &page).expect("the gallery can be written");
        }
        assert!(
            same || update,
            "{} differs from what the code makes; UPDATE_GALLERY=1 writes it anew",
            path.display()
        );
        assert!(page.len() <= PAGE_MAX, "{} has {} bytes", case.name, page.len());
    }
}

#[test]
fn the_gallery_holds_nothing_else() {
    let mut expected: Vec<String> = cases::all().iter().map(|c| format!("{}.html", c.name)).collect();
    expected.sort();
    let mut found: Vec<String> = std::fs::read_dir(gallery())
        .expect("there is a gallery")
        .map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".html"))
        .collect();
    found.sort();
    assert_eq!(found, expected);
}
