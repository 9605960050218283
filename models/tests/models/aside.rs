//! Recognisers that work aside, and two of them in a cascade, behind the same engine as any other.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use hearsight_core::media::{Pcm, Voice, Words};
use hearsight_core::stage::{Engine, Fault, Lost, Outbox, Signal, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::asr::{Cascade, Crew, Found, Heard, Hearing, Hypothesis, Recogniser};

use crate::hearing::items;

/// Says how much it has heard, in words of 100 ms; each run waits until it is let go.
struct Counting {
    name: &'static str,
    gate: Option<Receiver<()>>,
    heard: usize,
    /// Fails, or panics, when it is to finish.
    ends: Ends,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Well,
    Faulty,
    Panicking,
}

impl Counting {
    fn new(name: &'static str) -> Counting {
        Counting {
            name,
            gate: None,
            heard: 0,
            ends: Ends::Well,
        }
    }
    fn gated(name: &'static str) -> (Counting, SyncSender<()>) {
        let (opens, gate) = sync_channel(64);
        let gate = Some(gate);
        (
            Counting {
                gate,
                ..Counting::new(name)
            },
            opens,
        )
    }
    fn words(&self) -> Hypothesis {
        let words = (0..self.heard as i64 / 1600).map(|at| Heard {
            text: format!("{}{at}", self.name).into(),
            start: Span::from_millis(100 * at),
            end: Span::from_millis(100 * at + 90),
            certainty: None,
        });
        Hypothesis {
            words: words.collect(),
            sure: 0,
        }
    }
    fn wait(&self) {
        if let Some(gate) = &self.gate {
            gate.recv().expect("the test holds the other end");
        }
    }
}

impl Recogniser for Counting {
    fn name(&self) -> &str {
        self.name
    }
    fn begin(&mut self, _at: MediaTime) -> Result<(), Fault> {
        self.heard = 0;
        Ok(())
    }
    fn hear(&mut self, samples: &[f32]) -> Result<Option<Hypothesis>, Fault> {
        self.wait();
        self.heard += samples.len();
        Ok(Some(self.words()))
    }
    fn finish(&mut self) -> Result<Hypothesis, Fault> {
        self.wait();
        match self.ends {
            Ends::Well => Ok(self.words()),
            Ends::Faulty => Err(Fault::Reset("it has a cold".into())),
            Ends::Panicking => panic!("it was to"),
        }
    }
    fn reset(&mut self) {
        self.heard = 0;
    }
    fn portion(&self) -> Span {
        Span::from_millis(100)
    }
    fn slice(&self) -> Span {
        Span::from_millis(1)
    }
}

fn crew() -> Arc<Crew> {
    Arc::new(Crew::start("test-aside", 2).expect("threads"))
}

fn aside(crew: &Arc<Crew>, recogniser: Counting) -> impl Recogniser + use<> {
    crew.take(recogniser, Span::from_millis(100))
}

fn texts(hypothesis: &Hypothesis) -> Vec<&str> {
    hypothesis.words.iter().map(|word| word.text.as_ref()).collect()
}

fn hush() -> Pcm {
    Pcm {
        rate: 16_000,
        samples: vec![0.0; 1600].into(),
    }
}

/// A second of speech in portions of 100 ms, its start and its end.
fn segment(from: MediaTime) -> Vec<Stamped<Voice>> {
    let at = |item, after| Stamped::new(from + after, Moment::ZERO, item);
    let sounds = (0..10).map(|portion| at(Voice::Sound(hush()), Span::from_millis(100 * portion)));
    std::iter::once(at(Voice::Started, Span::ZERO))
        .chain(sounds)
        .chain([at(Voice::Ended, Span::from_secs(1))])
        .collect()
}

/// Whether time passes between timers: it stands still where threads are waited for, which have no virtual time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    Stands,
    Passes,
}

/// Runs an engine as a host does: signals as they come, timers when they are due. `meanwhile` happens before each timer.
fn drive<R: Recogniser>(
    hearing: &mut Hearing<R>,
    signals: impl IntoIterator<Item = Signal<Voice>>,
    time: Time,
    mut meanwhile: impl FnMut(),
) -> Vec<Signal<Words>> {
    let (mut out, mut now) = (Outbox::default(), Moment::ZERO);
    let mut all = Vec::new();
    let mut wake = Wake::OnSignal;
    for signal in signals {
        wake = hearing.run(now, signal, &mut out).expect("no fault");
        all.extend(out.drain());
    }
    while let Wake::At(at) = wake {
        meanwhile();
        match time {
            Time::Stands => std::thread::yield_now(),
            Time::Passes => now = now.max(at),
        }
        wake = hearing.run(now, Signal::Timer, &mut out).expect("no fault");
        all.extend(out.drain());
    }
    all
}

