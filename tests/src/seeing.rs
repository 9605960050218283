//! What the small model that comes with the program sees of scenes that nobody learnt from, and that the benchmark of it runs.

use std::process::{Command, Stdio};
use std::sync::Arc;

use hearsight_core::media::Readability;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::files::Files;
use hearsight_models::runtime::Runtime;
use hearsight_models::vlm::local::{Config, Local, Model};
use hearsight_models::vlm::{Answer, Answerer, Ask, Effort, Step};

use crate::rig::root;
use crate::rig::server::built;
use crate::scenes::{Family, Fonts, Scene, Split};

/// When pictures are taken, in seconds: what moves or changes needs both.
const TIMES: [f32; 2] = [0.4, 2.8];
const ASKED: Moment = Moment::from_millis(10_000);

fn glance() -> Arc<Model> {
    let deps = std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| root().join(".deps"), Into::into);
    let runtime = Runtime::open(&Files::under(&deps).onnxruntime).expect("installed");
    let folder = root().join("models/weights/glance");
    Arc::new(Model::open(&runtime, &folder, Config::default()).expect("the weights fit together"))
}

fn answer(model: &Arc<Model>, scene: &Scene) -> Answer {
    said(&mut model.conversation(None), ask(scene))
}

/// The scene's own question about it, with all the time in the world.
fn ask(scene: &Scene) -> Ask {
    let moves = matches!(scene.question.family, Family::Motion | Family::Change);
    let shown = if moves { &TIMES[..] } else { &TIMES[1..] };
    let picture = |seconds: &f32| {
        let at = (seconds * 1e3) as i64;
        Stamped::new(
            MediaTime::from_millis(at),
            Moment::from_millis(at),
            scene.render(*seconds),
        )
    };
    Ask {
        question: scene.question.text.as_str().into(),
        pictures: shown.iter().map(picture).collect(),
        deadline: ASKED + Span::from_secs(60),
        effort: Effort::default(),
    }
}

/// In virtual time: every step takes a millisecond.
fn said(conversation: &mut Local, ask: Ask) -> Answer {
    let mut now = ASKED;
    conversation.ask(now, ask).expect("a question that fits");
    loop {
        match conversation.step(now).expect("the model runs") {
            Step::Over(answer) => return *answer,
            Step::Idle => panic!("the question was lost"),
            Step::On { .. } => conversation.took(Span::from_millis(1)),
        }
        now += Span::from_millis(1);
    }
}

#[test]
fn glance_answers_most_questions_about_scenes_that_it_has_not_learnt_from() {
    let (model, fonts) = (glance(), Fonts::load().expect("installed"));
    let (mut right, mut inside, mut told, mut of) = (0, 0, 0, 0);
    for family in Family::ALL {
        for seed in 0..6 {
            let scene = Scene::new(family, Split::Unseen, 30_000 + seed, &fonts);
            let answer = answer(&model, &scene);
            of += 1;
            right += u32::from(scene.question.is_answered_by(&answer.text));
            let readable = answer.readability.map_or(0.0, Readability::get);
            assert!((0.0..=1.0).contains(&readable), "{family:?} {seed}: {readable}");
            // Where it looked must be where the answer is: the middle of one lies in the other.
            if let Some(evidence) = answer.evidence.first() {
                told += 1;
                let corners = evidence.region.corners;
                let (x, y) = ((corners[0].x + corners[2].x) / 2.0, (corners[0].y + corners[2].y) / 2.0);
                let [left, top, right, bottom] = scene.region(TIMES[1]);
                inside += u32::from((left..=right).contains(&x) && (top..=bottom).contains(&y));
            }
        }
    }
    println!("{right} of {of} right; looked in the right place {inside} times of {told}");
    assert!(right * 10 >= of * 7, "{right} of {of} right");
    assert!(
        inside * 10 >= told * 7 && told > 0,
        "{inside} of {told} in the right place"
    );
}

#[test]
fn a_question_about_nothing_that_is_there_is_not_answered_with_a_guess() {
    let (model, fonts) = (glance(), Fonts::load().expect("installed"));
    let mut honest = 0;
    for seed in 0..12 {
        // Asked of a scene without signs, clocks or gauges.
        let mut scene = Scene::new(Family::Neighbour, Split::Unseen, 40_000 + seed, &fonts);
        let asked = [
            "What is the price?",
            "What time does the clock show?",
            "How full is the gauge?",
        ];
        scene.question.text = asked[seed as usize % asked.len()].into();
        honest += u32::from(&*answer(&model, &scene).text == "not seen");
    }
    assert!(honest >= 8, "{honest} of 12");
}

#[test]
fn of_a_picture_that_is_known_it_says_the_same_without_another_look() {
    let (model, fonts) = (glance(), Fonts::load().expect("installed"));
    let scene = Scene::new(Family::Change, Split::Unseen, 30_000, &fonts);
    let (mut conversation, ask) = (model.conversation(None), ask(&scene));
    let first = said(&mut conversation, ask.clone());
    conversation.forget();
    let second = said(&mut conversation, ask);
    assert_eq!((first.spent.tiles, second.spent.tiles), (2, 0));
    assert_eq!(first.text, second.text);
    assert_eq!(
        (first.evidence, first.readability),
        (second.evidence, second.readability)
    );
}

#[test]
fn the_benchmark_tells_all_that_it_promises() {
    let program = built("bench-seeing").expect("built before the tests");
    let ran = Command::new(program)
        .arg("--quick")
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let last = said.lines().last().expect("it says something");
    let figures: serde_json::Value = serde_json::from_str(last).expect("the last line is JSON");
    for engine in ["reader", "glance"] {
        for figure in ["accuracy", "readability"] {
            for kbps in ["100", "3150"] {
                assert!(
                    figures[figure][engine][kbps].is_number(),
                    "{figure} {engine} {kbps}: {last}"
                );
            }
        }
        assert!(figures["accuracy_by_family"][engine]["word"].is_object(), "{last}");
    }
    let single = [
        "readability_rank_correlation",
        "calibration_error",
        "reader_ms",
        "first_token_ms",
        "token_ms",
        "preprocess_share",
        "region_iou",
        "late",
    ];
    for figure in single {
        assert!(figures[figure].is_number(), "{figure}: {last}");
    }
    assert!(
        figures.get("rapidocr_ms").is_some() && figures["commit"].is_string() && figures["machine"].is_object(),
        "{last}"
    );
}
