//! The wall clock of one running process, without touching the machine's: for programs in any language (Go, too, which
//! needs no libc and heeds no LD_PRELOAD).
//!
//! Programs ask for the time through functions that the kernel maps into every process (the vDSO). The page is private
//! to a process once it is written to: here its time functions are replaced by ones that make the system call and bend
//! the answer. A child of the process inherits that; a program that it starts, or its own restart, does not.
//!
//! What is not bent: time that is asked for by a bare system call, file times, and absolute deadlines that the kernel
//! keeps. Only x86-64; elsewhere setting a clock is an error.

use super::clock::unix_ns;
use super::process;
use nemesis::{ClockSetting, NodeState};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant, SystemTime};

/// How long it may take to find every thread stopped, and outside of the functions that are replaced.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the functions after the first one begin in [`CODE`].
const GETTIMEOFDAY: usize = 0x30;
const TIME: usize = 0x70;
/// Three numbers after the code, of eight bytes each: when the setting began (ns), the offset (ns), and by how much
/// faster than honest the clock runs (in 2^-32).
const SETTING: usize = 0xc0;

/// The functions. `bend` takes an honest time in nanoseconds in rax, and gives seconds in rax, nanoseconds in rdx.
#[rustfmt::skip]
const CODE: [u8; SETTING] = [
    // clock_gettime(edi: clock, rsi: seconds, nanoseconds)
    0xb8, 0xe4, 0x00, 0x00, 0x00,                   //    mov   $228, %eax
    0x0f, 0x05,                                     //    syscall
    0x85, 0xc0, 0x75, 0x22,                         //    test  %eax, %eax; jne 9
    0x85, 0xff, 0x74, 0x05,                         //    test  %edi, %edi; je 1        CLOCK_REALTIME
    0x83, 0xff, 0x05, 0x75, 0x19,                   //    cmp   $5, %edi; jne 9         CLOCK_REALTIME_COARSE
    0x48, 0x69, 0x06, 0x00, 0xca, 0x9a, 0x3b,       // 1: imul  $1000000000, (%rsi), %rax
    0x48, 0x03, 0x46, 0x08,                         //    add   8(%rsi), %rax
    0xe8, 0x6c, 0x00, 0x00, 0x00,                   //    call  bend
    0x48, 0x89, 0x06,                               //    mov   %rax, (%rsi)
    0x48, 0x89, 0x56, 0x08,                         //    mov   %rdx, 8(%rsi)
    0x31, 0xc0, 0xc3, 0x66, 0x90,                   //    xor   %eax, %eax
                                                    // 9: ret
    // gettimeofday(rdi: seconds, microseconds)
    0xb8, 0x60, 0x00, 0x00, 0x00,                   //    mov   $96, %eax
    0x0f, 0x05,                                     //    syscall
    0x85, 0xc0, 0x75, 0x30,                         //    test  %eax, %eax; jne 9
    0x48, 0x85, 0xff, 0x74, 0x2b,                   //    test  %rdi, %rdi; je 9
    0x48, 0x69, 0x07, 0x00, 0xca, 0x9a, 0x3b,       //    imul  $1000000000, (%rdi), %rax
    0x48, 0x69, 0x57, 0x08, 0xe8, 0x03, 0x00, 0x00, //    imul  $1000, 8(%rdi), %rdx
    0x48, 0x01, 0xd0,                               //    add   %rdx, %rax
    0xe8, 0x39, 0x00, 0x00, 0x00,                   //    call  bend
    0x48, 0x89, 0x07,                               //    mov   %rax, (%rdi)
    0x89, 0xd0, 0x31, 0xd2,                         //    mov   %edx, %eax; xor %edx, %edx
    0xb9, 0xe8, 0x03, 0x00, 0x00, 0xf7, 0xf1,       //    mov   $1000, %ecx; div %ecx
    0x48, 0x89, 0x47, 0x08,                         //    mov   %rax, 8(%rdi)
    0x31, 0xc0, 0xc3, 0x0f, 0x1f, 0x40, 0x00,       //    xor   %eax, %eax
                                                    // 9: ret
    // time(rdi: seconds, or null)
    0xb8, 0xc9, 0x00, 0x00, 0x00,                   //    mov   $201, %eax
    0x0f, 0x05,                                     //    syscall
    0x48, 0x69, 0xc0, 0x00, 0xca, 0x9a, 0x3b,       //    imul  $1000000000, %rax, %rax
    0xe8, 0x0d, 0x00, 0x00, 0x00,                   //    call  bend
    0x48, 0x85, 0xff, 0x74, 0x03,                   //    test  %rdi, %rdi; je 9
    0x48, 0x89, 0x07, 0xc3, 0x0f, 0x1f, 0x40, 0x00, //    mov   %rax, (%rdi)
                                                    // 9: ret
    // bend: now + offset + (now - began) * faster / 2^32
    0x49, 0x89, 0xc0,                               //    mov   %rax, %r8
    0x48, 0x2b, 0x05, 0x26, 0x00, 0x00, 0x00,       //    sub   began(%rip), %rax
    0x48, 0xf7, 0x2d, 0x2f, 0x00, 0x00, 0x00,       //    imulq faster(%rip)
    0x48, 0x0f, 0xac, 0xd0, 0x20,                   //    shrd  $32, %rdx, %rax
    0x4c, 0x01, 0xc0,                               //    add   %r8, %rax
    0x48, 0x03, 0x05, 0x18, 0x00, 0x00, 0x00,       //    add   offset(%rip), %rax
    0x31, 0xd2,                                     //    xor   %edx, %edx
    0xb9, 0x00, 0xca, 0x9a, 0x3b, 0x48, 0xf7, 0xf1, //    mov   $1000000000, %ecx; div %rcx
    0xc3, 0x0f, 0x1f, 0x44, 0x00, 0x00,             //    ret
];

