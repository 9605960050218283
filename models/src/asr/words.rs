//! Tokens to words: when they were said, and how certain they are.

use std::ops::Range;
use std::sync::Arc;

use hearsight_core::time::Span;

use super::Heard;
use super::pieces::Pieces;

/// What a feature lasts, in every model here.
pub(super) const FEATURE: Span = Span::from_millis(20);
/// A word is not longer than this for each of its letters, and as much again: what goes beyond is a pause.
const PER_LETTER: usize = 6;
/// A word begins at most so many features before the decoder looks at it, and ends as many after.
const LINGERS: usize = 12;

/// One token of a hypothesis.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) id: i64,
    /// The chance that the decoder gives it.
    pub(super) chance: f32,
    /// The feature that it looked at most; none where the model does not say.
    pub(super) looked: Option<usize>,
    /// How many features there were when it was first in its place.
    pub(super) since: usize,
    /// In how many hypotheses in a row it was there.
    pub(super) times: u32,
}

/// A word, the tokens that spell it and the features in which it is heard.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) heard: Heard,
    pub(super) tokens: Range<usize>,
    pub(super) features: Range<usize>,
}

/// The words of `tokens`, in order, none before the one before it. `loud` says how loud each feature is: between two words the
/// quietest parts them.
pub(super) fn words(pieces: &Pieces, tokens: &[Token], loud: &[f32]) -> Vec<Placed> {
    let features = loud.len();
    let ids: Vec<i64> = tokens.iter().map(|token| token.id).collect();
    let spelt = pieces.words(&ids);
    let places = match looks(tokens, &spelt) {
        Some(looks) => by_looks(&looks, loud),
        None => by_arrival(tokens, &spelt, features),
    };
    let placed = spelt.into_iter().zip(places).map(|((text, range), place)| {
        let chance: f32 = tokens[range.clone()].iter().map(|token| token.chance).product();
        Placed {
            heard: Heard {
                text,
                start: FEATURE * place.start as i64,
                end: FEATURE * place.end as i64,
                certainty: Some(chance.clamp(0.0, 1.0)),
            },
            tokens: range,
            features: place,
        }
    });
    placed.collect()
}

type Spelt = (Arc<str>, Range<usize>);

/// Where the first and the last token of each word looked, each word after the one before; none if one of them does not say.
fn looks(tokens: &[Token], spelt: &[Spelt]) -> Option<Vec<(usize, usize)>> {
    let mut free = 0;
    let mut looks = Vec::new();
    for (_, range) in spelt {
        let seen: Option<Vec<usize>> = tokens[range.clone()].iter().map(|token| token.looked).collect();
        let seen = seen?;
        let first = seen.first()?.max(&free).to_owned();
        let last = seen.iter().copied().max()?.max(first);
        looks.push((first, last));
        free = last + 1;
    }
    Some(looks)
}

/// A word is heard around where it was looked at, and parted from its neighbours where it is quietest between their looks.
fn by_looks(looks: &[(usize, usize)], loud: &[f32]) -> Vec<Range<usize>> {
    let quietest = |from: usize, to: usize| {
        let (from, to) = (from.min(loud.len()), to.min(loud.len()));
        let between = (from..to).reduce(|best, at| if loud[at] < loud[best] { at } else { best });
        between.unwrap_or(to)
    };
    let place = |at: usize| {
        let (first, last) = looks[at];
        let start = match at.checked_sub(1) {
            Some(before) => quietest(looks[before].1 + 1, first + 1),
            None => quietest(first.saturating_sub(LINGERS), first + 1),
        };
        let end = match looks.get(at + 1) {
            Some(next) => quietest(last + 1, next.0 + 1),
            None => quietest(last + 1, last + LINGERS),
        };
        start.max(first.saturating_sub(LINGERS))..end.min(last + LINGERS).min(loud.len())
    };
    (0..looks.len()).map(place).collect()
}

/// Words that came with the same sound share it, by their letters.
fn by_arrival(tokens: &[Token], spelt: &[Spelt], features: usize) -> Vec<Range<usize>> {
    let letters = |word: &Spelt| word.0.chars().count().max(1);
    let since = |word: &Spelt| tokens[word.1.clone()].last().map_or(features, |token| token.since);
    let mut places: Vec<Range<usize>> = Vec::new();
    let mut begin = 0;
    while let Some(first) = spelt.get(places.len()) {
        let rest = &spelt[places.len()..];
        let until = since(first).clamp(begin, features);
        let count = rest.iter().take_while(|word| since(word) <= until).count().max(1);
        let all: usize = rest[..count].iter().map(|word| letters(word) + 1).sum();
        let from = begin.max(until.saturating_sub(PER_LETTER * all));
        let mut spent = 0;
        for word in &rest[..count] {
            let start = from + (until - from) * spent / all;
            spent += letters(word) + 1;
            places.push(start..from + (until - from) * spent / all);
        }
        begin = until;
    }
    places
}

/// `heard` in a stretch that begins after so many features of the segment.
pub(super) fn later(before: usize, heard: Heard) -> Heard {
    let before = FEATURE * before as i64;
    Heard {
        start: heard.start + before,
        end: heard.end + before,
        ..heard
    }
}

/// How loud each feature of `sound` is: the mean of its `samples`, however they swing.
pub(super) fn loudness(sound: &[f32], samples: usize) -> impl Iterator<Item = f32> + '_ {
    let loud = move |samples: &[f32]| samples.iter().map(|sample| sample.abs()).sum::<f32>() / samples.len() as f32;
    sound.chunks_exact(samples).map(loud)
}

/// The middle of the quietest tenth of a second among the last `within` features; the latest of equals.
pub(super) fn quietest(loud: &[f32], within: usize) -> usize {
    const TENTH: usize = 5;
    let from = loud.len().saturating_sub(within);
    let sums = loud[from..]
        .windows(TENTH)
        .map(|five| five.iter().sum::<f32>())
        .enumerate();
    let best = sums.reduce(|best, other| if other.1 <= best.1 { other } else { best });
    best.map_or(loud.len(), |(at, _)| from + at + TENTH / 2).max(1)
}

/// Whether `tokens` are more likely noise: by the geometric mean of their chances, which would be `least`.
pub(super) fn are_noise(tokens: &[Token], least: f32) -> bool {
    let doubt: f32 = tokens.iter().map(|token| -token.chance.max(1e-6).ln()).sum();
    doubt > -least.max(1e-6).ln() * tokens.len() as f32
}
