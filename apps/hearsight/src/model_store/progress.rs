//! How a download is shown: one line that is rewritten in a terminal, a few lines anywhere else.

use std::io::{self, IsTerminal, Write};

use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;

use super::bytes;
use super::download::told;

/// A terminal is rewritten at most this often.
const EVERY: Span = Span::from_millis(100);
/// Cells of the bar.
const BAR: usize = 24;
/// In a log, a line comes whenever so many more parts of a file are here.
const PARTS: u64 = 4;

/// Who is told how a download goes on.
pub trait Watch: Send {
    /// A file of so many bytes is begun.
    fn begin(&mut self, file: &str, size: u64);
    /// So many of its bytes are here.
    fn at(&mut self, have: u64);
    /// Something failed, and is tried again after a while.
    fn wait(&mut self, why: &str, wait: Span);
    /// The file is here and right.
    fn end(&mut self);
}

/// Where progress goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// A terminal.
    Live,
    /// Anything else.
    Log,
}

impl Display {
    /// What standard error is.
    pub fn of_stderr() -> Display {
        match io::stderr().is_terminal() {
            true => Display::Live,
            false => Display::Log,
        }
    }
}

/// Tells people. What can't be written is not: a download does not depend on being watched.
pub struct Progress<W> {
    out: W,
    display: Display,
    clock: Clock,
    file: String,
    size: u64,
    shown: Option<Moment>,
    /// Quarters that were told, in a log.
    parts: u64,
    /// The first bytes of this run, and when they were there: the rate is ours, not of an earlier pull.
    first: Option<(u64, Moment)>,
}

impl<W: Write + Send> Progress<W> {
    /// Writes to `out`.
    pub fn new(out: W, display: Display, clock: Clock) -> Progress<W> {
        Progress {
            out,
            display,
            clock,
            file: String::new(),
            size: 0,
            shown: None,
            parts: 0,
            first: None,
        }
    }

    fn line(&self, have: u64) -> String {
        let Progress { file, size, .. } = self;
        let share = if *size == 0 { 1.0 } else { have as f64 / *size as f64 };
        let full = ((share * BAR as f64) as usize).min(BAR);
        let (bar, rest) = ("█".repeat(full), "·".repeat(BAR - full));
        let (here, whole) = (bytes(have), bytes(*size));
        format!(
            "{file}  {bar}{rest} {:3.0} %  {here} of {whole}{}",
            share * 100.0,
            self.rate(have)
        )
    }

    fn rate(&self, have: u64) -> String {
        let Some((first, since)) = self.first else {
            return String::new();
        };
        let seconds = (self.clock.now() - since).secs_f64();
        if seconds < 1.0 {
            return String::new();
        }
        format!(", {}/s", bytes((have.saturating_sub(first) as f64 / seconds) as u64))
    }

    fn say(&mut self, text: &str) {
        let clear = match self.display {
            Display::Live if self.shown.is_some() => "\r\x1b[K",
            _ => "",
        };
        let _ = writeln!(self.out, "{clear}{text}").and_then(|()| self.out.flush());
        self.shown = None;
    }
}

impl<W: Write + Send> Watch for Progress<W> {
    fn begin(&mut self, file: &str, size: u64) {
        (self.file, self.size) = (file.to_owned(), size);
        (self.parts, self.first, self.shown) = (0, None, None);
        if self.display == Display::Log {
            self.say(&format!("{file}: {} to fetch", bytes(size)));
        }
    }

    fn at(&mut self, have: u64) {
        let now = self.clock.now();
        self.first = self.first.or(Some((have, now)));
        match self.display {
            Display::Live if self.shown.is_none_or(|shown| now - shown >= EVERY) => {
                let line = self.line(have);
                let _ = write!(self.out, "\r{line}\x1b[K").and_then(|()| self.out.flush());
                self.shown = Some(now);
            }
            Display::Live => {}
            Display::Log => {
                let parts = have.saturating_mul(PARTS).checked_div(self.size).unwrap_or(0);
                if parts > self.parts && parts < PARTS {
                    self.say(&format!("{}: {} of {}", self.file, bytes(have), bytes(self.size)));
                }
                self.parts = parts;
            }
        }
    }

    fn wait(&mut self, why: &str, wait: Span) {
        let file = self.file.clone();
        self.say(&format!("{file}: {why}; again in {}", told(wait)));
    }

    fn end(&mut self) {
        let (file, size) = (self.file.clone(), bytes(self.size));
        self.say(&format!("{file}: {size}, its digest is right"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(display: Display) -> String {
        let mut out = Vec::new();
        let mut progress = Progress::new(&mut out, display, Clock::new());
        progress.begin("model.onnx", 4_000_000);
        for have in (0..=4_000_000).step_by(1000) {
            progress.at(have);
        }
        progress.wait("the connection broke", Span::from_millis(1500));
        progress.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_log_gets_a_few_plain_lines() {
        let text = shown(Display::Log);
        assert!(!text.contains(['\r', '\x1b']), "{text:?}");
        assert_eq!(text.lines().count(), 6, "{text}");
        assert!(text.contains("model.onnx: 2.0 MB of 4.0 MB"), "{text}");
        assert!(text.contains("the connection broke; again in 1.5 s"), "{text}");
    }

    #[test]
    fn a_terminal_gets_one_line_that_is_rewritten() {
        let text = shown(Display::Live);
        assert_eq!(text.matches('\n').count(), 2, "why it waits, and the end: {text:?}");
        assert!(text.starts_with("\rmodel.onnx  ····"), "{text:?}");
    }
}
