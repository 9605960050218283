//! Codes what is shown, once for all who watch.

use hearsight_codecs::encode::{EncodeError, H264Config, H264Encoder, Preset};
use hearsight_core::media::{Packet, Picture, Planes};
use hearsight_core::stage::{Engine, Fault, Lost, Outbox, Signal, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{Moment, Span};

use super::{Effort, Origin, Shown};
use crate::budget;
use crate::watch::Screen;

/// Seconds from one key picture to the next where nobody wishes for one: whoever comes in wishes.
const GOP_S: u32 = 10;
/// The rate follows what viewers' paths take in steps of at least this part of it: each one unsettles the coder.
const RATE_STEP: u32 = 16;
/// Before two pictures came nobody knows the rate.
const LIKELY_FPS: u32 = 30;

/// H.264 at the picture's own size, cut to even sides.
pub struct Coder {
    bitrate: u32,
    screen: Screen,
    effort: Effort,
    encoder: Option<H264Encoder>,
    /// What the viewers have does not lead to the next picture.
    broken: bool,
    /// The slice that runs codes a picture, and opens no coder for it.
    coding: bool,
}

impl Coder {
    /// Codes for those who watch `screen` at so many bits per second, and tells how much `effort` it is.
    pub(crate) fn new(bitrate: u32, screen: Screen, effort: Effort) -> Coder {
        Coder {
            bitrate,
            screen,
            effort,
            encoder: None,
            broken: true,
            coding: false,
        }
    }

    fn take(&mut self, now: Moment, shown: Stamped<Shown>, out: &mut Outbox<Packet>) -> Result<(), Fault> {
        let Some(picture) = &shown.item.picture else {
            return Ok(());
        };
        if shown.item.origin != Origin::Received && self.late(now, &shown) {
            out.lose(Lost::TooLate, 1);
            return Ok(());
        }
        let picture = even(picture);
        let fps = 1.0 / shown.item.state.period.secs_f64().max(1e-3);
        let had_coder = self.encoder.is_some();
        match self.code(now, &picture, fps) {
            Ok(packet) => {
                self.coding = had_coder;
                self.broken = false;
                out.put(shown.with(packet));
                Ok(())
            }
            Err(EncodeError::Missing(library)) => Err(Fault::Dead(format!("no {library} encoder"))),
            Err(problem) => {
                tracing::debug!(%problem, "a picture can't be coded");
                self.encoder = None;
                self.broken = true;
                out.lose(Lost::Undecodable, 1);
                Ok(())
            }
        }
    }

    /// Whether a made picture would leave too late to be worth its coding. What came is coded whenever it comes.
    fn late(&self, now: Moment, shown: &Stamped<Shown>) -> bool {
        now + self.effort.get() > deadline(shown)
    }

    fn code(&mut self, now: Moment, picture: &Picture<Planes>, fps: f64) -> Result<Packet, EncodeError> {
        let bitrate = self.screen.rate().map_or(self.bitrate, |rate| rate.min(self.bitrate));
        let wished = self.screen.take_key_wish(now) || self.broken;
        let fits = |encoder: &H264Encoder| {
            let config = encoder.config();
            (config.width, config.height) == (picture.width, picture.height)
        };
        let encoder = match self.encoder.take().filter(fits) {
            Some(mut encoder) => {
                if encoder.config().bitrate.abs_diff(bitrate) > bitrate / RATE_STEP {
                    encoder.set_bitrate(bitrate);
                }
                encoder
            }
            None => {
                let fps = if fps > 1.0 {
                    fps.round().min(240.0) as u32
                } else {
                    LIKELY_FPS
                };
                H264Encoder::new(H264Config {
                    width: picture.width,
                    height: picture.height,
                    fps,
                    bitrate,
                    gop: GOP_S * fps,
                    preset: Preset::Superfast,
                })?
            }
        };
        let encoder = self.encoder.insert(encoder);
        if wished {
            encoder.request_key();
        }
        encoder.encode(picture)
    }
}

/// The last moment at which a made picture is worth showing, the network's time not counted: leaving pictures out does not
/// make up for that.
pub(super) fn deadline<T>(unit: &Stamped<T>) -> Moment {
    let here = unit.trail.at(Mark::Arrived).unwrap_or(unit.born).max(unit.born);
    budget::VIEW.deadline(here)
}

/// The picture without its last column or row where their number is odd: 4:2:0 is coded in pairs.
fn even(picture: &Picture<Planes>) -> Picture<Planes> {
    Picture {
        width: picture.width & !1,
        height: picture.height & !1,
        pixels: picture.pixels.clone(),
    }
}

impl Engine for Coder {
    type In = Shown;
    type Out = Packet;

    fn run(&mut self, now: Moment, signal: Signal<Shown>, out: &mut Outbox<Packet>) -> Result<Wake, Fault> {
        self.coding = false;
        match signal {
            Signal::Item(_) if !self.screen.watched() => {
                // Half a dozen pictures' worth of memory, for nobody.
                self.encoder = None;
                self.broken = true;
            }
            Signal::Item(shown) => self.take(now, shown, out)?,
            Signal::Gap(gap) => out.pass(gap),
            // What was coded last may be on its way no more.
            Signal::Flush(_) => self.broken = true,
            Signal::End => out.end(),
            Signal::Timer => {}
        }
        Ok(Wake::OnSignal)
    }

    fn slice(&self) -> Span {
        budget::ENCODE_SLICE
    }

    fn took(&mut self, cost: Span) {
        if self.coding {
            self.effort.learn(cost);
        }
    }
}
