//! The language of tones that the tiny recognisers of the fixtures understand, spoken by the same arithmetic as in
//! `models/training/moonshine/tones.py`.

/// A syllable is two triangle waves with these periods, in samples at 16 kHz.
const SYLLABLES: [(&str, i64, i64); 8] = [
    ("ba", 20, 61),
    ("de", 27, 83),
    ("fo", 35, 97),
    ("gu", 44, 71),
    ("ki", 53, 33),
    ("lo", 67, 24),
    ("ma", 79, 47),
    ("ne", 89, 31),
];
/// The words, each as its syllables.
pub(crate) const WORDS: [&[&str]; 8] = [
    &["ba"],
    &["de"],
    &["fo"],
    &["gu", "ma"],
    &["ki", "lo"],
    &["ne", "de"],
    &["ma", "ba"],
    &["lo", "fo", "gu"],
];
/// Samples of a syllable, and of the pause between words.
pub(crate) const SYLLABLE: usize = 2400;
pub(crate) const PAUSE: usize = 1600;
/// The first tokens are control, then come beginnings of words, then what follows them.
const CONTROL: usize = 3;

/// What is written for `token`, with a space before where a word begins.
pub(crate) fn written(token: usize) -> String {
    let (begins, which) = ((token - CONTROL) < SYLLABLES.len(), (token - CONTROL) % SYLLABLES.len());
    format!("{}{}", if begins { " " } else { "" }, SYLLABLES[which].0)
}

/// A word as it is written.
pub(crate) fn spelt(word: &[&str]) -> String {
    word.concat()
}

fn triangle(at: i64, period: i64) -> i64 {
    (at * 2048 / period % 2048 - 1024).abs() - 512
}

/// −512..511, a linear congruential generator's higher bits.
pub(crate) fn noise(length: usize, seed: u32) -> Vec<i64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i64::from(state >> 22) - 512
    };
    (0..length).map(|_| next()).collect()
}

/// Sound as the models take it, of 16-bit samples.
pub(crate) fn samples(integers: impl IntoIterator<Item = i64>) -> Vec<f32> {
    integers.into_iter().map(|sample| sample as f32 / 32768.0).collect()
}

/// Words with pauses between them, over a hiss, as the fixtures have them; and where each word begins and ends.
pub(crate) fn speak(words: &[&[&str]], seed: u32) -> (Vec<f32>, Vec<std::ops::Range<usize>>) {
    let mut sound = vec![0; PAUSE];
    let mut places = Vec::new();
    for word in words {
        let begin = sound.len();
        for name in *word {
            let (_, first, second) = SYLLABLES[SYLLABLES
                .iter()
                .position(|(known, ..)| known == name)
                .expect("a syllable")];
            sound.extend((0..SYLLABLE as i64).map(|at| (triangle(at, first) + triangle(at, second)) * 12));
        }
        places.push(begin..sound.len());
        sound.extend([0; PAUSE]);
    }
    let hiss = noise(sound.len(), seed);
    let both = sound.iter().zip(hiss).map(|(tone, hiss)| tone + hiss.div_euclid(4));
    (samples(both), places)
}
