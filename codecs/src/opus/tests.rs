use hearsight_core::stage::Gap;

use super::*;
use crate::encode::{OpusConfig, OpusEncoder};
use crate::hearing::Hearing;
use crate::scenes::{snr, voice};

fn coded(config: OpusConfig, sound: &[f32], frame: usize) -> Vec<Packet> {
    let mut encoder = OpusEncoder::new(config).expect("libopus");
    sound
        .chunks_exact(frame)
        .map(|frame| encoder.encode(frame).expect("encodes"))
        .collect()
}

fn stamped(micros: i64, packet: Packet) -> Signal<Packet> {
    Signal::Item(Stamped::new(
        MediaTime::from_nanos(micros * 1000),
        Moment::from_nanos(micros * 1000),
        packet,
    ))
}

/// What came of some steps: the sound, and how many units were lost.
#[derive(Default)]
struct Heard {
    sounds: Vec<Stamped<Pcm>>,
    lost: u64,
}

impl Heard {
    fn step(&mut self, stage: &mut dyn Stage<In = Packet, Out = Pcm>, signal: Signal<Packet>) {
        let mut out = Outbox::default();
        stage.step(Moment::ZERO, signal, &mut out);
        for signal in out.drain() {
            match signal {
                Signal::Item(sound) => self.sounds.push(sound),
                Signal::Gap(gap) => self.lost += u64::from(gap.count),
                _ => {}
            }
        }
    }

    fn samples(&self) -> Vec<f32> {
        self.sounds
            .iter()
            .flat_map(|sound| sound.item.samples.to_vec())
            .collect()
    }

    /// The furthest that a unit lies from the end of the one before.
    fn widest_seam(&self) -> Span {
        let seams = self
            .sounds
            .windows(2)
            .map(|pair| pair[1].at - (pair[0].at + pair[0].item.span()));
        seams.map(|seam| seam.max(-seam)).max().unwrap_or(Span::ZERO)
    }
}

#[test]
fn what_was_said_is_heard_at_every_frame_size() {
    let said = voice(96_000, RATE);
    for frame in [120, 240, 480, 960, 1920, 2880, 3840, 4800, 5760] {
        // For music: the coder for speech filters what it hears, which no comparison of samples survives.
        let mut encoder = ::opus::Encoder::new(RATE, Channels::Mono, ::opus::Application::Audio).expect("libopus");
        encoder.set_bitrate(::opus::Bitrate::Bits(128_000)).expect("known");
        let lookahead = encoder.get_lookahead().expect("known") as usize;
        let (mut stage, mut heard) = (Decode::new().expect("libopus"), Heard::default());
        for (n, sound) in said.chunks_exact(frame).enumerate() {
            let payload = encoder.encode_vec_float(sound, 8000).expect("encodes").into();
            let packet = Packet {
                codec: Codec::Opus,
                payload,
                key: true,
                missing: 0,
            };
            heard.step(&mut stage, stamped((n * frame) as i64 * 125 / 6, packet));
        }
        let samples = heard.samples();
        assert_eq!(samples.len(), said.len() / frame * frame);
        assert!(
            heard.widest_seam() <= Span::from_micros(21),
            "{:?}",
            heard.widest_seam()
        );
        let quality = snr(&said[9600..said.len() - 9600], &samples[9600 + lookahead..]);
        assert!(quality > 20.0, "{quality} dB with frames of {frame}");
        assert_eq!(heard.lost, 0);
    }
}

/// The sound around packets 9, 19, 29…, which `lose` takes away, against the same sound without loss, in dB.
fn repaired(lose: impl Fn(&mut Decode, &mut Heard, i64, &[Packet], usize)) -> (f64, Heard) {
    let config = OpusConfig {
        bitrate: 40_000,
        expected_loss: 20,
    };
    let packets = coded(config, &voice(96_000, RATE), 960);
    let (mut whole, mut heard) = (Heard::default(), Heard::default());
    let (mut stage, mut other) = (Decode::new().expect("libopus"), Decode::new().expect("libopus"));
    for (n, packet) in packets.iter().enumerate() {
        whole.step(&mut stage, stamped(n as i64 * 20_000, packet.clone()));
        lose(&mut other, &mut heard, n as i64 * 20_000, &packets, n);
    }
    let (whole, samples) = (whole.samples(), heard.samples());
    let around = |samples: &[f32]| -> Vec<f32> {
        (9..99)
            .step_by(10)
            .flat_map(|n| samples[n * 960..(n + 1) * 960].to_vec())
            .collect()
    };
    (snr(&around(&whole), &around(&samples)), heard)
}