fn finals(signals: &[Signal<Words>]) -> Vec<Vec<String>> {
    let settled = items(signals).into_iter().filter(|unit| unit.item.settled);
    settled
        .map(|unit| unit.item.words.iter().map(|word| word.text.to_string()).collect())
        .collect()
}

#[test]
fn runs_aside_are_told_once() {
    /// Takes some milliseconds of a processor for each portion.
    struct Busy(Counting);
    impl Recogniser for Busy {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn begin(&mut self, at: MediaTime) -> Result<(), Fault> {
            self.0.begin(at)
        }
        fn hear(&mut self, samples: &[f32]) -> Result<Option<Hypothesis>, Fault> {
            let sum = (0..20_000_000_u64).fold(0, |sum: u64, number| std::hint::black_box(sum ^ number));
            assert!(sum < u64::MAX);
            self.0.hear(samples)
        }
        fn finish(&mut self) -> Result<Hypothesis, Fault> {
            self.0.finish()
        }
        fn reset(&mut self) {
            self.0.reset();
        }
        fn portion(&self) -> Span {
            self.0.portion()
        }
        fn slice(&self) -> Span {
            self.0.slice()
        }
    }
    let crew = crew();
    let mut aside = crew.take(Busy(Counting::new("a")), Span::from_millis(100));
    assert_eq!(aside.aside(), Span::ZERO);
    aside.begin(MediaTime::ZERO).expect("well");
    aside.hear(&hush().samples).expect("well");
    aside.finish().expect("well");
    assert!(aside.aside() > Span::from_millis(1));
    assert_eq!(aside.aside(), Span::ZERO);
}

#[test]
fn what_comes_while_the_last_words_are_looked_for_is_heard_then_and_nothing_is_lost() {
    let crew = crew();
    let (recogniser, opens) = Counting::gated("a");
    let mut hearing = Hearing::new(aside(&crew, recogniser));
    let signals = (0..3).flat_map(|at| segment(MediaTime::ZERO + Span::from_secs(2 * at)));
    // The first segment is closed, the others wait for it: a second of them, which is all that is kept.
    let signals: Vec<_> = signals.take(22).map(Signal::Item).chain([Signal::End]).collect();
    let said = drive(
        &mut hearing,
        signals,
        Time::Stands,
        || while opens.try_send(()).is_ok() {},
    );
    let all: Vec<String> = (0..10).map(|at| format!("a{at}")).collect();
    assert_eq!(finals(&said)[0], all, "the first");
    assert_eq!(finals(&said)[1], all[..9], "the second was cut off by the end");
    assert_eq!(said.iter().filter(|signal| matches!(signal, Signal::Gap(_))).count(), 0);
    assert!(matches!(said.last(), Some(Signal::End)), "it ends, once, at the end");
}

#[test]
fn sound_that_can_not_be_kept_is_lost_in_its_place_and_counted() {
    let crew = crew();
    let (recogniser, opens) = Counting::gated("a");
    let mut hearing = Hearing::new(aside(&crew, recogniser));
    let signals = (0..5).flat_map(|at| segment(MediaTime::ZERO + Span::from_secs(2 * at)));
    let signals: Vec<_> = signals.map(Signal::Item).chain([Signal::End]).collect();
    let said = drive(
        &mut hearing,
        signals,
        Time::Stands,
        || while opens.try_send(()).is_ok() {},
    );
    let lost: u32 = said
        .iter()
        .map(|signal| match signal {
            Signal::Gap(gap) if gap.why == Lost::TooOld => gap.count,
            _ => 0,
        })
        .sum();
    let heard: usize = finals(&said).iter().map(Vec::len).sum();
    assert!(lost > 0 && heard >= 20, "{lost} lost, {heard} heard");
    assert!(matches!(said.last(), Some(Signal::End)));
}

