//! What does the work in a simulated session: the real stages where they are quick, engines with a cost where they are not.

use std::sync::Arc;

use hearsight_codecs::measure;
use hearsight_core::media::{Block, Codec, Decoded, MotionField, Packet, Pcm, Picture, Plane, Planes, Request};
use hearsight_core::stage::{Engine, Fault, Lost, Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::ocr::Chooser;
use hearsight_models::scripted::{self, Cost, Schedule, Spoken};
use hearsight_models::vad;
use hearsight_models::vlm::Ask;
use hearsight_models::vlm::asking::{self, Asking, Turns};
use hearsight_models::vlm::clerk::Clerk;
use hearsight_models::vlm::memory::{self, Memory};
use hearsight_models::vlm::scripted::{Prices, Script, Scripted};
use hearsight_shaders::interpolate::Rung;

use super::scenario::{Costs, Crowd};
use crate::budget;
use crate::view::{Hand, Shown, Style, Totals, Viewing};
use crate::watch::Screen;
use crate::wiring::{Answering, Hearing, Reading, Rooms};

/// From a question to the end of its answer, as the settings have it by default.
pub const ALLOWED: Span = Span::from_millis(4_000);
/// Words of every answer.
pub const WORDS: usize = 6;
/// Changed pictures that are read in a second, as the settings have it by default.
const READ_PER_SECOND: u32 = 2;

/// The rooms of one session of a crowd, who says `talk`.
pub(super) fn rooms(seed: u64, costs: &Costs, crowd: &Crowd, talk: &[Spoken], screen: &Screen) -> Rooms {
    let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Rooms {
        opus: Box::new(Opus),
        hearing: hearing(seed, costs, talk),
        decode: Box::new(H264::new(mean(seed ^ 3, costs.decode))),
        measure: Box::new(measure::Meter::default()),
        reading: crowd.reads.then(|| Reading {
            choose: Box::new(Chooser::new(READ_PER_SECOND)),
            read: Box::new(scripted::Readings::new(
                costs.lines,
                budget::READING,
                mean(seed ^ 4, costs.look),
                mean(seed ^ 5, costs.line),
            )),
        }),
        answering: (crowd.questions > 0.0).then(|| answering(costs.tile, costs.token, ALLOWED)),
        view: crowd.watched.then(|| viewing(seed, costs, screen)),
    }
}

/// Between two thirds and four thirds of `mean` at random.
fn mean(seed: u64, mean: Span) -> Cost {
    scripted::cost(seed, mean * 2 / 3, 0.0)
}

fn hearing(seed: u64, costs: &Costs, talk: &[Spoken]) -> Hearing {
    let spans = talk.iter().map(|word| (word.start, word.end));
    let vad = scripted::Voices::new(Schedule::new(spans), mean(seed ^ 1, costs.vad));
    let recognise = scripted::cost(seed ^ 2, costs.recognise * 2 / 3, costs.recognise_share * 2.0 / 3.0);
    let silences = vad::Config::default();
    Hearing {
        vad: Box::new(vad),
        recognise: Box::new(scripted::Listened::new(talk.to_vec(), recognise)),
        pause: silences.pause_delay(),
        ending: silences.end_delay(),
        settling: Span::ZERO,
    }
}

/// The real memory, queue and clerk before an engine that takes `tile` to see one and `token` to say a word, and may take `allowed`
/// from a question to the end of its answer.
pub fn answering(tile: Span, token: Span, allowed: Span) -> Answering {
    let prices = Prices { tile, token };
    let author = Box::new(|_: &Ask| Script {
        text: ["word"; WORDS].join(" ").into(),
        certainty: 0.5,
        separability: 1.0,
    });
    let engine = Scripted::new("script", prices, author);
    let config = asking::Config {
        allowed,
        tokens: 24,
        waiting: 3,
        turns: Turns::Alone,
    };
    let engine = Asking::new(engine, config, vec![]);
    Answering {
        aloud: None,
        memory: Box::new(Memory::new(memory::Config::default())),
        clerk: Box::new(Clerk::new(allowed + engine.slice())),
        answer: Box::new(engine),
        allowed,
    }
}

/// The real choice of what to show, on small pictures, before a coder that only costs.
fn viewing(seed: u64, costs: &Costs, screen: &Screen) -> Viewing {
    let style = Style {
        times: 2,
        max_fps: 60,
        bitrate: 500_000,
        best: Rung::Vectors,
    };
    let real = Viewing::new(style, Hand::Cpu, screen, &Totals::default());
    let mut make = mean(seed ^ 6, costs.make);
    Viewing {
        smooth: Box::new(Costly::new(
            real.smooth,
            Box::new(move |signal| match signal {
                Signal::Item(unit) if unit.item.rung.is_some() => make(Span::ZERO),
                _ => Span::ZERO,
            }),
        )),
        encode: Box::new(Coder {
            cost: mean(seed ^ 7, costs.encode),
        }),
        ..real
    }
}

/// What a signal took to put out.
pub type Price<T> = Box<dyn FnMut(&Signal<T>) -> Span + Send>;

/// An engine whose slices take what they put out.
pub struct Costly<E: Engine> {
    inner: E,
    price: Price<E::Out>,
}

impl<E: Engine> Costly<E> {
    /// `inner`, at a price.
    pub fn new(inner: E, price: Price<E::Out>) -> Costly<E> {
        Costly { inner, price }
    }
}

impl<E: Engine> Engine for Costly<E> {
    type In = E::In;
    type Out = E::Out;
    fn run(&mut self, now: Moment, signal: Signal<E::In>, out: &mut Outbox<E::Out>) -> Result<Wake, Fault> {
        let wake = self.inner.run(now, signal, out);
        let cost = out.signals().iter().map(&mut self.price).sum();
        out.spend(cost);
        wake
    }
    fn slice(&self) -> Span {
        self.inner.slice()
    }
    fn delay(&self) -> Span {
        self.inner.delay()
    }
    fn took(&mut self, cost: Span) {
        self.inner.took(cost);
    }
    fn variant(&self) -> u8 {
        self.inner.variant()
    }
}

/// Puts out a packet for every picture.
struct Coder {
    cost: Cost,
}

impl Engine for Coder {
    type In = Shown;
    type Out = Packet;
    fn run(&mut self, now: Moment, signal: Signal<Shown>, out: &mut Outbox<Packet>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(shown) if shown.item.picture.is_some() => {
                // As the real one does.
                if shown.item.rung.is_some() && now > budget::VIEW.deadline(shown.born) {
                    out.lose(Lost::TooLate, 1);
                    return Ok(Wake::OnSignal);
                }
                out.spend((self.cost)(Span::ZERO));
                out.put(shown.with(packet(Codec::H264, 2_000)));
            }
            Signal::Gap(gap) => out.pass(gap),
            Signal::End => out.end(),
            Signal::Item(_) | Signal::Timer | Signal::Flush(_) => {}
        }
        Ok(Wake::OnSignal)
    }
    fn slice(&self) -> Span {
        budget::ENCODE_SLICE
    }
}

