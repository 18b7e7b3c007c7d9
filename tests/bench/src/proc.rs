//! What the system knows of a process: memory, threads, descriptors, time.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};

/// A process by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

/// Time on a CPU, and how often it went to sleep.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Activity {
    pub(crate) cpu_ns: u64,
    pub(crate) sleeps: u64,
}

/// Time of all CPUs of the machine, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) busy_ms: f64,
    idle_ms: f64,
}

impl Load {
    /// Since the machine is up.
    pub(crate) fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().unwrap_or_default();
        // User, nice, system, idle, waiting, interrupts, soft ones, taken by other machines; each a hundredth of a second.
        let times: Vec<f64> =
            line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
        let &[_, _, _, idle, waiting, ..] = times.as_slice() else { bail!("/proc/stat begins with {line}") };
        let idle_ms = 10.0 * (idle + waiting);
        Ok(Self { busy_ms: 10.0 * times.iter().sum::<f64>() - idle_ms, idle_ms })
    }

    /// Since then.
    pub(crate) fn since(self) -> Result<Self> {
        let Self { busy_ms, idle_ms } = Self::now()?;
        Ok(Self { busy_ms: busy_ms - self.busy_ms, idle_ms: idle_ms - self.idle_ms })
    }

    pub(crate) fn busy_share(self) -> f64 {
        self.busy_ms / (self.busy_ms + self.idle_ms)
    }
}

impl Process {
    pub(crate) fn me() -> Self {
        Self(std::process::id())
    }

    pub(crate) fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// A figure of its memory in KiB, such as `Pss` or `Private_Dirty`.
    pub(crate) fn memory(self, what: &str) -> Result<f64> {
        self.number("smaps_rollup", what)
    }

    pub(crate) fn threads(self) -> Result<f64> {
        self.number("status", "Threads")
    }

    pub(crate) fn descriptors(self) -> Result<usize> {
        Ok(fs::read_dir(self.file("fd"))?.count())
    }

    /// Of all its threads that live.
    pub(crate) fn activity(self) -> Result<Activity> {
        let mut all = Activity::default();
        for task in fs::read_dir(self.file("task"))? {
            let folder = task?.path();
            let (times, status) =
                (fs::read_to_string(folder.join("schedstat"))?, fs::read_to_string(folder.join("status"))?);
            let on_cpu = times.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
            all.cpu_ns += on_cpu.context("schedstat begins with a number")?;
            all.sleeps += field(&status, "voluntary_ctxt_switches").context("a count of switches")? as u64;
        }
        Ok(all)
    }

    fn number(self, file: &str, what: &str) -> Result<f64> {
        let path = self.file(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        field(&text, what).with_context(|| format!("{} has no {what}", path.display()))
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }
}

fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}
