//! What others do for the same purpose: a bounded channel of tokio, and the queue element of GStreamer.

use anyhow::{Context, Result};
use gstreamer as gst;
use gstreamer::prelude::*;
use hearsight_core::media::Decoded;
use hearsight_core::stamped::Stamped;
use hearsight_live::clock::Clock;
use tokio::sync::mpsc;

use crate::crossing::{Arrivals, Crossing, Hop};

/// A channel into a task of the runtime that our sessions run on.
pub(crate) struct Tokio {
    to: mpsc::Sender<Stamped<Decoded>>,
    unit: Stamped<Decoded>,
}

impl Tokio {
    /// Must be called on a tokio runtime.
    pub(crate) fn new(clock: Clock, unit: Stamped<Decoded>, arrivals: Arrivals) -> Tokio {
        let (to, mut from) = mpsc::channel(Crossing::BURST);
        tokio::spawn(async move {
            while let Some(unit) = from.recv().await {
                arrivals.one(clock.now());
                drop::<Stamped<Decoded>>(unit);
            }
        });
        Tokio { to, unit }
    }
}

impl Hop for Tokio {
    fn push(&mut self) {
        // A full channel is a lost unit, and that fails the bench.
        let _ = self.to.try_send(self.unit.clone());
    }
}

/// `queue`, fed at its sink pad from the calling thread, its own thread pushing into a pad of ours.
pub(crate) struct Gst {
    pipeline: gst::Pipeline,
    feed: gst::Pad,
    /// A link does not keep its far end alive.
    _ground: gst::Pad,
    buffer: gst::Buffer,
}

impl Gst {
    /// A queue that carries references to one buffer of `bytes` bytes.
    pub(crate) fn new(clock: Clock, bytes: usize, arrivals: Arrivals) -> Result<Gst> {
        gst::init().context("GStreamer does not start")?;
        let queue = gst::ElementFactory::make("queue")
            .property("max-size-buffers", 2 * Crossing::BURST as u32)
            .property("max-size-bytes", 0u32)
            .property("max-size-time", 0u64)
            .build()
            .context("GStreamer's core elements are missing; `make setup` installs them")?;
        let pipeline = gst::Pipeline::new();
        pipeline.add(&queue)?;
        let feed = gst::Pad::builder(gst::PadDirection::Src).name("feed").build();
        let ground = gst::Pad::builder(gst::PadDirection::Sink)
            .name("ground")
            .chain_function(move |_, _, _| {
                arrivals.one(clock.now());
                Ok(gst::FlowSuccess::Ok)
            })
            .event_function(|_, _, _| true)
            .build();
        feed.link(&queue.static_pad("sink").context("a queue has a sink pad")?)?;
        queue
            .static_pad("src")
            .context("a queue has a source pad")?
            .link(&ground)?;
        feed.set_active(true)?;
        ground.set_active(true)?;
        pipeline.set_state(gst::State::Playing)?;
        let caps = gst::Caps::builder("video/x-raw").build();
        for event in [
            gst::event::StreamStart::new("bench"),
            gst::event::Caps::new(&caps),
            gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()),
        ] {
            feed.push_event(event);
        }
        let buffer = gst::Buffer::with_size(bytes)?;
        Ok(Gst {
            pipeline,
            feed,
            _ground: ground,
            buffer,
        })
    }
}

impl Hop for Gst {
    fn push(&mut self) {
        // Refused or lost alike: the bench then waits in vain, and says so.
        let _ = self.feed.push(self.buffer.clone());
    }
}

impl Drop for Gst {
    fn drop(&mut self) {
        // Ends the queue's thread; there is nothing to do about one that does not.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
