//! How a file of a stopped node is damaged, as shell text, with a copy of it kept.

use super::host::quote;
use nemesis::Damage;

/// Where the copy and its file's name are kept on a node.
const KEPT: &str = "/var/lib/perjury-damage";

/// Damages one of the files that match one of `patterns`; `at`, in a million parts, says which and where. Only what is
/// written counts: files that are made longer ahead of time end in zeros. Prints what was done.
pub fn damage(patterns: &[&str], how: Damage, at: u32) -> String {
    // What a pattern means is for the shell to find out, so it is not quoted; what it may hold is ours to say.
    let patterns = patterns.join(" ");
    let act = match how {
        Damage::BitFlip => format!(
            "pos=$((used * {at} / 1000000)); bit=$(({at} % 8))\n\
             was=$(dd if=\"$f\" bs=1 skip=$pos count=1 2>/dev/null | od -An -tu1 | tr -d ' ')\n\
             is=$((was ^ (1 << bit)))\n\
             printf \"\\\\$(printf %03o $is)\" | dd of=\"$f\" bs=1 seek=$pos count=1 conv=notrunc 2>/dev/null || exit 1\n\
             echo \"bit $bit of byte $pos of $f flipped\"\n"
        ),
        Damage::Truncate(bytes) => format!(
            "cut={bytes}; [ $cut -lt $used ] || cut=$(((used + 1) / 2))\n\
             truncate -s $((used - cut)) \"$f\" || exit 1\n\
             echo \"the last $cut of $used bytes of $f cut off\"\n"
        ),
    };
    format!(
        "n=0; for f in {patterns}; do [ -f \"$f\" ] && [ -s \"$f\" ] && n=$((n + 1)); done\n\
         [ $n -gt 0 ] || {{ echo 'none of its files is there: {patterns}' >&2; exit 1; }}\n\
         nth=$(({at} % n)); i=0\n\
         for g in {patterns}; do [ -f \"$g\" ] && [ -s \"$g\" ] || continue; [ $i -ne $nth ] || f=$g; i=$((i + 1)); done\n\
         low=0; high=$(($(wc -c <\"$f\")))\n\
         while [ $((high - low)) -gt 1 ]; do mid=$(((low + high) / 2))\n\
         if [ -n \"$(tail -c +$((mid + 1)) \"$f\" | tr -d '\\000' | head -c 1 | od -An -tu1)\" ]; then low=$mid; else high=$mid; fi; done\n\
         used=$high\nmkdir -p {KEPT} && cp -p \"$f\" {KEPT}/copy && printf %s \"$f\" >{KEPT}/name || exit 1\n{act}"
    )
}

/// Prints `yes` if the damaged file differs from its copy.
pub fn differs() -> String {
    format!(
        "if [ -e {KEPT}/copy ] && ! cmp -s {KEPT}/copy \"$(cat {KEPT}/name)\"; then echo yes; else echo no; fi\n"
    )
}

/// Puts the copy back, if `restore`, and forgets it. No error if there is none.
pub fn mend(restore: bool) -> String {
    let restore =
        if restore { format!("cp -p {KEPT}/copy \"$(cat {KEPT}/name)\" || exit 1\n") } else { String::new() };
    format!("[ -e {KEPT}/copy ] || exit 0\n{restore}rm -rf {}\n", quote(KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn sh(script: &str) -> String {
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// The scripts with their copies in a directory of the test.
    fn there(script: &str, dir: &std::path::Path) -> String {
        sh(&script.replace(KEPT, &dir.join("kept").display().to_string()))
    }

    #[test]
    fn one_bit_is_flipped_within_what_is_written_and_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("1.wal");
        let mut bytes = b"0123456789".to_vec();
        bytes.extend([0; 5000]);
        std::fs::write(&file, &bytes).unwrap();
        let pattern = dir.path().join("*.wal").display().to_string();
        for at in [0, 123_456, 500_001, 999_999] {
            assert_eq!(there(&differs(), dir.path()), "no");
            let said = there(&damage(&[&pattern], Damage::BitFlip, at), dir.path());
            let now = std::fs::read(&file).unwrap();
            let other: Vec<usize> = (0..bytes.len()).filter(|i| now[*i] != bytes[*i]).collect();
            assert_eq!(other, [10 * at as usize / 1_000_000], "{said}");
            assert_eq!((now[other[0]] ^ bytes[other[0]]).count_ones(), 1);
            assert!(said.contains(&format!("byte {} of ", other[0])), "{said}");
            assert_eq!(there(&differs(), dir.path()), "yes");
            there(&mend(true), dir.path());
            assert_eq!(std::fs::read(&file).unwrap(), bytes);
        }
    }

    #[test]
    fn the_end_of_what_is_written_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        let mut bytes = vec![b'x'; 3000];
        bytes.extend([0; 4000]);
        std::fs::write(&file, &bytes).unwrap();
        let pattern = dir.path().join("lo?").display().to_string();
        let said = there(&damage(&[&pattern], Damage::Truncate(1000), 7), dir.path());
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 2000, "{said}");
        there(&mend(false), dir.path());
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 2000, "a node that runs keeps it");
        let said = there(&damage(&[&pattern], Damage::Truncate(1_000_000), 7), dir.path());
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 1000, "{said}");
        there(&mend(true), dir.path());
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 2000);
    }
}
