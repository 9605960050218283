use std::sync::{Arc, Mutex};

use hearsight_models::vlm::Ended;
use hearsight_models::vlm::local::processor::{Detail, Processor};
use hearsight_models::vlm::local::{Config, Limits, Local, Model, Sampling};
use hearsight_models::vlm::picture::Rgb;
use serde_json::Value;

use super::{answer, ask, json, model, picture};

fn count(value: &Value) -> u32 {
    value.as_u64().expect("a count") as u32
}

fn tokens(value: &Value) -> Vec<i64> {
    let list = value.as_array().expect("a list").iter();
    list.map(|token| token.as_i64().expect("a token")).collect()
}

#[test]
fn pictures_become_the_references_tiles() {
    let cases = json("pictures.json");
    let (mut worst, mut exact, mut all) = (0.0f32, 0usize, 0usize);
    for case in cases.as_array().expect("cases") {
        let [width, height, longest, tile] = ["width", "height", "longest", "tile"].map(|field| count(&case[field]));
        let name = format!(
            "{width} × {height} at {longest}/{tile}, splitting {}",
            case["splitting"]
        );
        let mut processor = Processor::like_smolvlm(longest, tile);
        if case["splitting"] == false {
            processor = processor.whole();
        }
        let layout = processor.layout(width, height, processor.full());
        assert_eq!(
            [layout.rows, layout.columns],
            ["rows", "columns"].map(|field| count(&case[field])),
            "{name}"
        );
        let rgb = Rgb::from_planes(&picture(width, height)).expect("a picture");
        let drawn = processor.draw(rgb, layout);
        let mut values = Vec::new();
        let mut cut = Vec::new();
        for index in 0..layout.tiles() {
            assert_eq!(
                processor.cut(&drawn, index, &mut cut),
                u64::from(tile).pow(2) * 15,
                "{name}"
            );
            values.extend_from_slice(&cut);
        }
        assert_eq!(values.len() as u64, case["values"].as_u64().expect("a count"), "{name}");
        for (k, expected) in case["samples"].as_array().expect("samples").iter().enumerate() {
            let level = (values[k * 1_000_003 % values.len()] * 0.5 + 0.5) * 255.0;
            let off = (level - count(expected) as f32).abs();
            assert!(off < 1.01, "{name}: sample {k} is {level}, not {expected}");
            worst = worst.max(off);
            exact += usize::from(off < 0.01);
            all += 1;
        }
    }
    println!("{all} samples, {exact} exact, the worst {worst:.2} levels of 255 off");
}

/// Holds every conversation of `name` against the reference, with questions read in portions of `portion` tokens.
fn hold(name: &str, portion: usize) -> f32 {
    let limits = Limits {
        portion,
        ..Limits::default()
    };
    let model = model(
        name,
        Config {
            limits,
            ..Config::default()
        },
    );
    let expected = json(&format!("{name}/expected.json"));
    let every = count(&expected["every"]) as usize;
    let mut worst = 0.0f32;
    for turns in expected["conversations"].as_array().expect("conversations") {
        let mut local = model.conversation(None);
        for turn in turns.as_array().expect("turns") {
            worst = worst.max(hold_turn(&mut local, turn, every));
        }
    }
    worst
}

fn hold_turn(local: &mut Local, turn: &Value, every: usize) -> f32 {
    type Choices = Vec<(i64, Vec<f32>)>;
    let choices: Arc<Mutex<Choices>> = Arc::default();
    let heard = choices.clone();
    local.on_choice(Box::new(move |token, logits| {
        heard.lock().expect("nobody broke down").push((token, logits.to_vec()))
    }));
    local.fix_detail(Detail(count(&turn["edge"]) / 64));
    let sizes = turn["sizes"].as_array().expect("sizes").iter();
    let sizes: Vec<(u32, u32)> = sizes.map(|size| (count(&size[0]), count(&size[1]))).collect();
    let question = turn["question"].as_str().expect("a question");
    let before = local.tokens();
    let said = answer(local, ask(question, &sizes));
    let choices = choices.lock().expect("nobody broke down");
    let chosen: Vec<i64> = choices.iter().map(|(token, _)| *token).collect();
    assert_eq!(chosen, tokens(&turn["answer"]), "{question}");
    assert_eq!(*said.text, *turn["text"].as_str().expect("a text").trim(), "{question}");
    let prompt = turn["prompt"].as_array().expect("a prompt").len();
    let read = said.spent.kept_tokens + said.spent.prompt_tokens;
    assert_eq!(
        read as usize,
        before + prompt,
        "{question}: nothing is read twice, nothing is left out"
    );
    let stopped = said.ended == Ended::Said;
    assert_eq!(
        said.spent.answer_tokens as usize,
        chosen.len() - usize::from(stopped),
        "{question}"
    );
    assert_eq!(said.spent.picture_tokens, said.spent.tiles * 16, "{question}");
    let mut worst = 0.0f32;
    for ((_, logits), expected) in choices.iter().zip(turn["logits"].as_array().expect("logits")) {
        let expected = expected.as_array().expect("a row").iter();
        for (logit, expected) in logits.iter().step_by(every).zip(expected) {
            worst = worst.max((f64::from(*logit) - expected.as_f64().expect("a number")).abs() as f32);
        }
    }
    assert!(worst < 1e-3, "{question}: logits are {worst} off");
    worst
}

