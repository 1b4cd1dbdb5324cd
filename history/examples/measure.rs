//! Reads a history and says how fast: `cargo run --release -p perjury-history --example measure -- FILE [REPEAT]`.
//!
//! Seconds are those of the processor, system calls included, so that a busy machine says the same as an idle one.

fn main() {
    let path = std::env::args().nth(1).expect("the path of a history");
    let repeat: u32 = std::env::args().nth(2).map_or(1, |n| n.parse().expect("how often to read it"));
    let size = std::fs::metadata(&path).expect("a file").len() as f64 / 1e6;
    for _ in 0..repeat {
        let start = processor_seconds();
        let read = history::read_file(&path, &history::ReadOptions::default());
        let seconds = processor_seconds() - start;
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
}

/// What this process has used so far: the 14th and 15th field of its line in `/proc`, in hundredths.
fn processor_seconds() -> f64 {
    let line = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = line.rsplit(')').next().expect("a name in parentheses");
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<f64>().expect("a number"))
        .sum::<f64>()
        / 100.0
}
