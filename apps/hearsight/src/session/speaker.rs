//! What a session says: signals at the outlets become events on the data channel, each followed by where its time went.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hearsight_codecs::measure::PictureStats;
use hearsight_core::media::{Decoded, Reading, Voice, Words};
use hearsight_core::meter::Meter;
use hearsight_core::stage::{Gap, Lost, Signal};
use hearsight_core::stamped::{Mark, Stamped, Trail};
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::vlm::turn::Turn;
use hearsight_shaders::interpolate::Rung;

use super::desk::Book;
use crate::allocate::Spender;
use crate::budget;
use crate::view::{Counts, Origin, Reason};
use crate::wire::{self, ToClient};
use crate::wiring::Audience;

/// How many events are remembered until the client says that it showed them.
const REMEMBERED: usize = 256;
/// Losses of one stage and reason are told at most this often; those between are added up.
const LOSS_EVERY: Span = Span::from_millis(250);

/// Takes a message for the client, as it is and as JSON; false when it can't be sent, and the client has lost its place.
pub type Line = Box<dyn Fn(&ToClient, String) -> bool + Send + Sync>;

/// The events of one session.
pub struct Speaker {
    line: Line,
    pub(super) meter: Meter,
    sight_bytes: AtomicU64,
    state: Mutex<State>,
    book: Book,
    pub(super) spender: Option<Spender>,
}

