//! The picture at a higher rate: from decoded pictures with their motion to coded ones on a screen, two boxes of the
//! drawing and an account of them.
//!
//! ```text
//! decode ─▸ smooth ─┬─▸ encode ─▸ view
//!                   └─▸ account ─▸ viewed
//! ```
//!
//! Every display moment is one unit out of [`Smooth`]: a picture that came, one that was made between two or after the
//! last, or none, where the one before is held. Nothing is done while nobody watches. Start at [`Smooth`]; when things are
//! shown is [`display`]'s, how well they are made is [`ladder`]'s, and who makes them `hand`'s.

mod account;
mod coder;
pub mod display;
mod hand;
pub mod ladder;
mod smooth;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use hearsight_codecs::encode::{EncodeError, H264Config, H264Encoder, Preset};
use hearsight_core::media::{Decoded, Flow, Packet, Picture, Planes};
use hearsight_core::stage::{Engine, Stage};
use hearsight_core::time::Span;
use hearsight_shaders::interpolate::Rung;
use thiserror::Error;

use crate::config::{self, MadeOn};
use crate::watch::Screen;

pub use account::{Account, Counts, Totals};
pub use coder::Coder;
pub use hand::{Bench, Hand};
pub use smooth::Smooth;

/// How a session's picture is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Display moments for each picture that comes, at most; at least 1.
    pub times: u32,
    /// Display moments a second, at most.
    pub max_fps: u32,
    /// Bits per second, where no viewer's path takes less.
    pub bitrate: u32,
    /// The best that is tried.
    pub best: Rung,
}

/// Where the picture of a display moment came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// It came from the sender.
    Received,
    /// It was made between two that did.
    Made,
    /// It was made after the last that did: the next was not here in time.
    Extrapolated,
    /// There is none: the one before stays.
    Held,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Origin; 4] = [Origin::Received, Origin::Made, Origin::Extrapolated, Origin::Held];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Origin::Received => "received",
            Origin::Made => "made",
            Origin::Extrapolated => "extrapolated",
            Origin::Held => "held",
        }
    }
}

/// One display moment. Its envelope's media time is what it shows; it was born with the newest picture that it is made of.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Where the picture is from.
    pub origin: Origin,
    /// The picture; `None` where the one before is held.
    pub picture: Option<Picture<Planes>>,
    /// How this picture was made, where it was.
    pub rung: Option<Rung>,
    /// How things stand.
    pub state: State,
}

impl Flow for Shown {}

/// How things stand with a view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// The best rung that is tried now.
    pub ceiling: Rung,
    /// Why that is not the best there is.
    pub reason: Option<Reason>,
    /// Time between the sender's pictures; `None` before there were two.
    pub interval: Option<Span>,
    /// Time between display moments.
    pub period: Span,
}

/// Why a view is less smooth than it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no graphics processor to do better.
    NoGpu,
    /// The machine has too much to do.
    Overload,
}

/// What shows a session's picture.
#[allow(missing_docs, reason = "one for each box of the drawing")]
pub struct Viewing {
    pub smooth: Box<dyn Engine<In = Decoded, Out = Shown>>,
    pub encode: Box<dyn Engine<In = Shown, Out = Packet>>,
    pub account: Box<dyn Stage<In = Shown, Out = Counts>>,
    pub screen: Screen,
}

impl Viewing {
    /// What shows pictures on `screen` in this style, made by `hand`, and counts into `totals` what it does.
    pub fn new(style: Style, hand: Hand, screen: &Screen, totals: &Totals) -> Viewing {
        let effort = Effort::default();
        Viewing {
            smooth: Box::new(Smooth::new(style, hand, screen.clone(), effort.clone())),
            encode: Box::new(Coder::new(style.bitrate, screen.clone(), effort)),
            account: Box::new(Account::new(totals.clone())),
            screen: screen.clone(),
        }
    }
}

/// Why pictures can't be shown at a higher rate.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No coder for them.
    #[error("pictures can't be coded for those who watch: {0}; or set view.enabled to false")]
    Coder(EncodeError),
    /// A graphics processor was asked for.
    #[error("view.device is gpu, and there is none to use: {0}; set it to auto or cpu, or install the driver")]
    NoGpu(String),
}

/// What shows the pictures of all sessions.
pub struct Views {
    style: Style,
    hand: Hand,
    totals: Totals,
}

impl Views {
    /// Opens what the settings ask for, and tries it.
    pub fn open(config: &config::View) -> Result<Views, OpenError> {
        let trial = H264Config {
            width: 320,
            height: 180,
            fps: config.max_fps,
            bitrate: config.bitrate,
            gop: config.max_fps,
            preset: Preset::Superfast,
        };
        H264Encoder::new(trial).map_err(OpenError::Coder)?;
        let bench = match config.device {
            MadeOn::Cpu => None,
            MadeOn::Gpu => Some(Bench::open().map_err(OpenError::NoGpu)?),
            MadeOn::Best => Bench::open()
                .inspect_err(|reason| tracing::info!(%reason, "pictures between others are made on this processor"))
                .ok(),
        };
        let hand = bench.map_or(Hand::Cpu, |bench| {
            tracing::info!(
                device = bench.name(),
                "pictures between others are made on a graphics processor"
            );
            Hand::Device(bench)
        });
        let style = Style {
            times: config.times,
            max_fps: config.max_fps,
            bitrate: config.bitrate,
            best: config.best,
        };
        let totals = Totals::default();
        Ok(Views { style, hand, totals })
    }

    /// What shows one session's pictures on `screen`.
    pub fn viewing(&self, screen: &Screen) -> Viewing {
        Viewing::new(self.style, self.hand.clone(), screen, &self.totals)
    }

    /// What they all came to.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }
}

/// How long coding a picture takes on average, as its coder knows and its maker must: a picture that can't be coded need not
/// be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effort(Arc<AtomicI64>);

impl Effort {
    /// Moves the average by an eighth of the way. One writer.
    pub(crate) fn learn(&self, cost: Span) {
        let before = self.0.load(Relaxed);
        let next = if before == 0 {
            cost.nanos()
        } else {
            before + (cost.nanos() - before) / 8
        };
        self.0.store(next, Relaxed);
    }
    pub(crate) fn get(&self) -> Span {
        Span::from_nanos(self.0.load(Relaxed))
    }
}
