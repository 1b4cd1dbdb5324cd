//! A short name for what a history says, so that evidence about one is not held against another.

use crate::history::History;
use crate::op::{Applied, Outcome};

/// 128 bits over every operation (process, function, key, values, outcome, ranks and lines), as 32 hexadecimal digits:
/// the same for a file and its packed copy, on every machine and in every version.
///
/// It tells histories apart that were mixed up, and is no protection against somebody who wants two to look alike: evidence
/// is held against the history itself. FNV-1a (Fowler, Noll, Vo 1991) with two offsets. O(size of the history).
pub fn content_name(history: &History) -> String {
    // Each distinct value once; its number depends on who was read first, its text does not.
    let values: Vec<u64> = (0..history.values.len() as u32)
        .map(|id| {
            let mut hash = Fnv(OFFSET);
            hash.bytes(history.values.get(crate::ValueId(id)).to_json().as_bytes());
            hash.0
        })
        .collect();
    let (mut a, mut b) = (Fnv(OFFSET), Fnv(OFFSET.rotate_left(32)));
    for op in &history.ops {
        let value = |id: crate::ValueId| values[id.0 as usize];
        let outcome = match op.outcome {
            Outcome::Ok => 0,
            Outcome::Fail => 1,
            Outcome::Info => 2,
        };
        let applied = match op.applied {
            Applied::Unsaid => 0,
            Applied::Yes => 1,
            Applied::No => 2,
        };
        let process = history.processes.get(op.process as usize).copied().unwrap_or(i64::MIN);
        for word in [
            u64::from(op.invoke) << 32 | u64::from(op.ret),
            u64::from(op.invoke_line) << 32 | u64::from(op.ret_line),
            process as u64,
            value(op.f),
            value(op.key),
            value(op.input),
            value(op.output),
            op.observed.map_or(0, value),
            value(op.error),
            u64::from(op.session) << 32 | outcome << 2 | applied,
        ] {
            a.word(word);
            b.word(word.rotate_left(17));
        }
    }
    format!("{:016x}{:016x}", a.0, b.0)
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    }

    /// Eight bytes at once; the upper half is folded down, because multiplying only carries upwards.
    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 ^= self.0 >> 32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReadOptions, read};

    fn name(lines: &str) -> String {
        let history =
            read("test", Box::new(std::io::Cursor::new(lines.to_string())), &ReadOptions::default());
        content_name(&history.expect("a history"))
    }

    #[test]
    fn every_change_that_a_checker_could_see_changes_the_name() {
        let line = |kind: &str, f: &str, value: &str| {
            format!("{{\"process\":0,\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
        };
        let pair = |kind: &str, f: &str, value: &str| line("invoke", f, value) + &line(kind, f, value);
        let mut names = vec![
            name(&pair("ok", "write", "1")),
            name(&pair("ok", "write", "2")),
            name(&pair("ok", "write", "\"1\"")),
            name(&pair("info", "write", "1")),
            name(&pair("fail", "write", "1")),
            name(&pair("ok", "add", "1")),
            name(&pair("ok", "write", "1").replace("\"process\":0", "\"process\":1")),
            name(&pair("ok", "write", "1").replace("\"value\"", "\"key\":\"x\",\"value\"")),
            name(&(pair("ok", "write", "1") + &pair("ok", "write", "1"))),
            name(&("\n".to_string() + &pair("ok", "write", "1"))),
        ];
        assert_eq!(name(&pair("ok", "write", "1")), names[0], "and nothing else does");
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        // A promise to certificates that were written long ago.
        assert_eq!(name(&pair("ok", "write", "1")), "25d7a3547d2d55f956419d12c6c5f1e7");
    }
}
