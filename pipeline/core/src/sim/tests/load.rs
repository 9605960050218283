//! Machines with too much to do, under every policy: what must hold whatever they are asked for.

use super::*;
use crate::schedule::{Policy, Strain};

const LANES: [Lane; 4] = [Lane::Hear, Lane::See, Lane::Think, Lane::Show];
const UNITS: u32 = 60;

fn keep(random: &mut fastrand::Rng) -> Keep {
    match random.u8(0..3) {
        0 => Keep::Latest,
        1 => Keep::Recent(Span::from_millis(random.i64(5..200))),
        _ => Keep::Every(random.usize(1..12)),
    }
}

/// Two engines in any lanes, before an outlet of any budget.
fn drawn(random: &mut fastrand::Rng) -> (Graph, Source<Unit>, (Heard, Late)) {
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let (source, mut units) = graph.source("door", Span::ZERO);
    for name in ["first", "second"] {
        let slow = Slow {
            random: fastrand::Rng::with_seed(random.u64(..)),
            longest: Span::from_millis(random.i64(1..25)),
        };
        units = graph.engine(name, LANES[random.usize(0..4)], &units, keep(random), None, slow);
    }
    let heard = Heard::default();
    let budget = Budget {
        span: Span::from_millis(random.i64(20..300)),
        late: [Late::Shed, Late::Deliver][random.usize(0..2)],
        ..BUDGET
    };
    let listening = Listening(heard.clone(), budget);
    let sink = graph.sink("ears", &units, Keep::Every(64), listening);
    graph.promise(sink, budget, Span::ZERO);
    (graph, source, (heard, budget.late))
}

struct Listening(Heard, Budget);
impl crate::graph::Sink<Unit> for Listening {
    fn budget(&self, _: &Unit) -> Option<Budget> {
        Some(self.1)
    }
    fn take(&mut self, now: Moment, signal: Signal<Unit>) {
        self.0.lock().expect("ears").push((now, signal));
    }
}

fn feed(sim: &mut Sim, random: &mut fastrand::Rng, session: SessionId, source: Source<Unit>, every: i64) {
    let source = Arc::new(source);
    let mut when = Moment::ZERO;
    for number in 0..UNITS {
        when += Span::from_micros(random.i64(0..every));
        let door = source.clone();
        let signal = Signal::Item(Stamped::new(MediaTime::ZERO, when, Unit(number)));
        sim.at(when, session, source.id(), move |now| door.push(now, signal));
    }
    let door = source.clone();
    sim.at(when, session, source.id(), move |now| door.push(now, Signal::End));
}

fn machine(seed: u64, random: &mut fastrand::Rng) -> Machine {
    Machine {
        workers: random.usize(1..5),
        processors: random.bool().then(|| random.usize(1..4)),
        policy: Policy::ALL[seed as usize % 4],
    }
}

/// The trace, and for each session what it counted and what was heard of it.
fn crowded(seed: u64) -> (Vec<Step>, Vec<(Tally, Heard, Late)>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sim = Sim::on(machine(seed, &mut random));
    let mut all = Vec::new();
    for _ in 0..random.usize(1..7) {
        let (graph, source, heard) = drawn(&mut random);
        let user = random.bool().then(|| random.u64(0..3));
        let session = sim.adopt_for(graph, user);
        feed(&mut sim, &mut random, session, source, 12_000);
        all.push(heard);
    }
    let trace = sim.run(Moment::MAX).to_vec();
    let told = |(session, (heard, late)): (usize, (Heard, Late))| {
        assert!(sim.graph(session).finished(), "seed {seed}: session {session} hangs");
        (sim.graph(session).meter().tally(), heard, late)
    };
    let told = all.into_iter().enumerate().map(told).collect();
    (trace, told)
}

