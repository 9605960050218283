//! The bare decoder that ours is measured by: libavcodec alone, one thread, the coded units already in memory.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ffmpeg_next::{ChannelLayout, Dictionary, Packet, codec, decoder, frame};
use hearsight_live::clock::Clock;
use hearsight_tests::rig::material::Track;
use hearsight_tests::rig::process;

/// How the units come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One after the other, as quickly as the decoder goes: with warm caches.
    Full,
    /// As in a call: each at its moment.
    Live,
}

/// The processor time that decoding `count` pictures takes. `flags` is what `flags2` is set to.
pub(crate) fn pictures(track: &Track, count: usize, flags: Option<&str>, pace: Pace) -> Result<Duration> {
    let codec = decoder::find_by_name("h264").context("libavcodec has no H.264 decoder")?;
    let mut options = Dictionary::new();
    options.set("threads", "1");
    if let Some(flags) = flags {
        options.set("flags2", flags);
    }
    let mut decoder = codec::Context::new_with_codec(codec)
        .decoder()
        .open_with(options)?
        .video()?;
    let mut shown = 0;
    let took = drive(track, count, pace, |unit| {
        decoder.send_packet(&Packet::copy(unit))?;
        let mut picture = frame::Video::empty();
        while decoder.receive_frame(&mut picture).is_ok() {
            shown += 1;
        }
        Ok(())
    })?;
    ensure!(shown == count, "the bare decoder showed {shown} of {count} pictures");
    Ok(took)
}

/// The processor time that decoding `count` packets of sound takes, to 48 kHz and no further.
pub(crate) fn sound(track: &Track, count: usize, pace: Pace) -> Result<Duration> {
    let codec = decoder::find_by_name("opus").context("libavcodec has no Opus decoder")?;
    let mut context = codec::Context::new_with_codec(codec).decoder();
    context.set_threading(codec::threading::Config::count(1));
    let mut decoder = context.audio()?;
    decoder.set_channel_layout(ChannelLayout::MONO);
    drive(track, count, pace, |unit| {
        decoder.send_packet(&Packet::copy(unit))?;
        let mut sound = frame::Audio::empty();
        while decoder.receive_frame(&mut sound).is_ok() {}
        Ok(())
    })
}

fn drive(track: &Track, count: usize, pace: Pace, mut decode: impl FnMut(&[u8]) -> Result<()>) -> Result<Duration> {
    let clock = Clock::new();
    let start = clock.now();
    // Nobody ever writes to it: reading waits, and ends at the moment given.
    let (_never, gate) = sync_channel::<()>(0);
    let before = process::own_time();
    for n in 0..count {
        if pace == Pace::Live {
            let wait = (start + track.due(n)) - clock.now();
            let _ = gate.recv_timeout(wait.to_duration());
        }
        decode(&track.unit(n))?;
    }
    Ok(process::own_time() - before)
}
