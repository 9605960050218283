//! The server itself, past what this machine holds: talkers from `hearsight publish --copies N`, recognised by the embedded engines,
//! and how many of them the simulator says that it would hold.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hearsight::budget;
use hearsight::simulate::capacity;
use hearsight::simulate::scenario::{Costs, Crowd, Machine, Scenario};
use hearsight_core::network::Network;
use hearsight_core::schedule::Policy;
use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use hearsight_tests::rig::server::{Server, program};
use hearsight_tests::rig::{process, root};
use serde_json::{Map, Value, json};

/// Talkers who come at once where the machine is to be overrun.
const CROWD: usize = 40;
/// More than these are not tried where everybody is let in.
const MOST: usize = 40;
/// Seconds of each part: somebody alone, a crowd, and after it.
const ALONE: u64 = 20;
const CROWDED: u64 = 30;
const AFTER: u64 = 10;
/// What may pass after the end of the crowd before words are as soon as before.
const RECOVERY: Duration = Duration::from_secs(2);
/// Recognisers and connections take their time to start where many do at once.
const SETTLING: Duration = Duration::from_secs(4);
const WATCHED: Duration = Duration::from_secs(12);
/// Of final words and turns, for a number of sessions to count as held.
const IN_TIME: f64 = capacity::SHARE;

/// Of 50 units of sound a second, for the same: one in a thousand.
const LOST: f64 = 0.05;

/// The longest slices of the engines that hear, as they declare them, in seconds.
const DECLARED: [(&str, f64); 2] = [("vad", 0.005), ("recognise", 0.05)];

/// Both tables, and the keys that they fill.
pub(crate) fn measure() -> Result<Value> {
    let overrun = overrun()?;
    let held = held()?;
    Ok(json!({ "overrun": overrun, "capacity": held }))
}

/// One session that stays while a crowd comes and goes.
fn overrun() -> Result<Value> {
    let server = serve("load")?;
    let witness = publish(&server, "witness", 1)?;
    witness.lasts(SETTLING)?;
    println!(
        "{:8} {:>8} {:>9} {:>7} {:>7} {:>8} {:>8} {:>8} {:>8}  {:>8}",
        "", "sessions", "refused", "strain", "finals", "in time", "p50", "p99", "p99.9", "memory"
    );
    let before = phase(&server, &witness, "alone", ALONE)?;
    let crowd = publish(&server, "crowd", CROWD)?;
    crowd.lasts(SETTLING)?;
    let first = Metrics::of(&server)?;
    let during = phase(&server, &witness, "crowded", CROWDED)?;
    let last = Metrics::of(&server)?;
    drop(crowd);
    witness.lasts(RECOVERY)?;
    let after = phase(&server, &witness, "after", AFTER)?;
    ensure!(server.panics() == 0, "the server panicked");
    let slice = |(engine, declared): (&str, f64)| {
        let slices = Spread::between(&first, &last, "hearsight_slice_seconds", "engine", engine);
        (
            engine.to_owned(),
            json!(slices.quantile(0.999).map(|most| most / declared)),
        )
    };
    let slices: Map<_, _> = DECLARED.into_iter().map(slice).collect();
    Ok(json!({
        "alone": before, "crowded": during, "after": after, "talkers": CROWD + 1, "slice_p99_9_over_declared": slices,
    }))
}

/// What is told of the server over a stretch of time, with somebody there to the end.
fn phase(server: &Server, witness: &Sender, name: &str, seconds: u64) -> Result<Value> {
    let first = Metrics::of(server)?;
    let (mut strain, mut most) = (0.0_f64, 0.0_f64);
    let (mut least_kb, mut most_kb) = (u64::MAX, 0);
    for _ in 0..2 * seconds {
        witness.lasts(Duration::from_millis(500))?;
        let now = Metrics::of(server)?;
        strain = strain.max(now.value("hearsight_strain"));
        most = most.max(now.value("hearsight_sessions_open"));
        let held = process::held(server.pid())?.anonymous_kb;
        (least_kb, most_kb) = (least_kb.min(held), most_kb.max(held));
    }
    let last = Metrics::of(server)?;
    let finals = Spread::ages(&first, &last, budget::WORDS_FINAL.outlet);
    let turns = Spread::ages(&first, &last, budget::TURN.outlet);
    let refused = last.sum("hearsight_sessions_refused_total") - first.sum("hearsight_sessions_refused_total");
    let ms = |q| {
        finals
            .quantile(q)
            .map_or("-".into(), |age| format!("{:.0} ms", age * 1e3))
    };
    println!(
        "{name:8} {most:>8} {refused:>9} {strain:>7} {:>7} {:>7.1}% {:>8} {:>8} {:>8}  {:>5} MB",
        finals.count,
        finals.within(budget::WORDS_FINAL.span).unwrap_or(0.0) * 100.0,
        ms(0.5),
        ms(0.99),
        ms(0.999),
        most_kb / 1024
    );
    Ok(json!({
        "sessions": most, "refused": refused, "strain": strain, "finals": finals.count,
        "finals_in_time": finals.within(budget::WORDS_FINAL.span), "turns_in_time": turns.within(budget::TURN.span),
        "final_ms_p50_at_most": finals.quantile(0.5).map(|age| age * 1e3),
        "final_ms_p99_at_most": finals.quantile(0.99).map(|age| age * 1e3),
        "final_ms_p99_9_at_most": finals.quantile(0.999).map(|age| age * 1e3),
        "memory_mb": [least_kb / 1024, most_kb / 1024],
    }))
}

