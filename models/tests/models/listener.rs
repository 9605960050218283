use hearsight_core::media::{Pcm, Voice};
use hearsight_core::stage::{Engine, Fault, Gap, Lost, Outbox, Signal, Why};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::files::BadFile;
use hearsight_models::runtime::Runtime;
use hearsight_models::vad::{Config, Listener, Silero, VoiceProbability, WINDOW};

use crate::speech::{files, packets, run, speak};

/// The probability is the loudness: a script written into the sound itself.
struct Loudness;

impl VoiceProbability for Loudness {
    fn window(&mut self, _at: MediaTime, samples: &[f32; WINDOW]) -> Result<f32, Fault> {
        Ok(samples.iter().map(|sample| sample.abs()).sum::<f32>() / WINDOW as f32)
    }
    fn reset(&mut self) {}
}

fn listener() -> Listener<Loudness> {
    Listener::new(Loudness, Config::default())
}

/// Speech (loud) and silence (faint) by turns, `spans` in windows.
fn turns(spans: &[usize], random: &mut fastrand::Rng) -> Vec<f32> {
    let mut samples = Vec::new();
    for (place, windows) in spans.iter().enumerate() {
        let level = if place % 2 == 1 { 0.9 } else { 0.01 };
        samples.extend((0..windows * WINDOW).map(|_| level * (1.0 - 0.05 * random.f32())));
    }
    samples
}

fn voices(signals: &[Signal<Voice>]) -> Vec<(MediaTime, Voice)> {
    let item = |signal: &Signal<Voice>| match signal {
        Signal::Item(unit) => Some((unit.at, unit.item.clone())),
        _ => None,
    };
    signals.iter().filter_map(item).collect()
}

/// Segments of speech are well formed: sound without holes between `Started` or a resumption after a rest and `Rested`, pauses inside
/// only, and an `Ended` after that.
fn check(voices: &[(MediaTime, Voice)], config: &Config) {
    let (mut open, mut rests, mut paused, mut next, mut length) = (false, false, false, None, Span::ZERO);
    let mut last_end = None;
    for (at, voice) in voices {
        match voice {
            Voice::Started => {
                assert!(!open);
                (open, rests, paused, next, length) = (true, false, false, None, Span::ZERO);
            }
            Voice::Sound(pcm) => {
                assert!(open && !rests);
                let join = next.or(last_end);
                assert!(next.is_none_or(|next| next == *at), "a hole inside a segment");
                assert!(join.is_none_or(|end| *at >= end), "sound was given twice");
                next = Some(*at + pcm.span());
                length += pcm.span();
                assert!(length <= Span::from_millis(32 * i64::from(config.longest_windows) + 400));
            }
            Voice::Paused => {
                assert!(open && !rests && !paused && next.is_some_and(|next| *at < next));
                paused = true;
            }
            Voice::Rested => {
                assert!(open && !rests && next.is_some_and(|next| *at <= next));
                (rests, paused, last_end) = (true, false, next);
            }
            Voice::Resumed if rests => (rests, next, length) = (false, None, Span::ZERO),
            Voice::Resumed => {
                assert!(open && paused && next == Some(*at));
                paused = false;
            }
            Voice::Ended => {
                assert!(open && next.is_some_and(|next| *at <= next));
                (open, last_end) = (false, next);
            }
        }
    }
    assert!(!open, "the end of the stream ends the segment");
}

#[test]
fn any_chunking_gives_the_same_voices() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let spans: Vec<usize> = (0..9).map(|_| random.usize(0..50)).collect();
        let samples = turns(&spans, &mut random);
        let whole = voices(&run(&mut listener(), packets(&samples, WINDOW)));
        check(&whole, &Config::default());
        let mut at = 0;
        let mut chunks = Vec::new();
        while at < samples.len() {
            let size = random.usize(1..3000).min(samples.len() - at);
            let mut packet = packets(&samples[at..at + size], size);
            for packet in &mut packet {
                packet.at += Span::from_samples(at as i64, 16_000);
            }
            chunks.extend(packet);
            at += size;
        }
        assert_eq!(voices(&run(&mut listener(), chunks)), whole, "seed {seed}");
    }
}

