//! `hearsight shape` before a server: a thin uplink.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::root;
use super::server::program;

/// A steady link of so many kilobits a second that loses this share of packets, in OpenNetLab's format.
pub fn steady(kbps: u32, loss: f64) -> String {
    format!(r#"{{"uplink":{{"trace_pattern":[{{"duration":60000,"capacity":{kbps},"loss":{loss}}}]}}}}"#)
}

/// A running shaper; killed when dropped.
pub struct Shaped {
    child: Child,
    /// Where to ask instead of the server's page.
    pub page: String,
}

impl Shaped {
    /// Stands before the page `server`, as the recorded uplink in `trace`.
    pub fn start(server: &str, trace: &Path) -> Result<Shaped> {
        let mut child = Command::new(program()?)
            .args(["shape", "--to", server, "--trace"])
            .arg(trace)
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let page = BufReader::new(stdout).lines().map_while(Result::ok).find_map(|line| {
            line.split(' ')
                .find(|word| word.starts_with("http://"))
                .map(str::to_owned)
        });
        let mut shaped = Shaped {
            child,
            page: String::new(),
        };
        shaped.page = page.context("the shaper did not say where to ask")?;
        Ok(shaped)
    }
}

impl Drop for Shaped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
