//! What is told of the connections: a line that is kept up to date, lines of a log or of JSON, and a summary.

use std::io::{self, Write};

use hearsight_core::time::{Moment, Span};
use serde_json::{Value, json};

use super::options::Telling;
use super::visit::News;
use crate::send::Stats;
use crate::terminal::figures::printable;
use crate::terminal::{Display, time};

/// In a log, one line of figures for so many looks.
const LOG_EVERY: u64 = 5;
/// With more connections than this, only sums are told of their coming and going.
const NAMED: usize = 16;

/// How all of it went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Connections that were asked for.
    pub copies: usize,
    /// Those that gave up, with the reason of the first.
    pub failed: usize,
    /// Why the first gave up.
    pub failure: Option<String>,
    /// How often one was connected again.
    pub reconnections: u64,
    /// All that was sent, over all of them.
    pub sent: Stats,
    /// What the server heard.
    pub captions: Vec<String>,
}

/// Tells of connections as it goes.
pub(super) struct Report<W> {
    out: W,
    telling: Telling,
    display: Display,
    copies: Vec<Connection>,
    began: Moment,
    looks: u64,
    before: (Moment, Stats),
    captions: Vec<String>,
}

#[derive(Default)]
struct Connection {
    state: State,
    connections: u64,
    /// Of connections that are over, and of the one that is not.
    past: Stats,
    now: Stats,
}

#[derive(Default, PartialEq)]
enum State {
    #[default]
    Dialling,
    Connected,
    Ended(Option<String>),
}

/// What is kept of captions for the summary.
const MAX_CAPTIONS: usize = 10_000;

impl<W: Write> Report<W> {
    /// Of so many connections, from `began` on.
    pub(super) fn new(out: W, telling: Telling, display: Display, copies: usize, began: Moment) -> Report<W> {
        Report {
            out,
            telling,
            display,
            copies: std::iter::repeat_with(Connection::default).take(copies).collect(),
            began,
            looks: 0,
            before: (began, Stats::default()),
            captions: Vec::new(),
        }
    }

    /// Whether every connection has come to its end.
    pub(super) fn is_over(&self) -> bool {
        self.copies.iter().all(|copy| matches!(copy.state, State::Ended(_)))
    }

    /// Takes news of one connection. Errors: those of the output.
    pub(super) fn take(&mut self, number: usize, news: News) -> io::Result<()> {
        let named = self.copies.len() <= NAMED;
        let Some(copy) = self.copies.get_mut(number) else {
            return Ok(());
        };
        let told = match news {
            News::Figures(stats) => {
                copy.now = stats;
                None
            }
            News::Connected => {
                copy.connections += 1;
                copy.state = State::Connected;
                named.then(|| ("connected".to_owned(), json!({"type": "connected"})))
            }
            News::Waiting { why, wait } => {
                copy.rest();
                copy.state = State::Dialling;
                let why = printable(&why);
                let line = format!("{why}; trying again in {:.1} s", wait.secs_f64());
                let object = json!({"type": "waiting", "why": why, "wait_s": rounded(wait.secs_f64())});
                Some((line, object))
            }
            News::Caption { at_us, text } => {
                let text = printable(&text);
                if self.captions.len() < MAX_CAPTIONS {
                    self.captions.push(text.clone());
                }
                let line = format!("{}  {text}", time(at_us));
                Some((line, json!({"type": "caption", "at_us": at_us, "text": text})))
            }
            News::Ended { failure } => {
                copy.rest();
                let failure = failure.map(|why| printable(&why));
                copy.state = State::Ended(failure.clone());
                failure.map(|why| (format!("gave up: {why}"), json!({"type": "failed", "why": why})))
            }
        };
        let Some((line, mut object)) = told else { return Ok(()) };
        if self.copies.len() == 1 {
            return self.permanent(&line, object);
        }
        object["copy"] = json!(number + 1);
        self.permanent(&format!("[{}] {line}", number + 1), object)
    }

