//! What the kernel tells of a process: its memory, threads, descriptors, children and the processor time it took (proc(5)).

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result};

/// What a process holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Resident memory, in KiB, and the part of it that no file backs.
    pub resident_kb: u64,
    /// Of it, what the process allocated.
    pub anonymous_kb: u64,
    /// Threads.
    pub threads: usize,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Processes that it started and that are not reaped.
    pub children: usize,
}

/// Reads what process `pid` holds.
pub fn held(pid: u32) -> Result<Held> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.split_whitespace().next());
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    Ok(Held {
        resident_kb: field("VmRSS:"),
        anonymous_kb: field("RssAnon:"),
        threads: fs::read_dir(format!("/proc/{pid}/task"))?.count(),
        descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        children: children(pid)?.len(),
    })
}

/// Asks a child to end, as a service manager does, and waits for it; one that can't be asked is killed.
pub fn end(child: &mut Child) {
    let asked = Command::new("kill").arg(child.id().to_string()).status();
    if !asked.is_ok_and(|status| status.success()) {
        let _ = child.kill();
    }
    let _ = child.wait();
}

/// The children of process `pid`, whichever of its threads started them.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that ends meanwhile has no children any more.
        let text = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Ok(found)
}

/// The processor time that all threads of process `pid` have taken, to the nanosecond. Threads that have ended are not
/// counted: take differences while the same threads live.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the process is gone")? {
        nanos += taken(&task?.path().join("schedstat"));
    }
    Ok(Duration::from_nanos(nanos))
}

/// The processor time that the calling thread has taken.
pub fn own_time() -> Duration {
    Duration::from_nanos(taken("/proc/thread-self/schedstat".as_ref()))
}

fn taken(path: &std::path::Path) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}