#[test]
fn the_copy_in_the_next_packet_repairs_better_than_concealment() {
    let (by_copy, heard) = repaired(|stage, heard, at, packets, n| {
        if n % 10 != 9 {
            let missing = u32::from(n % 10 == 0 && n > 0);
            heard.step(
                stage,
                stamped(
                    at,
                    Packet {
                        missing,
                        ..packets[n].clone()
                    },
                ),
            );
        }
    });
    assert_eq!(heard.lost, 0, "what was repaired is not lost");
    assert!(heard.widest_seam() <= Span::from_micros(21));
    let (by_guess, heard) = repaired(|stage, heard, at, packets, n| {
        let payload = if n % 10 == 9 {
            [0xff, 0xff].into()
        } else {
            packets[n].payload.clone()
        };
        heard.step(
            stage,
            stamped(
                at,
                Packet {
                    payload,
                    ..packets[n].clone()
                },
            ),
        );
    });
    assert_eq!(heard.lost, 10);
    assert!(
        by_copy > by_guess + 3.0,
        "{by_copy} dB by the copy, {by_guess} dB by concealment"
    );
}

#[test]
fn losses_up_to_100_ms_leave_no_hole_whatever_the_frame_size() {
    let said = voice(48_000, RATE);
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let frame = [120, 240, 480, 960, 1920, 2880][random.usize(0..6)];
        let packets = coded(OpusConfig::default(), &said, frame);
        let most = 4800 / frame;
        let (mut stage, mut heard, mut missing) = (Decode::new().expect("libopus"), Heard::default(), 0);
        for (n, packet) in packets.iter().enumerate() {
            if n > 0 && missing < most && n + 1 < packets.len() && random.u8(0..3) == 0 {
                missing += 1;
                continue;
            }
            let packet = Packet {
                missing: missing as u32,
                ..packet.clone()
            };
            missing = 0;
            let before = heard.sounds.len();
            let micros = (n * frame) as i64 * 125 / 6;
            heard.step(&mut stage, stamped(micros, packet));
            let born = Moment::from_nanos(micros * 1000);
            assert!(
                heard.sounds[before..].iter().all(|sound| sound.born == born),
                "the revealing packet's birth"
            );
        }
        assert_eq!(heard.lost, 0, "seed {seed}");
        assert_eq!(heard.samples().len(), packets.len() * frame, "seed {seed}");
        assert!(
            heard.widest_seam() <= Span::from_micros(30),
            "seed {seed}: {:?}",
            heard.widest_seam()
        );
    }
}

#[test]
fn a_longer_loss_is_a_gap_and_a_jump() {
    let packets = coded(OpusConfig::default(), &voice(48_000, RATE), 960);
    let (mut stage, mut heard) = (Decode::new().expect("libopus"), Heard::default());
    for (n, packet) in packets.into_iter().enumerate().filter(|(n, _)| !(10..16).contains(n)) {
        let missing = if n == 16 { 6 } else { 0 };
        heard.step(&mut stage, stamped(n as i64 * 20_000, Packet { missing, ..packet }));
    }
    assert_eq!((heard.lost, heard.widest_seam()), (6, Span::from_millis(120)));
    assert_eq!(heard.samples().len(), 44 * 960);
}

#[test]
fn damage_in_a_row_is_concealed_for_100_ms_and_then_silent() {
    let packets = coded(OpusConfig::default(), &voice(24_000, RATE), 960);
    let (mut stage, mut heard) = (Decode::new().expect("libopus"), Heard::default());
    for (n, packet) in packets.into_iter().enumerate() {
        let payload = if n < 10 { packet.payload } else { [0xff; 3].into() };
        heard.step(
            &mut stage,
            stamped(
                n as i64 * 20_000,
                Packet {
                    payload,
                    missing: 0,
                    ..packet
                },
            ),
        );
    }
    assert_eq!((heard.lost, heard.samples().len()), (15, 15 * 960));
}

#[test]
fn a_pause_of_the_senders_is_filled_and_old_packets_are_refused() {
    let packets = coded(OpusConfig::default(), &voice(9_600, RATE), 960);
    let (mut stage, mut heard) = (Decode::new().expect("libopus"), Heard::default());
    for (packet, at) in packets.iter().zip([0, 20, 420, 440, 420, 0]) {
        heard.step(&mut stage, stamped(at * 1000, packet.clone()));
    }
    assert_eq!((heard.lost, heard.widest_seam()), (2, Span::ZERO));
    assert_eq!(heard.samples().len(), 460 * 48);
    // Minutes back is another timeline.
    heard.step(&mut stage, stamped(-100_000_000, packets[6].clone()));
    assert_eq!(heard.sounds.last().map(|sound| sound.at.micros()), Some(-100_000_000));
}

