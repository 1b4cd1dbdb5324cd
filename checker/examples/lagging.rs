//! Writes a history that is sequential but not linearizable, or one with a lie across keys, as JSON Lines:
//!
//! ```text
//! cargo run --release -p perjury-checker --example lagging -- --ops 1000000 --processes 8 --keys 4 --seed 1 > late.jsonl
//! cargo run --release -p perjury-checker --example lagging -- --ops 1000000 --seed 1 --lie message > lie.jsonl
//! perjury check --model register --property sequential --threads 1 late.jsonl
//! ```

use checker::testing::Rng;
use checker::testing::lagging::{Lagging, Lie};
use std::io::{self, BufWriter, Write};

const USAGE: &str = "lagging [--ops N] [--processes P] [--keys K] [--seed S] [--writes PERCENT] [--lag OPS] \
[--values V] [--lie message|store-buffer|readers] [--violate]   (--violate: a lie chosen by the seed)";

fn main() -> io::Result<()> {
    let mut shape =
        Lagging { ops: 1000, processes: 8, keys: 4, writes: 30, lag: 100, values: None, lie: None };
    let (mut seed, mut violate) = (1u64, false);
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        if option == "--violate" {
            violate = true;
            continue;
        }
        let value = args.next().ok_or_else(|| refuse(&format!("{option} takes a value")))?;
        let number = || value.parse::<u32>().map_err(|_| refuse(&format!("{option}: no number: {value}")));
        match option.as_str() {
            "--ops" => shape.ops = number()?,
            "--processes" => shape.processes = number()?,
            "--keys" => shape.keys = number()?,
            "--writes" => shape.writes = number()?,
            "--lag" => shape.lag = number()?,
            "--values" => shape.values = Some(number()?),
            "--seed" => seed = u64::from(number()?),
            "--lie" => {
                shape.lie = Some(match value.as_str() {
                    "message" => Lie::Message,
                    "store-buffer" => Lie::StoreBuffer,
                    "readers" => Lie::Readers,
                    other => return Err(refuse(&format!("no such lie: {other}"))),
                });
            }
            other => return Err(refuse(&format!("no such option: {other}"))),
        }
    }
    let mut rng = Rng(seed);
    if violate && shape.lie.is_none() {
        shape.lie = Some(rng.pick(&[Lie::Message, Lie::StoreBuffer, Lie::Readers]));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    for op in shape.accesses(&mut rng) {
        let (f, value) = (if op.write { "write" } else { "read" }, i64::from(op.value));
        let said = |value: i64| if value == 0 { "null".to_string() } else { value.to_string() };
        let asked = if op.write { said(value) } else { "null".to_string() };
        let (process, key) = (op.process, op.key);
        writeln!(out, r#"{{"process":{process},"type":"invoke","f":"{f}","key":{key},"value":{asked}}}"#)?;
        writeln!(
            out,
            r#"{{"process":{process},"type":"ok","f":"{f}","key":{key},"value":{}}}"#,
            said(value)
        )?;
    }
    out.flush()
}

fn refuse(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{what}\n{USAGE}"))
}
