//! From columns of chances to text: greedy decoding of connectionist temporal classification (Graves et al. 2006).

use hearsight_core::media::Certainty;

use super::Text;

/// The characters that a model tells apart; the first class is the blank between them.
pub(super) struct Letters {
    characters: Vec<String>,
}

impl Letters {
    /// From the list that the model's file carries, one character a line, to which the reference adds a space. Needs as many
    /// as the model has classes beside the blank.
    pub(super) fn parse(list: &str, classes: usize) -> Option<Letters> {
        // No `lines()`: some characters of the list are line separators to Unicode, and none may be skipped.
        let mut characters: Vec<String> = list
            .split('\n')
            .map(|line| line.trim_end_matches('\r').to_owned())
            .collect();
        if characters.last().is_some_and(String::is_empty) {
            characters.pop();
        }
        characters.push(" ".into());
        (characters.len() + 1 == classes).then_some(Letters { characters })
    }

    /// How many classes a column has.
    pub(super) fn classes(&self) -> usize {
        self.characters.len() + 1
    }

    /// Reads columns of `classes` chances each. A character that stands in several neighbouring columns is one.
    pub(super) fn decode(&self, columns: &[f32]) -> Text {
        let (mut text, mut certainty, mut count, mut before) = (String::new(), 0.0, 0, 0);
        for column in columns.chunks_exact(self.classes()) {
            let Some((class, chance)) = column.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)) else {
                continue;
            };
            if class != 0 && class != before {
                text.push_str(&self.characters[class - 1]);
                certainty += chance;
                count += 1;
            }
            before = class;
        }
        Text {
            text: text.trim().to_owned(),
            certainty: Certainty::new(certainty / count.max(1) as f32),
            turned: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_collapse_blanks_part_and_the_certainty_is_that_of_the_characters() {
        let letters = Letters::parse("a\nb\r\n", 4).expect("two characters, a space and the blank");
        let column = |class: usize, chance: f32| {
            let mut column = [0.0; 4];
            column[class] = chance;
            column
        };
        let columns =
            [(1, 0.9), (1, 0.8), (0, 1.0), (1, 0.7), (2, 0.5), (3, 1.0)].map(|(class, chance)| column(class, chance));
        let read = letters.decode(columns.as_flattened());
        assert_eq!(read.text, "aab");
        assert!((read.certainty.get() - (0.9 + 0.7 + 0.5 + 1.0) / 4.0).abs() < 1e-6);
        assert_eq!(letters.decode(&[]).text, "");
        assert_eq!(letters.decode(&[f32::NAN; 11]).certainty.get(), 0.0);
    }

    #[test]
    fn a_list_of_another_length_is_refused() {
        assert!(Letters::parse("a\nb\n", 5).is_none());
        assert!(Letters::parse("", 1).is_none());
    }
}
