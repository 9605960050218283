//! What this process takes of the machine, as Linux tells it in `/proc`; nothing where there is none.

use std::fs;

/// Clock ticks per second in `/proc/self/stat`: 100 on every Linux (proc_pid_stat(5), `USER_HZ`).
const TICKS: f64 = 100.0;

/// What this process takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) resident_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
}

impl Process {
    pub(super) fn now() -> Process {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        // The folder is open while it is read.
        let open_files = fs::read_dir("/proc/self/fd").map(|entries| (entries.count() as u64).saturating_sub(1));
        Process {
            resident_bytes: field("VmRSS:").map(|kilobytes| kilobytes * 1024),
            threads: field("Threads:"),
            open_files: open_files.ok(),
            cpu_seconds: fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu(&stat)),
        }
    }
}

/// User and system time: fields 14 and 15, counted after the name, which may hold anything.
fn cpu(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some((next()? + next()?) as f64 / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_takes() {
        let process = Process::now();
        assert!(process.resident_bytes.unwrap() > 1 << 20);
        assert!(process.threads.unwrap() >= 1);
        assert!(process.open_files.unwrap() >= 3);
        assert!(process.cpu_seconds.unwrap() >= 0.0);
    }

    #[test]
    fn a_name_with_brackets_and_spaces_is_no_trouble() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1";
        assert_eq!(cpu(stat), Some(3.0));
        assert_eq!(cpu("7"), None);
    }
}
