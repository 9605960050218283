//! The pipeline: whatever decodes, and behind it one branch for pictures and one for sound.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use hearsight_core::time::Span;

use super::shared::{Kind, Shared};
use super::{Origin, SourceConfig, SourceError, clock_time, lane, trouble};

/// The largest pictures without a wish for others: what level 3.1 carries at 30 a second, which every receiver takes.
const MOST: (u32, u32) = (1280, 720);
/// Frames that wait for whoever pulls: pictures are large.
const QUEUED: [u32; 2] = [3, 16];
/// Between two looks at whether opening has failed.
const LOOK: Span = Span::from_millis(50);

/// The ends of the branches, as they come to be.
#[derive(Clone, Default)]
pub(super) struct Branches(Arc<Mutex<[Option<AppSink>; 2]>>);

impl Branches {
    /// The ends for pictures and for sound.
    pub(super) fn take(&self) -> (Option<AppSink>, Option<AppSink>) {
        let [pictures, sound] = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (pictures, sound)
    }

    /// Puts a branch behind `pad`, unless there is one of its kind: the first stream of a kind is the main one.
    fn grow(&self, pad: &gst::Pad, pipeline: &gst::Pipeline, shape: &Shape) -> Result<(), SourceError> {
        let Some(kind) = kind_of(pad) else { return Ok(()) };
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ends[kind as usize].is_some() {
            return Ok(());
        }
        let sink = AppSink::builder()
            .sync(false)
            .max_buffers(QUEUED[kind as usize])
            .build();
        let branch = gst::parse::bin_from_description(&shape.description(kind), true).map_err(refused)?;
        pipeline.add(&branch).map_err(refused)?;
        pipeline.add(&sink).map_err(refused)?;
        branch.link(&sink).map_err(refused)?;
        sink.sync_state_with_parent().map_err(refused)?;
        branch.sync_state_with_parent().map_err(refused)?;
        let entry = branch
            .static_pad("sink")
            .ok_or_else(|| refused("a branch has no entry"))?;
        pad.link(&entry).map_err(refused)?;
        ends[kind as usize] = Some(sink);
        Ok(())
    }
}

/// What the pictures are made into.
#[derive(Clone, Copy)]
struct Shape {
    size: Option<(u32, u32)>,
    fps: u32,
}

impl Shape {
    fn description(self, kind: Kind) -> String {
        let Shape { size, fps } = self;
        match kind {
            Kind::Pictures => {
                let size = match size {
                    Some((width, height)) => format!("width={width},height={height}"),
                    None => format!("width=[16,{},2],height=[16,{},2]", MOST.0, MOST.1),
                };
                // Leaves out, never repeats: a repeated picture costs bits and tells nothing.
                format!(
                    "queue max-size-buffers=2 max-size-bytes=0 max-size-time=0 ! videorate drop-only=true max-rate={fps} \
                     ! videoconvert ! videoflip video-direction=auto ! videoscale add-borders=true \
                     ! capsfilter caps=\"video/x-raw,format=I420,pixel-aspect-ratio=1/1,{size}\""
                )
            }
            Kind::Sound => format!(
                "queue ! audioconvert ! audioresample \
                 ! capsfilter caps=\"audio/x-raw,format=F32LE,layout=interleaved,channels=1,rate={}\"",
                lane::RATE
            ),
        }
    }
}

/// Builds the pipeline for `config` and leaves it standing.
pub(super) fn build(config: &SourceConfig, shared: &Arc<Shared>, branches: &Branches) -> Result<(), SourceError> {
    let shape = Shape {
        size: config.size,
        fps: config.fps.max(1),
    };
    match &config.origin {
        Origin::Address(address) => {
            let decoder = made(gst::ElementFactory::make("uridecodebin").property("uri", address))?;
            shared.pipeline.add(&decoder).map_err(refused)?;
            follow(&decoder, shared, branches, shape);
        }
        Origin::Camera(device) => {
            let camera = made(gst::ElementFactory::make("v4l2src").property("device", device))?;
            decode(&camera, shared, branches, shape)?;
            // Without a microphone it gives silence.
            decode(
                &made(gst::ElementFactory::make("autoaudiosrc"))?,
                shared,
                branches,
                shape,
            )?;
        }
    }
    Ok(())
}

fn decode(source: &gst::Element, shared: &Arc<Shared>, branches: &Branches, shape: Shape) -> Result<(), SourceError> {
    let decoder = made(gst::ElementFactory::make("decodebin"))?;
    shared.pipeline.add(source).map_err(refused)?;
    shared.pipeline.add(&decoder).map_err(refused)?;
    source.link(&decoder).map_err(refused)?;
    follow(&decoder, shared, branches, shape);
    Ok(())
}

/// Grows a branch for each stream that `decoder` finds. Its threads call: they keep no pipeline alive.
fn follow(decoder: &gst::Element, shared: &Arc<Shared>, branches: &Branches, shape: Shape) {
    let (shared, branches) = (Arc::downgrade(shared), branches.clone());
    decoder.connect_pad_added(move |_, pad| {
        let Some(shared) = shared.upgrade() else { return };
        if let Err(error) = branches.grow(pad, &shared.pipeline, &shape) {
            shared.complain(error);
        }
    });
}

fn kind_of(pad: &gst::Pad) -> Option<Kind> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    match caps.structure(0)?.name().as_str() {
        "video/x-raw" => Some(Kind::Pictures),
        "audio/x-raw" => Some(Kind::Sound),
        _ => None,
    }
}

/// Lets it roll: the first frames are there, the start is found, and frames follow.
pub(super) fn roll(config: &SourceConfig, shared: &Shared) -> Result<(), SourceError> {
    reach(gst::State::Paused, config.patience, shared)?;
    let mut latency = gst::query::Latency::new();
    if shared.pipeline.query(&mut latency) && latency.result().0 {
        shared.set_live();
    }
    if config.start > Span::ZERO {
        shared.rewind()?;
    }
    reach(gst::State::Playing, config.patience, shared)
}

fn reach(state: gst::State, patience: Span, shared: &Shared) -> Result<(), SourceError> {
    let mut waited = Span::ZERO;
    let mut change = shared.pipeline.set_state(state);
    loop {
        shared.check()?;
        match change {
            Ok(gst::StateChangeSuccess::Success) => return Ok(()),
            Ok(gst::StateChangeSuccess::NoPreroll) => {
                shared.set_live();
                return Ok(());
            }
            Ok(_) if waited < patience => {
                waited += LOOK;
                change = shared.pipeline.state(clock_time(LOOK)).0;
            }
            Ok(_) => return Err(SourceError::Silent((patience.nanos() + 999_999_999) / 1_000_000_000)),
            Err(error) => {
                // The reason may have come in between.
                shared.check()?;
                return Err(shared.missing().unwrap_or_else(|| refused(error)));
            }
        }
    }
}

fn made(builder: gst::element_factory::ElementBuilder<'_>) -> Result<gst::Element, SourceError> {
    builder.build().map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> SourceError {
    SourceError::Unplayable(trouble::printable(&error.to_string()))
}
