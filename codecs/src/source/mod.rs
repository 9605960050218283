//! Files, cameras and network streams as raw pictures and sound, through the system's GStreamer 1.22.
//!
//! Knows pipelines and nothing of sending: what comes out is unhurried. A file's frames are made as they are pulled (the
//! queues hold a few, and the pipeline waits while nobody pulls); a live source's frames are made when it wills, and the
//! oldest are dropped when nobody pulls. Both kinds carry times of one timeline. Start at [`Source::open`].

mod lane;
mod pipeline;
mod recut;
mod shared;
mod trouble;

use std::sync::Arc;

use hearsight_core::time::{MediaTime, Span};

pub use lane::{Frame, Pictures, Pulled, Sound};
use pipeline::Branches;
use shared::Shared;
pub use trouble::{MissingPlugin, SourceError, missing_plugins};

/// Where pictures and sound come from.
#[derive(Clone, PartialEq, Eq)]
pub enum Origin {
    /// Anything with an address that GStreamer can read and decode: `file:`, `http:`, `rtsp:` and more.
    Address(String),
    /// A camera by its device, such as `/dev/video0`, with the system's microphone if it has one.
    Camera(String),
}

/// How often it is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounds {
    /// Once, to its end.
    #[default]
    Once,
    /// Over and over; the timeline goes on from round to round.
    Endless,
}

/// What to open, and into what shape.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// Where from.
    pub origin: Origin,
    /// Width and height of the pictures in pixels, even, with bars where the shape differs. None: as they are, but at most
    /// 1280×720.
    pub size: Option<(u32, u32)>,
    /// At most so many pictures a second; the rest is left out evenly.
    pub fps: u32,
    /// How often.
    pub rounds: Rounds,
    /// Where to begin.
    pub start: Span,
    /// For opening: a file answers at once, a camera or a server takes its time.
    pub patience: Span,
}

/// An open source. Dropping it ends the pipeline and its threads; the lanes then report the end.
pub struct Source {
    shared: Arc<Shared>,
    pictures: Option<Pictures>,
    sound: Option<Sound>,
}

impl Source {
    /// Opens and waits until the first frames are there, at most `patience`. Errors: nothing there, nothing that can be
    /// decoded (naming the package that would), no pictures and no sound in it, or too slow.
    pub fn open(config: &SourceConfig) -> Result<Source, SourceError> {
        trouble::prepare()?;
        let shared = Shared::new(config.rounds, config.start);
        let branches = Branches::default();
        let opened = pipeline::build(config, &shared, &branches).and_then(|()| pipeline::roll(config, &shared));
        if let Err(error) = opened {
            shared.stop();
            return Err(error);
        }
        let (seen, heard) = branches.take();
        shared.expect([seen.is_some(), heard.is_some()]);
        match shared.missing() {
            missing if seen.is_none() && heard.is_none() => {
                shared.stop();
                return Err(missing.unwrap_or(SourceError::Empty));
            }
            Some(missing) => tracing::warn!("a stream of the source is left out: {missing}"),
            None => {}
        }
        if shared.is_live() {
            for sink in seen.iter().chain(&heard) {
                sink.set_drop(true);
            }
        }
        Ok(Source {
            pictures: seen.map(|sink| Pictures::new(sink, Arc::clone(&shared))),
            sound: heard.map(|sink| Sound::new(sink, Arc::clone(&shared))),
            shared,
        })
    }

    /// Takes the lane of pictures, if there are any.
    pub fn take_pictures(&mut self) -> Option<Pictures> {
        self.pictures.take()
    }

    /// Takes the lane of sound, if there is any.
    pub fn take_sound(&mut self) -> Option<Sound> {
        self.sound.take()
    }

    /// Whether it happens now: a camera, a microphone, a broadcast. What is not live waits for whoever pulls.
    pub fn is_live(&self) -> bool {
        self.shared.is_live()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// A media time from GStreamer's running time.
fn media_from_running(running: gstreamer::ClockTime) -> MediaTime {
    MediaTime::from_nanos(i64::try_from(running.nseconds()).unwrap_or(i64::MAX))
}

/// GStreamer's span of a span; none is negative.
fn clock_time(span: Span) -> gstreamer::ClockTime {
    gstreamer::ClockTime::from_nseconds(u64::try_from(span.nanos()).unwrap_or(0))
}

#[cfg(test)]
mod tests;
