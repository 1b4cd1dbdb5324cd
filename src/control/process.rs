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

/// A process and everything that descends from it, itself first; those that have ended meanwhile may still be named.
/// O(their threads), where the kernel lists children (CONFIG_PROC_CHILDREN); else O(processes of the machine).
pub fn family(root: u32) -> Vec<u32> {
    let mut family = vec![root];
    let mut next = 0;
    let mut parents: Option<Vec<(u32, u32)>> = None;
    while let Some(&pid) = family.get(next) {
        next += 1;
        let children = match &parents {
            None => children(pid),
            Some(_) => None,
        };
        let children = children.unwrap_or_else(|| {
            let parents = parents.get_or_insert_with(all_parents);
            parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child).collect()
        });
        family.extend(children.into_iter().filter(|child| *child != root));
    }
    family
}

/// The children of a process, by the kernel's list; `None` if it keeps none.
fn children(pid: u32) -> Option<Vec<u32>> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Some(Vec::new()) };
    let mut children = Vec::new();
    for task in tasks.flatten() {
        match fs::read_to_string(task.path().join("children")) {
            Ok(text) => children.extend(text.split_whitespace().filter_map(|n| n.parse::<u32>().ok())),
            // The thread has ended, or there is no such file for any.
            Err(_) if task.path().exists() => return None,
            Err(_) => {}
        }
    }
    Some(children)
}

/// Every process of the machine, with its parent.
fn all_parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let parent = |pid: u32| -> Option<u32> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        text.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn a_family_is_everybody_who_descends_from_its_head() {
        // A grandchild with a session of its own, as daemons have them.
        let script = "sh -c 'setsid sleep 1000 >/dev/null & echo $!; wait' & wait";
        let mut head = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(head.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        let found = family(head.id());
        let by_parents = |of: u32| all_parents().into_iter().filter(|(_, p)| *p == of).map(|(c, _)| c).next();
        assert_eq!(found[0], head.id());
        assert!(found.contains(&grandchild), "{found:?}");
        assert_eq!(by_parents(head.id()), Some(found[1]));
        for pid in found {
            let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        head.wait().unwrap();
    }
}
