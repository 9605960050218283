//! One flight: a camera, a coder, a recorded uplink, a decoder, a reader, and the word that goes back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hearsight::allocate::{Heed, Mode, Spender, Terms};
use hearsight::budget;
use hearsight::send::estimate::Crates;
use hearsight::wire::allocation::Allocation;
use hearsight_codecs::encode::{H264Config, H264Encoder, Preset};
use hearsight_codecs::h264::{Config as DecoderConfig, Decoder};
use hearsight_codecs::measure::{Meter, PictureStats};
use hearsight_core::congestion::{Controller, Fate, Limits};
use hearsight_core::media::{Decoded, Packet, Picture, Planes, Reading};
use hearsight_core::network::flight::{Control, Flight};
use hearsight_core::network::uplink::{Path, Uplink};
use hearsight_core::stage::{Engine, Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;
use hearsight_models::ocr::{Choice, Chosen, Config, Model, PaddleOcr, Reader};
use hearsight_models::vlm::local::Model as Glance;
use hearsight_models::vlm::{Answerer, Ask, Effort, Step};
use hearsight_tests::scenes::Question;

use crate::material::{FPS, Material};

/// The most that a coder makes, in bits per second: the highest tier.
const MOST: u32 = 3_150_000;
/// What goes back takes so long, words and feedback alike.
const BACK: Span = Span::from_millis(30);
/// A reading takes so long, whatever machine this runs on.
const READING: Span = Span::from_millis(300);
/// From one picture that is read to the next.
const EVERY: Span = Span::from_millis(500);
/// A sender leaves pictures out while so much waits to leave.
const BACKLOG: Span = Span::from_millis(200);
/// Nothing new to see for so long is a stall.
const STALL: Span = Span::from_millis(400);

/// Who decides on bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scheme {
    /// The `webrtc` crate's congestion control alone.
    Crates,
    /// Ours alone, all blocks alike.
    Uniform,
    /// Never more than so many bits a second.
    Fixed(u32),
    /// The learnt cap.
    Cap,
    /// And regions.
    CapRegions,
    /// And the rate of pictures.
    Full,
    /// All of it below a ceiling of so many bits a second.
    FullBelow(u32),
}

impl Scheme {
    /// For tables.
    pub(crate) fn name(self) -> String {
        match self {
            Scheme::Crates => "webrtc's".into(),
            Scheme::Uniform => "uniform".into(),
            Scheme::Fixed(cap) => format!("fixed {}", cap / 1_000),
            Scheme::Cap => "cap".into(),
            Scheme::CapRegions => "cap_regions".into(),
            Scheme::Full => "full".into(),
            Scheme::FullBelow(ceiling) => format!("full ≤{}", ceiling / 1_000),
        }
    }

    /// The most that it sends, in bits per second, whatever was learnt.
    pub(crate) fn most(self) -> u32 {
        match self {
            Scheme::Fixed(most) => most,
            _ => MOST,
        }
    }