/// Sets the wall clock that process `pid` sees, from now on. The process stands still for a moment.
///
/// # Errors
/// The process is not there or not ours, or its functions are not where they are expected to be. Then its clock is as it
/// was.
pub fn set(pid: u32, setting: ClockSetting) -> Result<(), String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("a process's clock can be set on x86-64 only".into());
    }
    let failed = |what: &str, e: io::Error| format!("process {pid}: {what}: {e}");
    let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"));
    let memory = memory.map_err(|e| failed("opening its memory", e))?;
    let (from, to) = vdso(pid)?;
    let mut image = vec![0; (to - from) as usize];
    memory.read_exact_at(&mut image, from).map_err(|e| failed("reading its time functions", e))?;
    let place =
        Place::find(&image).ok_or_else(|| format!("process {pid}: its time functions are not known"))?;
    let replaced = image[place.clock_gettime..].starts_with(&CODE);
    if !replaced && setting == ClockSetting::default() {
        return Ok(());
    }
    let still = Still::stop(pid)?;
    if !replaced {
        still.outside(from, to)?;
        let write = |at: usize, bytes: &[u8]| {
            memory
                .write_all_at(bytes, from + at as u64)
                .map_err(|e| failed("replacing its time functions", e))
        };
        // With its numbers first, so that at no moment is there code without them.
        write(place.clock_gettime + SETTING, &numbers(ClockSetting::default()))?;
        write(place.clock_gettime, &CODE)?;
        write(place.gettimeofday, &jump(place.gettimeofday, place.clock_gettime + GETTIMEOFDAY))?;
        write(place.time, &jump(place.time, place.clock_gettime + TIME))?;
    }
    let at = from + (place.clock_gettime + SETTING) as u64;
    memory.write_all_at(&numbers(setting), at).map_err(|e| failed("setting its clock", e))
}

/// What was added to the wall clock that process `pid` sees, in nanoseconds: read back from its own time functions, so
/// that it is what the process will be told the next time that it asks.
///
/// # Errors
/// As [`set`].
pub fn offset(pid: u32) -> Result<i64, String> {
    let failed = |e: io::Error| format!("process {pid}: reading its time functions: {e}");
    let memory = OpenOptions::new().read(true).open(format!("/proc/{pid}/mem")).map_err(failed)?;
    let (from, to) = vdso(pid)?;
    let mut image = vec![0; (to - from) as usize];
    memory.read_exact_at(&mut image, from).map_err(failed)?;
    let place =
        Place::find(&image).ok_or_else(|| format!("process {pid}: its time functions are not known"))?;
    if !image[place.clock_gettime..].starts_with(&CODE) {
        return Ok(0);
    }
    let number = |n: usize| {
        let at = place.clock_gettime + SETTING + 8 * n;
        i64::from_le_bytes(image[at..at + 8].try_into().expect("eight bytes"))
    };
    let (began, added, faster) = (number(0), number(1), number(2));
    let gained = (i128::from(unix_ns(SystemTime::now()) - began) * i128::from(faster)) >> 32;
    Ok(added.saturating_add(i64::try_from(gained).unwrap_or(i64::MAX)))
}