#[test]
fn last_words_that_do_not_come_are_those_that_were_shown() {
    let crew = crew();
    let (recogniser, opens) = Counting::gated("a");
    let mut hearing = Hearing::new(aside(&crew, recogniser));
    // The first runs may go on; the last may not.
    let signals: Vec<_> = segment(MediaTime::ZERO).into_iter().map(Signal::Item).collect();
    let said = drive(&mut hearing, signals, Time::Passes, || {});
    assert_eq!(finals(&said).len(), 1, "it is settled all the same");
    // Whoever lets go of a crew waits for the run under way.
    for _ in 0..64 {
        let _ = opens.try_send(());
    }
}

#[test]
fn a_panic_ends_one_recogniser_and_no_other_of_its_crew() {
    let crew = crew();
    let mut broken = aside(
        &crew,
        Counting {
            ends: Ends::Panicking,
            ..Counting::new("b")
        },
    );
    let mut well = aside(&crew, Counting::new("w"));
    for recogniser in [&mut broken as &mut dyn Recogniser, &mut well] {
        recogniser.begin(MediaTime::ZERO).unwrap();
        recogniser.hear(&[0.0; 3200]).unwrap();
    }
    assert!(matches!(broken.finish(), Err(Fault::Dead(_))));
    assert!(
        matches!(broken.begin(MediaTime::ZERO), Err(Fault::Dead(_))),
        "it stays dead"
    );
    assert_eq!(texts(&well.finish().unwrap()), ["w0", "w1"]);
}

#[test]
fn a_reset_forgets_what_was_under_way() {
    let crew = crew();
    let (recogniser, opens) = Counting::gated("a");
    let mut aside = aside(&crew, recogniser);
    aside.begin(MediaTime::ZERO).unwrap();
    aside.hear(&[0.0; 8000]).unwrap();
    aside.reset();
    for _ in 0..8 {
        opens.try_send(()).unwrap();
    }
    aside.begin(MediaTime::ZERO).unwrap();
    aside.hear(&[0.0; 1600]).unwrap();
    assert_eq!(texts(&aside.finish().unwrap()), ["a0"], "nothing of the first segment");
    assert_eq!(aside.poll().unwrap(), Found::Nothing);
}

#[test]
fn a_cascade_shows_the_first_and_settles_the_second() {
    let crew = crew();
    let (second, opens) = Counting::gated("second");
    let cascade = Cascade::new(Counting::new("first"), aside(&crew, second));
    assert_eq!(cascade.name(), "first, then second");
    let mut hearing = Hearing::new(cascade);
    let signals: Vec<_> = segment(MediaTime::ZERO).into_iter().map(Signal::Item).collect();
    let said = drive(
        &mut hearing,
        signals,
        Time::Stands,
        || while opens.try_send(()).is_ok() {},
    );
    let shown = items(&said);
    let partial = shown.iter().filter(|unit| !unit.item.settled);
    let partial: Vec<_> = partial.flat_map(|unit| unit.item.words.iter()).collect();
    assert!(!partial.is_empty() && partial.iter().all(|word| word.text.starts_with("first")));
    let all: Vec<String> = (0..10).map(|at| format!("second{at}")).collect();
    assert_eq!(finals(&said), [all]);
}

#[test]
fn where_the_second_fails_or_takes_too_long_the_first_has_the_last_word() {
    let all: Vec<String> = (0..10).map(|at| format!("first{at}")).collect();
    for ends in [Ends::Faulty, Ends::Panicking] {
        let crew = crew();
        let second = Counting {
            ends,
            ..Counting::new("second")
        };
        let mut hearing = Hearing::new(Cascade::new(Counting::new("first"), aside(&crew, second)));
        let signals = [MediaTime::ZERO, MediaTime::ZERO + Span::from_secs(3)].map(segment);
        for segment in signals {
            let said = drive(&mut hearing, segment.into_iter().map(Signal::Item), Time::Stands, || {});
            assert_eq!(finals(&said), std::slice::from_ref(&all));
        }
    }
    let crew = crew();
    let (second, opens) = Counting::gated("second");
    let mut hearing = Hearing::new(Cascade::new(Counting::new("first"), aside(&crew, second)));
    let signals: Vec<_> = segment(MediaTime::ZERO).into_iter().map(Signal::Item).collect();
    assert_eq!(finals(&drive(&mut hearing, signals, Time::Passes, || {})), [all]);
    for _ in 0..64 {
        let _ = opens.try_send(());
    }
}
