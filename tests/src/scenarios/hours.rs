//! An hour of sound at a telephone's and at a sound card's rate, through the product's resampler and detector: what is said at its end
//! is told at its own time, as at its beginning.

use std::sync::Arc;

use hearsight_codecs::resample::To16k;
use hearsight_core::media::{Pcm, Voice};
use hearsight_core::stage::{Engine, Fault, Outbox, Signal, Stage};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::vad::{Config, Listener, VoiceProbability, WINDOW};

const PACKET: Span = Span::from_millis(20);
/// Somebody speaks at the beginning of each of these, for twenty windows of the detector.
const TURN: Span = Span::from_secs(8);
const SPEECH: Span = Span::from_millis(640);
const HOUR: Span = Span::from_secs(3600);
/// How far off a time may be told.
const DRIFT: Span = Span::from_millis(20);

/// The probability is the loudness: a script written into the sound itself.
struct Loudness;

impl VoiceProbability for Loudness {
    fn window(&mut self, _at: MediaTime, samples: &[f32; WINDOW]) -> Result<f32, Fault> {
        Ok(samples.iter().map(|sample| sample.abs()).sum::<f32>() / WINDOW as f32)
    }
    fn reset(&mut self) {}
}

/// Each beginning and end of speech that is told in an hour of sound at `rate`.
fn told(rate: u32) -> Vec<(Voice, MediaTime)> {
    let packet = |level: f32| -> Arc<[f32]> { vec![level; PACKET.samples(rate) as usize].into() };
    let (loud, faint) = (packet(0.9), packet(0.001));
    let mut resample = To16k::from_any().expect("constants");
    let mut listener = Listener::new(Loudness, Config::default());
    let (mut sound, mut voices, mut told) = (Outbox::default(), Outbox::default(), Vec::new());
    for count in 0..HOUR.nanos() / PACKET.nanos() {
        let after = PACKET * count;
        let speaks = after.nanos() % TURN.nanos() < SPEECH.nanos();
        let samples = if speaks { loud.clone() } else { faint.clone() };
        let unit = Stamped::new(MediaTime::ZERO + after, Moment::ZERO + after, Pcm { rate, samples });
        let now = unit.born + PACKET;
        resample.step(now, Signal::Item(unit), &mut sound);
        for signal in sound.drain() {
            listener.run(now, signal, &mut voices).expect("no fault");
        }
        for signal in voices.drain() {
            match signal {
                Signal::Item(unit) if matches!(unit.item, Voice::Started | Voice::Ended) => {
                    told.push((unit.item, unit.at));
                }
                Signal::Gap(gap) => panic!("{rate} Hz: {gap:?}"),
                _ => {}
            }
        }
    }
    told
}

#[test]
fn an_hour_of_a_telephone_and_of_a_sound_card_does_not_drift() {
    for rate in [8_000, 48_000] {
        let told = told(rate);
        assert_eq!(told.len() as i64, 2 * (HOUR.nanos() / TURN.nanos()), "{rate} Hz");
        for (place, (voice, at)) in told.iter().enumerate() {
            let began = MediaTime::ZERO + TURN * (place / 2) as i64;
            let (expected, said) = match place % 2 {
                0 => (Voice::Started, began),
                _ => (Voice::Ended, began + SPEECH),
            };
            assert_eq!(*voice, expected, "{rate} Hz");
            let off = *at - said;
            assert!(
                off < DRIFT && -off < DRIFT,
                "{rate} Hz: {voice:?} of {said:?} is told at {at:?}"
            );
        }
    }
}
