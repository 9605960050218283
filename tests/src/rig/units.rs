//! The sample talk and the project's scene as stamped, coded units, for senders that keep their own time.

use anyhow::Result;
use hearsight::demo::scene::Scene;
use hearsight::demo::talk::{self, Talk};
use hearsight::film::Reel;
use hearsight_codecs::encode::{H264Config, H264Encoder, OpusConfig, OpusEncoder, Preset};
use hearsight_codecs::source::Pulled;
use hearsight_core::media::Packet;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};

/// What a browser's camera gives at 720p.
const SIZE: (u32, u32) = (1280, 720);
const FPS: u32 = 30;
const BITRATE: u32 = 2_000_000;
/// The scene repeats after this.
const SCENE: Span = Span::from_secs(60);

/// Opus packets of 20 ms.
pub struct Speech {
    reel: talk::Sound,
    encoder: OpusEncoder,
    start: Moment,
}

impl Speech {
    /// How much sound one packet holds.
    pub const INTERVAL: Span = Span::from_millis(20);

    /// The talk, `loops` times, its first sample at `start`.
    pub fn new(talk: &Talk, loops: u32, start: Moment) -> Result<Speech> {
        Ok(Speech {
            reel: talk.sound(loops),
            encoder: OpusEncoder::new(OpusConfig::default())?,
            start,
        })
    }

    /// The next packet; `None` after the end.
    pub fn next_packet(&mut self) -> Result<Option<Stamped<Packet>>> {
        let Pulled::Frame(frame) = self.reel.pull(MediaTime::ZERO)? else {
            return Ok(None);
        };
        // The coder lets everything come out later by this much.
        let behind = self.encoder.lookahead();
        let born = self.start + (frame.at - MediaTime::ZERO) - behind;
        let packet = self.encoder.encode(&frame.item.samples)?;
        Ok(Some(Stamped::new(frame.at - behind, born, packet)))
    }
}

/// H.264 pictures of the scene, 1280×720.
pub struct Camera {
    scene: Scene,
    encoder: H264Encoder,
    start: Moment,
}

impl Camera {
    /// The scene, from `start` on.
    pub fn new(start: Moment) -> Result<Camera> {
        let (width, height) = SIZE;
        let encoder = H264Encoder::new(H264Config {
            width,
            height,
            fps: FPS,
            bitrate: BITRATE,
            gop: 10 * FPS,
            preset: Preset::default(),
        })?;
        Ok(Camera {
            scene: Scene::new(width, height, SCENE)?,
            encoder,
            start,
        })
    }

    /// Time from picture to picture.
    pub fn interval() -> Span {
        Span::from_samples(1, FPS)
    }

    /// Makes the next picture one that can be decoded by itself.
    pub fn request_key(&mut self) {
        self.encoder.request_key();
    }

    /// Picture `n`, counted from 0; some may be left out.
    pub fn packet(&mut self, n: u64) -> Result<Stamped<Packet>> {
        let into = Span::from_samples(i64::try_from(n)?, FPS);
        let at = MediaTime::ZERO + into;
        let packet = self.encoder.encode(&self.scene.picture(at))?;
        Ok(Stamped::new(at, self.start + into, packet))
    }
}
