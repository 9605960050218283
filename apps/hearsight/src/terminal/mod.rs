//! Events as people read them in a terminal or in a log: live captions, and under each where its time went.

pub mod figures;

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};

use hearsight_core::time::{MediaTime, Moment, Span};

use crate::wire::{Picture, Recogniser, Segment, ToClient, Word};
use figures::{Fall, Figures, printable};

/// Prints a line to standard output, if anybody reads it: `hearsight config | head` is no failure.
pub fn say(line: impl std::fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Whether something failed because nobody reads its output any more.
pub fn is_unread(problem: &anyhow::Error) -> bool {
    let broken = |cause: &(dyn std::error::Error + 'static)| {
        let problem = cause.downcast_ref::<io::Error>();
        problem.is_some_and(|problem| problem.kind() == io::ErrorKind::BrokenPipe)
    };
    problem.chain().any(broken)
}

/// Events that wait for their latency to come; it follows at once.
const PENDING: usize = 64;
/// In a log, a caption under way gets a new line at most this often.
const LOG_EVERY: Span = Span::from_millis(700);
/// Picture statistics come once a second; one in so many is printed.
const PICTURE_EVERY: u64 = 10;
/// Where the variable COLUMNS does not tell the terminal's width.
const COLUMNS: usize = 80;
/// The level meter's cells stand below the times; the lowest lights up at this level and each further one so many decibels above.
const METER: (usize, f32, f32) = (8, -54.0, 6.0);
/// Below the times.
const INDENT: &str = "         ";

/// What the lines go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// A terminal so many columns wide: words that may still change are rewritten in place, dimmed.
    Live(usize),
    /// Anything else: lines are only added.
    Log,
}

impl Display {
    /// What standard output is; the variable COLUMNS says how wide.
    pub fn of_stdout() -> Display {
        if !io::stdout().is_terminal() {
            return Display::Log;
        }
        let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        Display::Live(columns.unwrap_or(COLUMNS))
    }
}

/// When an event came and when it was there to be read, in microseconds of the server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// It arrived.
    pub received_us: i64,
    /// It was printed, if it was.
    pub shown_us: Option<i64>,
}

/// Prints the events of a session, and counts their latencies.
pub struct Terminal<W> {
    out: W,
    display: Display,
    /// The provisional words on the last line.
    partial: Option<String>,
    /// The level meter before them, where there is one.
    meter: Option<String>,
    logged: Option<(Moment, String)>,
    pending: VecDeque<Pending>,
    figures: Figures,
    speaking: bool,
    pictures: u64,
}

struct Pending {
    id: u64,
    settled: bool,
    reached: Option<Reached>,
}

impl<W: Write> Terminal<W> {
    /// Prints to `out`.
    pub fn new(out: W, display: Display) -> Terminal<W> {
        let (pending, figures) = (VecDeque::new(), Figures::default());
        Terminal {
            out,
            display,
            partial: None,
            meter: None,
            logged: None,
            pending,
            figures,
            speaking: false,
            pictures: 0,
        }
    }

    /// Takes an event at `now`; true when it is printed, and can be read from then on. Errors: those of the output.
    pub fn take(&mut self, event: &ToClient, now: Moment) -> io::Result<bool> {
        let printed = match event {
            ToClient::Session { recogniser, .. } => self.greet(recogniser)?,
            ToClient::SpeechStarted { id, .. } => {
                self.expect(*id);
                self.speaking = true;
                self.provisional(now, String::new())?
            }
            ToClient::SpeechStopped { id, .. } => {
                self.expect(*id);
                false
            }
            ToClient::WordsPartial { id, words, .. } => {
                self.expect(*id);
                self.speaking = true;
                self.provisional(now, text(words))?
            }
            ToClient::WordsFinal { id, at_us, words, .. } => {
                self.expect(*id);
                self.settle(*at_us, words)?
            }
            ToClient::PictureStats(picture) => self.picture(picture)?,
            ToClient::Latency {
                of,
                outlet,
                measured,
                segments,
                sent_us,
                ..
            } => {
                self.explain(*of, outlet, *measured, segments, *sent_us)?;
                false
            }
            ToClient::Lost {
                stage,
                why,
                count,
                at_us,
            } => {
                self.gap(stage, why, *count, *at_us)?;
                true
            }
            ToClient::Error { code, message } => self.complain(code, message)?,
            ToClient::SpeechEnded { .. }
            | ToClient::Reading(_)
            | ToClient::Question(_)
            | ToClient::AnswerText(_)
            | ToClient::Answer(_)
            | ToClient::AnswerNone(_)
            | ToClient::View(_)
            | ToClient::Allocation(_)
            | ToClient::Flushed { .. }
            | ToClient::Clock { .. }
            | ToClient::Unknown => false,
        };
        self.out.flush()?;
        Ok(printed)
    }