    /// What the server is set to.
    fn terms(self) -> Terms {
        let mode = match self {
            Scheme::Crates | Scheme::Uniform | Scheme::Fixed(_) => Mode::Off,
            Scheme::Cap => Mode::Cap,
            Scheme::CapRegions => Mode::CapRegions,
            Scheme::Full | Scheme::FullBelow(_) => Mode::Full,
        };
        let most_kbps = match self {
            Scheme::FullBelow(ceiling) => Some(ceiling / 1_000),
            _ => None,
        };
        Terms { mode, most_kbps }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flown {
    /// Question by question, by the reader.
    pub answered: Vec<bool>,
    /// The same by glance, from the last picture of each scene that came through.
    pub glanced: Vec<bool>,
    /// Kilobits that left per second, headers and repetitions too.
    pub kbps: f64,
    /// Capture to decoded, in milliseconds, of every picture that was.
    pub late: Vec<f64>,
    /// How often nothing new was to be seen for [`STALL`].
    pub stalls: usize,
    /// The most that congestion control ever allowed, in bits per second: a fixed cap that is no lower changes nothing.
    pub allowed: u32,
}

/// Who looks.
pub(crate) struct Engines {
    /// It reads what pictures say.
    pub reader: Arc<Model>,
    /// It answers questions about them.
    pub glance: Arc<Glance>,
}

/// Who says what the path takes.
enum Controlled {
    Ours(Box<Controller>),
    Crates(Box<Crates>),
}

impl Controlled {
    fn new(scheme: Scheme, limits: Limits) -> Controlled {
        match scheme {
            Scheme::Crates => Controlled::Crates(Box::new(Crates::new(limits, Clock::new()))),
            _ => Controlled::Ours(Box::new(Controller::new(limits))),
        }
    }

    /// The share of packets that was lost lately; nobody asks for it where the crate's decides.
    fn loss(&self) -> f64 {
        match self {
            Controlled::Ours(ours) => ours.loss(),
            Controlled::Crates(_) => 0.0,
        }
    }
}

impl Control for Controlled {
    fn sent(&mut self, now: Moment) {
        match self {
            Controlled::Ours(ours) => ours.sent(now),
            Controlled::Crates(theirs) => theirs.sent(now),
        }
    }

    fn heard(&mut self, now: Moment, fates: &[Fate]) {
        match self {
            Controlled::Ours(ours) => ours.heard(now, fates),
            Controlled::Crates(theirs) => theirs.heard(now, fates),
        }
    }

    fn target(&self, now: Moment) -> u32 {
        match self {
            Controlled::Ours(ours) => ours.target(now),
            Controlled::Crates(theirs) => theirs.target(now),
        }
    }
}

struct Pilot {
    scheme: Scheme,
    flight: Flight<Controlled>,
    encoder: H264Encoder,
    decoder: Decoder,
    meter: Meter,
    reader: Reader<PaddleOcr>,
    spender: Spender,
    heed: Heed,
    packets: BTreeMap<u64, Packet>,
    newest: Option<Stamped<Decoded>>,
    latest: Option<Stamped<Picture<Planes>>>,
    glance: Arc<Glance>,
    read_at: Moment,
    readings: VecDeque<(Moment, Stamped<Reading>)>,
    words: VecDeque<(Moment, Allocation)>,
    said: Option<(MediaTime, String)>,
    shown: Option<MediaTime>,
    landed: Moment,
    flown: Flown,
}

/// Flies the scenes over a recording.
pub(crate) fn fly(scheme: Scheme, material: &Material, trace: usize, engines: &Engines) -> Result<Flown> {
    let mut pilot = Pilot::new(scheme, material, trace, engines)?;
    let mut number = 0;
    for shown in &material.scenes {
        let began = MediaTime::ZERO + Span::from_samples(number, FPS);
        pilot
            .spender
            .asked(Moment::ZERO + (began - MediaTime::ZERO), &shown.scene.question.text);
        for picture in &shown.pictures {
            let at = MediaTime::ZERO + Span::from_samples(number, FPS);
            pilot.step(number as u64, at, picture)?;
            number += 1;
        }
        let end = Moment::ZERO + Span::from_samples(number, FPS);
        pilot.hear(end)?;
        // Only what was said of this scene counts, and only in time.
        let said = pilot.said.as_ref().filter(|(seen, _)| *seen >= began);
        let answered = said.is_some_and(|(_, text)| shown.scene.question.is_answered_within(text));
        pilot.flown.answered.push(answered);
        let glanced = pilot.glance(&shown.scene.question, began)?;
        pilot.flown.glanced.push(glanced);
    }
    let span = Span::from_samples(number, FPS);
    let mut flown = pilot.flown;
    flown.kbps = pilot.flight.sent() as f64 * 8e-3 / span.secs_f64();
    Ok(flown)
}

impl Pilot {
    fn new(scheme: Scheme, material: &Material, trace: usize, engines: &Engines) -> Result<Pilot> {
        let uplink = Uplink::new(material.traces[trace].trace.clone(), Path::default(), Moment::ZERO, 7);
        let limits = Limits {
            most: MOST,
            ..Limits::default()
        };
        let picture = &material.scenes[0].pictures[0];
        let encoder = H264Encoder::new(H264Config {
            width: picture.width,
            height: picture.height,
            fps: FPS,
            bitrate: limits.start,
            gop: 10 * FPS,
            preset: Preset::Veryfast,
        })?;
        // The machine is not what is measured: a slow one must not make a reading shorter.
        let mut unhurried = budget::READING;
        unhurried.span = Span::from_secs(600);
        let mut heed = Heed::default();
        heed.greeted("bench");
        Ok(Pilot {
            scheme,
            flight: Flight::new(uplink, Controlled::new(scheme, limits), BACK, Moment::ZERO),
            encoder,
            decoder: Decoder::new(DecoderConfig::default())?,
            meter: Meter::default(),
            reader: Reader::new(PaddleOcr::new(engines.reader.clone()), Config { budget: unhurried }),
            spender: Spender::new("bench".into(), scheme.terms()),
            heed,
            packets: BTreeMap::new(),
            newest: None,
            latest: None,
            glance: engines.glance.clone(),
            read_at: Moment::ZERO,
            readings: VecDeque::new(),
            words: VecDeque::new(),
            said: None,
            shown: None,
            landed: Moment::ZERO,
            flown: Flown::default(),
        })
    }

    fn step(&mut self, number: u64, at: MediaTime, picture: &Picture<Planes>) -> Result<()> {
        let now = Moment::ZERO + (at - MediaTime::ZERO);
        self.hear(now)?;
        let wanted = self.heed.wanted(now);
        let allowed = self.flight.target(now);
        self.flown.allowed = self.flown.allowed.max(allowed);
        let rate = allowed.min(wanted.cap.unwrap_or(MOST)).min(self.scheme.most());
        let lost = self.flight.control().loss();
        let fps = wanted.fps(lost).map_or(FPS as f32, |fps| fps.min(FPS as f32));
        let apart = Span::from_nanos((1e9 / f64::from(fps)) as i64) - Span::from_samples(1, FPS) / 2;
        let early = self.shown.is_some_and(|shown| at - shown < apart);
        if early || self.flight.backlog(now) >= BACKLOG {
            return Ok(());
        }
        self.shown = Some(at);
        self.encoder.set_rate(rate, fps);
        self.encoder.set_map(wanted.map);
        let packet = self.encoder.encode(picture)?;
        self.flight.send(now, number, now, packet.payload.len());
        self.packets.insert(number, packet);
        Ok(())
    }

    /// Everything that reaches the server, and the sender, up to `now`.
    fn hear(&mut self, now: Moment) -> Result<()> {
        self.flight.run(now);
        for landed in self.flight.landed(now) {
            let packet = self.packets.remove(&landed.number).context("it was sent")?;
            self.flown.late.push((landed.at - landed.born).millis_f64());
            self.flown.stalls += usize::from(landed.at - self.landed > STALL);
            self.landed = landed.at;
            let at = MediaTime::ZERO + (landed.born - Moment::ZERO);
            self.spender.came(at, packet.payload.len());
            self.decode(landed.at, Stamped::new(at, landed.born, packet))?;
        }
        self.read(now)?;
        while self.readings.front().is_some_and(|(due, _)| *due <= now) {
            let Some((due, reading)) = self.readings.pop_front() else {
                break;
            };
            let word = self.spender.reading(due, &reading);
            self.tell(due, word);
            let lines: Vec<&str> = reading.item.lines.iter().map(|line| &*line.text).collect();
            self.said = Some((reading.at, lines.join(" ")));
        }
        while self.words.front().is_some_and(|(due, _)| *due <= now) {
            let Some((due, word)) = self.words.pop_front() else {
                break;
            };
            self.heed.take(due, &word);
        }
        Ok(())
    }

    fn decode(&mut self, now: Moment, unit: Stamped<Packet>) -> Result<()> {
        let mut out = Outbox::default();
        self.decoder.run(now, Signal::Item(unit), &mut out)?;
        let decoded: Vec<Stamped<Decoded>> = out
            .drain()
            .filter_map(|signal| match signal {
                Signal::Item(decoded) => Some(decoded),
                _ => None,
            })
            .collect();
        for unit in decoded {
            let word = self.spender.decoded(now, &unit);
            self.tell(now, word);
            let mut figures: Outbox<PictureStats> = Outbox::default();
            self.meter.step(now, Signal::Item(unit.clone()), &mut figures);
            let told: Vec<bool> = figures
                .drain()
                .filter_map(|signal| match signal {
                    Signal::Item(stats) => Some(stats.item.cut),
                    _ => None,
                })
                .collect();
            for cut in told {
                let word = if cut {
                    self.spender.cut(now, unit.at)
                } else {
                    self.spender.look(now, unit.at)
                };
                self.tell(now, word);
            }
            self.latest = Some(unit.with(unit.item.picture.clone()));
            self.newest = Some(unit);
        }
        Ok(())
    }

    /// Reads the newest picture, where it is time; what it says is known a while later.
    fn read(&mut self, now: Moment) -> Result<()> {
        if now < self.read_at {
            return Ok(());
        }
        let Some(unit) = self.newest.take() else { return Ok(()) };
        self.read_at = now + EVERY;
        let chosen = Chosen {
            picture: unit.item.picture.clone(),
            choice: Choice::Changed,
        };
        let mut signal = Signal::Item(unit.with(chosen));
        let mut out = Outbox::default();
        while self.reader.run(now, signal, &mut out)? != Wake::OnSignal {
            signal = Signal::Timer;
        }
        for signal in out.drain() {
            if let Signal::Item(reading) = signal {
                self.readings.push_back((now + READING, reading));
            }
        }
        Ok(())
    }

    /// Whether glance answers the question from the last picture that came of its scene.
    fn glance(&self, question: &Question, began: MediaTime) -> Result<bool> {
        let Some(picture) = self.latest.clone().filter(|picture| picture.at >= began) else {
            return Ok(false);
        };
        let clock = Clock::new();
        let mut conversation = self.glance.conversation(None);
        let ask = Ask {
            question: question.text.as_str().into(),
            pictures: [picture].into_iter().collect(),
            deadline: clock.now() + Span::from_secs(60),
            effort: Effort::default(),
        };
        if conversation.ask(clock.now(), ask).is_err() {
            bail!("glance refused a question with a minute to answer it in");
        }
        loop {
            match conversation.step(clock.now())? {
                Step::Idle => bail!("the question was lost"),
                Step::On { .. } => std::thread::yield_now(),
                Step::Over(answer) => return Ok(question.is_answered_by(&answer.text)),
            }
        }
    }

    fn tell(&mut self, now: Moment, word: Option<Allocation>) {
        if let Some(word) = word {
            self.words.push_back((now + BACK, word));
        }
    }
}
