//! A tape is the timing of a live run without its content: when units came in, what each stage put out for them and how
//! long it took, and how old things were at the outlets. Played in the simulator, it says whether the simulated host
//! is honest. One JSON object a line; times in microseconds.

mod play;
mod record;

use hearsight_core::media::{
    Block, Codec, Decoded, MotionField, Packet, Pcm, Picture, Plane, Planes, Voice, Word, Words,
};
use hearsight_core::stage::Signal;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use serde::{Deserialize, Serialize};

use hearsight_codecs::measure::PictureStats;

pub use play::{Played, Tape, TapeError};
pub use record::{Overheard, Recorder, record};

/// One line of a tape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain names")]
pub enum Line {
    /// First line: on how many engine threads it ran, and what the drawing was told of delays.
    Machine { threads: usize, pause: i64, ending: i64 },
    /// A coded unit was let in.
    Packet {
        now: i64,
        at: i64,
        born: i64,
        sound: bool,
        bytes: usize,
        key: bool,
        missing: u32,
    },
    /// A stage took a signal.
    Run {
        stage: String,
        signal: Kind,
        cost: i64,
        out: Vec<Put>,
    },
    /// Something left.
    Out { outlet: String, age: i64 },
}

/// What kind of signal a stage took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the signals of `hearsight_core::stage`")]
pub enum Kind {
    Item,
    Gap,
    Timer,
    Flush,
    End,
}

impl Kind {
    fn of<T>(signal: &Signal<T>) -> Kind {
        match signal {
            Signal::Item(_) => Kind::Item,
            Signal::Gap(_) => Kind::Gap,
            Signal::Timer => Kind::Timer,
            Signal::Flush(_) => Kind::Flush,
            Signal::End => Kind::End,
        }
    }
}

/// One unit that a stage put out: its envelope and the shape of what was in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Put {
    pub at: i64,
    pub born: i64,
    pub shape: Shape,
}

/// What a unit was, without what it said or showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain names")]
pub enum Shape {
    Pcm(usize),
    Started,
    Sound(usize),
    Paused,
    Rested,
    Resumed,
    Ended,
    Words {
        segment: u32,
        count: usize,
        settled: bool,
    },
    Decoded {
        width: u32,
        height: u32,
        blocks: usize,
        key: bool,
    },
    Stats {
        cut: bool,
    },
}

/// What can be reduced to a shape and made again from one, empty.
pub trait Shaped: Sized {
    /// The shape.
    fn shape(&self) -> Shape;
    /// A stand-in of that shape; none when the shape is another type's.
    fn stand_in(shape: &Shape) -> Option<Self>;
}

fn silence(samples: usize) -> Pcm {
    // No chunk in the system is longer than a second.
    Pcm {
        rate: 16_000,
        samples: vec![0.0; samples.min(16_000)].into(),
    }
}

impl Shaped for Pcm {
    fn shape(&self) -> Shape {
        Shape::Pcm(self.samples.len())
    }
    fn stand_in(shape: &Shape) -> Option<Pcm> {
        if let Shape::Pcm(samples) = shape {
            Some(silence(*samples))
        } else {
            None
        }
    }
}

impl Shaped for Voice {
    fn shape(&self) -> Shape {
        match self {
            Voice::Started => Shape::Started,
            Voice::Sound(pcm) => Shape::Sound(pcm.samples.len()),
            Voice::Paused => Shape::Paused,
            Voice::Rested => Shape::Rested,
            Voice::Resumed => Shape::Resumed,
            Voice::Ended => Shape::Ended,
        }
    }
    fn stand_in(shape: &Shape) -> Option<Voice> {
        Some(match shape {
            Shape::Started => Voice::Started,
            Shape::Sound(samples) => Voice::Sound(silence(*samples)),
            Shape::Paused => Voice::Paused,
            Shape::Rested => Voice::Rested,
            Shape::Resumed => Voice::Resumed,
            Shape::Ended => Voice::Ended,
            _ => return None,
        })
    }
}

impl Shaped for Words {
    fn shape(&self) -> Shape {
        Shape::Words {
            segment: self.segment,
            count: self.words.len(),
            settled: self.settled,
        }
    }
    fn stand_in(shape: &Shape) -> Option<Words> {
        let Shape::Words {
            segment,
            count,
            settled,
        } = *shape
        else {
            return None;
        };
        let (start, end) = (MediaTime::ZERO, MediaTime::ZERO);
        let word = Word {
            text: "word".into(),
            start,
            end,
            stability: 1.0,
            certainty: None,
        };
        Some(Words {
            segment,
            words: vec![word; count.min(1_000)].into(),
            settled,
        })
    }
}

impl Shaped for Decoded {
    fn shape(&self) -> Shape {
        let Picture { width, height, .. } = self.picture;
        Shape::Decoded {
            width,
            height,
            blocks: self.motion.blocks.len(),
            key: self.key,
        }
    }
    fn stand_in(shape: &Shape) -> Option<Decoded> {
        let Shape::Decoded {
            width,
            height,
            blocks,
            key,
        } = *shape
        else {
            return None;
        };
        let plane = Plane {
            bytes: std::sync::Arc::new(Vec::new()),
            stride: 0,
        };
        let pixels = Planes {
            y: plane.clone(),
            u: plane.clone(),
            v: plane,
        };
        let block = Block {
            x: 0,
            y: 0,
            width: 16,
            height: 16,
            reference: -1,
            dx: 0.0,
            dy: 0.0,
        };
        let motion = MotionField {
            blocks: vec![block; blocks.min(100_000)].into(),
        };
        Some(Decoded {
            picture: Picture { width, height, pixels },
            motion,
            key,
        })
    }
}

impl Shaped for PictureStats {
    fn shape(&self) -> Shape {
        Shape::Stats { cut: self.cut }
    }
    fn stand_in(shape: &Shape) -> Option<PictureStats> {
        let Shape::Stats { cut } = *shape else { return None };
        let (width, height, fps, decoded, keyframes) = (0, 0, 0.0, 0, 0);
        Some(PictureStats {
            width,
            height,
            fps,
            decoded,
            keyframes,
            vectors: 0.0,
            motion: 0.0,
            brightness: 0.0,
            cut,
        })
    }
}

fn put_from<T: Shaped>(item: &Stamped<T>) -> Put {
    Put {
        at: item.at.micros(),
        born: item.born.micros(),
        shape: item.item.shape(),
    }
}

fn moment(micros: i64) -> Moment {
    Moment::ZERO + Span::from_micros(micros)
}

fn media(micros: i64) -> MediaTime {
    MediaTime::ZERO + Span::from_micros(micros)
}

fn line_from_packet(now: Moment, unit: &Stamped<Packet>) -> Line {
    Line::Packet {
        now: now.micros(),
        at: unit.at.micros(),
        born: unit.born.micros(),
        sound: unit.item.codec == Codec::Opus,
        bytes: unit.item.payload.len(),
        key: unit.item.key,
        missing: unit.item.missing,
    }
}