fn numbers(setting: ClockSetting) -> [u8; 24] {
    let faster = ((setting.rate - 1.0) * 4_294_967_296.0) as i64;
    let mut bytes = [0; 24];
    for (to, number) in bytes.chunks_exact_mut(8).zip([unix_ns(SystemTime::now()), setting.offset_ns, faster])
    {
        to.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// `jmp` from one place of the image to another.
fn jump(from: usize, to: usize) -> [u8; 5] {
    let by = (to as i64 - (from as i64 + 5)) as i32;
    let [a, b, c, d] = by.to_le_bytes();
    [0xe9, a, b, c, d]
}

/// Where the functions are in the image.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    clock_gettime: usize,
    gettimeofday: usize,
    time: usize,
}

impl Place {
    /// Looks them up in the image's table of symbols. `None` if there is none, or one has too little room.
    fn find(image: &[u8]) -> Option<Place> {
        let bytes = |at: usize, n: usize| image.get(at..at.checked_add(n)?);
        let word = |at: usize| Some(u64::from_le_bytes(bytes(at, 8)?.try_into().ok()?) as usize);
        let half = |at: usize| Some(usize::from(u16::from_le_bytes(bytes(at, 2)?.try_into().ok()?)));
        let quarter = |at: usize| Some(u32::from_le_bytes(bytes(at, 4)?.try_into().ok()?) as usize);
        // The header says where the table of sections is; section type 11 is the dynamic symbols, and names its strings.
        let (sections, count) = (word(0x28)?, half(0x3c)?);
        let section = |n: usize| Some(sections.checked_add(64 * n)?).filter(|at| *at < image.len());
        let symbols = (0..count).filter_map(section).find(|at| quarter(at + 4) == Some(11))?;
        let (start, size) = (word(symbols + 24)?, word(symbols + 32)?);
        let end = start.checked_add(size).filter(|end| *end <= image.len())?;
        let strings = word(section(quarter(symbols + 40)?)? + 24)?;
        let find = |name: &str, room: usize| {
            (start..end).step_by(24).find_map(|at| {
                let text = image.get(strings.checked_add(quarter(at)?)?..)?;
                let named = text.starts_with(name.as_bytes()) && text.get(name.len()) == Some(&0);
                let (value, size) = (word(at + 8)?, word(at + 16)?);
                (named && half(at + 6)? != 0 && size >= room).then_some(value)
            })
        };
        Some(Place {
            clock_gettime: find("__vdso_clock_gettime", SETTING + 24)?,
            gettimeofday: find("__vdso_gettimeofday", 5)?,
            time: find("__vdso_time", 5)?,
        })
    }
}

/// Where the kernel's functions are mapped in a process.
fn vdso(pid: u32) -> Result<(u64, u64), String> {
    let path = format!("/proc/{pid}/maps");
    let maps = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"));
    let range = line.and_then(|line| line.split(' ').next()).and_then(|range| range.split_once('-'));
    let range = range.and_then(|(from, to)| {
        Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
    });
    range.ok_or_else(|| format!("process {pid}: the kernel has mapped no time functions into it"))
}

/// A process that stands still. Dropping it lets it go on, unless somebody else had stopped it before.
struct Still {
    pid: u32,
    ours: bool,
}

impl Still {
    fn stop(pid: u32) -> Result<Still, String> {
        let ours = process::state(pid) != NodeState::Stopped;
        let still = Still { pid, ours };
        if ours {
            still.signal(Signal::STOP).map_err(|e| format!("process {pid}: stopping it: {e}"))?;
        }
        still.wait()?;
        Ok(still)
    }

    fn signal(&self, what: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(kill_process(pid, what)?)
    }

    fn wait(&self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !process::all_stopped(self.pid) {
            if Instant::now() > deadline {
                return Err(format!("process {}: it does not stop", self.pid));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Makes sure that no thread stands in the middle of what is about to be replaced: lets it go on for a moment if one
    /// does.
    fn outside(&self, from: u64, to: u64) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while self.stands_in(from, to)? {
            if !self.ours {
                return Err(format!("process {}: it was stopped while it asked for the time", self.pid));
            }
            if Instant::now() > deadline {
                return Err(format!("process {}: it asks for the time all the time", self.pid));
            }
            let failed = |e: io::Error| format!("process {}: stopping it: {e}", self.pid);
            self.signal(Signal::CONT).map_err(failed)?;
            std::thread::sleep(Duration::from_micros(500));
            self.signal(Signal::STOP).map_err(failed)?;
            self.wait()?;
        }
        Ok(())
    }

    fn stands_in(&self, from: u64, to: u64) -> Result<bool, String> {
        let path = format!("/proc/{}/task", self.pid);
        let tasks = fs::read_dir(&path).map_err(|e| format!("{path}: {e}"))?;
        for task in tasks.flatten() {
            // Number and arguments of a system call, if it is in one; then the stack and the instruction.
            let Ok(text) = fs::read_to_string(task.path().join("syscall")) else { continue };
            let Some(last) = text.split_whitespace().next_back() else { continue };
            let at = u64::from_str_radix(last.trim_start_matches("0x"), 16);
            if at.is_ok_and(|at| (from..to).contains(&at)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        if self.ours {
            // Whoever is gone needs no signal.
            let _ = self.signal(Signal::CONT);
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, ChildStdout, Command, Stdio};

    /// A shell that says what time it is, again and again.
    struct Teller(Child, BufReader<ChildStdout>);

    impl Teller {
        fn start() -> Teller {
            let program = "while printf '%(%s)T\\n' -1; do sleep 0.02; done";
            let mut child =
                Command::new("bash").args(["-c", program]).stdout(Stdio::piped()).spawn().unwrap();
            let out = BufReader::new(child.stdout.take().unwrap());
            let mut teller = Teller(child, out);
            teller.offset();
            teller
        }

        /// How many seconds it is ahead, of the next line that is said.
        fn offset(&mut self) -> i64 {
            let mut line = String::new();
            self.1.read_line(&mut line).unwrap();
            line.trim().parse::<i64>().unwrap() - unix_ns(SystemTime::now()) / 1_000_000_000
        }

        /// What it says once everything that it has said so far is read.
        fn settled(&mut self, near: i64) -> i64 {
            let mut offset = self.offset();
            for _ in 0..100 {
                if (offset - near).abs() <= 1 {
                    break;
                }
                offset = self.offset();
            }
            offset
        }
    }

    impl Drop for Teller {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_running_process_sees_another_time_and_the_machine_does_not() {
        let mut teller = Teller::start();
        let pid = teller.0.id();
        for offset in [3600, -120, 0] {
            set(pid, ClockSetting { offset_ns: offset * 1_000_000_000, rate: 1.0 }).unwrap();
            assert_eq!(super::offset(pid), Ok(offset * 1_000_000_000));
            assert!((teller.settled(offset) - offset).abs() <= 1, "{offset}");
        }
        let begun = Instant::now();
        set(pid, ClockSetting { offset_ns: 0, rate: 20.0 }).unwrap();
        // What is read may have been said a while ago, on a busy machine: it is never further ahead than now.
        let mut ahead = 0;
        while ahead < 10 {
            ahead = teller.offset();
            let most = begun.elapsed().as_secs_f64() * 19.0 + 2.0;
            assert!(ahead as f64 <= most, "{ahead} s ahead, at most {most}");
            assert!(begun.elapsed() < Duration::from_secs(20), "only {ahead} s ahead");
        }
        assert!(super::offset(pid).unwrap() >= 9_000_000_000);
        set(pid, ClockSetting::default()).unwrap();
        assert_eq!(super::offset(pid), Ok(0));
        assert!(teller.settled(0).abs() <= 1);
    }

    #[test]
    fn a_stopped_process_stays_stopped() {
        let mut teller = Teller::start();
        let still = Still::stop(teller.0.id()).unwrap();
        set(still.pid, ClockSetting { offset_ns: 50_000_000_000, rate: 1.0 }).unwrap();
        assert_eq!(process::state(still.pid), NodeState::Stopped);
        drop(still);
        assert!((teller.settled(50) - 50).abs() <= 1);
    }

    #[test]
    fn who_is_not_there_has_no_clock() {
        assert!(set(u32::MAX / 2, ClockSetting { offset_ns: 1, rate: 1.0 }).is_err());
    }

    #[test]
    fn the_functions_are_found_in_this_process_and_not_in_noise() {
        let (from, to) = vdso(std::process::id()).unwrap();
        let mut image = vec![0; (to - from) as usize];
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut image, from).unwrap();
        assert!(Place::find(&image).is_some());
        assert_eq!(Place::find(&[0xff; 8192]), None);
        assert_eq!(Place::find(&image[..100]), None);
    }
}