    /// A look at the figures, once a second.
    pub(super) fn look(&mut self, now: Moment) -> io::Result<()> {
        self.looks += 1;
        let sent = self.sent();
        let (then, before) = std::mem::replace(&mut self.before, (now, sent));
        let secs = (now - then).secs_f64().max(1e-3);
        let connected = self.copies.iter().filter(|copy| copy.state == State::Connected).count();
        let per_copy = secs * connected.max(1) as f64;
        let fps = sent.pictures.saturating_sub(before.pictures) as f64 / per_copy;
        let kbps = sent.octets.saturating_sub(before.octets) as f64 * 8.0 / secs / 1e3;
        let elapsed = now - self.began;
        if self.telling == Telling::Json {
            let object = json!({
                "type": "figures", "elapsed_s": rounded(elapsed.secs_f64()),
                "copies": self.copies.len(), "connected": connected,
                "fps": rounded(fps), "kbps": rounded(kbps),
                "rtt_ms": sent.round_trip.map(|span| rounded(span.millis_f64())),
                "loss": sent.loss.map(f64::from).map(rounded),
                "nacked": sent.nacked, "keyframes_asked": sent.keyframes_asked,
                "allowed_kbps": sent.allowed.map(|allowed| allowed / 1_000), "wishes_refused": sent.refused,
            });
            return self.json(&object);
        }
        let line = figures(elapsed, (connected, self.copies.len()), fps, kbps, &sent);
        match self.display {
            Display::Live(columns) => {
                // A line that wraps can't be rewritten.
                let line: String = line.chars().take(columns.saturating_sub(1)).collect();
                write!(self.out, "\r\x1b[2K\x1b[2m{line}\x1b[0m")?;
                self.out.flush()
            }
            Display::Log if self.looks.is_multiple_of(LOG_EVERY) => {
                writeln!(self.out, "{line}")?;
                self.out.flush()
            }
            Display::Log => Ok(()),
        }
    }

    /// Tells how it went.
    pub(super) fn finish(mut self, now: Moment) -> io::Result<Summary> {
        let failures = || self.copies.iter().filter_map(Connection::failure);
        let connections: u64 = self.copies.iter().map(|copy| copy.connections).sum();
        let first_times = self.copies.iter().filter(|copy| copy.connections > 0).count();
        let mut summary = Summary {
            copies: self.copies.len(),
            failed: failures().count(),
            failure: failures().next().map(str::to_owned),
            reconnections: connections - first_times as u64,
            sent: self.sent(),
            captions: Vec::new(),
        };
        let elapsed = now - self.began;
        let Summary {
            copies,
            failed,
            reconnections,
            sent,
            ..
        } = &summary;
        let line = format!(
            "{}: {} pictures and {} packets of sound in {:.1} MB over {copies} connection{}, {failed} failed, \
             {reconnections} reconnections; {} packets asked for again, {} keyframes",
            minutes(elapsed),
            sent.pictures,
            sent.sounds,
            sent.octets as f64 / 1e6,
            if *copies == 1 { "" } else { "s" },
            sent.nacked,
            sent.keyframes_asked,
        );
        let per_copy: Vec<Value> = self.copies.iter().map(Connection::json).collect();
        let object = json!({
            "type": "summary", "elapsed_s": rounded(elapsed.secs_f64()), "copies": copies, "failed": failed,
            "reconnections": reconnections, "pictures": sent.pictures, "sounds": sent.sounds, "packets": sent.packets,
            "octets": sent.octets, "nacked": sent.nacked, "keyframes_asked": sent.keyframes_asked, "each": per_copy,
        });
        self.permanent(&line, object)?;
        summary.captions = std::mem::take(&mut self.captions);
        Ok(summary)
    }

    /// All that was sent; round trip and loss are the worst of those that are connected.
    fn sent(&self) -> Stats {
        let mut all = Stats::default();
        for copy in &self.copies {
            add(&mut all, &copy.past);
            add(&mut all, &copy.now);
            if copy.state == State::Connected {
                let allowed = [all.allowed, copy.now.allowed].into_iter().flatten();
                all.allowed = allowed.min();
                all.round_trip = all.round_trip.max(copy.now.round_trip);
                all.loss = all.loss.into_iter().chain(copy.now.loss).reduce(f32::max);
            }
        }
        all
    }

    /// A line that stays, above the figures.
    fn permanent(&mut self, line: &str, object: Value) -> io::Result<()> {
        if self.telling == Telling::Json {
            return self.json(&object);
        }
        let clear = match self.display {
            Display::Live(_) => "\r\x1b[2K",
            Display::Log => "",
        };
        writeln!(self.out, "{clear}{line}")?;
        self.out.flush()
    }

    fn json(&mut self, object: &Value) -> io::Result<()> {
        writeln!(self.out, "{object}")?;
        self.out.flush()
    }
}

impl Connection {
    /// The connection is over: its figures become past.
    fn rest(&mut self) {
        let now = std::mem::take(&mut self.now);
        add(&mut self.past, &now);
    }

    fn failure(&self) -> Option<&str> {
        match &self.state {
            State::Ended(failure) => failure.as_deref(),
            State::Dialling | State::Connected => None,
        }
    }