#[test]
fn every_unit_is_delivered_or_counted_lost_exactly_once_under_every_policy() {
    for seed in 0..3_000 {
        for (tally, heard, late) in crowded(seed).1 {
            let heard = heard.lock().expect("heard");
            let numbers = heard.iter().filter_map(|(_, signal)| match signal {
                Signal::Item(unit) => Some(unit.item.0),
                _ => None,
            });
            let numbers: Vec<_> = numbers.collect();
            assert!(numbers.is_sorted_by(|one, next| one < next), "seed {seed}: {numbers:?}");
            let mut lost: u64 = tally.lost.values().sum();
            if late == Late::Deliver {
                // What is delivered late is counted as late, and not lost.
                lost -= tally.lost.get(&("out", Lost::TooLate)).copied().unwrap_or(0);
            }
            assert_eq!(
                numbers.len() as u64 + lost,
                u64::from(UNITS),
                "seed {seed}: {:?}",
                tally.lost
            );
        }
    }
}

#[test]
fn a_crowded_machine_does_the_same_again_under_the_same_seed() {
    for seed in 0..200 {
        assert_eq!(crowded(seed).0, crowded(seed).0, "seed {seed}");
    }
}

#[test]
fn who_is_heard_waits_for_no_more_than_one_slice_of_anything_else() {
    for seed in 0..500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let workers = random.usize(1..5);
        let mut sim = Sim::new(workers);
        let own = Span::from_millis(4);
        let mut longest = Span::ZERO;
        // More than there is time for, in every lane but hearing.
        for _ in 0..12 {
            let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
            let (source, units) = graph.source("door", Span::ZERO);
            let slice = Span::from_millis(random.i64(5..40));
            let lane = LANES[random.usize(1..4)];
            if lane == Lane::See {
                longest = longest.max(slice);
            }
            let slow = Slow {
                random: fastrand::Rng::with_seed(random.u64(..)),
                longest: slice,
            };
            let units = graph.engine("other", lane, &units, Keep::Every(64), None, slow);
            graph.sink("ears", &units, Keep::Every(64), |_: Moment, _: Signal<Unit>| {});
            let session = sim.adopt(graph);
            feed(&mut sim, &mut random, session, source, 4_000);
        }
        let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
        let (source, units) = graph.source("door", Span::ZERO);
        let slow = Slow {
            random: fastrand::Rng::with_seed(seed),
            longest: own,
        };
        let units = graph.engine("hear", Lane::Hear, &units, Keep::Every(64), None, slow);
        let sink = graph.sink("ears", &units, Keep::Every(64), Listening(Heard::default(), BUDGET));
        graph.promise(sink, BUDGET, Span::ZERO);
        let session = sim.adopt(graph);
        let source = Arc::new(source);
        for number in 0..UNITS {
            let when = Moment::from_millis(7 * i64::from(number));
            let door = source.clone();
            let signal = Signal::Item(Stamped::new(MediaTime::ZERO, when, Unit(number)));
            sim.at(when, session, source.id(), move |now| door.push(now, signal));
        }
        sim.run(Moment::MAX);
        let tally = sim.graph(session).meter().tally();
        // With a single worker a slice that began is let end, and then what came meanwhile is caught up with.
        let bound = if workers > 1 { own } else { longest + own * 8 };
        let worst = tally.ages["out"].worst();
        assert!(worst <= bound, "seed {seed}, {workers} workers: {worst} over {bound}");
    }
}

/// Takes three units at a time, and long.
struct Batches {
    random: fastrand::Rng,
    waiting: usize,
}
impl Engine for Batches {
    type In = Unit;
    type Out = Unit;
    fn run(&mut self, _: Moment, signal: Signal<Unit>, out: &mut Outbox<Unit>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(unit) => {
                self.waiting += 1;
                if self.waiting.is_multiple_of(3) {
                    out.spend(Span::from_micros(self.random.i64(8_000..26_000)));
                    out.put(unit);
                }
            }
            Signal::Gap(gap) => out.pass(gap),
            _ => {}
        }
        Ok(Wake::OnSignal)
    }
    fn slice(&self) -> Span {
        Span::from_millis(26)
    }
}