    fn greet(&mut self, recogniser: &Recogniser) -> io::Result<bool> {
        let (name, note) = (printable(&recogniser.name), printable(&recogniser.note));
        self.line(&format!("{name}: {note}"))?;
        Ok(true)
    }

    fn complain(&mut self, code: &str, message: &str) -> io::Result<bool> {
        self.line(&format!(
            "the server says: {} ({})",
            printable(message),
            printable(code)
        ))?;
        Ok(true)
    }

    /// Prints a line beside the captions.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        self.line(&printable(text))?;
        self.out.flush()
    }

    /// Shows how loud it is, 0..1, where words that may still change are rewritten in place.
    pub fn level(&mut self, peak: f32) -> io::Result<()> {
        let (cells, lowest, step) = METER;
        let lit = (20.0 * peak.max(f32::MIN_POSITIVE).log10() - lowest) / step + 1.0;
        let lit = lit.clamp(0.0, cells as f32) as usize;
        let meter = format!("{}{} ", "▮".repeat(lit), "▯".repeat(cells - lit));
        if self.meter.as_ref() == Some(&meter) {
            return Ok(());
        }
        self.meter = Some(meter);
        self.redraw()?;
        self.out.flush()
    }

    /// When event `id` came and was printed; to be told before its latency is taken.
    pub fn reached(&mut self, id: u64, reached: Reached) {
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.id == id) {
            pending.reached = Some(reached);
        }
    }

    /// Whether something is under way that people wait for: final words, or the latency of some.
    pub fn waiting(&self) -> bool {
        self.speaking || self.pending.iter().any(|pending| pending.settled)
    }

    /// Prints the table and then `lines`.
    pub fn finish(&mut self, lines: &[String]) -> io::Result<()> {
        self.partial = None;
        self.meter = None;
        self.line("")?;
        for row in self.figures.table().iter().chain(lines) {
            self.line(row)?;
        }
        self.out.flush()
    }

    /// Prints one in so many, and every cut.
    fn picture(&mut self, picture: &Picture) -> io::Result<bool> {
        self.expect(picture.id);
        self.pictures += 1;
        let due = picture.cut || self.pictures % PICTURE_EVERY == 2;
        if due {
            self.aside(&picture_line(picture))?;
        }
        Ok(due)
    }

    fn gap(&mut self, stage: &str, why: &str, count: u32, at_us: Option<i64>) -> io::Result<()> {
        let place = at_us.map_or(INDENT.into(), |at| format!("{}  ", time(at)));
        let (stage, why) = (printable(stage), printable(why).replace('_', " "));
        self.line(&format!("{place}[gap: {count} lost before {stage}, {why}]"))
    }

    /// Prints final words; false where there are none and none were promised.
    fn settle(&mut self, at_us: i64, words: &[Word]) -> io::Result<bool> {
        let promised = self.partial.take().is_some_and(|text| !text.is_empty()) | self.logged.take().is_some();
        self.speaking = false;
        if words.is_empty() && !promised {
            self.clear()?;
            return Ok(false);
        }
        if let Some(last) = self.pending.back_mut() {
            last.settled = true;
        }
        let text = if words.is_empty() {
            "(no words)".into()
        } else {
            text(words)
        };
        self.line(&format!("{}  {text}", time(at_us)))?;
        Ok(true)
    }

    fn expect(&mut self, id: u64) {
        if self.pending.len() == PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(Pending {
            id,
            settled: false,
            reached: None,
        });
    }

    fn explain(&mut self, of: u64, outlet: &str, measured: bool, segments: &[Segment], sent_us: i64) -> io::Result<()> {
        let Some(place) = self.pending.iter().position(|pending| pending.id == of) else {
            return Ok(());
        };
        let Some(pending) = self.pending.remove(place) else {
            return Ok(());
        };
        let mut fall = Fall {
            outlet: outlet.to_owned(),
            segments: segments.to_vec(),
            measured,
            felt: false,
        };
        let mut add = |name: &str, us| {
            fall.segments.push(Segment {
                name: name.into(),
                us: Some(us),
            })
        };
        if let Some(Reached { received_us, shown_us }) = pending.reached {
            add("deliver", received_us.saturating_sub(sent_us));
            if let Some(shown_us) = shown_us {
                add("show", shown_us.saturating_sub(received_us));
                fall.felt = true;
            }
        }
        self.figures.count(&fall);
        if pending.settled {
            self.aside(&fall.line())
        } else {
            Ok(())
        }
    }

    /// Shows words that may still change; false where the display leaves them out.
    fn provisional(&mut self, now: Moment, text: String) -> io::Result<bool> {
        match self.display {
            Display::Live(_) => {
                self.partial = Some(text);
                self.redraw()?;
                Ok(true)
            }
            Display::Log => {
                let stale = self
                    .logged
                    .as_ref()
                    .is_none_or(|(at, before)| now - *at >= LOG_EVERY && *before != text);
                if text.is_empty() || !stale {
                    return Ok(false);
                }
                writeln!(self.out, "{INDENT}… {text}")?;
                self.logged = Some((now, text));
                Ok(true)
            }
        }
    }

    /// A line that stays.
    fn line(&mut self, line: &str) -> io::Result<()> {
        self.permanent(line, ["", ""])
    }

    /// A line that stays, of lesser weight.
    fn aside(&mut self, line: &str) -> io::Result<()> {
        self.permanent(&format!("{INDENT}{line}"), ["\x1b[2m", "\x1b[0m"])
    }

    fn permanent(&mut self, line: &str, [before, after]: [&str; 2]) -> io::Result<()> {
        match self.display {
            Display::Live(_) => {
                writeln!(self.out, "\r\x1b[2K{before}{line}{after}")?;
                self.redraw()
            }
            Display::Log => writeln!(self.out, "{line}"),
        }
    }

    /// Takes provisional words from the last line.
    fn clear(&mut self) -> io::Result<()> {
        match self.display {
            Display::Live(_) => write!(self.out, "\r\x1b[2K"),
            Display::Log => Ok(()),
        }
    }

    /// Puts the provisional words on the last line again. A line that wraps can't be rewritten: its end is what is new.
    fn redraw(&mut self) -> io::Result<()> {
        let Display::Live(columns) = self.display else {
            return Ok(());
        };
        let meter = self.meter.as_deref().unwrap_or(INDENT);
        let Some(partial) = &self.partial else {
            return match self.meter {
                Some(_) => write!(self.out, "\r\x1b[2K\x1b[2m{meter}\x1b[0m"),
                None => Ok(()),
            };
        };
        let room = columns.saturating_sub(INDENT.len() + 3).max(1);
        let past = partial.chars().count().saturating_sub(room);
        let end: String = partial.chars().skip(past).collect();
        write!(self.out, "\r\x1b[2K\x1b[2m{meter}… {end}\x1b[0m")
    }
}

fn text(words: &[Word]) -> String {
    let words: Vec<String> = words.iter().map(|word| printable(&word.text)).collect();
    words.join(" ")
}

/// Media time as minutes and seconds.
pub(crate) fn time(at_us: i64) -> String {
    let tenths = (MediaTime::ZERO + Span::from_micros(at_us)).micros() / 100_000;
    format!("{:02}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

fn picture_line(picture: &Picture) -> String {
    let Picture {
        width,
        height,
        fps,
        kbps,
        vectors,
        cut,
        ..
    } = picture;
    let cut = if *cut { "cut: " } else { "" };
    let vectors = thousands(*vectors);
    format!(
        "{cut}{width}×{height} · {fps:.0} fps · {:.1} Mbit/s · {vectors} vectors a picture",
        kbps / 1_000.0
    )
}

fn thousands(number: f32) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests;
