//! What a process takes of the machine (proc(5)).

use anyhow::Context;

/// Ticks of the processor time in `/proc`, a second: what every Linux has told user space for twenty years.
const TICKS: f64 = 100.0;

/// One look.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    /// Resident memory, MiB.
    pub rss_mib: f64,
    /// Processor time so far, seconds.
    pub cpu_s: f64,
    /// Threads.
    pub threads: usize,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Vitals {
    /// Of the process `pid`. Errors: it is gone.
    pub fn of(pid: u32) -> anyhow::Result<Vitals> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let number = |key: &str| -> anyhow::Result<f64> {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .context("no such line")?;
            let word = line.split_whitespace().next().context("no number")?;
            Ok(word.parse()?)
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold anything; the fields after it are numbers.
        let fields: Vec<&str> = stat.rsplit_once(')').context("no name")?.1.split_whitespace().collect();
        let ticks = |index: usize| {
            fields
                .get(index)
                .and_then(|field| field.parse::<f64>().ok())
                .context("no time")
        };
        Ok(Vitals {
            rss_mib: number("VmRSS:")? / 1024.0,
            cpu_s: (ticks(11)? + ticks(12)?) / TICKS,
            threads: number("Threads:")? as usize,
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        })
    }
}
