//! The server that is measured: this program once more, with ingest and, if wanted, decoding, and nothing else. Offers
//! come in as JSON lines on its standard input, answers leave on its standard output.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use hearsight::budget;
use hearsight::ingest::{Config, Ingest, Left, Peer, Refusal, Reply};
use hearsight_codecs::{h264, hearing};
use hearsight_core::graph::{Graph, Source};
use hearsight_core::media::{Codec, Decoded, Packet, Pcm};
use hearsight_core::meter::Meter;
use hearsight_core::schedule::Lane;
use hearsight_core::stage::Signal;
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::Moment;
use hearsight_live::clock::Clock;
use hearsight_live::host::{Host, Session};
use serde_json::{Value, json};

/// What becomes of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// They are counted.
    Bare,
    /// They become pictures and 16 kHz sound, in a graph of the house's own links, stages and engines.
    Decode,
}

impl Work {
    const fn name(self) -> &'static str {
        match self {
            Work::Bare => "bare",
            Work::Decode => "decode",
        }
    }
    pub(crate) fn parse(text: &str) -> Option<Work> {
        [Work::Bare, Work::Decode].into_iter().find(|work| work.name() == text)
    }
}

/// The handle of a running one.
pub(crate) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// What it has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) pictures: u64,
    pub(crate) samples: u64,
}

impl Server {
    pub(crate) fn start(work: Work) -> Result<Server> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", work.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Server { child, input, output })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The answer to an offer.
    pub(crate) fn answer(&mut self, offer: &str) -> Result<String> {
        let said = self.ask(&json!({ "offer": offer }))?;
        match said["answer"].as_str() {
            Some(answer) => Ok(answer.to_owned()),
            None => bail!("refused: {}", said["refused"]),
        }
    }

    pub(crate) fn counted(&mut self) -> Result<Counted> {
        let said = self.ask(&json!({}))?;
        let number = |name: &str| said[name].as_u64().unwrap_or(0);
        Ok(Counted {
            packets: number("packets"),
            bytes: number("bytes"),
            pictures: number("pictures"),
            samples: number("samples"),
        })
    }

    fn ask(&mut self, question: &Value) -> Result<Value> {
        let input = self.input.as_mut().context("the server is stopped")?;
        writeln!(input, "{question}")?;
        input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).context("the server ended")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input is its end.
        self.input = None;
        let _ = self.child.wait();
    }
}

#[derive(Default)]
struct Counters {
    packets: AtomicU64,
    bytes: AtomicU64,
    pictures: AtomicU64,
    samples: AtomicU64,
}

/// Serves until standard input ends.
pub(crate) fn serve(work: Work) -> Result<()> {
    let clock = Clock::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let host = Host::start(clock, std::thread::available_parallelism().map_or(1, usize::from))?;
    let mut config = Config::new("127.0.0.1:0".parse()?);
    config.max_sessions = 1_000;
    config.max_connecting = 1_000;
    let ingest = Ingest::start(config, clock)?;
    let counters = Arc::new(Counters::default());
    for line in std::io::stdin().lines() {
        let asked: Value = serde_json::from_str(&line?)?;
        let said = match asked["offer"].as_str() {
            Some(offer) => {
                let answer = ingest.offer(offer, |_, reply| peer(work, &host, &reply, &counters));
                match answer {
                    Ok(answer) => json!({ "answer": answer.sdp }),
                    Err(why) => json!({ "refused": why.to_string() }),
                }
            }
            None => json!({
                "packets": ingest.stats().datagrams,
                "bytes": counters.bytes.load(Ordering::Relaxed),
                "pictures": counters.pictures.load(Ordering::Relaxed),
                "samples": counters.samples.load(Ordering::Relaxed),
            }),
        };
        println!("{said}");
    }
    ingest.shutdown();
    Ok(())
}

fn peer(work: Work, host: &Host, reply: &Reply, counters: &Arc<Counters>) -> Result<Box<dyn Peer>, Refusal> {
    match work {
        Work::Bare => Ok(Box::new(Counter(counters.clone()))),
        Work::Decode => Ok(Box::new(Decoding::new(host, reply, counters).map_err(|problem| {
            Refusal::Busy {
                retry_after: 1,
                detail: problem.to_string(),
            }
        })?)),
    }
}

struct Counter(Arc<Counters>);

impl Peer for Counter {
    fn opened(&mut self, _: Moment) {}
    fn packet(&mut self, unit: Stamped<Packet>) {
        self.0.packets.fetch_add(1, Ordering::Relaxed);
        self.0
            .bytes
            .fetch_add(unit.item.payload.len() as u64, Ordering::Relaxed);
    }
    fn message(&mut self, _: Moment, _: &str) {}
    fn left(&mut self, why: Left) {
        if !matches!(why, Left::Closed | Left::Shutdown) {
            eprintln!("bench-ingest: a session ended early: {why:?}");
        }
    }
}

/// The first half of the house's drawing: to samples and pixels, and no further.
struct Decoding {
    session: Session,
    sound: Source<Packet>,
    sight: Source<Packet>,
    counter: Counter,
}

impl Decoding {
    fn new(host: &Host, reply: &Reply, counters: &Arc<Counters>) -> Result<Decoding> {
        let upstream = reply.clone();
        let mut graph = Graph::new(Meter::default(), Arc::new(move |request| upstream.request(request)));
        let (sound, packets) = graph.source("sound", budget::JITTER_WAIT);
        let opus = hearing::Hearing::new()?;
        let pcm = graph.stage("opus", &packets, budget::INTO_OPUS, Some(Mark::Decoded), opus);
        let heard = counters.clone();
        graph.sink("heard", &pcm, budget::INTO_EVENTS, move |_, signal: Signal<Pcm>| {
            if let Signal::Item(pcm) = signal {
                heard
                    .samples
                    .fetch_add(pcm.item.samples.len() as u64, Ordering::Relaxed);
            }
        });
        let (sight, packets) = graph.source("sight", budget::JITTER_WAIT);
        let decoder = h264::Decoder::new(h264::Config::default())?;
        let into = budget::INTO_DECODER;
        let pictures = graph.engine("decode", Lane::See, &packets, into, Some(Mark::Decoded), decoder);
        let seen = counters.clone();
        graph.sink(
            "seen",
            &pictures,
            budget::INTO_MEASURE,
            move |_, signal: Signal<Decoded>| {
                if let Signal::Item(_) = signal {
                    seen.pictures.fetch_add(1, Ordering::Relaxed);
                }
            },
        );
        Ok(Decoding {
            session: host.adopt(graph),
            sound,
            sight,
            counter: Counter(counters.clone()),
        })
    }
}

impl Peer for Decoding {
    fn opened(&mut self, _: Moment) {}
    fn packet(&mut self, unit: Stamped<Packet>) {
        let source = match unit.item.codec {
            Codec::Opus => &self.sound,
            Codec::H264 => &self.sight,
        };
        self.counter
            .0
            .bytes
            .fetch_add(unit.item.payload.len() as u64, Ordering::Relaxed);
        self.session.push(source, Signal::Item(unit));
    }
    fn message(&mut self, _: Moment, _: &str) {}
    fn left(&mut self, _: Left) {
        self.session.push(&self.sound, Signal::End);
        self.session.push(&self.sight, Signal::End);
    }
}
