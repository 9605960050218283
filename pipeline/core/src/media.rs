//! What flows: encoded units, pictures, sound, motion, voices and words. Immutable and cheap to clone; what the rooms
//! share with each other, they share here.

use std::fmt;
use std::sync::Arc;

use crate::time::{MediaTime, Span};

/// What every link needs to know of its items.
pub trait Flow: Send + 'static {
    /// Whether a reader that has lost something can take up again here. Only encoded video says no.
    fn entry(&self) -> bool {
        true
    }
}

/// How an encoded unit is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264 (ITU-T H.264), one access unit in Annex B byte stream format.
    H264,
    /// Opus (RFC 6716), one packet.
    Opus,
}

/// One encoded unit: an access unit of video or one packet of sound, whole and in order.
#[derive(Clone, PartialEq)]
pub struct Packet {
    /// How it is coded.
    pub codec: Codec,
    /// The coded bytes.
    pub payload: Arc<[u8]>,
    /// Decodable without what went before: an IDR picture, or any packet of sound.
    pub key: bool,
    /// How many units are missing immediately before this one, as far as sequence numbers tell.
    pub missing: u32,
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Packet {
            codec,
            payload,
            key,
            missing,
        } = self;
        write!(
            f,
            "Packet({codec:?}, {} bytes, key {key}, missing {missing})",
            payload.len()
        )
    }
}

impl Flow for Packet {
    fn entry(&self) -> bool {
        self.key || self.codec == Codec::Opus
    }
}

/// A picture whose pixels live in `S`: the type says where memory is, so an upload is a visible stage.
#[derive(Clone, Debug)]
pub struct Picture<S> {
    /// Width in luma pixels.
    pub width: u32,
    /// Height in luma pixels.
    pub height: u32,
    /// The pixels.
    pub pixels: S,
}

/// Bytes that somebody owns: a decoder's buffer or a vector.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// One plane of 8-bit samples in CPU memory, `stride` bytes from row to row.
#[derive(Clone)]
pub struct Plane {
    /// The memory, at least `stride * (rows − 1) + columns` bytes.
    pub bytes: Bytes,
    /// Bytes from the start of one row to the start of the next.
    pub stride: usize,
}

impl Plane {
    /// Row `y`, `width` samples long; `None` when the memory ends before.
    pub fn row(&self, y: usize, width: usize) -> Option<&[u8]> {
        let start = y.checked_mul(self.stride)?;
        let bytes: &[u8] = (*self.bytes).as_ref();
        bytes.get(start..start.checked_add(width)?)
    }
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Plane({} bytes, stride {})",
            (*self.bytes).as_ref().len(),
            self.stride
        )
    }
}

/// Planar YUV 4:2:0 in CPU memory, limited range unless said otherwise; chroma planes are half size, rounded up.
#[derive(Clone, Debug)]
pub struct Planes {
    /// Luma.
    pub y: Plane,
    /// Blue-difference chroma.
    pub u: Plane,
    /// Red-difference chroma.
    pub v: Plane,
}

/// One block of a motion field, in luma pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// Left edge in the current picture; may lie outside it.
    pub x: i16,
    /// Top edge in the current picture; may lie outside it.
    pub y: i16,
    /// Width.
    pub width: u8,
    /// Height.
    pub height: u8,
    /// Where the reference lies: negative in the past, positive in the future. How far, in lengths of the interval before
    /// this picture: 1 is its neighbour.
    pub reference: i8,
    /// Horizontal displacement from the current picture to the reference, in pixels.
    pub dx: f32,
    /// Vertical displacement from the current picture to the reference, in pixels.
    pub dy: f32,
}

/// The motion vectors of one decoded picture. Where no block lies, the coder used none (intra).
#[derive(Clone, Debug, Default)]
pub struct MotionField {
    /// The blocks, in decoding order.
    pub blocks: Arc<[Block]>,
}

/// A decoded picture with the vectors it was decoded from.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The picture.
    pub picture: Picture<Planes>,
    /// Its motion vectors; empty for an intra picture.
    pub motion: MotionField,
    /// It was coded without reference to others.
    pub key: bool,
}

impl Flow for Decoded {}

/// Mono sound, nominally −1..1.
#[derive(Clone, PartialEq)]
pub struct Pcm {
    /// Samples per second.
    pub rate: u32,
    /// The samples.
    pub samples: Arc<[f32]>,
}

