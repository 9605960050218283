use hearsight_core::graph::Graph;
use hearsight_core::link::Keep;
use hearsight_core::meter::Meter;
use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use hearsight_live::host::Host;
use hearsight_models::vlm;

use super::*;

/// A desk whose questions nobody takes, and what is said to the client.
struct Counter {
    desk: Desk,
    told: Arc<Mutex<Vec<ToClient>>>,
    _host: Host,
}

fn counter(engine: Option<()>) -> Counter {
    let told: Arc<Mutex<Vec<ToClient>>> = Arc::default();
    let ears = told.clone();
    let line = Box::new(move |event: &ToClient, _: String| {
        ears.lock().unwrap().push(event.clone());
        true
    });
    let clock = Clock::new();
    let host = Host::start(clock, 1).expect("threads");
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let questions = engine.map(|()| {
        let (questions, asked) = graph.source("questions", Span::ZERO);
        graph.sink("nobody", &asked, Keep::Every(64), |_: Moment, _: Signal<Query>| {});
        questions
    });
    let desk = Desk {
        session: Arc::new(host.adopt(graph)),
        speaker: Arc::new(Speaker::new(line, Meter::default())),
        questions,
        clock,
    };
    Counter {
        desk,
        told,
        _host: host,
    }
}

impl Counter {
    fn told(&self) -> Vec<ToClient> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    fn turn(&self, item: Turn) {
        let unit = Stamped::new(MediaTime::ZERO, Moment::ZERO, item);
        self.desk.speaker.turn(Moment::from_millis(900), Signal::Item(unit));
    }
}

fn whys(told: &[ToClient]) -> Vec<(u64, &str)> {
    let none = told.iter().filter_map(|event| match event {
        ToClient::AnswerNone(none) => Some((none.ask, none.why.as_str())),
        _ => None,
    });
    none.collect()
}

fn answer() -> Box<vlm::Answer> {
    Box::new(vlm::Answer {
        text: "A house.".into(),
        ended: vlm::Ended::Said,
        certainty: None,
        separability: None,
        readability: None,
        evidence: vec![],
        seen: vec![vlm::Seen {
            at: MediaTime::from_millis(5),
            born: Moment::from_millis(400),
        }],
        spent: vlm::Spent::default(),
        engine: "e".into(),
    })
}

#[tokio::test]
async fn without_an_engine_every_question_is_told_that_nobody_answers() {
    let counter = counter(None);
    counter.desk.ask(Moment::ZERO, 7, "What is there?");
    counter.desk.cancel(Moment::ZERO, 7);
    assert_eq!(whys(&counter.told()), [(7, "no_engine")]);
    let (why, words) = counter.desk.ask_over_http("What is there?").expect_err("nobody");
    assert!(why == "no_engine" && words.contains("ask.engine"), "{words}");
}

#[tokio::test]
async fn what_is_no_question_and_what_is_one_too_many_is_refused_at_the_desk() {
    let counter = counter(Some(()));
    counter.desk.ask(Moment::ZERO, 1, " \n ");
    counter.desk.ask(Moment::ZERO, 2, &"why?".repeat(MAX_QUESTION));
    assert_eq!(whys(&counter.told()), [(1, "unfit"), (2, "unfit")]);
    for ask in 0..20 {
        counter.desk.ask(Moment::ZERO, ask, "What is there?");
    }
    let told = counter.told();
    assert_eq!(whys(&told).len(), 20 - OPEN);
    assert!(whys(&told).iter().all(|(_, why)| *why == "crowded"));
    counter.desk.flushed();
    assert_eq!(whys(&counter.told()).len(), OPEN, "a flush closes them");
    counter.desk.ask(Moment::ZERO, 5, "What is there?");
    assert!(counter.told().is_empty(), "and there is room again");
    counter.desk.speaker.turn(Moment::ZERO, Signal::End);
    counter.desk.ask(Moment::ZERO, 6, "What is there?");
    assert_eq!(whys(&counter.told()), [(5, "failed"), (6, "failed")]);
}

/// What is told of one question.
fn of(told: &[ToClient], ask: u64) -> Vec<&'static str> {
    let about = told.iter().filter(|event| match event {
        ToClient::Question(question) => question.ask == ask,
        ToClient::AnswerText(piece) => piece.ask == ask,
        ToClient::Answer(answer) => answer.ask == ask,
        _ => false,
    });
    about.map(ToClient::name).collect()
}

#[tokio::test]
async fn answers_find_their_asker_by_his_own_number_and_others_find_nobody() {
    let counter = counter(Some(()));
    let mut posted = counter.desk.ask_over_http("And over HTTP?").expect("taken");
    counter.desk.ask(Moment::ZERO, 7, "What is there?");
    let (http, typed) = (OWN, OWN + 1);
    for id in [typed, http, 3] {
        let question = "What is there?".into();
        let views = vec![];
        counter.turn(Turn::Ask {
            id,
            question,
            views,
            text: 0.0,
        });
        counter.turn(Turn::First { id, text: "A ".into() });
        counter.turn(Turn::More {
            id,
            text: "house.".into(),
        });
        let still = vec![Moment::from_millis(880)];
        counter.turn(Turn::Answer {
            id,
            answer: answer(),
            still,
        });
        counter.turn(Turn::More {
            id,
            text: "after its end".into(),
        });
    }
    let told = counter.told();
    let all = ["question", "answer.text", "answer.text", "answer"];
    // What the desk never heard of was said aloud.
    for ask in [7, http, 3] {
        assert_eq!(of(&told, ask), all, "question {ask}");
    }
    let whole = told.iter().find_map(|event| match event {
        ToClient::Answer(answer) if answer.ask == 7 => Some(answer),
        _ => None,
    });
    let whole = whole.expect("told");
    assert_eq!(
        (whole.pictures[0].age_us, whole.pictures[0].still_us),
        (500_000, 20_000)
    );
    assert_eq!((whole.took_us, whole.question.as_str()), (900_000, "What is there?"));
    let mut heard = Vec::new();
    while let Some(said) = posted.recv().await {
        heard.push(said.name);
    }
    assert_eq!(heard, all, "and the stream ends with the answer");
}

#[tokio::test]
async fn who_asks_over_http_and_does_not_listen_holds_nobody_up() {
    let counter = counter(Some(()));
    let posted = counter.desk.ask_over_http("And over HTTP?").expect("taken");
    for _ in 0..2 * WAITING {
        counter.turn(Turn::More {
            id: OWN,
            text: "and ".into(),
        });
    }
    assert!(posted.len() <= WAITING);
    drop(posted);
    counter.turn(Turn::Answer {
        id: OWN,
        answer: answer(),
        still: vec![],
    });
    assert_eq!(counter.told().last().map(ToClient::name), Some("answer"));
}
