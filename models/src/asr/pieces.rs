//! A tokeniser's other half: tokens back to words.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::folder::{BadModel, read};

/// 32 768 pieces of a few bytes each are 250 kB.
const MOST_BYTES: u64 = 16 << 20;
/// Where a word begins, in most vocabularies: U+2581.
const MARK: &[u8] = "\u{2581}".as_bytes();

/// Tokens of a word that are looked at, from its end.
const LONGEST_WORD: usize = 24;

/// What each token stands for.
#[derive(Debug)]
pub(super) struct Pieces {
    pieces: Vec<Box<[u8]>>,
    /// What a piece begins with where a word does.
    begin: &'static [u8],
}

impl Pieces {
    /// Reads `tokenizer.bin` in `folder`: for each token its length, in one byte below 128 or in two, and its bytes.
    pub(super) fn read(folder: &Path, vocabulary: usize) -> Result<Pieces, BadModel> {
        let path = folder.join("tokenizer.bin");
        let bytes = read(&path, MOST_BYTES)?;
        let pieces = split(&bytes).ok_or_else(|| BadModel::damaged(&path, "a piece is cut off"))?;
        if pieces.len() < vocabulary {
            let why = format!("{} pieces for {vocabulary} tokens", pieces.len());
            return Err(BadModel::unfit(&path, why));
        }
        Ok(Pieces { pieces, begin: MARK })
    }

    /// Pieces that begin with a space where a word does.
    pub(super) fn spaced(pieces: Vec<Box<[u8]>>) -> Pieces {
        Pieces { pieces, begin: b" " }
    }

    /// The bytes of `word` as tokens spell it where it begins.
    pub(super) fn spelt(&self, word: &str) -> Vec<u8> {
        [self.begin, word.as_bytes()].concat()
    }

    /// The tokens that `bytes` may begin with.
    pub(super) fn beginnings(&self, bytes: &[u8]) -> Vec<i64> {
        let fits = |piece: &[u8]| !piece.is_empty() && bytes.starts_with(piece);
        let tokens = self.pieces.iter().zip(0..).filter(|(piece, _)| fits(piece));
        tokens.map(|(_, token)| token).collect()
    }

    /// The bytes of the last word of `tokens`, from where it begins; none where it began nowhere.
    pub(super) fn begun(&self, tokens: impl DoubleEndedIterator<Item = i64>) -> Vec<u8> {
        let mut last = Vec::new();
        for token in tokens.rev().take(LONGEST_WORD) {
            last.push(token);
            if self.piece(token).starts_with(self.begin) {
                return last
                    .iter()
                    .rev()
                    .flat_map(|&token| self.piece(token))
                    .copied()
                    .collect();
            }
        }
        Vec::new()
    }

    fn piece(&self, token: i64) -> &[u8] {
        let place = usize::try_from(token).ok();
        place.and_then(|at| self.pieces.get(at)).map_or(&[], |piece| piece)
    }

    /// The words of `tokens`, each with the tokens that spell it. Words of no letters are left out.
    pub(super) fn words(&self, tokens: &[i64]) -> Vec<(Arc<str>, Range<usize>)> {
        let mut begins: Vec<usize> = (0..tokens.len())
            .filter(|&at| at == 0 || self.piece(tokens[at]).starts_with(self.begin))
            .collect();
        begins.push(tokens.len());
        let word = |pair: &[usize]| {
            let range = pair[0]..pair[1];
            let text = self.text(&tokens[range.clone()]);
            (!text.is_empty()).then_some((text, range))
        };
        begins.windows(2).filter_map(word).collect()
    }

    fn text(&self, tokens: &[i64]) -> Arc<str> {
        let mut bytes = Vec::new();
        for &token in tokens {
            let piece = self.piece(token);
            match byte(piece) {
                Some(byte) => bytes.push(byte),
                None => bytes.extend_from_slice(piece),
            }
        }
        let text = String::from_utf8_lossy(&bytes).replace('\u{2581}', " ");
        text.trim().into()
    }
}

/// The byte that a piece such as `<0xC3>` stands for.
fn byte(piece: &[u8]) -> Option<u8> {
    let digits = piece.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    (digits.len() == 2)
        .then(|| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
        .flatten()
}

fn split(mut bytes: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let mut pieces = Vec::new();
    while let Some((&first, rest)) = bytes.split_first() {
        bytes = rest;
        let mut size = usize::from(first);
        if size >= 128 {
            let (&second, rest) = bytes.split_first()?;
            size = usize::from(second) * 128 + size - 128;
            bytes = rest;
        }
        let (piece, rest) = bytes.split_at_checked(size)?;
        pieces.push(piece.into());
        bytes = rest;
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(list: &[&str]) -> Pieces {
        Pieces {
            pieces: list.iter().map(|piece| piece.as_bytes().into()).collect(),
            begin: MARK,
        }
    }

    #[test]
    fn words_are_spelt_from_their_pieces() {
        let pieces = pieces(&["", "▁", "▁na", "ï", "ve", "<0xC3>", "<0xA4>", "▁,", "'s"]);
        let words = |tokens: &[i64]| -> Vec<(String, Range<usize>)> {
            let spelt = pieces.words(tokens).into_iter();
            spelt.map(|(word, range)| (word.to_string(), range)).collect()
        };
        assert_eq!(words(&[2, 3, 4, 8]), [("naïve's".to_owned(), 0..4)]);
        assert_eq!(
            words(&[4, 2, 5, 6, 7]),
            [("ve".into(), 0..1), ("naä".into(), 1..4), (",".into(), 4..5)]
        );
        assert_eq!(words(&[1, 0, 4]), [("ve".to_owned(), 0..3)]);
        assert_eq!(words(&[1, 0]), []);
        assert_eq!(words(&[2, 5]), [("na\u{fffd}".to_owned(), 0..2)], "half a letter");
        assert_eq!(words(&[99, -1]), []);
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let long = vec![7u8; 300];
        let mut file = vec![0, 2, b'a', b'b', (300 % 128 + 128) as u8, (300 / 128) as u8];
        file.extend(&long);
        let read = split(&file).expect("whole");
        assert_eq!(read.len(), 3);
        assert_eq!(&*read[2], long.as_slice());
        for cut in [3, 5, 6, 100] {
            assert!(split(&file[..cut]).is_none(), "cut to {cut}");
        }
    }
}
