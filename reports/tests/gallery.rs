//! The gallery is what the code makes: one committed page for each kind of finding and each verdict.
//!
//! A page keeps the script and the style sheet that it was made with: only what it says, shows and holds is compared.
//! `UPDATE_GALLERY=1 cargo test -p perjury-reports --test gallery` writes it anew; look at the pages before committing.

mod fixtures;

use fixtures::cases;
use flate2::read::DeflateDecoder;
use std::io::Read;
use std::path::PathBuf;

const PAGE_MAX: usize = 330_000;

fn gallery() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("gallery")
}

/// What a page shows, and its operations as bytes: how well they were packed is not ours to promise.
fn unpacked(page: &str) -> (String, Vec<u8>) {
    let mark = "<script id=\"ops\" type=\"application/octet-stream\">";
    let Some((_, rest)) = page.split_once(mark) else { return (reports::shown(page), Vec::new()) };
    let (data, _) = rest.split_once("</script>").expect("the element ends");
    let mut raw = Vec::new();
    DeflateDecoder::new(&base64(data)[..]).read_to_end(&mut raw).expect("DEFLATE");
    (reports::shown(page), raw)
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| -> u32 {
        match c {
            b'A'..=b'Z' => u32::from(c - b'A'),
            b'a'..=b'z' => u32::from(c - b'a') + 26,
            b'0'..=b'9' => u32::from(c - b'0') + 52,
            b'+' => 62,
            b'/' => 63,
            other => panic!("{other} is no digit of base64"),
        }
    };
    let digits: Vec<u32> = text.bytes().filter(|c| *c != b'=').map(digit).collect();
    let mut out = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0, |bits, d| bits << 6 | d) << (6 * (4 - group.len()));
        out.extend((0..group.len() - 1).map(|i| (bits >> (16 - 8 * i)) as u8));
    }
    out
}

#[test]
fn the_committed_pages_are_what_the_code_makes() {
    let update = std::env::var_os("UPDATE_GALLERY").is_some();
    for case in cases::all() {
        let page = reports::html(&case.results, &case.history);
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