#[test]
fn conversations_go_as_the_references_do_token_by_token() {
    for name in ["large", "small"] {
        let worst = hold(name, 64);
        println!("{name}: logits are {worst:.1e} off at most");
    }
}

#[test]
fn a_question_read_in_portions_is_the_same_question() {
    for portion in [1, 7, 4_096] {
        hold("small", portion);
    }
}

#[test]
fn a_question_that_was_cancelled_was_never_asked() {
    let expected = json("small/expected.json");
    let every = count(&expected["every"]) as usize;
    let turns = &expected["conversations"][4];
    let model = model("small", Config::default());
    for steps in [0, 1, 2, 3, 5, 8, 13, 30] {
        let mut local = model.conversation(None);
        for turn in turns.as_array().expect("turns") {
            let before = local.tokens();
            hearsight_models::vlm::Answerer::ask(&mut local, super::NOW, ask("Never mind.", &[(80, 80)]))
                .expect("taken");
            for _ in 0..steps {
                hearsight_models::vlm::Answerer::step(&mut local, super::NOW).expect("no fault");
            }
            hearsight_models::vlm::Answerer::cancel(&mut local);
            assert_eq!(local.tokens(), before, "after {steps} steps");
            hold_turn(&mut local, turn, every);
        }
    }
}

#[test]
fn answers_drawn_by_chance_repeat_with_their_seed() {
    let draw = |temperature, seed| {
        let sampling = Sampling::Nucleus {
            temperature,
            top_p: 0.95,
            seed,
        };
        let model = model(
            "small",
            Config {
                sampling,
                ..Config::default()
            },
        );
        answer(
            &mut model.conversation(None),
            ask("Describe what you see.", &[(96, 64)]),
        )
        .text
    };
    assert_eq!(draw(1.2, 4), draw(1.2, 4));
    assert_ne!(draw(1.2, 4), draw(1.2, 5));
    assert_eq!(draw(0.0, 4), draw(0.0, 5), "without temperature there is no chance");
}

#[test]
fn an_answer_ends_at_any_of_its_stop_tokens_and_the_conversation_goes_on() {
    let expected = json("small/expected.json");
    let turn = &expected["conversations"][0][0];
    let said = tokens(&turn["answer"]);
    // The first token from here on that was not said before.
    let stop = (4..said.len())
        .find(|&at| !said[..at].contains(&said[at]))
        .expect("a new token");
    let folder = super::files::copy("small");
    let mut settings = json("small/generation_config.json");
    settings["eos_token_id"] = serde_json::json!([settings["eos_token_id"], said[stop]]);
    std::fs::write(folder.path().join("generation_config.json"), settings.to_string()).expect("written");
    let model = Model::open(&super::runtime(), folder.path(), Config::default()).expect("it opens");
    let mut local = Arc::new(model).conversation(None);
    local.fix_detail(Detail::GLANCE);
    let answered = answer(&mut local, ask("What does the sign say?", &[(96, 64)]));
    assert_eq!(
        (answered.ended, answered.spent.answer_tokens as usize),
        (Ended::Said, stop)
    );
    // The prompt, the answer, and the end of the turn: the stop token is not part of the conversation.
    let prompt = answered.spent.prompt_tokens as usize;
    assert_eq!(local.tokens(), prompt + stop + 1);
    assert!(answer(&mut local, ask("And now?", &[])).spent.kept_tokens as usize >= prompt + stop - 1);
}
