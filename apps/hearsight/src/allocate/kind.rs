//! What a question needs bits for, by its words.

use hearsight_core::allocate::Kind;

/// Words that tell, the first that fits.
const WORDS: [(Kind, &[&str]); 4] = [
    (Kind::Count, &["how many", "count"]),
    (
        Kind::Text,
        &[
            "say", "says", "said", "read", "written", "write", "sign", "text", "word", "words", "label", "name",
            "number", "price", "title", "spell", "letter", "letters",
        ],
    ),
    (
        Kind::Place,
        &["where", "left", "right", "above", "below", "behind", "beside"],
    ),
    (
        Kind::Look,
        &[
            "colour", "color", "look", "looks", "wear", "wearing", "shape", "kind", "what is", "who",
        ],
    ),
];

/// The kind of a question in a person's words.
pub fn kind_of(question: &str) -> Kind {
    let plain: String = question
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_alphanumeric() { letter } else { ' ' })
        .collect();
    let spaced = format!(" {} ", plain.split_whitespace().collect::<Vec<_>>().join(" "));
    let tells = |words: &&(Kind, &[&str])| words.1.iter().any(|word| spaced.contains(&format!(" {word} ")));
    WORDS.iter().find(tells).map_or(Kind::Other, |(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_tell_what_they_need() {
        for (question, kind) in [
            ("What does the sign say?", Kind::Text),
            ("what's written on the LABEL", Kind::Text),
            ("How many cars are there?", Kind::Count),
            ("Where is the red ball?", Kind::Place),
            ("What colour is the door?", Kind::Look),
            ("Is it raining?", Kind::Other),
            ("essay?", Kind::Other),
            ("", Kind::Other),
            ("¿?\u{0}", Kind::Other),
        ] {
            assert_eq!(kind_of(question), kind, "{question}");
        }
    }
}