#[derive(Default)]
struct State {
    next: u64,
    said: VecDeque<(u64, &'static str, Moment)>,
    losses: BTreeMap<(&'static str, Lost), Losses>,
    bytes: u64,
    bytes_at: Option<MediaTime>,
    kbps: f32,
    speaking: bool,
}

#[derive(Default)]
struct Losses {
    untold: u32,
    told_at: Option<Moment>,
}

impl Speaker {
    /// Speaks through `line` and counts what was felt into `meter`.
    pub fn new(line: Line, meter: Meter) -> Speaker {
        Speaker {
            line,
            meter,
            sight_bytes: AtomicU64::new(0),
            state: Mutex::default(),
            book: Book::default(),
            spender: None,
        }
    }

    /// Sends an event that is not measured.
    pub fn say(&self, event: &ToClient) {
        let sent =
            serde_json::to_string(event).is_ok_and(|json| json.len() <= wire::MAX_MESSAGE && (self.line)(event, json));
        if !sent {
            self.meter.lost("channel", Lost::Refused, 1);
        }
    }

    /// Counts coded video, for the bitrate in the statistics and for what readability it gives.
    pub fn saw(&self, at: MediaTime, bytes: usize) {
        if let Some(spender) = &self.spender {
            spender.came(at, bytes);
        }
        self.sight_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The client showed event `id` to the person: the whole of what they felt.
    pub fn shown(&self, id: u64, shown: Moment) {
        let known = self.lock().said.iter().find(|(said, ..)| *said == id).copied();
        if let Some((_, outlet, born)) = known
            && let Some((_, felt)) = FELT.iter().find(|(name, _)| *name == outlet)
        {
            self.meter.age(felt, shown - born);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends an event that `event` makes of its number, and the latency event that explains it.
    fn tell<T>(&self, outlet: &'static str, item: &Stamped<T>, event: impl FnOnce(u64) -> ToClient) {
        let id = self.number(outlet, item.born);
        self.say(&event(id));
        self.say(&latency(id, outlet, item.born, &item.trail));
    }

    /// The number of an event that is about to be told.
    fn number(&self, outlet: &'static str, born: Moment) -> u64 {
        let mut state = self.lock();
        state.next += 1;
        if state.said.len() == REMEMBERED {
            state.said.pop_front();
        }
        let id = state.next;
        state.said.push_back((id, outlet, born));
        id
    }

    /// The number of the first words of an answer.
    pub(super) fn number_latency(&self, unit: &Stamped<Turn>) -> u64 {
        self.number(budget::ANSWER.outlet, unit.born)
    }

    /// Where their time went.
    pub(super) fn tell_latency(&self, id: u64, unit: &Stamped<Turn>) {
        self.say(&latency(id, budget::ANSWER.outlet, unit.born, &unit.trail));
    }

    /// The open questions.
    pub(super) fn book(&self) -> &Book {
        &self.book
    }

    fn lose(&self, now: Moment, at: Option<MediaTime>, gap: Gap) {
        let mut state = self.lock();
        let losses = state.losses.entry((gap.stage, gap.why)).or_default();
        losses.untold = losses.untold.saturating_add(gap.count);
        if losses.told_at.is_some_and(|told| now - told < LOSS_EVERY) {
            return;
        }
        let count = std::mem::take(&mut losses.untold);
        losses.told_at = Some(now);
        drop(state);
        let (stage, why) = (gap.stage.to_owned(), gap.why.name().to_owned());
        self.say(&ToClient::Lost {
            stage,
            why,
            count,
            at_us: at.map(MediaTime::micros),
        });
    }

    /// Video bits per second of media time since the last statistics.
    fn kbps(&self, at: MediaTime) -> f32 {
        let bytes = self.sight_bytes.load(Ordering::Relaxed);
        let mut state = self.lock();
        let since = state.bytes_at.map_or(Span::ZERO, |before| at - before);
        // A cut may come any time: a rate needs a stretch of time to be one.
        if since >= Span::from_millis(500) {
            state.kbps = ((bytes - state.bytes) as f64 * 8e-3 / since.secs_f64()) as f32;
        }
        if since >= Span::from_millis(500) || state.bytes_at.is_none() {
            state.bytes = bytes;
            state.bytes_at = Some(at);
        }
        state.kbps
    }
}

/// The two events of the turn outlet.
const STARTED: &str = "speech.started";
const STOPPED: &str = "speech.stopped";

/// Metric names of what was felt, by event.
const FELT: [(&str, &str); 7] = [
    (budget::WORDS_PARTIAL.outlet, "felt.words.partial"),
    (budget::WORDS_FINAL.outlet, "felt.words.final"),
    (STARTED, "felt.speech.started"),
    (STOPPED, "felt.speech.stopped"),
    (budget::PICTURE.outlet, "felt.picture.stats"),
    (budget::READING.outlet, "felt.reading"),
    (budget::ANSWER.outlet, "felt.answer"),
];

fn latency(of: u64, outlet: &str, born: Moment, trail: &Trail) -> ToClient {
    let measured = trail.at(Mark::Captured).or(trail.at(Mark::Arrived)).is_some();
    let unknown = (!measured).then(|| wire::Segment {
        name: Mark::Arrived.segment().into(),
        us: None,
    });
    // Differences of rounded moments, not rounded differences: the segments add up to the microsecond.
    let mut from = born.micros();
    let known = Mark::ALL.into_iter().filter_map(|mark| {
        let to = trail.at(mark)?.micros();
        let us = Some(to - from);
        from = to;
        Some(wire::Segment {
            name: mark.segment().into(),
            us,
        })
    });
    let segments = unknown.into_iter().chain(known).collect();
    let sent_us = trail.at(Mark::Sent).unwrap_or(born).micros();
    ToClient::Latency {
        of,
        outlet: outlet.to_owned(),
        born_us: born.micros(),
        measured,
        segments,
        sent_us,
    }
}

impl Audience for Speaker {
    fn voice(&self, now: Moment, signal: Signal<Voice>) {
        match signal {
            Signal::Item(item) => {
                let at_us = item.at.micros();
                let speaking = match item.item {
                    Voice::Started | Voice::Resumed => true,
                    // A phrase that is cut ends without a pause.
                    Voice::Paused | Voice::Rested | Voice::Ended => false,
                    Voice::Sound(_) => return,
                };
                let before = std::mem::replace(&mut self.lock().speaking, speaking);
                match (before, speaking) {
                    (false, true) => self.tell(STARTED, &item, |id| ToClient::SpeechStarted { id, at_us }),
                    (true, false) => self.tell(STOPPED, &item, |id| ToClient::SpeechStopped { id, at_us }),
                    _ => {}
                }
                if item.item == Voice::Ended {
                    self.say(&ToClient::SpeechEnded { at_us });
                }
            }
            // What was lost before the detector reaches the words as well, and is told there.
            Signal::Gap(gap) if gap.stage == "turn" => self.lose(now, None, gap),
            _ => {}
        }
    }

    fn words(&self, now: Moment, signal: Signal<Words>) {
        match signal {
            Signal::Item(item) => {
                let segment = item.item.segment;
                let at_us = item.at.micros();
                let words = item.item.words.iter().map(wire_from_word).collect();
                if item.item.settled {
                    self.tell(budget::WORDS_FINAL.outlet, &item, |id| ToClient::WordsFinal {
                        id,
                        segment,
                        at_us,
                        words,
                    });
                } else {
                    self.tell(budget::WORDS_PARTIAL.outlet, &item, |id| ToClient::WordsPartial {
                        id,
                        segment,
                        at_us,
                        words,
                    });
                }
            }
            Signal::Gap(gap) => self.lose(now, None, gap),
            _ => {}
        }
    }

    fn picture(&self, now: Moment, signal: Signal<PictureStats>) {
        match signal {
            Signal::Item(item) => {
                let kbps = self.kbps(item.at);
                let at_us = item.at.micros();
                let cut = item.item.cut;
                self.spend(|spender| {
                    if cut {
                        spender.cut(now, item.at)
                    } else {
                        spender.look(now, item.at)
                    }
                });
                let stats = item.item.clone();
                self.tell(budget::PICTURE.outlet, &item, |id| {
                    ToClient::PictureStats(wire::Picture {
                        id,
                        at_us,
                        width: stats.width,
                        height: stats.height,
                        fps: stats.fps,
                        kbps,
                        decoded: stats.decoded,
                        keyframes: stats.keyframes,
                        vectors: stats.vectors,
                        motion: stats.motion,
                        brightness: stats.brightness,
                        cut: stats.cut,
                    })
                });
            }
            Signal::Gap(gap) => self.lose(now, None, gap),
            _ => {}
        }
    }

    fn reading(&self, now: Moment, signal: Signal<Reading>) {
        match signal {
            Signal::Item(item) => {
                self.spend(|spender| spender.reading(now, &item));
                let mut reading = wire::Reading::from(&item.item, item.at);
                self.tell(budget::READING.outlet, &item, |id| {
                    reading.id = id;
                    ToClient::Reading(reading)
                });
            }
            Signal::End => self.spend(|spender| {
                spender.blind();
                None
            }),
            // A picture that gave way to a newer one is no loss to whoever reads.
            Signal::Gap(gap) if gap.why != Lost::Replaced => self.lose(now, None, gap),
            _ => {}
        }
    }

    fn answer(&self, now: Moment, signal: Signal<Turn>) {
        self.turn(now, signal);
    }

    fn seen(&self, now: Moment, signal: Signal<Decoded>) {
        if let Signal::Item(item) = signal {
            self.spend(|spender| spender.decoded(now, &item));
        }
    }

    fn viewed(&self, _: Moment, signal: Signal<Counts>) {
        // What was lost on the way to a screen is in the counts.
        if let Signal::Item(item) = signal {
            self.say(&ToClient::View(view_from_counts(&item.item)));
        }
    }
}

fn view_from_counts(counts: &Counts) -> wire::View {
    wire::View {
        received: counts.of(Origin::Received),
        made: counts.of(Origin::Made),
        extrapolated: counts.of(Origin::Extrapolated),
        held: counts.of(Origin::Held),
        rung: match counts.rung {
            Rung::Full => wire::Rung::Full,
            Rung::Vectors => wire::Rung::Vectors,
            Rung::Blend => wire::Rung::Blend,
            Rung::Hold => wire::Rung::Hold,
        },
        fps_in: counts.fps_in,
        fps_out: counts.fps_out,
        reason: counts.reason.map(|reason| match reason {
            Reason::NoGpu => wire::Reason::NoGpu,
            Reason::Overload => wire::Reason::Overload,
        }),
    }
}

fn wire_from_word(word: &hearsight_core::media::Word) -> wire::Word {
    wire::Word {
        text: word.text.to_string(),
        start_us: word.start.micros(),
        end_us: word.end.micros(),
        stability: word.stability,
        certainty: word.certainty,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn speaker() -> (Speaker, Arc<Mutex<Vec<ToClient>>>) {
        let heard: Arc<Mutex<Vec<ToClient>>> = Arc::default();
        let ears = heard.clone();
        let line: Line = Box::new(move |_, json| {
            ears.lock().unwrap().push(serde_json::from_str(&json).unwrap());
            true
        });
        (Speaker::new(line, Meter::default()), heard)
    }

    #[test]
    fn the_segments_of_every_latency_sum_to_the_microsecond() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (speaker, heard) = speaker();
            let born = Moment::from_nanos(random.i64(-1_000_000_000..1_000_000_000));
            let mut item = Stamped::new(MediaTime::ZERO, born, Voice::Started);
            // From our own client, from one that does not compare clocks, from a microphone of this machine.
            let never = [
                &[Mark::Captured][..],
                &[Mark::Captured, Mark::Arrived],
                &[Mark::Arrived],
            ];
            let (mut now, never) = (born, never[random.usize(0..3)]);
            for mark in Mark::ALL {
                now += Span::from_nanos(random.i64(0..50_000_000));
                if mark == Mark::Sent || (random.bool() && !never.contains(&mark)) {
                    item.trail.stamp(mark, now);
                }
            }
            speaker.voice(now, Signal::Item(item));
            let heard = heard.lock().unwrap();
            let [
                ToClient::SpeechStarted { id, .. },
                ToClient::Latency {
                    of,
                    born_us,
                    measured,
                    segments,
                    sent_us,
                    ..
                },
            ] = &heard[..]
            else {
                panic!("an event and its latency, not {heard:?}");
            };
            assert_eq!(id, of);
            assert_eq!(
                segments.iter().filter_map(|segment| segment.us).sum::<i64>(),
                sent_us - born_us,
                "seed {seed}"
            );
            let first = &segments[0];
            let from_birth = ["microphone", "network"].contains(&first.name.as_str()) && first.us.is_some();
            assert_eq!(*measured, from_birth);
        }
    }

    #[test]
    fn a_storm_of_losses_is_told_as_a_few_sums() {
        let (speaker, heard) = speaker();
        for millis in 0..1_000 {
            let gap = Gap {
                stage: "vad",
                why: Lost::TooOld,
                count: 1,
            };
            speaker.words(Moment::from_millis(millis), Signal::Gap(gap));
        }
        let heard = heard.lock().unwrap();
        let told: u32 = heard
            .iter()
            .map(|event| {
                if let ToClient::Lost { count, .. } = event {
                    *count
                } else {
                    0
                }
            })
            .sum();
        assert!(
            heard.len() <= 4 && (700..=1_000).contains(&told),
            "{} events tell of {told}",
            heard.len()
        );
    }

    #[test]
    fn what_was_felt_is_counted_once_shown_and_only_for_events_that_were_told() {
        let (speaker, heard) = speaker();
        for voice in [Voice::Started, Voice::Paused, Voice::Rested, Voice::Ended] {
            let mut item = Stamped::new(MediaTime::ZERO, Moment::ZERO, voice);
            item.trail.stamp(Mark::Sent, Moment::from_millis(200));
            speaker.voice(Moment::from_millis(200), Signal::Item(item));
        }
        // A rest after a pause is no news, and an end is told without a number.
        let names: Vec<_> = heard.lock().unwrap().iter().map(ToClient::name).collect();
        assert_eq!(names, [STARTED, "latency", STOPPED, "latency", "speech.ended"]);
        speaker.shown(3, Moment::from_millis(230));
        speaker.shown(2, Moment::from_millis(230));
        speaker.shown(99, Moment::from_millis(230));
        let ages = speaker.meter.tally().ages;
        assert_eq!(ages["felt.speech.stopped"].count(), 1);
        assert_eq!(ages["felt.speech.stopped"].worst(), Span::from_millis(230));
    }
}
