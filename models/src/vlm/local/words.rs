//! Words to tokens and back, and the prompt of SmolVLM's chat template with its pictures written out.

use std::fmt::Write;
use std::path::Path;
use std::str::FromStr;

use tokenizers::Tokenizer;

use super::folder::{BadModel, Folder, Shape};
use super::processor::Layout;

/// What the chat template opens a conversation with, and ends each turn with.
const START: &str = "<|im_start|>";
const TURN: &str = "<end_of_utterance>";
/// A picture's words of control.
const AROUND: &str = "<fake_token_around_image>";
const WHOLE: &str = "<global-img>";
const IMAGE: &str = "<image>";

/// The tokeniser of one model.
pub(super) struct Words {
    tokeniser: Tokenizer,
    /// Words that steer the model: no question may speak them.
    control: Vec<String>,
    end_of_turn: i64,
    words_per_tile: usize,
}

/// Whether a question opens its conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Next,
}

impl Words {
    /// Reads `tokenizer.json` and holds it against the rest of the model.
    pub(super) fn open(folder: &Folder, shape: &Shape) -> Result<Words, BadModel> {
        let (path, text) = folder.tokeniser()?;
        let tokeniser = Tokenizer::from_str(&text).map_err(|why| BadModel::damaged(&path, why))?;
        let added = tokeniser.get_added_tokens_decoder();
        let beyond = tokeniser.get_vocab(true).into_values().max().unwrap_or(0) as usize;
        if beyond >= shape.vocabulary {
            let why = format!("token {beyond} lies beyond the {} of config.json", shape.vocabulary);
            return Err(BadModel::unfit(&path, why));
        }
        let id = |word: &str| {
            let id = tokeniser.token_to_id(word).map(i64::from);
            id.ok_or_else(|| BadModel::unfit(&path, format!("it lacks the token {word}")))
        };
        for word in [START, AROUND, WHOLE, "<row_1_col_1>"] {
            id(word)?;
        }
        if id(IMAGE)? != shape.image_token {
            return Err(BadModel::unfit(
                &path,
                "its <image> is not config.json's image_token_id",
            ));
        }
        let end_of_turn = id(TURN)?;
        check_template(folder)?;
        let control = added
            .into_values()
            .filter(|token| token.special)
            .map(|token| token.content);
        Ok(Words {
            // An empty word is in every text.
            control: control.filter(|word| !word.is_empty()).collect(),
            end_of_turn,
            words_per_tile: shape.words_per_tile,
            tokeniser,
        })
    }

    /// Ends a turn.
    pub(super) fn end_of_turn(&self) -> i64 {
        self.end_of_turn
    }

    /// The tokens of a question about pictures of these layouts, up to where the answer begins. A [`Turn::Next`] follows the end
    /// of the turn before.
    pub(super) fn prompt(&self, turn: Turn, question: &str, pictures: &[Layout]) -> Result<Vec<i64>, String> {
        let mut text = match turn {
            Turn::First => format!("{START}User:"),
            Turn::Next => "\nUser:".to_owned(),
        };
        if pictures.is_empty() {
            text.push(' ');
        }
        for layout in pictures {
            self.picture(*layout, &mut text);
        }
        text.push_str(&self.harmless(question));
        let _ = write!(text, "{TURN}\nAssistant:");
        let encoded = self.tokeniser.encode_fast(text, false).map_err(|why| why.to_string())?;
        Ok(encoded.get_ids().iter().map(|&id| i64::from(id)).collect())
    }

    /// `get_image_prompt_string` of the reference.
    fn picture(&self, layout: Layout, text: &mut String) {
        let words = IMAGE.repeat(self.words_per_tile);
        for row in 1..=layout.rows {
            for column in 1..=layout.columns {
                let _ = write!(text, "{AROUND}<row_{row}_col_{column}>{words}");
            }
            text.push('\n');
        }
        if layout.rows > 0 {
            text.push('\n');
        }
        let _ = write!(text, "{AROUND}{WHOLE}{words}{AROUND}");
    }

    /// The question with its words of control broken by a space, so that they are said, not obeyed.
    fn harmless(&self, question: &str) -> String {
        let mut text = question.to_owned();
        // Breaking one may leave no other: a space is put inside, and none holds a space after its first character.
        for word in &self.control {
            if text.contains(word.as_str()) {
                let first = word.chars().next().map_or(0, char::len_utf8);
                let (head, tail) = word.split_at(first);
                text = text.replace(word.as_str(), &format!("{head} {tail}"));
            }
        }
        text
    }

    /// What the tokens say, without words of control.
    pub(super) fn text(&self, tokens: &[i64]) -> Result<String, String> {
        let ids: Vec<u32> = tokens.iter().filter_map(|&id| u32::try_from(id).ok()).collect();
        self.tokeniser.decode(&ids, true).map_err(|why| why.to_string())
    }
}

/// The prompt is written for one template: a model that was trained on another would be asked in a foreign tongue.
fn check_template(folder: &Folder) -> Result<(), BadModel> {
    let Some((path, template)) = folder.template()? else {
        return Ok(());
    };
    let speaks = [START, TURN, "Assistant:", "| capitalize"];
    match speaks.iter().find(|word| !template.contains(**word)) {
        Some(word) => Err(unfit_template(&path, word)),
        None => Ok(()),
    }
}

fn unfit_template(path: &Path, word: &str) -> BadModel {
    BadModel::unfit(path, format!("its chat template lacks {word}: it is not SmolVLM's"))
}