/// How many talkers this machine holds where everybody is let in, and what the simulator says.
fn held() -> Result<Value> {
    let (mut holds, mut costs) = (0, None);
    let mut count = 2;
    while count <= MOST {
        let server = serve("always")?;
        let crowd = publish(&server, "crowd", count)?;
        crowd.lasts(SETTLING + Duration::from_millis(100 * count as u64))?;
        let (first, spent) = (Metrics::of(&server)?, Spent::by(&server, &crowd)?);
        crowd.lasts(WATCHED)?;
        let (last, spent) = (
            Metrics::of(&server)?,
            Spent::by(&server, &crowd)?.since(spent, WATCHED.as_secs_f64()),
        );
        let finals = Spread::ages(&first, &last, budget::WORDS_FINAL.outlet);
        let turns = Spread::ages(&first, &last, budget::TURN.outlet);
        let open = last.value("hearsight_sessions_open") as usize;
        let lost = last.heard_lost() - first.heard_lost();
        let shares = [finals.within(budget::WORDS_FINAL.span), turns.within(budget::TURN.span)];
        let share = shares.map(|share| share.unwrap_or(0.0)).into_iter().fold(1.0, f64::min);
        println!(
            "{open} talkers: {:.1}% of {} results in time, {lost} units of sound lost; processors: {:.2} the server, \
             {:.2} recognisers, {:.2} senders",
            share * 100.0,
            finals.count + turns.count,
            spent.server,
            spent.recognisers,
            spent.senders
        );
        if costs.is_none() {
            costs = Some(each(&first, &last, spent, open)?);
        }
        if share < IN_TIME || lost > LOST * (count as f64) * WATCHED.as_secs_f64() || open < count {
            break;
        }
        holds = count;
        count += 1 + count / 6;
    }
    let costs = costs.context("nobody was heard")?;
    let simulated = capacity::estimate(&scenario(costs), |_, _| {});
    println!(
        "this machine held {holds} talkers; the simulator says {}",
        simulated.unwrap_or(0)
    );
    Ok(json!({
        "held": holds, "next_tried": count, "simulated": simulated,
        "simulated_over_held": simulated.map(|simulated| simulated as f64 / holds.max(1) as f64),
        "vad_ms": costs.vad.millis_f64(), "recognise_share": costs.recognise_share,
    }))
}

/// What one talker costs: engines by their slices, all else (sockets, encryption, the sender, which runs here as well) as if the
/// voice detector took it.
fn each(first: &Metrics, last: &Metrics, spent: Spent, sessions: usize) -> Result<Costs> {
    let seconds = WATCHED.as_secs_f64() * sessions as f64;
    let slices = |engine: &str| {
        let name = format!("hearsight_slice_seconds_sum{{engine=\"{engine}\"}}");
        (last.value(&name) - first.value(&name)).max(0.0) / seconds
    };
    let (vad, recognise) = (slices("vad"), slices("recognise"));
    ensure!(recognise > 0.0, "nothing was recognised");
    let rest = (spent.all() / sessions as f64 - vad - recognise).max(0.0);
    Ok(Costs {
        vad: Span::from_nanos(((vad + rest) * 20e6) as i64),
        recognise: Span::ZERO,
        recognise_share: recognise / TALK,
        ..Costs::default()
    })
}

/// The part of the sample talk in which somebody speaks.
const TALK: f64 = 0.8;

fn scenario(costs: Costs) -> Scenario {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Scenario {
        name: "talkers".into(),
        seed: 3,
        length: Span::from_secs(20),
        machine: Machine {
            cores,
            threads: cores,
            policy: Policy::Ours,
        },
        costs,
        crowds: vec![Crowd {
            name: "talk".into(),
            count: 1,
            from: Span::ZERO,
            every: Span::ZERO,
            stay: Span::from_secs(20),
            network: Network::PERFECT,
            talk: TALK,
            fps: 0,
            reads: false,
            watched: false,
            questions: 0.0,
            one_user: false,
        }],
    }
}

/// Processor seconds that were taken, by whom.
#[derive(Clone, Copy, Debug)]
struct Spent {
    server: f64,
    recognisers: f64,
    senders: f64,
}

impl Spent {
    fn by(server: &Server, crowd: &Sender) -> Result<Spent> {
        let of = |pid| process::processor_time(pid).map(|taken| taken.as_secs_f64());
        Ok(Spent {
            server: of(server.pid())?,
            recognisers: process::children(server.pid())?
                .into_iter()
                .filter_map(|pid| of(pid).ok())
                .sum(),
            senders: of(crowd.child.id())?,
        })
    }

