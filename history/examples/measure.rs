//! Reads a history and says how fast: `cargo run --release -p perjury-history --example measure -- FILE`.

use std::time::Instant;

fn main() {
    let path = std::env::args().nth(1).expect("the path of a history");
    let size = std::fs::metadata(&path).expect("a file").len() as f64 / 1e6;
    let start = Instant::now();
    let read = history::read_file(&path, &history::ReadOptions::default());
    let seconds = start.elapsed().as_secs_f64();
    match read {
        Ok(history) => println!(
            "{} ops, {} values, {}: {size:.1} MB in {seconds:.3} s, {:.0} MB/s",
            history.ops.len(),
            history.values.len(),
            history.source.format,
            size / seconds
        ),
        Err(error) => println!("{error} ({seconds:.3} s)"),
    }
}