#[test]
fn stereo_is_folded_to_mono() {
    let mut encoder = ::opus::Encoder::new(RATE, Channels::Stereo, ::opus::Application::Audio).expect("libopus");
    let said = voice(48_000, RATE);
    let both: Vec<f32> = said.iter().flat_map(|sample| [*sample, *sample * 0.5]).collect();
    let (mut stage, mut heard) = (Decode::new().expect("libopus"), Heard::default());
    for (n, frame) in both.chunks_exact(1920).enumerate() {
        let payload = encoder.encode_vec_float(frame, 4000).expect("encodes").into();
        let packet = Packet {
            codec: Codec::Opus,
            payload,
            key: true,
            missing: 0,
        };
        heard.step(&mut stage, stamped(n as i64 * 20_000, packet));
    }
    let lookahead = encoder.get_lookahead().expect("known") as usize;
    let folded: Vec<f32> = said.iter().map(|sample| sample * 0.75).collect();
    let quality = snr(&folded[4800..40_000], &heard.samples()[4800 + lookahead..]);
    assert!(quality > 10.0, "{quality} dB");
}

#[test]
fn whatever_comes_gives_bounded_finite_sound_and_the_next_good_packets_are_heard() {
    let packets = coded(OpusConfig::default(), &voice(48_000, RATE), 960);
    for seed in 0..25 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut stage = Hearing::new().expect("libopus");
        let mut heard = Heard::default();
        for _ in 0..40 {
            let mut packet = packets[random.usize(0..packets.len())].clone();
            packet.missing = if random.bool() { 0 } else { random.u32(..) };
            let mut payload = packet.payload.to_vec();
            match random.u8(0..5) {
                0 => payload.truncate(random.usize(0..payload.len())),
                1 => payload.iter_mut().for_each(|byte| *byte = random.u8(..)),
                2 => payload[0] = random.u8(..),
                3 => payload = (0..random.usize(0..2000)).map(|_| random.u8(..)).collect(),
                _ => {}
            }
            packet.payload = payload.into();
            let signal = match random.u8(0..12) {
                0 => Signal::Gap(Gap {
                    stage: "link",
                    why: Lost::TooOld,
                    count: 1,
                }),
                1 => Signal::Flush(hearsight_core::stage::Why::BargeIn),
                2 => stamped(random.i64(..) / 1_000_000, packet),
                _ => stamped(random.i64(-50_000..3_000_000), packet),
            };
            let before = heard.sounds.len();
            heard.step(&mut stage, signal);
            let made: usize = heard.sounds[before..]
                .iter()
                .map(|sound| sound.item.samples.len())
                .sum();
            assert!(made <= 16_000 * 13 / 10, "seed {seed}");
        }
        assert!(heard.samples().iter().all(|sample| sample.is_finite()), "seed {seed}");
        let mut after = Heard::default();
        after.step(
            &mut stage,
            Signal::Gap(Gap {
                stage: "link",
                why: Lost::TooOld,
                count: 1,
            }),
        );
        after.sounds.clear();
        for (n, packet) in packets.iter().enumerate() {
            after.step(&mut stage, stamped(n as i64 * 20_000, packet.clone()));
        }
        after.step(&mut stage, Signal::End);
        assert_eq!(after.samples().len(), 16_000, "seed {seed}");
        assert!(after.widest_seam() <= Span::from_micros(63), "seed {seed}");
    }
}

#[test]
fn random_bytes_never_panic_nor_make_more_than_a_packet_may_hold() {
    let mut stage = Decode::new().expect("libopus");
    let mut random = fastrand::Rng::with_seed(9);
    for n in 0..5000 {
        let length = if random.bool() { 12 } else { 1500 };
        let payload = (0..random.usize(0..length)).map(|_| random.u8(..)).collect();
        let mut heard = Heard::default();
        let packet = Packet {
            codec: Codec::Opus,
            payload,
            key: true,
            missing: random.u32(0..3),
        };
        heard.step(&mut stage, stamped(n * 20_000, packet));
        assert!(heard.samples().len() <= LONGEST + 48_000 && heard.samples().iter().all(|sample| sample.is_finite()));
    }
}

#[test]
fn hearing_counts_its_decoders_losses_and_keeps_the_order() {
    let packets = coded(OpusConfig::default(), &voice(24_000, RATE), 960);
    let mut stage = Hearing::new().expect("libopus");
    let mut order = Vec::new();
    for (n, packet) in packets.iter().enumerate().filter(|(n, _)| !(10..20).contains(n)) {
        let missing = if n == 20 { 10 } else { 0 };
        let mut out = Outbox::default();
        stage.step(
            Moment::ZERO,
            stamped(
                n as i64 * 20_000,
                Packet {
                    missing,
                    ..packet.clone()
                },
            ),
            &mut out,
        );
        order.extend(out.drain());
    }
    let gap = order
        .iter()
        .position(|signal| matches!(signal, Signal::Gap(_)))
        .expect("a gap");
    assert_eq!(
        order[gap],
        Signal::Gap(Gap {
            stage: "",
            why: Lost::Undecodable,
            count: 10
        })
    );
    let (Signal::Item(before), Signal::Item(after)) = (&order[gap - 1], &order[gap + 1]) else {
        panic!("sound on either side");
    };
    assert_eq!((before.at + before.item.span()).micros(), 200_000);
    assert_eq!((after.at.micros(), after.item.rate), (400_000, 16_000));
}
