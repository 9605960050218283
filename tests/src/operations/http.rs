//! HTTP by hand: requests of a few lines, answers read whole or line by line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};

use super::subject::PATIENCE;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

fn request(address: &str, path: &str, headers: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n"
    )
    .unwrap();
    BufReader::new(stream)
}

fn head(from: &mut impl BufRead) -> (u16, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(from.read_line(&mut head).unwrap() > 0, "cut off: {head}");
    }
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase())
}

/// Asks and reads the answer whole.
pub(super) fn get(address: &str, path: &str) -> Answer {
    let mut stream = request(address, path, "");
    let (status, head) = head(&mut stream);
    let mut body = String::new();
    stream.read_to_string(&mut body).unwrap();
    Answer { status, head, body }
}

/// Server-sent events as they come.
pub(super) struct Events(BufReader<TcpStream>);

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) data: serde_json::Value,
}

impl Events {
    pub(super) fn open(address: &str, path: &str, after: Option<&str>) -> Events {
        let resume = after.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let mut stream = request(address, path, &resume);
        let (status, head) = head(&mut stream);
        assert_eq!(status, 200, "{head}");
        assert!(
            head.contains("text/event-stream") && head.contains("no-store"),
            "{head}"
        );
        Events(stream)
    }

    /// The next event; none when the stream has ended. What is between events, chunk sizes among it, is passed over.
    pub(super) fn next(&mut self) -> Option<Event> {
        let (mut id, mut name) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", value)) => id = value.to_owned(),
                Some(("event", value)) => name = value.to_owned(),
                Some(("data", value)) => {
                    let data = serde_json::from_str(value).unwrap();
                    return Some(Event { id, name, data });
                }
                _ => {}
            }
        }
    }

    /// The next event of this name.
    pub(super) fn wait(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }
}

/// A server that accepts what is posted to it, head and body; ends with the receiver.
pub(super) fn shop() -> (SocketAddr, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, posted) = sync_channel(100);
    let work = move || {
        while let Ok((stream, _)) = listener.accept() {
            if tell.try_send(accept(stream)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("shop".into()).spawn(work).unwrap();
    (address, posted)
}

fn accept(stream: TcpStream) -> (String, String) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = BufReader::new(stream);
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut text).unwrap() > 0, "cut off: {text}");
    }
    let length = text.to_lowercase();
    let length: usize = length
        .split("content-length: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    stream.get_mut().write_all(answer).unwrap();
    (text, String::from_utf8(body).unwrap())
}