fn packet(codec: Codec, bytes: usize) -> Packet {
    Packet {
        codec,
        payload: vec![0; bytes].into(),
        key: true,
        missing: 0,
    }
}

fn unit(nanos: i64, packet: Packet) -> (Moment, Stamped<Packet>) {
    let when = Moment::from_nanos(nanos);
    (when, Stamped::new(MediaTime::from_nanos(nanos), when, packet))
}

/// Packets of 20 ms of sound each, for so long.
pub fn sound_units(length: Span) -> Vec<(Moment, Stamped<Packet>)> {
    let (packet, each) = (packet(Codec::Opus, 80), Span::from_millis(20).nanos());
    (0..length.nanos() / each)
        .map(|i| unit(i * each, packet.clone()))
        .collect()
}

/// Pictures at a rate, for so long, one in two seconds by itself.
pub fn sight_units(length: Span, fps: i64) -> Vec<(Moment, Stamped<Packet>)> {
    if fps == 0 {
        return Vec::new();
    }
    let (key, other) = (packet(Codec::H264, 20_000), packet(Codec::H264, 6_000));
    let picture = |i: i64| match i % (2 * fps) {
        0 => key.clone(),
        _ => Packet {
            key: false,
            ..other.clone()
        },
    };
    let second = Span::from_secs(1).nanos();
    (0..length.nanos() * fps / second)
        .map(|i| unit(i * second / fps, picture(i)))
        .collect()
}

