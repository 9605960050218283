//! Server-sent events (WHATWG HTML, section 9.2), as far as answers need them: data, and errors in the way of llama.cpp.

use thiserror::Error;

/// One event; a token with its probabilities takes a kilobyte.
const MAX_EVENT: usize = 256 << 10;

/// The server sends an event that does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it sends an event that does not end")]
pub(super) struct Endless;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Its data.
    Data(String),
    /// A line `error: …`, which is no field of the standard.
    Error,
}

/// Cuts bytes into events, however they arrive.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    data: Vec<u8>,
    any: bool,
    /// The last byte was a carriage return: a line feed after it ends the same line.
    returned: bool,
    begun: bool,
}

impl Parser {
    /// Takes what arrived.
    pub(super) fn push(&mut self, bytes: &[u8], mut out: impl FnMut(Event)) -> Result<(), Endless> {
        for &byte in bytes {
            let after_return = std::mem::replace(&mut self.returned, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => self.end_line(&mut out),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.data.len() > MAX_EVENT {
                return Err(Endless);
            }
        }
        Ok(())
    }

    /// Nothing more arrives: what is whole but for its blank line counts, because some servers leave out the last.
    pub(super) fn end(mut self, mut out: impl FnMut(Event)) {
        if !self.line.is_empty() {
            self.end_line(&mut out);
        }
        self.end_line(&mut out);
    }

    fn end_line(&mut self, out: &mut impl FnMut(Event)) {
        let line = std::mem::take(&mut self.line);
        let first = !std::mem::replace(&mut self.begun, true);
        let line = match line.strip_prefix("\u{feff}".as_bytes()) {
            Some(rest) if first => rest,
            _ => &line,
        };
        if line.is_empty() {
            if std::mem::take(&mut self.any) {
                let data = std::mem::take(&mut self.data);
                out(Event::Data(String::from_utf8_lossy(&data).into_owned()));
            }
            return;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &line[line.len()..]),
        };
        match field {
            b"data" => {
                if std::mem::replace(&mut self.any, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            }
            b"error" => out(Event::Error),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pieces: &[&[u8]]) -> Result<Vec<Event>, Endless> {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for piece in pieces {
            parser.push(piece, |event| events.push(event))?;
        }
        parser.end(|event| events.push(event));
        Ok(events)
    }

    fn data(text: &str) -> Event {
        Event::Data(text.to_owned())
    }

    /// The standard's examples, and what servers make of it.
    #[test]
    fn events_are_those_of_the_standard() {
        let standard = b"data: YHOO\ndata: +2\ndata: 10\n\n: a comment\nid: 1\nevent: x\n\ndata\n\ndata:test\r\n\r\ndata: test\r\rretry: 3\n";
        let events = parsed(&[standard]).unwrap();
        assert_eq!(events, [data("YHOO\n+2\n10"), data(""), data("test"), data("test")]);
        assert_eq!(parsed(&["\u{feff}data: a\n\n".as_bytes()]).unwrap(), [data("a")]);
        assert_eq!(
            parsed(&[b"data: [DONE]"]).unwrap(),
            [data("[DONE]")],
            "llama.cpp leaves out the last blank line"
        );
        assert_eq!(parsed(&[b"error: {\"code\":500}\n\n"]).unwrap(), [Event::Error]);
        assert_eq!(parsed(&[b": keep-alive\n\n: keep-alive\n\n"]).unwrap(), []);
    }

    #[test]
    fn where_bytes_are_cut_makes_no_difference_and_no_bytes_do_harm() {
        for seed in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let alphabet = b"data: error:\r\n\n{}\xc3\xa4\xff\xef\xbb\xbf";
            let bytes: Vec<u8> = (0..random.usize(0..200))
                .map(|_| alphabet[random.usize(..alphabet.len())])
                .collect();
            let whole = parsed(&[&bytes]).unwrap();
            let (mut pieces, mut rest) = (Vec::new(), &bytes[..]);
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(random.usize(1..=rest.len()));
                pieces.push(piece);
                rest = after;
            }
            assert_eq!(parsed(&pieces).unwrap(), whole, "seed {seed}");
        }
    }

    #[test]
    fn an_event_that_does_not_end_is_not_waited_for() {
        let line = [b"data: ", vec![b'x'; MAX_EVENT].as_slice()].concat();
        assert_eq!(parsed(&[&line]), Err(Endless));
        assert_eq!(parsed(&[&b"data: xxxxxxx\n".repeat(MAX_EVENT / 7 + 1)]), Err(Endless));
    }
}