#[test]
fn pauses_and_ends_come_when_configured_and_point_to_the_end_of_speech() {
    let mut random = fastrand::Rng::with_seed(1);
    let samples = turns(&[20, 20, 6, 20, 30, 20, 60], &mut random);
    let mut listener = listener();
    let mut out = Outbox::default();
    let mut told = Vec::new();
    for packet in packets(&samples, 320) {
        let now = packet.born + Span::from_millis(20);
        listener.run(now, Signal::Item(packet), &mut out).expect("no fault");
        for signal in out.drain() {
            if let Signal::Item(unit) = signal
                && !matches!(unit.item, Voice::Sound(_))
            {
                told.push((unit.item.clone(), unit.at, unit.born, now));
            }
        }
    }
    let windows = |count: i64| MediaTime::ZERO + Span::from_millis(32 * count);
    let expected = [
        (Voice::Started, windows(20)),
        (Voice::Paused, windows(40)),
        (Voice::Resumed, windows(46)),
        (Voice::Paused, windows(66)),
        (Voice::Rested, windows(66)),
        (Voice::Resumed, windows(96)),
        (Voice::Paused, windows(116)),
        (Voice::Rested, windows(116)),
        (Voice::Ended, windows(116)),
    ];
    assert_eq!(
        told.iter()
            .map(|(voice, at, ..)| (voice.clone(), *at))
            .collect::<Vec<_>>(),
        expected
    );
    let config = Config::default();
    for (voice, at, born, now) in told {
        let captured = Moment::from_millis(1000) + (at - MediaTime::ZERO);
        assert!(captured - born <= Span::from_millis(20) && born - captured <= Span::ZERO + Span::from_millis(20));
        let delay = match voice {
            Voice::Started => config.onset_delay(),
            Voice::Paused => config.pause_delay(),
            Voice::Rested => config.rest_delay(),
            Voice::Ended => config.end_delay(),
            _ => continue,
        };
        assert!(
            now - captured <= delay + Span::from_millis(40),
            "{voice:?} after {:?}",
            now - captured
        );
    }
}

#[test]
fn the_pre_roll_is_there_and_long_speech_is_cut_without_losing_or_doubling_sound() {
    let mut random = fastrand::Rng::with_seed(2);
    let samples = turns(&[30, 2000, 20], &mut random);
    let voices = voices(&run(&mut listener(), packets(&samples, 320)));
    check(&voices, &Config::default());
    let started = voices
        .iter()
        .position(|(_, voice)| *voice == Voice::Started)
        .expect("a segment");
    assert!(voices[started].0 - voices[started + 1].0 >= Span::from_millis(250));
    let count = |what: &Voice| voices.iter().filter(|(_, voice)| voice == what).count();
    assert_eq!(count(&Voice::Started), 1, "it is one segment");
    assert_eq!(count(&Voice::Ended), 1);
    assert!((4..=5).contains(&count(&Voice::Rested)), "{}", count(&Voice::Rested));
    let sound: Span = voices
        .iter()
        .map(|(_, voice)| {
            if let Voice::Sound(pcm) = voice {
                pcm.span()
            } else {
                Span::ZERO
            }
        })
        .sum();
    assert!(sound >= Span::from_secs(64), "{sound:?}");
}

fn gap() -> Gap {
    Gap {
        stage: "decode",
        why: Lost::Undecodable,
        count: 1,
    }
}

#[test]
fn a_hole_is_a_gap_and_not_a_splice() {
    for (lost, ends) in [(5usize, false), (40, true)] {
        let mut random = fastrand::Rng::with_seed(3);
        let samples = turns(&[10, 100, 10], &mut random);
        let mut all: Vec<_> = packets(&samples, 320);
        let rest = all.split_off(80).split_off(lost);
        let mut listener = listener();
        let mut out = Outbox::default();
        for packet in all {
            listener
                .run(packet.born, Signal::Item(packet), &mut out)
                .expect("no fault");
        }
        listener
            .run(Moment::from_millis(1), Signal::Gap(gap()), &mut out)
            .expect("no fault");
        for packet in rest {
            listener
                .run(packet.born, Signal::Item(packet), &mut out)
                .expect("no fault");
        }
        listener
            .run(Moment::from_millis(1), Signal::End, &mut out)
            .expect("no fault");
        let signals: Vec<_> = out.drain().collect();
        let gaps = signals.iter().filter(|signal| matches!(signal, Signal::Gap(_))).count();
        assert_eq!(gaps, 1, "announced once");
        let place = signals
            .iter()
            .position(|signal| matches!(signal, Signal::Gap(_)))
            .expect("it is there");
        let before = voices(&signals[..place]);
        let (at, last) = before.last().expect("sound before");
        let Voice::Sound(last) = last else { panic!("{last:?}") };
        assert_eq!(
            *at + last.span(),
            MediaTime::from_millis(80 * 20),
            "all sound before the hole was given"
        );
        let after = voices(&signals[place..]);
        assert_eq!(matches!(after[0].1, Voice::Ended), ends);
        if !ends {
            assert_eq!(after[0].0, MediaTime::from_millis((80 + lost as i64) * 20));
        }
    }
}