/// A session that hears as sessions do: a quick detector whose link keeps little, and after it, where somebody speaks, a
/// recogniser that takes a hundred times as long and is worth more.
fn caller(random: &mut fastrand::Rng, speaks: bool) -> (Graph, Source<Unit>) {
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let (source, units) = graph.source("door", Span::ZERO);
    let detector = Slow {
        random: fastrand::Rng::with_seed(random.u64(..)),
        longest: Span::from_micros(200),
    };
    let keep = Keep::Recent(Span::from_millis(35));
    let voice = graph.engine("detect", Lane::Listen, &units, keep, None, detector);
    let turns = graph.sink("turns", &voice, Keep::Every(64), Listening(Heard::default(), BUDGET));
    graph.promise(turns, BUDGET, Span::ZERO);
    if speaks {
        let recogniser = Batches {
            random: fastrand::Rng::with_seed(random.u64(..)),
            waiting: 0,
        };
        let keep = Keep::Recent(Span::from_millis(120));
        let words = graph.engine("recognise", Lane::Hear, &voice, keep, None, recogniser);
        let budget = Budget {
            outlet: "words",
            span: Span::from_millis(600),
            value: 5.0,
            ..BUDGET
        };
        let sink = graph.sink("words", &words, Keep::Every(64), Listening(Heard::default(), budget));
        graph.promise(sink, budget, Span::ZERO);
    }
    (graph, source)
}

/// A session that sees, and thinks about what it saw for as long as `thinking` at most.
fn show(sim: &mut Sim, random: &mut fastrand::Rng, every: i64, thinking: Span) {
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let (source, units) = graph.source("door", Span::ZERO);
    let mut slow = |longest| Slow {
        random: fastrand::Rng::with_seed(random.u64(..)),
        longest,
    };
    let keep = Keep::Recent(Span::from_millis(150));
    let decode = slow(Span::from_millis(24));
    let pictures = graph.engine("decode", Lane::See, &units, keep, None, decode);
    let read = graph.engine("read", Lane::Think, &pictures, Keep::Latest, None, slow(thinking));
    let budget = Budget {
        late: Late::Shed,
        ..BUDGET
    };
    let sink = graph.sink("ears", &read, Keep::Every(64), Listening(Heard::default(), budget));
    graph.promise(sink, budget, Span::ZERO);
    let session = sim.adopt(graph);
    feed(sim, random, session, source, every);
}

/// Sessions that hear; answers with them.
fn callers(sim: &mut Sim, random: &mut fastrand::Rng, speakers: usize, listeners: usize) -> Vec<SessionId> {
    let mut call = |number| {
        let (graph, source) = caller(random, number < speakers);
        let session = sim.adopt(graph);
        let (source, begin) = (Arc::new(source), random.i64(0..20_000));
        for number in 0..UNITS {
            let when = Moment::ZERO + Span::from_micros(begin + 20_000 * i64::from(number));
            let door = source.clone();
            let signal = Signal::Item(Stamped::new(MediaTime::ZERO, when, Unit(number)));
            sim.at(when, session, source.id(), move |now| door.push(now, signal));
        }
        session
    };
    (0..speakers + listeners).map(&mut call).collect()
}

#[test]
fn nothing_that_is_heard_is_lost_while_there_is_time_for_it_however_much_is_seen_and_little_is_known() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let workers = random.usize(2..5);
        let mut sim = Sim::new(workers);
        for _ in 0..2 * workers {
            show(&mut sim, &mut random, 40_000, Span::from_millis(5));
        }
        // Recognisers take 85 % of the workers that seeing leaves free.
        for session in callers(&mut sim, &mut random, 3 * (workers - 1), 8) {
            sim.run(Moment::MAX);
            let lost = sim.graph(session).meter().tally().lost;
            assert!(
                lost.is_empty(),
                "seed {seed}, {workers} workers, session {session}: {lost:?}"
            );
        }
    }
}

#[test]
fn what_is_thought_changes_nothing_of_what_is_heard_and_seen() {
    for seed in 0..200 {
        let heard_and_seen = |thinking| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut sim = Sim::new(random.usize(1..4));
            for _ in 0..6 {
                show(&mut sim, &mut random, 40_000, thinking);
            }
            callers(&mut sim, &mut random, 4, 4);
            let mut trace = sim.run(Moment::MAX).to_vec();
            trace.retain(|step| ["decode", "detect", "recognise"].contains(&step.node));
            trace
        };
        let little = heard_and_seen(Span::from_millis(1));
        assert_eq!(little, heard_and_seen(Span::from_millis(300)), "seed {seed}");
    }
}

