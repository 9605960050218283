//! Music, which nobody may take for words: played here by rule and seed, so that it is there wherever this is measured.

use std::f32::consts::TAU;

use fastrand::Rng;

use super::sound::RATE;

/// Beats in a minute, halved: each step of a piece takes half a beat.
const STEPS_PER_MINUTE: usize = 216;
/// Samples of a step.
const STEP: usize = RATE * 60 / STEPS_PER_MINUTE;
/// Bars of eight steps in a piece: a little more than half a minute.
const BARS: usize = 14;
/// Four chords that go round, as semitones above the lowest A of a guitar, 110 Hz.
const CHORDS: [[i32; 3]; 4] = [[0, 3, 7], [8, 12, 15], [3, 7, 10], [10, 14, 17]];
/// The scale that melodies are made of.
const SCALE: [i32; 5] = [0, 3, 5, 7, 10];
/// As loud as speech in front of a microphone, the root of the mean square: 20 dB below full scale.
const LOUD: f32 = 0.1;

/// The pieces with their names: strings, an organ, a reed that moves like a voice, and a band.
pub(crate) fn pieces() -> [(&'static str, Vec<f32>); 4] {
    [
        ("strings", mixed(&[(plucked, 1.0)], 1)),
        ("organ", mixed(&[(organ, 1.0)], 2)),
        ("reed", mixed(&[(reed, 1.0), (plucked, 0.3)], 3)),
        (
            "band",
            mixed(&[(drums, 0.8), (plucked, 0.5), (reed, 0.4), (organ, 0.3)], 4),
        ),
    ]
}

type Part = fn(&mut [f32], &mut Rng);

/// Parts together, as loud as speech.
fn mixed(parts: &[(Part, f32)], seed: u64) -> Vec<f32> {
    let mut mix = vec![0.0; BARS * 8 * STEP];
    for (part, share) in parts {
        let mut alone = vec![0.0; mix.len()];
        part(&mut alone, &mut Rng::with_seed(seed));
        level(&mut alone, *share);
        mix.iter_mut().zip(&alone).for_each(|(sample, alone)| *sample += alone);
    }
    level(&mut mix, LOUD);
    mix.iter_mut().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
    mix
}

fn level(samples: &mut [f32], loud: f32) {
    let power: f32 = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32;
    let gain = loud / power.sqrt().max(1e-6);
    samples.iter_mut().for_each(|sample| *sample *= gain);
}

fn hertz(semitones: i32) -> f32 {
    110.0 * (semitones as f32 / 12.0).exp2()
}

/// Broken chords on strings: noise that goes round in a delay line and is smoothed at each turn (Karplus and Strong 1983).
fn plucked(out: &mut [f32], random: &mut Rng) {
    for step in 0..out.len() / STEP {
        let chord = CHORDS[step / 8 % CHORDS.len()];
        let note = chord[step % 3] + if step % 8 > 3 { 12 } else { 0 };
        let mut line: Vec<f32> = (0..(RATE as f32 / hertz(note)) as usize)
            .map(|_| random.f32() * 2.0 - 1.0)
            .collect();
        let mut at = 0;
        for sample in out[step * STEP..].iter_mut().take(4 * STEP) {
            let next = (at + 1) % line.len();
            *sample += line[at];
            line[at] = 0.498 * (line[at] + line[next]);
            at = next;
        }
    }
}

/// Held chords of eight partials each, which swell a little.
fn organ(out: &mut [f32], _: &mut Rng) {
    for (number, sample) in out.iter_mut().enumerate() {
        let seconds = number as f32 / RATE as f32;
        let chord = CHORDS[number / (8 * STEP) % CHORDS.len()];
        let swell = 1.0 + 0.2 * (TAU * 5.5 * seconds).sin();
        let tone = |note: &i32| -> f32 {
            (1..=8)
                .map(|partial| (TAU * hertz(*note + 12) * partial as f32 * seconds).sin() / partial as f32)
                .sum()
        };
        *sample = swell * chord.iter().map(tone).sum::<f32>();
    }
}

/// One voice of odd partials that slides from note to note, trembles, breathes and rests: of all, the likest to a person.
fn reed(out: &mut [f32], random: &mut Rng) {
    let (mut pitch, mut phase, mut loud, mut goal) = (hertz(24), 0.0f32, 0.0f32, Some(24));
    for (number, sample) in out.iter_mut().enumerate() {
        if number % (2 * STEP) == 0 {
            let note = 24 + SCALE[random.usize(0..SCALE.len())];
            goal = (random.f32() > 0.2).then_some(note);
        }
        let seconds = number as f32 / RATE as f32;
        let aim = goal.map_or(pitch, hertz);
        pitch += (aim - pitch) * 0.002;
        loud += (f32::from(goal.is_some()) - loud) * 0.001;
        phase += TAU * pitch * (1.0 + 0.008 * (TAU * 5.0 * seconds).sin()) / RATE as f32;
        let tone: f32 = (0..6)
            .map(|n| 2 * n + 1)
            .map(|odd| (phase * odd as f32).sin() / odd as f32)
            .sum();
        *sample = loud * (tone + 0.05 * (random.f32() - 0.5));
    }
}

/// A drum that falls in pitch on every second beat, one of noise between, and a cymbal on every step.
fn drums(out: &mut [f32], random: &mut Rng) {
    for step in 0..out.len() / STEP {
        for (number, sample) in out[step * STEP..].iter_mut().take(STEP).enumerate() {
            let seconds = number as f32 / RATE as f32;
            let noise = random.f32() * 2.0 - 1.0;
            *sample += 0.3 * noise * (-60.0 * seconds).exp();
            *sample += match step % 4 {
                0 => {
                    2.0 * (TAU * (55.0 * seconds + 4.0 * (1.0 - (-30.0 * seconds).exp()))).sin()
                        * (-12.0 * seconds).exp()
                }
                2 => noise * (-20.0 * seconds).exp(),
                _ => 0.0,
            };
        }
    }
}