#[test]
fn an_undeclared_hole_is_counted_and_late_sound_is_refused() {
    let mut random = fastrand::Rng::with_seed(4);
    let samples = turns(&[10, 60], &mut random);
    let mut all = packets(&samples, 320);
    let late = all.remove(50);
    all.insert(70, late);
    let signals = run(&mut listener(), all);
    let whys: Vec<_> = signals
        .iter()
        .filter_map(|signal| {
            if let Signal::Gap(gap) = signal {
                Some(gap.why)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(whys, [Lost::Undecodable, Lost::TooOld]);
}

#[test]
fn a_sender_that_vanishes_ends_its_segment_and_a_flush_forgets_it() {
    let mut random = fastrand::Rng::with_seed(5);
    let samples = turns(&[10, 50], &mut random);
    let mut listener = listener();
    let mut out = Outbox::default();
    let mut now = Moment::ZERO;
    for packet in packets(&samples, 320) {
        now = packet.born;
        listener.run(now, Signal::Item(packet), &mut out).expect("no fault");
    }
    out.drain().for_each(drop);
    listener
        .run(now + Span::from_millis(100), Signal::Timer, &mut out)
        .expect("no fault");
    assert!(out.signals().is_empty());
    listener
        .run(now + Span::from_secs(1), Signal::Timer, &mut out)
        .expect("no fault");
    assert!(matches!(voices(out.signals()).last(), Some((_, Voice::Ended))));
    out.drain().for_each(drop);
    for packet in packets(&samples, 320) {
        listener.run(now, Signal::Item(packet), &mut out).expect("no fault");
    }
    out.drain().for_each(drop);
    listener.run(now, Signal::Flush(Why::Seek), &mut out).expect("no fault");
    listener.run(now, Signal::End, &mut out).expect("no fault");
    assert!(voices(out.signals()).is_empty());
}

#[test]
fn hostile_sound_is_counted_and_holds_no_memory() {
    let mut listener = listener();
    let mut out = Outbox::default();
    for seed in 0..3000u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let size = *random.choice(&[0, 1, 7, 320, 8000, 8001, 100_000]).expect("one");
        let value = *random
            .choice(&[0.0, 1e30, f32::NAN, f32::INFINITY, -1.0, 1e-40])
            .expect("one");
        let rate = *random
            .choice(&[16_000, 16_000, 16_000, 0, 48_000, u32::MAX])
            .expect("one");
        let anywhere = random.i64(..);
        let at = *random
            .choice(&[0, i64::MIN, i64::MAX, anywhere, seed as i64])
            .expect("one");
        let pcm = Pcm {
            rate,
            samples: vec![value; size].into(),
        };
        let unit = Stamped::new(MediaTime::from_nanos(at), Moment::from_nanos(random.i64(..)), pcm);
        let _ = listener.run(Moment::from_nanos(random.i64(..)), Signal::Item(unit), &mut out);
        let sound: usize = voices(out.signals())
            .iter()
            .map(|(_, voice)| {
                if let Voice::Sound(pcm) = voice {
                    pcm.samples.len()
                } else {
                    0
                }
            })
            .sum();
        assert!(sound <= 8000 + 6000, "{sound} samples from one unit");
        out.drain().for_each(drop);
    }
}

#[test]
fn silero_finds_real_speech_and_nothing_else() {
    let files = files();
    let runtime = Runtime::open(&files.onnxruntime).expect("installed");
    let silero = || Silero::open(&runtime, &files.silero).expect("installed");
    let quiet = 16_000;
    let samples = speak("the quick brown fox jumps over the lazy dog", quiet);
    let mut listener = Listener::new(silero(), Config::default());
    let voices = voices(&run(&mut listener, packets(&samples, 320)));
    check(&voices, &Config::default());
    let started = voices
        .iter()
        .find(|(_, voice)| *voice == Voice::Started)
        .expect("speech")
        .0;
    let ended = voices
        .iter()
        .rfind(|(_, voice)| *voice == Voice::Ended)
        .expect("its end")
        .0;
    assert!(
        (started - MediaTime::from_millis(1000)).millis_f64().abs() < 250.0,
        "{started:?}"
    );
    let end = MediaTime::ZERO + Span::from_samples((samples.len() - quiet) as i64, 16_000);
    assert!(
        (ended - end).millis_f64().abs() < 300.0,
        "{ended:?}, speech ends at {end:?}"
    );
    let mut random = fastrand::Rng::with_seed(6);
    let noise: Vec<f32> = (0..160_000).map(|_| (random.f32() - 0.5) * 0.2).collect();
    let signals = run(&mut Listener::new(silero(), Config::default()), packets(&noise, 320));
    assert_eq!(signals, [Signal::End], "noise is no speech");
}

#[test]
fn missing_and_damaged_models_are_named_with_their_repair() {
    let files = files();
    let runtime = Runtime::open(&files.onnxruntime).expect("installed");
    let folder = std::env::temp_dir().join(format!("hs-vad-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("made");
    let model = folder.join("silero.onnx");
    let error = Silero::open(&runtime, &model).err().expect("it is missing");
    assert!(matches!(error, BadFile::Missing { .. }));
    for bytes in [vec![], vec![0x5a; 200_000]] {
        std::fs::write(&model, bytes).expect("written");
        let error = Silero::open(&runtime, &model).err().expect("it is damaged").to_string();
        assert!(
            error.contains("silero.onnx") && error.contains("make setup") && !error.contains('\n'),
            "{error}"
        );
    }
    let mut half = std::fs::read(&files.silero).expect("installed");
    half.truncate(half.len() / 2);
    std::fs::write(&model, half).expect("written");
    assert!(Silero::open(&runtime, &model).is_err());
    std::fs::remove_dir_all(&folder).expect("ours");
}