#[test]
fn processors_are_shared_by_weight_and_no_slice_has_more_than_one() {
    // One of each lane for 100 ms, at once, on one processor.
    let mut sim = Sim::on(Machine {
        workers: 2,
        processors: Some(1),
        policy: Policy::Ours,
    });
    struct Hundred;
    impl Engine for Hundred {
        type In = Unit;
        type Out = Unit;
        fn run(&mut self, _: Moment, signal: Signal<Unit>, out: &mut Outbox<Unit>) -> Result<Wake, Fault> {
            if let Signal::Item(unit) = signal {
                out.spend(Span::from_millis(100));
                out.put(unit);
            }
            Ok(Wake::OnSignal)
        }
        fn slice(&self) -> Span {
            Span::from_millis(100)
        }
    }
    let mut heard = Vec::new();
    for lane in LANES {
        let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
        let (source, units) = graph.source("door", Span::ZERO);
        let units = graph.engine("engine", lane, &units, Keep::Every(4), None, Hundred);
        let ears = Heard::default();
        graph.sink("ears", &units, Keep::Every(4), Ears(ears.clone()));
        let session = sim.adopt(graph);
        let signal = Signal::Item(Stamped::new(MediaTime::ZERO, Moment::ZERO, Unit(0)));
        let into = source.id();
        sim.at(Moment::ZERO, session, into, move |now| source.push(now, signal));
        heard.push(ears);
    }
    sim.run(Moment::MAX);
    let ended = heard.iter().map(|ears| ears.lock().expect("ears")[0].0 - Moment::ZERO);
    let ended: Vec<_> = ended.map(|span| span.millis_f64().round() as i64).collect();
    // Weights 1024, 1024, 110 and 110: the first two have most of it until they end together, then the others share.
    assert_eq!(ended, [221, 221, 400, 400]);
    assert_eq!(sim.worked(), (4, Span::from_millis(400)));
}

/// Notes under which strain it was stepped.
struct Reporter(Arc<Mutex<Vec<Strain>>>);
impl Stage for Reporter {
    type In = Unit;
    type Out = Unit;
    fn step(&mut self, _: Moment, _: Signal<Unit>, out: &mut Outbox<Unit>) -> Wake {
        self.0.lock().expect("told").push(out.strain());
        Wake::OnSignal
    }
}

#[test]
fn strain_reaches_the_stages_and_newcomers_are_let_in_again_when_it_is_over() {
    let mut sim = Sim::new(1);
    let told = Arc::new(Mutex::new(Vec::new()));
    // Four times what there is a worker for, for three seconds.
    for number in 0..4 {
        let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
        let (source, units) = graph.source("door", Span::ZERO);
        let slow = Slow {
            random: fastrand::Rng::with_seed(number),
            longest: Span::from_millis(100),
        };
        let keep = Keep::Recent(Span::from_millis(200));
        let units = graph.engine("slow", Lane::Hear, &units, keep, None, slow);
        let units = graph.stage("reporter", &units, keep, None, Reporter(told.clone()));
        graph.sink("ears", &units, Keep::Every(64), |_: Moment, _: Signal<Unit>| {});
        let session = sim.adopt(graph);
        let mut random = fastrand::Rng::with_seed(number ^ 8);
        feed(&mut sim, &mut random, session, source, 100_000);
    }
    let admitted = Arc::new(Mutex::new(Vec::new()));
    for tenth in 0..250 {
        let admitted = admitted.clone();
        sim.visit_at(Moment::from_millis(100 * tenth), move |sim| {
            let answer = sim.admit();
            assert!(answer.is_ok() || answer.is_err_and(|wait| wait > Span::ZERO));
            admitted.lock().expect("admitted").push(answer.is_ok());
        });
    }
    sim.run(Moment::MAX);
    let told = told.lock().expect("told");
    assert_eq!(
        (told.first(), told.iter().max()),
        (Some(&Strain::None), Some(&Strain::Newcomers))
    );
    let admitted = admitted.lock().expect("admitted");
    assert!(admitted[10..30].iter().all(|admitted| !admitted), "{admitted:?}");
    assert!(admitted[200..].iter().all(|admitted| *admitted), "{admitted:?}");
    assert_eq!(sim.load().strain, Strain::None);
}
