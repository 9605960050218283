//! In which words each family asks.

use super::questions::Family;

/// The phrasing of a family that is kept for those who have not seen it, and those to learn from. `{}` stands for what is asked
/// about, `{side}` for a side of it.
pub(super) fn of(family: Family) -> (&'static str, &'static [&'static str]) {
    match family {
        Family::Word => (
            "Read the sign.",
            &[
                "What does the sign say?",
                "Which word is on the sign?",
                "What is written on the sign?",
                "What is the text on the sign?",
                "Can you read out the word on the sign?",
                "Tell me what the sign says.",
            ],
        ),
        Family::Price => (
            "What price is shown?",
            &[
                "What is the price?",
                "How much does it cost?",
                "How much is it?",
                "What does it cost?",
                "Tell me the price on the tag.",
                "Read out the price.",
            ],
        ),
        Family::Code => (
            "Read the code.",
            &[
                "What is the code?",
                "Which code is on the label?",
                "What code do you see?",
                "Tell me the code on the label.",
                "What does the label say?",
                "Can you read out the code?",
            ],
        ),
        Family::Display => (
            "Which time is displayed?",
            &[
                "What time does the display show?",
                "What does the display say?",
                "What is on the display?",
                "Tell me the time on the display.",
                "Which time is on the screen?",
                "Read out what the display shows.",
            ],
        ),
        Family::SignByColour => (
            "Read the {} sign.",
            &[
                "What does the {} sign say?",
                "What is written on the {} sign?",
                "Which word is on the {} sign?",
                "Tell me what the {} sign says.",
                "Can you read out the word on the {} sign?",
                "What is the text on the sign that is {}?",
            ],
        ),
        _ => of_shapes(family),
    }
}

fn of_shapes(family: Family) -> (&'static str, &'static [&'static str]) {
    match family {
        Family::ColourOfShape => (
            "Name the colour of the {}.",
            &[
                "What colour is the {}?",
                "Which colour does the {} have?",
                "What is the colour of the {}?",
                "Tell me which colour the {} is.",
                "Of which colour is the {}?",
                "Say the colour of the {}.",
            ],
        ),
        Family::ShapeByColour => (
            "Name the {} shape.",
            &[
                "Which shape is {}?",
                "What is the {} shape?",
                "What shape is the {} thing?",
                "Tell me which shape is {}.",
                "Name the shape that is {}.",
                "What is {}?",
            ],
        ),
        Family::Count => (
            "Count the {}.",
            &[
                "How many {} are there?",
                "What is the number of {}?",
                "How many {} do you see?",
                "Tell me the number of {}.",
                "How many {} can be counted?",
                "Please count all {} in the picture.",
            ],
        ),
        Family::Place => (
            "Give the row and the column of the {}.",
            &[
                "In which row and column of a 3 by 4 grid is the {}?",
                "Where is the {}, by row and column?",
                "Where is the {}?",
                "Tell me the row and column of the {}.",
                "In which row and which column does the {} stand?",
                "Give the place of the {} by row and column.",
            ],
        ),
        _ => of_dials(family),
    }
}

fn of_dials(family: Family) -> (&'static str, &'static [&'static str]) {
    match family {
        Family::Clock => (
            "Read the clock.",
            &[
                "What time is it on the clock?",
                "What does the clock show?",
                "What time does the clock show?",
                "Tell me the time on the clock.",
                "Read out the time on the clock.",
                "What is the time by the clock?",
            ],
        ),
        Family::Gauge => (
            "Read the gauge.",
            &[
                "How full is the gauge, in per cent?",
                "What does the gauge show?",
                "How full is the gauge?",
                "Tell me the level of the gauge.",
                "Read out the level on the gauge.",
                "What is the gauge at, in per cent?",
            ],
        ),
        Family::Lamps => (
            "Name the lamps that shine.",
            &[
                "Which lamps are lit, from the left?",
                "Which of the five lamps are on?",
                "Which lamps are on?",
                "Tell me which lamps are lit.",
                "Name the lit lamps.",
                "Which of the lamps shine, from the left?",
            ],
        ),
        _ => of_comparisons(family),
    }
}

fn of_comparisons(family: Family) -> (&'static str, &'static [&'static str]) {
    match family {
        Family::Motion => (
            "Give the heading of the {} as on a clock.",
            &[
                "In which direction does the {} move, by the clock?",
                "Towards which hour is the {} moving?",
                "Which way does the {} move?",
                "Tell me the direction in which the {} moves.",
                "Where is the {} heading, by the clock?",
                "Give the direction of the {} as an hour of the clock.",
            ],
        ),
        Family::Change => (
            "Name the new colour of the {}.",
            &[
                "Which colour did the {} turn to?",
                "What colour does the {} have after its change?",
                "Which colour has the {} become?",
                "What is the new colour of the {}?",
                "Tell me which colour the {} turned to.",
                "To what colour did the {} change?",
            ],
        ),
        Family::Largest => (
            "Name the colour of the {} that is larger than the others.",
            &[
                "Which colour is the largest {}?",
                "What is the colour of the biggest {}?",
                "What colour is the largest {}?",
                "Tell me the colour of the biggest {}.",
                "Of which colour is the {} that is bigger than the others?",
                "Which colour does the largest {} have?",
            ],
        ),
        _ => (
            "Name the {side} neighbour of the {} shape.",
            &[
                "Which shape is directly {side} of the {} one?",
                "What stands next to the {} shape, on its {side}?",
                "What is directly to the {side} of the {} shape?",
                "Tell me the shape that is {side} of the {} one.",
                "Which shape is the {side} neighbour of the {} one?",
                "Which shape stands {side} of the {} shape?",
            ],
        ),
    }
}
