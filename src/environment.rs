//! What a report says about the machine that a run was made on.

use std::fs;

/// Tool, operating system, processor and memory, as names and values; what cannot be found out is left out.
pub fn facts() -> Vec<(String, String)> {
    let mut facts = vec![("perjury".to_string(), env!("CARGO_PKG_VERSION").to_string())];
    let mut fact =
        |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.to_string(), value)));
    let uname = rustix::system::uname();
    let said = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    fact("system", field("/etc/os-release", "PRETTY_NAME=").map(|name| name.trim_matches('"').to_string()));
    fact(
        "kernel",
        Some(format!("{} {} {}", said(uname.sysname()), said(uname.release()), said(uname.machine()))),
    );
    fact(
        "processor",
        field("/proc/cpuinfo", "model name")
            .map(|name| name.trim_start_matches([' ', '\t', ':']).to_string()),
    );
    fact("processors", std::thread::available_parallelism().ok().map(|n| n.to_string()));
    fact("memory", field("/proc/meminfo", "MemTotal:").map(|size| size.trim().to_string()));
    facts
}

/// What follows `name` on the first line that begins with it.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_string)
}
