//! `hearsight shape` between `hearsight publish` and `hearsight serve`, as three programs: a thin uplink is found out and kept to.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::rig::root;
use crate::rig::server::{Server, program};
use crate::rig::shaped::{Shaped, steady};

#[test]
fn a_publisher_finds_a_thin_uplink_and_keeps_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("thin.json");
    std::fs::write(&trace, steady(400, 0.01)).unwrap();
    let server = Server::start(&[]).unwrap();
    let shaped = Shaped::start(&server.page, &trace).unwrap();
    let to = format!("{}whip/thin", shaped.page);
    let output = Command::new(program().unwrap())
        .args([
            "publish", "test", "--json", "--size", "640x360", "--kbps", "3000", "--for", "15", "--to", &to,
        ])
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    assert!(output.status.success());
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let figures: Vec<&Value> = lines.iter().filter(|line| line["type"] == "figures").collect();
    assert!(figures.len() >= 10, "a line a second");
    let late = &figures[figures.len() - 6..];
    for figure in late {
        let allowed = figure["allowed_kbps"]
            .as_f64()
            .expect("the server tells of every packet");
        // However slow this machine is, more than the link lets through does not come back as received.
        assert!((50.0..700.0).contains(&allowed), "{figure}");
        assert_eq!(figure["wishes_refused"], 0);
    }
    let sent = late.iter().filter_map(|figure| figure["kbps"].as_f64()).sum::<f64>() / late.len() as f64;
    assert!(sent < 600.0, "{sent} kbit/s into a link of 400");
}

#[test]
fn a_recording_that_is_none_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("odd.up");
    std::fs::write(&trace, "1\n2\nthree\n").unwrap();
    let output = Command::new(program().unwrap())
        .args(["shape", "--to", "127.0.0.1:9", "--trace"])
        .arg(&trace)
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("line 3"), "{said}");
}
