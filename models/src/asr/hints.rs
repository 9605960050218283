//! Words that a speaker is likely to say: names, products, terms.

use std::sync::Arc;

/// So many hints of a session, at most.
const MOST: usize = 64;
/// …of so many characters each.
const LONGEST: usize = 48;

/// Words that are likely, in the order in which they were given. Clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints(Arc<[String]>);

impl Hints {
    /// These words, without what is around them and without repetitions; none if there are too many, or one is too long or holds
    /// what is no text.
    pub fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Hints> {
        let mut hints: Vec<String> = Vec::new();
        for word in words {
            let word = word.trim();
            if word.chars().count() > LONGEST || word.contains(char::is_control) {
                return None;
            }
            if !word.is_empty() && !hints.iter().any(|known| known == word) {
                hints.push(word.to_owned());
            }
            if hints.len() > MOST {
                return None;
            }
        }
        Some(Hints(hints.into()))
    }

    /// These, then those of `others` for which there is room.
    pub fn after(&self, others: &Hints) -> Hints {
        let new = others.0.iter().filter(|word| !self.0.contains(word));
        let all = self.0.iter().chain(new).take(MOST);
        Hints(all.cloned().collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_bounded_tidied_and_joined_without_repeating_any() {
        let own = Hints::new([" Hearsight ", "", "Ada", "Ada"]).unwrap();
        assert_eq!(own.iter().collect::<Vec<_>>(), ["Hearsight", "Ada"]);
        let all = own.after(&Hints::new(["Ada", "Grace"]).unwrap());
        assert_eq!(all.iter().collect::<Vec<_>>(), ["Hearsight", "Ada", "Grace"]);
        let many: Vec<String> = (0..65).map(|at| at.to_string()).collect();
        assert_eq!(Hints::new(many.iter().map(String::as_str)), None, "too many");
        assert_eq!(Hints::new(["x".repeat(49).as_str()]), None, "too long");
        assert_eq!(Hints::new(["a\0b"]), None, "no text");
        let full = Hints::new(many[..64].iter().map(String::as_str)).unwrap();
        assert_eq!(full.after(&own).iter().count(), 64);
    }
}
