//! Against servers that answer as the known ones do, and against such as break every rule.

mod server;

use std::sync::Arc;

use base64::Engine;
use hearsight_core::media::{Picture, Plane, Planes};
use hearsight_core::stage::Fault;
use hearsight_core::stamped::{Stamped, Trail};
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;
use hearsight_models::vlm::{Answer, Answerer, Ask, Effort, Ended, Refused, Step};

use super::*;
use server::{Act, Server, llama_cpp, ollama, vllm};

const LONG: Span = Span::from_secs(20);
const SECRET: &str = "sk-aVerySecretKey";

fn remote(server: &Server, clock: Clock) -> Remote {
    let config = Config {
        first_wait: Span::from_millis(1),
        key: Some(Key::new(SECRET).unwrap()),
        ..Config::new(server.base.parse().unwrap(), "qwen".into())
    };
    Remote::new(config, Handle::current(), clock).unwrap()
}

fn picture(width: u32, height: u32) -> Stamped<Picture<Planes>> {
    let plane = |rows: usize, columns: usize, level: u8| Plane {
        bytes: Arc::new(vec![level; rows * columns]),
        stride: columns,
    };
    let (w, h) = (width as usize, height as usize);
    Stamped {
        at: MediaTime::from_millis(40),
        born: Moment::from_millis(50),
        trail: Trail::default(),
        item: Picture {
            width,
            height,
            pixels: Planes {
                y: plane(h, w, 81),
                u: plane(h.div_ceil(2), w.div_ceil(2), 90),
                v: plane(h.div_ceil(2), w.div_ceil(2), 240),
            },
        },
    }
}

fn ask(deadline: Moment) -> Ask {
    Ask {
        question: "what does the sign say?".into(),
        pictures: vec![picture(640, 480)],
        deadline,
        effort: Effort::default(),
    }
}

/// Steps as a host does, until the answer is over. Answers with the pieces as well.
async fn told(conversation: &mut Conversation, clock: Clock, ask: Ask) -> Result<(Vec<String>, Answer), Fault> {
    conversation.ask(clock.now(), ask).expect("it is taken");
    let mut pieces = Vec::new();
    loop {
        let step = conversation.step(clock.now());
        conversation.took(Span::from_millis(2));
        match step? {
            Step::Idle => panic!("a question is under way"),
            Step::Over(answer) => return Ok((pieces, *answer)),
            Step::On { text, again } => {
                pieces.extend(text.map(|text| text.to_string()));
                tokio::time::sleep_until(clock.instant_from_moment(again).into()).await;
            }
        }
    }
}

