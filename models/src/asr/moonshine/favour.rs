//! What is likely to be said: the tokens of hints are favoured where they begin or go on with one (shallow fusion).

use std::sync::Arc;

use crate::asr::Hints;
use crate::asr::pieces::Pieces;

/// How much more likely the first token of a hint is held, in nats. Little: any word might begin here.
const BEGINS: f32 = 0.7;
/// …and the others, where what was said of the word is how a hint begins.
const GOES_ON: f32 = 2.5;

/// For each word of the hints what it is, in bytes, and which tokens go on at each of them.
#[derive(Default)]
pub(super) struct Favour {
    words: Vec<Word>,
    /// What each token of the words stands for; other tokens are not looked at.
    pieces: Option<Arc<Pieces>>,
}

struct Word {
    bytes: Vec<u8>,
    next: Vec<Vec<i64>>,
}

impl Favour {
    pub(super) fn new(pieces: &Arc<Pieces>, hints: &Hints) -> Favour {
        let said = hints.iter().flat_map(str::split_whitespace);
        let words = said.map(|word| {
            let bytes = pieces.spelt(word);
            let next = (0..bytes.len()).map(|at| pieces.beginnings(&bytes[at..])).collect();
            Word { bytes, next }
        });
        let words: Vec<Word> = words.collect();
        Favour {
            pieces: (!words.is_empty()).then(|| pieces.clone()),
            words,
        }
    }

    /// The tokens that are favoured after `said`, and by how much.
    pub(super) fn after(&self, said: impl DoubleEndedIterator<Item = i64>) -> Vec<(i64, f32)> {
        let Some(pieces) = &self.pieces else {
            return Vec::new();
        };
        let begun = pieces.begun(said);
        let mut favoured: Vec<(i64, f32)> = Vec::new();
        let mut favour = |tokens: &[i64], more: f32| {
            for &token in tokens {
                match favoured.iter_mut().find(|(known, _)| *known == token) {
                    Some(known) => known.1 = known.1.max(more),
                    None => favoured.push((token, more)),
                }
            }
        };
        for word in &self.words {
            favour(&word.next[0], BEGINS);
            if !begun.is_empty() && begun.len() < word.bytes.len() && word.bytes.starts_with(&begun) {
                favour(&word.next[begun.len()], GOES_ON);
            }
        }
        favoured
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_begin_or_go_on_with_a_hint_are_favoured_however_it_is_spelt() {
        let pieces = ["", " he", " hear", "ar", "sight", "s", " sea", "sea"];
        let pieces = pieces.map(|piece| piece.as_bytes().into()).to_vec();
        let pieces = Arc::new(Pieces::spaced(pieces));
        let favour = Favour::new(&pieces, &Hints::new(["hearsight"]).unwrap());
        let after = |said: &[i64]| {
            let mut favoured = favour.after(said.iter().copied());
            favoured.sort_by_key(|(token, _)| *token);
            favoured
        };
        let begins = [(1, BEGINS), (2, BEGINS)];
        assert_eq!(after(&[]), begins);
        assert_eq!(after(&[6]), begins, "another word");
        assert_eq!(after(&[1]), [begins[0], begins[1], (3, GOES_ON)]);
        for heard in [&[2][..], &[1, 3], &[6, 1, 3]] {
            assert_eq!(
                after(heard),
                [begins[0], begins[1], (4, GOES_ON), (5, GOES_ON)],
                "{heard:?}"
            );
        }
        assert_eq!(after(&[2, 4]), begins, "it is said");
        assert_eq!(after(&[4, 5]), begins, "a word that began before what is known of it");
        assert!(
            Favour::new(&pieces, &Hints::default())
                .after([1].into_iter())
                .is_empty()
        );
    }
}