impl Pcm {
    /// How long it sounds.
    pub fn span(&self) -> Span {
        Span::from_samples(self.samples.len() as i64, self.rate)
    }
}

impl fmt::Debug for Pcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pcm({} samples at {} Hz)", self.samples.len(), self.rate)
    }
}

impl Flow for Pcm {}

/// What the voice detector says. Between `Started` and `Ended` lies one segment of speech; everything that sounds in it,
/// from a little before the onset, comes as `Sound` in order and without holes.
#[derive(Clone, Debug, PartialEq)]
pub enum Voice {
    /// Speech began at the envelope's media time. A new segment; its pre-roll follows as `Sound`.
    Started,
    /// 16 kHz sound of the segment; the envelope's media time is that of its first sample.
    Sound(Pcm),
    /// Speech stopped at the envelope's media time; the segment stays open in case it goes on.
    Paused,
    /// The phrase is over: nobody has spoken since the envelope's media time for so long that its words are wanted. The segment stays
    /// open in case speech goes on.
    Rested,
    /// It went on, from the envelope's media time. After a rest its pre-roll follows as `Sound`.
    Resumed,
    /// The segment is over: the envelope's media time is the end of its last speech.
    Ended,
}

impl Flow for Voice {}

/// One recognised word.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The word as it is to be shown.
    pub text: Arc<str>,
    /// When it began.
    pub start: MediaTime,
    /// When it ended.
    pub end: MediaTime,
    /// The chance that later results leave it as it is, 0..1; 1 in final words.
    pub stability: f32,
    /// The chance that it is right, 0..1, where the recogniser knows.
    pub certainty: Option<f32>,
}

/// What a recogniser makes of a phrase so far (`settled` false) or for good (`settled` true).
/// Each replaces the one before it with the same `segment`. The envelope's media time is the end of its last word.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    /// Counts the phrases of a session from 0.
    pub segment: u32,
    /// All words of the phrase, in order; may be empty.
    pub words: Arc<[Word]>,
    /// Final: will not change again.
    pub settled: bool,
}

impl Flow for Words {}

impl Words {
    /// The text, words joined by spaces.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for word in self.words.iter() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&word.text);
        }
        text
    }
}

/// How well the evidence for a question can be read, 0..1. Rises with bitrate, and is 1 for a clean view: what bits are spent
/// by. Nothing is known of whether an answer is right: that is [`Certainty`], and neither becomes the other.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Readability(f32);

impl Readability {
    /// `share`, held to 0..1; 0 where it is no number.
    pub fn new(share: f32) -> Readability {
        Readability(unit(share))
    }
    /// 0..1.
    pub fn get(self) -> f32 {
        self.0
    }
}

/// The chance that an answer is right, 0..1: what people see, and nothing is spent by.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Certainty(f32);

impl Certainty {
    /// `chance`, held to 0..1; 0 where it is no number.
    pub fn new(chance: f32) -> Certainty {
        Certainty(unit(chance))
    }
    /// 0..1.
    pub fn get(self) -> f32 {
        self.0
    }
}

fn unit(share: f32) -> f32 {
    if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
}

/// A place in a picture. In [`Region`] as shares of width and height, 0..1 from the top left; elsewhere in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f32,
    /// From the top.
    pub y: f32,
}

/// Where the evidence is: four corners clockwise, beginning where its text begins, at the top.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Region {
    /// The corners, as shares of the picture.
    pub corners: [Point; 4],
}

/// One line of text in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it says.
    pub text: Arc<str>,
    /// Where it stands.
    pub region: Region,
    /// The chance that it says that.
    pub certainty: Certainty,
}

/// What was read in the picture whose envelope this carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The lines, in the order in which people read them.
    pub lines: Arc<[Line]>,
    /// Places that look like text and were not read: too faint, or no time was left.
    pub unread: u32,
    /// How well what looks like text can be read; none where nothing does.
    pub readability: Option<Readability>,
    /// When the picture was shown that the lines were read in: before the envelope's media time where the picture has not
    /// changed since.
    pub read: MediaTime,
}

impl Flow for Reading {}

/// What travels back to `ingest`, which alone speaks to the peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Request {
    /// Send a picture that can be decoded by itself (PLI, RFC 4585 section 6.3.1).
    Keyframe,
    /// Send at most this many bits per second.
    Cap(u32),
    /// Send this many pictures per second.
    Rate(f32),
}
