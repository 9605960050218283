//! What each reader promises about any bytes.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;

use hearsight::demo::talk::Talk;
use hearsight::ingest::timeline::{Timeline, Track};
use hearsight::ingest::{self, Fragment, Ingest, MAX_FRAGMENT, Refusal};
use hearsight::send::OffsetFilter;
use hearsight::tape::Tape;
use hearsight::terminal::{Display, Terminal};
use hearsight::wire::{ToClient, ToServer};
use hearsight_codecs::h264;
use hearsight_codecs::hearing::Hearing;
use hearsight_core::media::{Codec, Decoded, Packet, Pcm};
use hearsight_core::stage::{Engine, Lost, Outbox, Signal, Stage};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;

/// An SDP offer of one who publishes, and of one who watches, through reading and negotiation to the door, which is closed.
pub fn offer(bytes: &[u8]) {
    static INGEST: OnceLock<Ingest> = OnceLock::new();
    let ingest = INGEST.get_or_init(|| {
        let config = ingest::Config::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        Ingest::start(config, Clock::new()).expect("ingest starts")
    });
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let shut = || Refusal::NotFound {
        detail: "closed".into(),
    };
    let both = [
        ingest.offer(text, |_, _| Err(shut())),
        ingest.watch(text, |_| Err(shut())),
        ingest.watch(&text.replace("a=sendonly", "a=recvonly"), |_| Err(shut())),
    ];
    for closed in both {
        let refused = closed.expect_err("the door is closed").to_string();
        assert!(refused.len() < 1_024, "a refusal of {} bytes", refused.len());
    }
    let stats = ingest.stats();
    let taken = (stats.open, stats.connecting, stats.viewers);
    assert_eq!(taken, (0, 0, 0), "a refused offer keeps no place");
}

/// What a client says of ICE after its offer.
pub fn fragment(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Fragment::parse(text) {
        Ok(fragment) => assert!(text.len() <= MAX_FRAGMENT && fragment.candidates <= text.lines().count()),
        Err(problem) => assert!(problem.to_string().len() < 1_024),
    }
}

/// The name that a STUN request asks for.
pub fn stun(bytes: &[u8]) {
    if let Some(name) = ingest::stun_request_name(bytes) {
        assert!(name.len() < bytes.len() && !name.contains(':'));
    }
}

/// A message of the data channel, from either side.
pub fn messages(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(message) = serde_json::from_str::<ToServer>(text) {
        let again = serde_json::to_string(&message).expect("what was read can be written");
        assert_eq!(serde_json::from_str::<ToServer>(&again).ok(), Some(message));
    }
    if let Ok(ToClient::Clock { t0_us, t1_us }) = serde_json::from_str(text) {
        let offset = OffsetFilter::default().take(t0_us, t1_us, t0_us.saturating_add(1_000));
        assert!(offset.is_none_or(|offset| offset.error_us >= 0));
    }
}

/// What a server says, printed for a person: it must not reach into their terminal.
pub fn terminal(bytes: &[u8]) {
    let mut seen = Vec::new();
    let mut terminal = Terminal::new(&mut seen, Display::Log);
    for (line, now) in String::from_utf8_lossy(bytes).lines().zip(0..) {
        if let Ok(event) = serde_json::from_str(line) {
            terminal
                .take(&event, Moment::from_millis(now))
                .expect("memory takes everything");
        }
    }
    terminal.finish(&[]).expect("memory takes everything");
    let printed = String::from_utf8(seen).expect("text");
    assert!(!printed.chars().any(|c| c.is_control() && c != '\n'), "{printed:?}");
}

