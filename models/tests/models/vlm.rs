//! Questions about pictures: the local runtime against the reference's own figures, and against whatever may come.

mod asking;
mod bounds;
mod cascade;
mod files;
mod parity;

use std::path::PathBuf;
use std::sync::Arc;

use hearsight_core::media::{Picture, Plane, Planes};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::runtime::Runtime;
use hearsight_models::vlm::local::{Config, Model};
use hearsight_models::vlm::{Answer, Answerer, Ask, Effort, Step};

use crate::speech::files as installed;

/// Where the clock stands when a question is asked.
const NOW: Moment = Moment::from_millis(10_000);

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vlm")
}

fn json(path: &str) -> serde_json::Value {
    let bytes = std::fs::read(fixtures().join(path)).expect("the fixture is there");
    serde_json::from_slice(&bytes).expect("the fixture is JSON")
}

fn runtime() -> Runtime {
    Runtime::open(&installed().onnxruntime).expect("installed")
}

/// One of the tiny models, `large` or `small`.
fn model(name: &str, config: Config) -> Arc<Model> {
    Arc::new(Model::open(&runtime(), &fixtures().join(name), config).expect("the fixture opens"))
}

/// The picture that `make_fixtures.py` draws by the same rule.
fn picture(width: u32, height: u32) -> Picture<Planes> {
    let plane = |width: u32, height: u32, rule: &dyn Fn(u32, u32) -> u32| Plane {
        bytes: Arc::new(
            (0..width * height)
                .map(|at| rule(at % width, at / width) as u8)
                .collect::<Vec<u8>>(),
        ),
        stride: width as usize,
    };
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    Picture {
        width,
        height,
        pixels: Planes {
            y: plane(width, height, &|x, y| (x * x + 3 * y) % 256),
            u: plane(half_width, half_height, &|x, y| (x / 4 + y / 4) % 2 * 100 + 78),
            v: plane(half_width, half_height, &|x, y| ((x * 7) ^ (y * 11)) & 255),
        },
    }
}

/// A question about pictures of these sizes, with all the time there is.
fn ask(question: &str, sizes: &[(u32, u32)]) -> Ask {
    let shown = |(at, &(width, height)): (usize, &(u32, u32))| {
        let at = MediaTime::from_millis(100 * at as i64);
        Stamped::new(at, NOW - Span::from_millis(50), picture(width, height))
    };
    Ask {
        question: question.into(),
        pictures: sizes.iter().enumerate().map(shown).collect(),
        deadline: Moment::MAX,
        effort: Effort { tokens: 24, text: 1.0 },
    }
}

/// Steps until the answer is over, each step taking `cost`. Answers with the pieces and when it was over.
fn finish(answerer: &mut dyn Answerer, mut now: Moment, cost: Span) -> (Vec<Arc<str>>, Answer, Moment) {
    let mut pieces = Vec::new();
    for _ in 0..10_000 {
        let step = answerer.step(now).expect("no fault");
        let modelled = answerer.spent();
        let cost = if modelled > Span::ZERO { modelled } else { cost };
        match step {
            Step::Idle => panic!("a question is under way"),
            Step::On { text, again } => {
                pieces.extend(text);
                answerer.took(cost);
                now = again.max(now + cost);
            }
            Step::Over(answer) => return (pieces, *answer, now),
        }
    }
    panic!("an answer ends");
}

/// Asks and waits for the whole answer, which must be its pieces.
fn answer(answerer: &mut dyn Answerer, ask: Ask) -> Answer {
    answerer.ask(NOW, ask).expect("it is taken");
    let (pieces, answer, _) = finish(answerer, NOW, Span::from_millis(1));
    assert_eq!(pieces.concat(), *answer.text, "pieces are the answer");
    assert!(matches!(answerer.step(NOW), Ok(Step::Idle)), "and nothing follows");
    answer
}
