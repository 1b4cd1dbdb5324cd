//! Reads a history and says how fast: `cargo run --release -p perjury-history --example measure -- FILE [REPEAT]`.
//!
//! Seconds are those of the processor, system calls included, so that a busy machine says the same as an idle one. The
//! cache is written to a file beside it and taken away again.

use history::{Fingerprint, ReadOptions};
use std::fs::File;

fn main() {
    let path = std::env::args().nth(1).expect("the path of a history");
    let repeat: u32 = std::env::args().nth(2).map_or(1, |n| n.parse().expect("how often to read it"));
    let size = std::fs::metadata(&path).expect("a file").len() as f64 / 1e6;
    let cache = format!("{path}.measured-cache");
    let options = ReadOptions::default();
    let say = |what: &str, seconds: f64| {
        println!("{what:12} {seconds:.3} s, {:.0} MB of the history a second", size / seconds);
    };
    for _ in 0..repeat {
        let (history, seconds) = timed(|| history::read_file(&path, &options).expect("a history"));
        println!(
            "{} ops, {} values, {}, {size:.1} MB",
            history.ops.len(),
            history.values.len(),
            history.source.format
        );
        say("read", seconds);
        let (content, seconds) =
            timed(|| Fingerprint::of(&mut File::open(&path).expect("a file")).expect("it can be read"));
        say("fingerprint", seconds);
        let ((), seconds) = timed(|| {
            let mut out = std::io::BufWriter::new(File::create(&cache).expect("a writable folder"));
            history::write_cache(&history, content, &options, &mut out).expect("it can be written");
        });
        say("write cache", seconds);
        drop(history);
        let (history, seconds) = timed(|| {
            let mut input =
                std::io::BufReader::with_capacity(1 << 17, File::open(&cache).expect("was written"));
            history::read_cache(&path, content, &options, &mut input).expect("was written")
        });
        say("read cache", seconds);
        println!(
            "{} ops again, {} bytes",
            history.ops.len(),
            std::fs::metadata(&cache).expect("a file").len()
        );
    }
    std::fs::remove_file(&cache).expect("was written");
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = processor_seconds();
    let result = work();
    (result, processor_seconds() - start)
}

/// What this process has used so far: the 14th and 15th field of its line in `/proc`, in hundredths.
fn processor_seconds() -> f64 {
    let line = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = line.rsplit(')').next().expect("a name in parentheses");
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}