/// RTP timestamps, sender reports and clock offsets in any order: births never lie after arrivals, and what is measured
/// never far before them.
pub fn timeline(bytes: &[u8]) {
    let mut timeline = Timeline::default();
    let mut now = Moment::ZERO;
    for step in bytes.as_chunks::<16>().0 {
        let track = if step[0] & 1 == 0 { Track::Sound } else { Track::Picture };
        let number =
            u64::from_le_bytes([step[1], step[2], step[3], step[4], step[5], step[6], step[7], step[8]]) as i64;
        let rtp = u32::from_le_bytes([step[9], step[10], step[11], step[12]]);
        now += Span::from_millis(i64::from(u16::from_le_bytes([step[13], step[14]])));
        match step[0] >> 1 & 3 {
            0 => timeline.clock_offset(Span::from_micros(number)),
            1 => timeline.report(track, Span::from_nanos(number), rtp),
            _ => {
                let rate = if step[15] == 0 { rtp } else { 90_000 };
                let placed = timeline.place(track, rtp, rate, now);
                assert!(placed.born <= now, "born after it arrived");
                assert!(placed.measured || placed.born == now, "a birth was guessed");
                assert!(now - placed.born <= hearsight::ingest::timeline::PLAUSIBLE);
            }
        }
    }
}

/// An Annex B stream cut into access units.
pub fn units_from_annex_b(stream: &[u8]) -> Vec<&[u8]> {
    let (mut units, mut start, mut shows) = (Vec::new(), 0, false);
    for (at, window) in stream.windows(5).enumerate() {
        let [0, 0, 1, header, first] = *window else { continue };
        let slice = matches!(header & 0x1f, 1 | 5);
        // A slice that begins at the first macroblock, or what can only stand before a picture (section 7.4.1.2.3).
        let begins = matches!(header & 0x1f, 6..=9) || slice && first & 0x80 != 0;
        if begins && shows {
            let end = if at > start && stream[at - 1] == 0 { at - 1 } else { at };
            units.push(&stream[start..end]);
            (start, shows) = (end, false);
        }
        shows |= slice;
    }
    units.push(&stream[start..]);
    units
}

/// An Annex B stream through the real decoder: what has a picture in it comes out as one, or is counted.
pub fn h264(bytes: &[u8]) {
    let limits = h264::Config::default();
    let mut decoder = h264::Decoder::new(limits).expect("libavcodec");
    let (mut owed, mut paid) = (0u64, 0u64);
    let mut step = |signal| {
        let mut out = Outbox::<Decoded>::default();
        decoder.run(Moment::ZERO, signal, &mut out).expect("no fault");
        for signal in out.drain() {
            match signal {
                Signal::Item(picture) => {
                    paid += 1;
                    whole(&picture.item, limits);
                }
                Signal::Gap(gap) => paid += u64::from(gap.count),
                _ => {}
            }
        }
    };
    for (number, unit) in units_from_annex_b(bytes).into_iter().take(64).enumerate() {
        let pictures = unit
            .windows(4)
            .filter(|w| w[..3] == [0, 0, 1] && (1..=5).contains(&(w[3] & 0x1f)));
        owed += u64::from(pictures.count() > 0);
        step(Signal::Item(stamped(number, Codec::H264, unit)));
    }
    step(Signal::End);
    assert!(paid >= owed, "{owed} units with pictures, {paid} pictures and losses");
}

fn whole(decoded: &Decoded, limits: h264::Config) {
    let (width, height) = (decoded.picture.width, decoded.picture.height);
    assert!(width.max(height) <= limits.long_side && width.min(height) <= limits.short_side);
    let planes = &decoded.picture.pixels;
    for (plane, (columns, rows)) in [
        (&planes.y, (width, height)),
        (&planes.u, (width.div_ceil(2), height.div_ceil(2))),
        (&planes.v, (width.div_ceil(2), height.div_ceil(2))),
    ] {
        assert!(rows == 0 || plane.row(rows as usize - 1, columns as usize).is_some());
    }
    let finite = |block: &hearsight_core::media::Block| block.dx.is_finite() && block.dy.is_finite();
    assert!(decoded.motion.blocks.iter().all(finite));
}

