//! WHIP by hand (RFC 9725 section 4.2): an offer posted over plain HTTP, and the session deleted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The longest that a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A session that was answered.
#[derive(Clone, Debug)]
pub struct Created {
    /// The answer.
    pub sdp: String,
    /// The path of its resource.
    pub location: String,
}

/// Posts an offer to the endpoint `stream` of the server whose page is at `page`.
pub fn post(page: &str, stream: &str, offer: &str) -> Result<Created> {
    let head = format!(
        "POST /whip/{stream} HTTP/1.1\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n",
        offer.len()
    );
    let (head, sdp) = ask(page, &head, offer)?;
    let location = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    match (head.split_whitespace().nth(1), location) {
        (Some("201"), Some(location)) => Ok(Created { sdp, location }),
        _ => bail!(
            "the server does not take the offer: {}",
            head.lines().next().unwrap_or_default()
        ),
    }
}

fn ask(page: &str, head: &str, body: &str) -> Result<(String, String)> {
    let host = page.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).with_context(|| format!("nobody serves {host}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{head}Host: {host}\r\nConnection: close\r\n\r\n{body}").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    Ok((head.to_owned(), body.to_owned()))
}