/// Twenty milliseconds of silence for every packet, and for every missing one.
pub struct Opus;
impl Stage for Opus {
    type In = Packet;
    type Out = Pcm;
    fn step(&mut self, _: Moment, signal: Signal<Packet>, out: &mut Outbox<Pcm>) -> Wake {
        let packet = Span::from_millis(20);
        match signal {
            Signal::Item(item) => {
                // As the real decoder does, up to 100 ms.
                let concealed = i64::from(item.item.missing.min(5));
                for back in (0..=concealed).rev() {
                    let mut pcm = item.with(Pcm {
                        rate: 16_000,
                        samples: vec![0.0; 320].into(),
                    });
                    pcm.at = item.at - packet * back;
                    out.put(pcm);
                }
            }
            Signal::Gap(gap) => out.pass(gap),
            _ => {}
        }
        Wake::OnSignal
    }
}

/// A picture for every unit that can be decoded: stripes that move by two pixels from one to the next, and their vectors.
pub struct H264 {
    cost: Cost,
    whole: bool,
    shown: usize,
}

impl H264 {
    /// Each picture takes `cost` of no sound.
    pub fn new(cost: Cost) -> H264 {
        H264 {
            cost,
            whole: false,
            shown: 0,
        }
    }

    fn picture(&mut self) -> Decoded {
        let (width, height) = (64, 36);
        self.shown += 1;
        let stripe = |x: usize| 90 + 5 * (x % 16).abs_diff(8) as u8;
        let row: Vec<u8> = (0..width).map(|x| stripe(x + 2 * self.shown)).collect();
        let plane = |bytes: Vec<u8>| Plane {
            bytes: Arc::new(bytes),
            stride: width,
        };
        let (luma, grey) = (plane(row.repeat(height)), plane(vec![128; width * height]));
        let pixels = Planes {
            y: luma,
            u: grey.clone(),
            v: grey,
        };
        let blocks = (0..4).map(|column| Block {
            x: 16 * column,
            y: 0,
            width: 16,
            height: 36,
            reference: -1,
            dx: 2.0,
            dy: 0.0,
        });
        Decoded {
            picture: Picture {
                width: width as u32,
                height: height as u32,
                pixels,
            },
            motion: MotionField {
                blocks: blocks.collect(),
            },
            key: false,
        }
    }
}

impl Engine for H264 {
    type In = Packet;
    type Out = Decoded;
    fn run(&mut self, _: Moment, signal: Signal<Packet>, out: &mut Outbox<Decoded>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(item) => {
                self.whole = item.item.key || (self.whole && item.item.missing == 0);
                if !self.whole {
                    out.request(Request::Keyframe);
                    out.lose(Lost::Undecodable, 1);
                    return Ok(Wake::OnSignal);
                }
                out.spend((self.cost)(Span::ZERO));
                let decoded = self.picture();
                let key = item.item.key;
                out.put(item.with(Decoded { key, ..decoded }));
            }
            Signal::Gap(gap) => {
                self.whole = false;
                out.pass(gap);
            }
            _ => {}
        }
        Ok(Wake::OnSignal)
    }
    fn slice(&self) -> Span {
        Span::from_millis(25)
    }
}