async fn failed(act: Act) -> String {
    let server = Server::start([act]).await;
    let clock = Clock::new();
    let mut conversation = remote(&server, clock).conversation();
    match told(&mut conversation, clock, ask(clock.now() + LONG)).await {
        Err(Fault::Reset(why)) => {
            assert!(!why.contains(SECRET) && why.len() < 200, "{why}");
            why
        }
        other => panic!("it must fail: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_known_server_is_understood_however_its_bytes_are_cut() {
    for seed in 0..30 {
        let piece = fastrand::Rng::with_seed(seed).usize(1..200);
        let shapes = [
            vllm(
                &[("It", -0.1), (" says", -0.1), (" ST", -0.4), ("OP", -0.2), (".", 0.0)],
                "stop",
            ),
            llama_cpp(&["It", " says", " ST", "OP", "."]),
            ollama(&["It", " says", " ST", "OP", "."]),
        ];
        for (number, shape) in shapes.into_iter().enumerate() {
            let server = Server::start([Act::Stream(shape, piece)]).await;
            let clock = Clock::new();
            let mut conversation = remote(&server, clock).conversation();
            let (pieces, answer) = told(&mut conversation, clock, ask(clock.now() + LONG)).await.unwrap();
            let context = format!("seed {seed}, server {number}");
            assert_eq!(&*answer.text, "It says STOP.", "{context}");
            assert_eq!(pieces.concat(), *answer.text, "{context}: pieces joined are the answer");
            assert!(
                pieces.iter().all(|piece| !piece.ends_with("ST")),
                "{context}: whole words, {pieces:?}"
            );
            assert_eq!(answer.ended, Ended::Said, "{context}");
            assert_eq!(answer.seen[0].at, MediaTime::from_millis(40));
            assert!(
                answer.spent.first_text.is_some() && answer.spent.prepare == Span::from_millis(2),
                "{context}"
            );
            match number {
                0 => {
                    let certainty = answer.certainty.expect("it tells probabilities").get();
                    assert!((certainty - (-0.16f32).exp()).abs() < 1e-4, "{certainty}");
                    assert_eq!((answer.spent.prompt_tokens, answer.spent.answer_tokens), (812, 5));
                }
                _ => assert_eq!(answer.certainty, None, "{context}: nothing is made up"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn question_pictures_and_key_go_out_as_the_protocol_has_it() {
    let server = Server::start([
        Act::Stream(vllm(&[("Yes.", 0.0)], "stop"), 999),
        Act::Stream(ollama(&["No."]), 999),
    ])
    .await;
    let clock = Clock::new();
    let mut conversation = remote(&server, clock).conversation();
    let mut first = ask(clock.now() + LONG);
    first.pictures = vec![picture(1920, 1080)];
    first.effort.tokens = 17;
    told(&mut conversation, clock, first).await.unwrap();
    let mut second = ask(clock.now() + LONG);
    second.pictures.clear();
    second.question = "are you sure?".into();
    told(&mut conversation, clock, second).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].path, "/v1/chat/completions");
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {SECRET}"));
    let body = &seen[0].body;
    assert_eq!(
        (&body["model"], &body["stream"], &body["max_tokens"]),
        (&"qwen".into(), &true.into(), &17.into())
    );
    let content = &body["messages"][1]["content"];
    assert_eq!(content[1]["text"], "what does the sign say?");
    let uri = content[0]["image_url"]["url"].as_str().unwrap();
    let jpeg = base64::engine::general_purpose::STANDARD
        .decode(uri.strip_prefix("data:image/jpeg;base64,").unwrap())
        .unwrap();
    let decoded = image::load_from_memory(&jpeg).unwrap().to_rgb8();
    assert_eq!(decoded.dimensions(), (1024, 576), "scaled down to the longer side");
    let [r, g, b] = decoded.get_pixel(500, 300).0;
    assert!(r > 240 && g < 20 && b < 20, "red stays red: {r} {g} {b}");
    let messages = seen[1].body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 4, "what was said before goes along");
    assert_eq!(messages[1]["content"][0]["image_url"]["url"], uri);
    assert_eq!(
        (&messages[2]["content"], &messages[3]["content"]),
        (&"Yes.".into(), &"are you sure?".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_word_it_is_tried_again_and_never_after() {
    let clock = Clock::new();
    let busy = || Act::Status(503, Some(0), SECRET.into());
    let server = Server::start([busy(), Act::Break(String::new()), Act::Stream(ollama(&["Yes."]), 50)]).await;
    let mut conversation = remote(&server, clock).conversation();
    let (_, answer) = told(&mut conversation, clock, ask(clock.now() + LONG)).await.unwrap();
    assert_eq!((&*answer.text, server.seen().len()), ("Yes.", 3));
    // After a word: the answer fails, and the server is not asked again.
    let begun = ollama(&["Yes", " it", " does"])
        .split_inclusive("\n\n")
        .take(2)
        .collect::<String>();
    let server = Server::start([Act::Break(begun)]).await;
    let mut conversation = remote(&server, clock).conversation();
    let failed = told(&mut conversation, clock, ask(clock.now() + LONG)).await;
    assert!(matches!(failed, Err(Fault::Reset(_))), "{failed:?}");
    assert_eq!(server.seen().len(), 1);
    // Not for ever, and not for what will not pass.
    let server = Server::start([busy(), busy(), busy(), busy()]).await;
    let mut conversation = remote(&server, clock).conversation();
    assert!(told(&mut conversation, clock, ask(clock.now() + LONG)).await.is_err());
    assert_eq!(server.seen().len(), 3);
    // Nor where the server wants to be left alone beyond the deadline.
    let server = Server::start([Act::Status(429, Some(60), String::new())]).await;
    let mut conversation = remote(&server, clock).conversation();
    assert!(told(&mut conversation, clock, ask(clock.now() + LONG)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_says_what_it_is_and_quotes_nothing() {
    for (status, part) in [
        (401, "key"),
        (403, "key"),
        (404, "no such model"),
        (413, "take pictures"),
        (302, "answers 302"),
    ] {
        let why = failed(Act::Status(
            status,
            None,
            format!("{{\"error\":{{\"message\":\"bad key {SECRET}\"}}}}"),
        ))
        .await;
        assert!(why.contains(part), "{status}: {why}");
    }
    let why = failed(Act::Status(200, None, "<html>".into())).await;
    assert!(why.contains("does not stream"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_to_tell_probabilities_is_asked_without() {
    let refusal = || Act::Status(400, None, "logprobs are not supported".into());
    let said = || Act::Stream(ollama(&["Yes."]), 50);
    let server = Server::start([refusal(), said(), said(), refusal(), refusal()]).await;
    let clock = Clock::new();
    let remote = remote(&server, clock);
    for _ in 0..2 {
        told(&mut remote.conversation(), clock, ask(clock.now() + LONG))
            .await
            .unwrap();
    }
    let asked: Vec<_> = server.seen().iter().map(|seen| seen.body["logprobs"] == true).collect();
    assert_eq!(asked, [true, false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_break_the_rules_are_ended() {
    let half = ollama(&["Yes", " it"])
        .split_inclusive("\n\n")
        .take(2)
        .collect::<String>();
    for (act, part) in [
        (Act::Stream("data: {not json}\n\n".into(), 7), "no chat completion"),
        (Act::Stream("data: [1,2".into(), 7), "no chat completion"),
        (
            Act::Stream(format!("{half}error: {{\"code\":500}}\n\n"), 9),
            "failed while it answered",
        ),
        (
            Act::Stream(format!("{half}data: {{\"error\":{{\"message\":\"{SECRET}\"}}}}\n\n"), 9),
            "failed while it answered",
        ),
        (Act::Stream(half.clone(), 9), "middle of the answer"),
        (Act::Endless("x".repeat(1000)), "does not end"),
        (
            Act::Endless(
                ollama(&["and so on and so on"])
                    .split_inclusive("\n\n")
                    .take(1)
                    .collect(),
            ),
            "stop talking",
        ),
        (Act::Endless(": keep-alive\n\n".repeat(1000)), "stop sending"),
        (Act::Endless("data: {}\n\n".repeat(1000)), "stop sending"),
        (
            Act::Endless(format!("data: {}\n\n", "[".repeat(100_000))),
            "no chat completion",
        ),
    ] {
        let context = format!("{act:?}").chars().take(120).collect::<String>();
        let why = failed(act).await;
        assert!(why.contains(part), "{context}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_chunks_say_nothing_and_do_no_harm() {
    let odd = "data: {}\n\ndata: {\"choices\":[]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":7}}]}\n\ndata: {\"choices\":\"x\"}\n\n\
               data: {\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e99}}\n\n\
               data: {\"choices\":[{\"delta\":{\"content\":\"A\\u001b[2J b\"},\"logprobs\":{\"content\":[{\"logprob\":-9999},{\"x\":1}]}}]}\n\n";
    let server = Server::start([Act::Stream(format!("{odd}{}", ollama(&["."])), 11)]).await;
    let clock = Clock::new();
    let mut conversation = remote(&server, clock).conversation();
    let (_, answer) = told(&mut conversation, clock, ask(clock.now() + LONG)).await.unwrap();
    assert_eq!(&*answer.text, "A[2J b.", "what a terminal would obey is left out");
    assert!(answer.certainty.is_some_and(|certainty| certainty.get() < 1e-6));
}

/// Time is an argument: the deadline comes when the test says so.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_after_the_deadline_and_the_connection_closes() {
    let begun = ollama(&["Yes", " it", " does"])
        .split_inclusive("\n\n")
        .take(3)
        .collect::<String>();
    for (act, heard, text) in [
        (Act::Stall(begun), "Yes it", "Yes it does"),
        (Act::Stall(String::new()), "", ""),
        (Act::Silence, "", ""),
    ] {
        let server = Server::start([act]).await;
        let clock = Clock::new();
        let mut conversation = remote(&server, clock).conversation();
        let deadline = clock.now() + LONG;
        conversation.ask(clock.now(), ask(deadline)).unwrap();
        let mut pieces = String::new();
        for round in 0.. {
            let Step::On { text, again } = conversation.step(clock.now()).unwrap() else {
                panic!("it goes on until its deadline")
            };
            pieces.extend(text.as_deref());
            if round > 1 && pieces == heard {
                break;
            }
            tokio::time::sleep_until(clock.instant_from_moment(again).into()).await;
        }
        let answer = loop {
            match conversation.step(deadline).unwrap() {
                Step::On { text, .. } => pieces.extend(text.as_deref()),
                Step::Over(answer) => break answer,
                Step::Idle => panic!("it tells that it is over"),
            }
        };
        assert_eq!(
            (&*answer.text, pieces.as_str(), answer.ended),
            (text, text, Ended::Late)
        );
        server.wait_open(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_closes_the_connection_and_the_question_was_never_asked() {
    let begun: String = ollama(&["Yes", " it"]).split_inclusive("\n\n").take(2).collect();
    let server = Server::start([
        Act::Stall(begun.clone()),
        Act::Stall(begun),
        Act::Stream(ollama(&["No."]), 99),
    ])
    .await;
    let clock = Clock::new();
    let mut conversation = remote(&server, clock).conversation();
    for way in 0..2 {
        conversation.ask(clock.now(), ask(clock.now() + LONG)).unwrap();
        conversation.step(clock.now()).unwrap();
        conversation.step(clock.now()).unwrap();
        server.wait_open(1).await;
        match way {
            0 => conversation.cancel(),
            _ => drop(std::mem::replace(
                &mut conversation,
                remote(&server, clock).conversation(),
            )),
        }
        server.wait_open(0).await;
        assert_eq!(conversation.step(clock.now()).unwrap(), Step::Idle);
    }
    server.seen();
    told(&mut conversation, clock, ask(clock.now() + LONG)).await.unwrap();
    assert_eq!(
        server.seen()[0].body["messages"].as_array().unwrap().len(),
        2,
        "nothing of it is remembered"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_cannot_be_answered_are_not_taken() {
    let server = Server::start([]).await;
    let clock = Clock::new();
    let remote = remote(&server, clock);
    let mut conversation = remote.conversation();
    let now = clock.now();
    let mut refused = |change: &dyn Fn(&mut Ask)| {
        let mut asked = ask(now + LONG);
        change(&mut asked);
        conversation.ask(now, asked).expect_err("it is not taken")
    };
    assert_eq!(refused(&|ask| ask.question = "  ".into()), Refused::Empty);
    assert!(matches!(
        refused(&|ask| ask.question = "x".repeat(5000).into()),
        Refused::LongQuestion { .. }
    ));
    assert!(matches!(
        refused(&|ask| ask.pictures = vec![picture(16, 16); 9]),
        Refused::ManyPictures { .. }
    ));
    assert_eq!(refused(&|ask| ask.deadline = now), Refused::Late);
    // A picture whose planes are too short ends that answer alone.
    let mut short = ask(now + LONG);
    short.pictures[0].item.height = 4000;
    conversation.ask(now, short).unwrap();
    assert!(matches!(conversation.step(now), Err(Fault::Reset(_))));
    assert_eq!(conversation.step(now).unwrap(), Step::Idle);
}

/// ⌊(deadline − first token) ÷ time per token⌋, with the learnt 95th percentiles; and a probe now and then.
#[tokio::test]
async fn an_answer_is_as_long_as_its_deadline_allows() {
    let server = Server::start([]).await;
    let remote = remote(&server, Clock::new());
    let now = Moment::from_millis(1000);
    let tokens = |left: i64, most: u32| remote.inner.tokens_in_time(now, now + Span::from_millis(left), most);
    assert_eq!(tokens(500, 96), 96, "nothing is learnt yet");
    remote.inner.pace().first.learn(Span::from_millis(400));
    remote.inner.pace().token.learn(Span::from_millis(20));
    assert_eq!(tokens(1000, 96), 30);
    assert_eq!(tokens(1000, 8), 8);
    assert_eq!([tokens(410, 96), tokens(300, 96), tokens(-5, 96)], [0, 0, 0]);
    assert_eq!(tokens(300, 96), 1, "a probe");
    assert_eq!(tokens(300, 96), 0);
}

#[test]
fn keys_are_read_shown_to_nobody_and_pictures_go_nowhere_in_the_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let key = Key::read(&file).unwrap();
    assert!(!format!("{key:?}").contains(SECRET));
    assert!(Key::read(&folder.path().join("none")).is_err() && Key::new("two words").is_err() && Key::new("").is_err());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let open = |base: &str| {
        let config = Config::new(base.parse().unwrap(), "m".into());
        Remote::new(config, runtime.handle().clone(), Clock::new()).map(|_| ())
    };
    let told = open("http://192.0.2.7:8000/v1").unwrap_err().to_string();
    assert!(told.contains("192.0.2.7") && told.contains("tunnel"), "{told}");
    assert_eq!(open("https://api.example/v1"), Ok(()));
    assert_eq!(open("http://[::1]:8000/v1"), Ok(()));
}