    /// Each of them since `first`, for each of so many seconds.
    fn since(self, first: Spent, seconds: f64) -> Spent {
        Spent {
            server: (self.server - first.server) / seconds,
            recognisers: (self.recognisers - first.recognisers) / seconds,
            senders: (self.senders - first.senders) / seconds,
        }
    }

    fn all(self) -> f64 {
        self.server + self.recognisers + self.senders
    }
}

/// A server for as many as come, unless its admission says otherwise.
fn serve(admission: &str) -> Result<Server> {
    let most = (CROWD + 1).to_string();
    Server::start(&[
        "--log-level",
        "error",
        "--operate-listen",
        "127.0.0.1:0",
        "--limits-sessions",
        &most,
        "--limits-sessions-per-address",
        "0",
        "--limits-offers-per-minute",
        "0",
        "--limits-connections-per-address",
        "0",
        "--recognise-workers",
        &most,
        "--engine-admission",
        admission,
    ])
}

/// A running `hearsight publish`, ended when dropped.
struct Sender {
    child: Child,
    figures: Receiver<String>,
    clock: Clock,
}

impl Sender {
    /// Waits so long; an error where it ends before.
    fn lasts(&self, length: Duration) -> Result<()> {
        let until = self.clock.now() + Span::from_duration(length);
        loop {
            match self.figures.recv_timeout((until - self.clock.now()).to_duration()) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => bail!("`hearsight publish` ended before its time"),
            }
        }
    }
}

impl Drop for Sender {
    /// It says goodbye: sessions of those who don't stay for as long as they may be on another network.
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

/// The sample talk, over and over, from so many senders, each of whom knocks three times at most.
fn publish(server: &Server, stream: &str, copies: usize) -> Result<Sender> {
    let deps = std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| root().join(".deps"), Into::into);
    let mut child = Command::new(program()?)
        .arg("publish")
        .arg(deps.join("talk/talk.wav"))
        .args(["--to", &format!("{}whip/{stream}", server.page), "--loop", "--json"])
        .args([
            "--copies",
            &copies.to_string(),
            "--retries",
            "3",
            "--log-level",
            "error",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("can't start `hearsight publish`")?;
    let said = child.stdout.take().context("no standard output")?;
    let (tell, figures) = sync_channel(10_000);
    thread::Builder::new().name("figures".into()).spawn(move || {
        let lines = BufReader::new(said).lines().map_while(Result::ok);
        // What nobody reads in time is not needed: that there is more to come is.
        lines.for_each(|line| drop(tell.try_send(line)));
    })?;
    let clock = Clock::new();
    Ok(Sender { child, figures, clock })
}

/// One look at `/metrics`: values by name and labels.
struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    fn of(server: &Server) -> Result<Metrics> {
        let host = server
            .operations
            .as_deref()
            .context("the server has no listener for operators")?;
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let lines = text.lines().filter(|line| line.starts_with("hearsight_"));
        let values = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(Metrics(values.collect()))
    }

    fn value(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// Over all labels.
    fn sum(&self, name: &str) -> f64 {
        let named = self.0.iter().filter(|(full, _)| full.split('{').next() == Some(name));
        named.map(|(_, value)| value).sum()
    }

    /// Units lost on the way of sound.
    fn heard_lost(&self) -> f64 {
        let heard = ["opus", "vad", "recognise"].map(|stage| format!("hearsight_lost_total{{stage=\"{stage}\""));
        let of = |name: &String| heard.iter().any(|start| name.starts_with(start));
        self.0.iter().filter(|(name, _)| of(name)).map(|(_, value)| value).sum()
    }
}

/// A histogram between two looks: how many were at most so many seconds.
struct Spread {
    buckets: Vec<(f64, f64)>,
    count: f64,
}

impl Spread {
    fn ages(first: &Metrics, last: &Metrics, outlet: &str) -> Spread {
        Spread::between(first, last, "hearsight_age_seconds", "outlet", outlet)
    }

    fn between(first: &Metrics, last: &Metrics, name: &str, label: &str, value: &str) -> Spread {
        let (start, end) = (format!("{name}_bucket{{le=\""), format!("\",{label}=\"{value}\"}}"));
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (name, value) in &last.0 {
            let bound = name.strip_prefix(&start).and_then(|rest| rest.strip_suffix(&end));
            let bound = bound.and_then(|bound| match bound {
                "+Inf" => Some(f64::INFINITY),
                _ => bound.parse().ok(),
            });
            if let Some(bound) = bound {
                buckets.push((bound, value - first.value(name)));
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count = buckets.last().map_or(0.0, |bucket| bucket.1);
        Spread { buckets, count }
    }

    /// The part that was no more than `span`, which is one of the bounds; none of nothing.
    fn within(&self, span: Span) -> Option<f64> {
        let bucket = self
            .buckets
            .iter()
            .find(|(bound, _)| *bound >= span.secs_f64() - 1e-9)?;
        (self.count > 0.0).then_some(bucket.1 / self.count)
    }

    /// The upper end of the bucket in which a quantile lies, in seconds.
    fn quantile(&self, q: f64) -> Option<f64> {
        let bucket = self.buckets.iter().find(|bucket| bucket.1 >= q * self.count)?;
        (self.count > 0.0).then_some(bucket.0)
    }
}
