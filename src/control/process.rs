//! What the operating system says about a process.

use nemesis::NodeState;
use std::fs;

/// The state of process `pid`. A zombie is dead: it only waits to be counted.
pub fn state(pid: u32) -> NodeState {
    match letter(&format!("/proc/{pid}/stat")) {
        None | Some('Z' | 'X' | 'x') => NodeState::Dead,
        Some('T' | 't') => NodeState::Stopped,
        Some(_) => NodeState::Running,
    }
}

/// Whether every thread of `pid` is stopped. The first one may be while another still runs on another processor.
pub fn all_stopped(pid: u32) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let mut tasks = tasks.flatten().peekable();
    tasks.peek().is_some()
        && tasks.all(|task| {
            let letter = letter(&task.path().join("stat").to_string_lossy());
            // A thread that has just ended is no longer running either.
            matches!(letter, None | Some('T' | 't' | 'X' | 'Z'))
        })
}

/// The state letter in a `stat` file. The name before it is in brackets and may hold anything, brackets too.
fn letter(stat: &str) -> Option<char> {
    let text = fs::read_to_string(stat).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}