/// Opus packets, each after a byte of its length and one of the time since the one before: sound comes out, and not much
/// more of it than time has passed.
pub fn opus(bytes: &[u8]) {
    let mut hearing = Hearing::new().expect("memory");
    let (mut rest, mut at, mut number) = (bytes, MediaTime::ZERO, 0usize);
    let (mut samples, mut packets) = (0i64, 0i64);
    let mut out = Outbox::<Pcm>::default();
    while let [length, step, tail @ ..] = rest {
        let (payload, next) = tail.split_at((*length as usize).min(tail.len()));
        at += Span::from_millis(i64::from(*step & 0x3f) * 5);
        let mut unit = stamped(number, Codec::Opus, payload);
        unit.at = at;
        unit.item.missing = u32::from(*step >> 6);
        hearing.step(Moment::ZERO, Signal::Item(unit), &mut out);
        (rest, number, packets) = (next, number + 1, packets + 1);
    }
    hearing.step(Moment::ZERO, Signal::End, &mut out);
    for signal in out.drain() {
        match signal {
            Signal::Item(sound) => {
                assert_eq!(sound.item.rate, 16_000);
                assert!(sound.item.samples.iter().all(|sample| sample.is_finite()));
                samples += sound.item.samples.len() as i64;
            }
            Signal::Gap(gap) => assert!(gap.why != Lost::Replaced),
            _ => {}
        }
    }
    // A packet holds 120 ms at most, and pauses of up to a second are filled.
    let most = (at - MediaTime::ZERO) + Span::from_millis(120) * packets + Span::from_secs(2);
    assert!(
        samples <= most.samples(16_000),
        "{samples} samples of {packets} packets"
    );
}

/// A tape, and the stand-ins that it makes.
pub fn tape(bytes: &[u8]) {
    let Ok(mut tape) = Tape::parse(&String::from_utf8_lossy(bytes)) else {
        return;
    };
    let packets = std::mem::take(&mut tape.packets);
    let mut rooms = tape.rooms();
    for (now, unit) in packets {
        assert!(unit.item.payload.len() <= 1 << 20);
        let (mut sound, mut pictures) = (Outbox::default(), Outbox::default());
        rooms.opus.step(now, Signal::Item(unit.clone()), &mut sound);
        let _ = rooms.decode.run(now, Signal::Item(unit), &mut pictures);
    }
}

/// A settings file: read, or refused with a field or a place.
pub fn settings(bytes: &[u8]) {
    in_file("toml", bytes, |path| {
        let arguments = ["hearsight", "config", "--config"].map(std::ffi::OsString::from);
        let loaded = hearsight::config::load(arguments.into_iter().chain([path.as_os_str().to_owned()]));
        if let Err(problem) = loaded {
            assert!(!problem.to_string().is_empty());
        }
    });
}

/// The sound file of a talk, and its script.
pub fn talk(bytes: &[u8]) {
    let ending = if bytes.first() == Some(&b'{') { "json" } else { "wav" };
    in_file(ending, bytes, |path| {
        if ending == "json" {
            // A talk of one sample, so that its script is read.
            let mut wav =
                b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80>\0\0\0}\0\0\x02\0\x10\0data\x02\0\0\0".to_vec();
            wav.extend([0, 64]);
            std::fs::write(path.with_extension("wav"), wav).expect("a file");
        }
        match Talk::open(&path.with_extension("wav")) {
            Ok(talk) => assert!(talk.span() > Span::ZERO),
            Err(problem) => assert!(problem.to_string().contains("make setup")),
        }
    });
}

/// Messages between the server and its recogniser processes.
pub fn worker(bytes: &[u8]) {
    hearsight_models::asr::pocketsphinx::read_messages(bytes);
}

fn stamped(number: usize, codec: Codec, payload: &[u8]) -> Stamped<Packet> {
    let packet = Packet {
        codec,
        payload: payload.into(),
        key: false,
        missing: 0,
    };
    Stamped::new(MediaTime::from_millis(number as i64 * 33), Moment::ZERO, packet)
}

/// Readers that want a path get one of a folder that goes with the thread.
fn in_file(ending: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
    }
    FOLDER.with(|folder| {
        let path = folder.path().join("input").with_extension(ending);
        let mut file = std::fs::File::create(&path).expect("a file");
        file.write_all(bytes).expect("written");
        drop(file);
        read(&path);
    });
}