    fn json(&self) -> Value {
        let mut sent = self.past;
        add(&mut sent, &self.now);
        json!({
            "connections": self.connections, "pictures": sent.pictures, "sounds": sent.sounds, "octets": sent.octets,
            "nacked": sent.nacked, "keyframes_asked": sent.keyframes_asked, "failure": self.failure(),
        })
    }
}

fn add(all: &mut Stats, more: &Stats) {
    all.pictures += more.pictures;
    all.sounds += more.sounds;
    all.packets += more.packets;
    all.octets += more.octets;
    all.nacked += more.nacked;
    all.keyframes_asked += more.keyframes_asked;
    all.refused += more.refused;
}

fn figures(elapsed: Span, (connected, copies): (usize, usize), fps: f64, kbps: f64, sent: &Stats) -> String {
    let who = if copies == 1 {
        String::new()
    } else {
        format!("{connected} of {copies} connected · ")
    };
    let trip = sent
        .round_trip
        .map_or("?".into(), |span| format!("{:.1}", span.millis_f64()));
    let loss = sent.loss.map_or("?".into(), |loss| format!("{:.1}", loss * 100.0));
    format!(
        "{}  {who}{fps:.1} fps · {kbps:.0} kbit/s · round trip {trip} ms · loss {loss} % · {} asked again · {} keyframes asked",
        minutes(elapsed),
        sent.nacked,
        sent.keyframes_asked
    )
}

fn minutes(elapsed: Span) -> String {
    let seconds = elapsed.nanos().max(0) / 1_000_000_000;
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(pictures: u64) -> Stats {
        Stats {
            pictures,
            sounds: 50,
            packets: 100,
            octets: 250_000,
            round_trip: Some(Span::from_micros(1_500)),
            loss: Some(0.25),
            ..Stats::default()
        }
    }

    fn played(telling: Telling, copies: usize) -> (String, Summary) {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out, telling, Display::Log, copies, Moment::ZERO);
        report.take(0, News::Connected).unwrap();
        report.take(0, News::Figures(stats(30))).unwrap();
        for second in 1..=5 {
            report.look(Moment::from_millis(1_000 * second)).unwrap();
        }
        let wait = Span::from_millis(700);
        let why = "gone\x1b[2J".to_owned();
        report.take(0, News::Waiting { why, wait }).unwrap();
        report.take(0, News::Connected).unwrap();
        report.take(0, News::Figures(stats(10))).unwrap();
        let (at_us, text) = (3_500_000, "good morning".to_owned());
        report.take(0, News::Caption { at_us, text }).unwrap();
        assert!(!report.is_over());
        report.take(0, News::Ended { failure: None }).unwrap();
        for other in 1..copies {
            let failure = Some("refused".to_owned());
            report.take(other, News::Ended { failure }).unwrap();
        }
        assert!(report.is_over());
        let summary = report.finish(Moment::from_millis(65_000)).unwrap();
        (String::from_utf8(out).unwrap(), summary)
    }

    #[test]
    fn a_log_reads_well() {
        let (text, summary) = played(Telling::Lines, 1);
        let expected = "connected\n\
            00:05  0.0 fps · 0 kbit/s · round trip 1.5 ms · loss 25.0 % · 0 asked again · 0 keyframes asked\n\
            gone[2J; trying again in 0.7 s\n\
            connected\n\
            00:03.5  good morning\n\
            01:05: 40 pictures and 100 packets of sound in 0.5 MB over 1 connection, 0 failed, 1 reconnections; \
            0 packets asked for again, 0 keyframes\n";
        assert_eq!(text, expected);
        assert_eq!(
            (summary.failed, summary.reconnections, summary.sent.pictures),
            (0, 1, 40)
        );
        assert_eq!(summary.captions, ["good morning"]);
    }

    #[test]
    fn json_is_json_and_failures_are_counted() {
        let (text, summary) = played(Telling::Json, 3);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
        let mut expected = vec!["connected"];
        expected.extend(["figures"; 5]);
        expected.extend(["waiting", "connected", "caption", "failed", "failed", "summary"]);
        assert_eq!(kinds, expected);
        assert_eq!(lines[1]["fps"], 30.0);
        assert_eq!(lines[1]["kbps"], 2000.0);
        assert_eq!(
            (lines[1]["connected"].as_u64(), lines[1]["copies"].as_u64()),
            (Some(1), Some(3))
        );
        assert_eq!(lines[11]["each"].as_array().unwrap().len(), 3);
        assert_eq!((summary.failed, summary.failure.as_deref()), (2, Some("refused")));
    }
}
