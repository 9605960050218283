//! What was heard against what was said.

/// The words that count. Lower case; everything but letters, digits and apostrophes divides words; what stands in
/// `<…>`, `[…]` is no word; "uh", "um" and their like are left out; "mr", "mrs", "dr" are written out; "ok" is "okay".
pub(crate) fn words(text: &str) -> Vec<String> {
    let (mut plain, mut depth) = (String::new(), 0u32);
    for letter in text.chars().flat_map(char::to_lowercase) {
        match letter {
            '<' | '[' => depth += 1,
            '>' | ']' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '’' => plain.push('\''),
            _ if letter.is_alphanumeric() || letter == '\'' => plain.push(letter),
            _ => plain.push(' '),
        }
    }
    let fillers = ["uh", "um", "uhm", "hm", "hmm", "mm", "er", "erm", "ah"];
    let written = |word: &str| match word {
        "mr" => "mister".to_owned(),
        "mrs" => "missus".to_owned(),
        "dr" => "doctor".to_owned(),
        "ok" => "okay".to_owned(),
        _ => word.trim_matches('\'').to_owned(),
    };
    let kept = plain
        .split_whitespace()
        .filter(|word| !fillers.contains(word))
        .map(written);
    kept.filter(|word| !word.is_empty()).collect()
}

/// The least number of words to replace, put in and leave out (Levenshtein).
pub(crate) fn errors(reference: &[String], heard: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, word) in reference.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in heard.iter().enumerate() {
            let least = (diagonal + usize::from(word != other))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], least);
        }
    }
    row[heard.len()]
}

/// How many words of `before` the reader sees replaced or taken away when `after` takes its place.
pub(crate) fn revisions(before: &[String], after: &[String]) -> usize {
    let same = before.iter().zip(after).take_while(|(old, new)| old == new).count();
    before.len() - same
}

/// The value below which the share `part` of them lies; none of none.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let place = ((values.len() as f64 * part).ceil() as usize).max(1) - 1;
    values.get(place.min(values.len().saturating_sub(1))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_as_people_read_them() {
        let heard = words("Mr. O’Neil said: \"uh, it's [noise] OK\" <VOCNOISE>");
        assert_eq!(heard, ["mister", "o'neil", "said", "it's", "okay"]);
        assert_eq!(errors(&heard, &heard), 0);
        assert_eq!(errors(&words("a b c"), &words("a x c d")), 2);
        assert_eq!(errors(&words("a b c"), &[]), 3);
        assert_eq!(revisions(&words("a b c"), &words("a x c d")), 2);
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(&mut [], 0.5), None);
    }
}
