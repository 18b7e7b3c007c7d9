//! Processes as the kernel shows them.

use std::{fs, path::Path, time::Duration};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use super::{PATIENCE, eventually};

/// One line of /proc/PID/stat.
struct Stat {
    pid: u32,
    parent: u32,
    state: char,
    /// The processor time that it has had, in clock ticks.
    ticks: u64,
}

/// Sends a signal to a process that the test started; one that is to stop has done so when this returns.
///
/// # Panics
/// If there is no such process.
pub fn kill(pid: u32, signal: Signal) {
    let pid =
        i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap_or_else(|| panic!("{pid} is no process id"));
    kill_process(pid, signal).unwrap_or_else(|error| panic!("signal to {}: {error}", pid.as_raw_nonzero()));
    if signal == Signal::STOP {
        let pid = pid.as_raw_nonzero().get().unsigned_abs();
        eventually("it has stopped", PATIENCE, || (is_stopped(pid) || is_gone(pid)).then_some(()));
    }
}

/// Sends a signal to a process that may have gone; whether there was one to take it.
pub fn signalled(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Whether a process is no more. One that is dead and not yet reaped counts as gone.
#[must_use]
pub fn is_gone(pid: u32) -> bool {
    stat(pid).is_none_or(|stat| stat.state == 'Z')
}

/// Whether a process has been stopped by a signal, with all its threads.
fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut states = threads.filter_map(|thread| Some(stat_of(&thread.path())?.state)).peekable();
    states.peek().is_some() && states.all(|state| state == 'T')
}

/// Waits until nothing below this process lives.
///
/// # Panics
/// If something does after `limit`.
#[track_caller]
pub fn all_gone(limit: Duration) {
    eventually("nothing below is left", limit, || {
        let are_gone = descendants().into_iter().all(is_gone);
        if !are_gone {
            // Looking at all there are takes its time too.
            std::thread::park_timeout(Duration::from_millis(20));
        }
        are_gone.then_some(())
    });
}

/// The processes below this one, dead ones that nobody has reaped included.
#[must_use]
pub fn descendants() -> Vec<u32> {
    descendants_of(std::process::id())
}

/// The processes below one, dead ones that nobody has reaped included.
#[must_use]
pub fn descendants_of(pid: u32) -> Vec<u32> {
    let all: Vec<Stat> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(stat)
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|stat| stat.parent == parent).map(|stat| stat.pid));
        next += 1;
    }
    found.split_off(1)
}

/// The processor time that a process has had, in clock ticks; 0 if there is no such process.
#[must_use]
pub fn ticks_of(pid: u32) -> u64 {
    stat(pid).map_or(0, |stat| stat.ticks)
}

/// How many threads a process has; 0 if there is no such process.
#[must_use]
pub fn threads_of(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// The memory of a process that is in RAM, in KiB.
#[must_use]
pub fn rss_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn stat(pid: u32) -> Option<Stat> {
    stat_of(format!("/proc/{pid}").as_ref())
}

/// Of a process, or of one of its threads.
fn stat_of(folder: &Path) -> Option<Stat> {
    let text = fs::read_to_string(folder.join("stat")).ok()?;
    // The name stands in parentheses and may hold anything; what follows the last one is regular.
    let (name, rest) = text.rsplit_once(") ")?;
    let pid = name.split(' ').next()?.parse().ok()?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // Fields 14 and 15: in the program, and for it in the kernel.
    let ticks = fields.skip(9).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Some(Stat { pid, parent, state, ticks })
}
