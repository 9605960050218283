//! Scenario files: who comes when, over which network, to which machine, and what engines cost there.

mod fields;

use std::path::Path;

use hearsight_core::network::Network;
use hearsight_core::schedule::Policy;
use hearsight_core::time::Span;
use thiserror::Error;
use toml::{Table, Value};

use fields::Fields;

/// The longest run, the largest crowd and the largest machine that a scenario may ask for.
const MOST_SECONDS: f64 = 3_600.0;
const MOST_SESSIONS: f64 = 20_000.0;
const MOST_CORES: f64 = 1_024.0;

/// Why a file is no scenario.
#[derive(Debug, Error)]
pub enum BadScenario {
    /// It can't be read.
    #[error("can't read the scenario {path}: {problem}; name a file, such as scenarios/office.toml")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// It is not TOML.
    #[error("the scenario is not valid TOML: {0}")]
    Syntax(String),
    /// One of its fields won't do.
    #[error("{field}: {problem}; {remedy}")]
    Field {
        /// The dotted name.
        field: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

fn bad(field: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> BadScenario {
    BadScenario::Field {
        field: field.into(),
        problem: problem.into(),
        remedy: remedy.into(),
    }
}

/// A simulation, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// All that is random follows from it.
    pub seed: u64,
    /// How long people come and go; what they began is let end.
    pub length: Span,
    /// What it runs on.
    pub machine: Machine,
    /// What engines cost there.
    pub costs: Costs,
    /// Who comes.
    pub crowds: Vec<Crowd>,
}

/// What sessions run on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Processor cores.
    pub cores: usize,
    /// Engine threads.
    pub threads: usize,
    /// By what the next slice is chosen.
    pub policy: Policy,
}

/// What engines take of one core, on average: each slice takes between two thirds and four thirds of it at random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// To find speech in 20 ms of sound.
    pub vad: Span,
    /// To recognise a portion of sound, whatever its length.
    pub recognise: Span,
    /// And for each second of it, as a part of a second.
    pub recognise_share: f64,
    /// To decode one picture.
    pub decode: Span,
    /// To find text in a picture.
    pub look: Span,
    /// To read one line.
    pub line: Span,
    /// Lines in a picture.
    pub lines: usize,
    /// To make a picture between two others.
    pub make: Span,
    /// To code a picture for those who watch.
    pub encode: Span,
    /// To see one tile of a picture that is asked about.
    pub tile: Span,
    /// To say one word of an answer.
    pub token: Span,
}

impl Default for Costs {
    /// What was measured of the embedded engines on one core of the machine that README.md's figures are of.
    fn default() -> Costs {
        let ms = |ms: f64| Span::from_nanos((ms * 1e6) as i64);
        Costs {
            vad: ms(0.15),
            recognise: ms(1.0),
            recognise_share: 0.14,
            decode: ms(1.5),
            look: ms(100.0),
            line: ms(33.0),
            lines: 3,
            make: ms(12.0),
            encode: ms(4.0),
            tile: ms(90.0),
            token: ms(30.0),
        }
    }
}

/// People who do the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Crowd {
    /// What it is called.
    pub name: String,
    /// How many.
    pub count: usize,
    /// When the first comes.
    pub from: Span,
    /// How long after the one before each comes, on average.
    pub every: Span,
    /// How long each stays.
    pub stay: Span,
    /// How they are connected.
    pub network: Network,
    /// The part of the time in which they speak.
    pub talk: f64,
    /// Pictures a second; 0: they show none.
    pub fps: i64,
    /// What their pictures say is read.
    pub reads: bool,
    /// Somebody watches them.
    pub watched: bool,
    /// Questions about the picture a minute.
    pub questions: f64,
    /// All of them are one user.
    pub one_user: bool,
}

impl Scenario {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Scenario, BadScenario> {
        let text = std::fs::read_to_string(path).map_err(|problem| BadScenario::Unreadable {
            path: path.display().to_string(),
            problem: problem.to_string(),
        })?;
        Scenario::parse(&text)
    }

    /// Reads a scenario's text.
    pub fn parse(text: &str) -> Result<Scenario, BadScenario> {
        let table: Table = text
            .parse()
            .map_err(|problem: toml::de::Error| BadScenario::Syntax(problem.to_string().trim_end().to_owned()))?;
        let mut root = Fields::new("", table);
        let name = root.text("name")?.unwrap_or_else(|| "unnamed".into());
        let seed = root.number("seed", 1.0, 0.0..=9e15)? as u64;
        let length = root.seconds("seconds", 30.0, 1.0..=MOST_SECONDS)?;
        let machine = machine(root.table("machine")?)?;
        let costs = costs(root.table("costs")?)?;
        let networks = root.table("networks")?;
        let crowds = crowds(&mut root, networks, length)?;
        root.finish()?;
        Ok(Scenario {
            name,
            seed,
            length,
            machine,
            costs,
            crowds,
        })
    }
}

fn machine(mut fields: Fields) -> Result<Machine, BadScenario> {
    let cores = fields.number("cores", 2.0, 1.0..=MOST_CORES)? as usize;
    let threads = fields.number("threads", 0.0, 0.0..=MOST_CORES)? as usize;
    let policy = match fields.text("policy")? {
        None => Policy::Ours,
        Some(name) => Policy::ALL
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| {
                bad(
                    "machine.policy",
                    format!("{name:?} is no policy"),
                    "write ours, fifo, edf or sjf",
                )
            })?,
    };
    fields.finish()?;
    Ok(Machine {
        cores,
        threads: if threads == 0 { cores } else { threads },
        policy,
    })
}

fn costs(mut fields: Fields) -> Result<Costs, BadScenario> {
    let known = Costs::default();
    let mut ms = |name, default: Span| -> Result<Span, BadScenario> {
        let ms = fields.number(name, default.secs_f64() * 1e3, 0.0..=10_000.0)?;
        Ok(Span::from_nanos((ms * 1e6) as i64))
    };
    let (vad, recognise, decode) = (
        ms("vad_ms", known.vad)?,
        ms("recognise_ms", known.recognise)?,
        ms("decode_ms", known.decode)?,
    );
    let (look, line) = (ms("look_ms", known.look)?, ms("line_ms", known.line)?);
    let (make, encode) = (ms("make_ms", known.make)?, ms("encode_ms", known.encode)?);
    let (tile, token) = (ms("tile_ms", known.tile)?, ms("token_ms", known.token)?);
    let recognise_share = fields.number("recognise_share", known.recognise_share, 0.0..=10.0)?;
    let lines = fields.number("lines", known.lines as f64, 0.0..=32.0)? as usize;
    fields.finish()?;
    Ok(Costs {
        vad,
        recognise,
        recognise_share,
        decode,
        look,
        line,
        lines,
        make,
        encode,
        tile,
        token,
    })
}

fn network(mut fields: Fields) -> Result<Network, BadScenario> {
    let delay = fields.number("delay_ms", 0.0, 0.0..=5_000.0)?;
    let jitter = fields.number("jitter_ms", 0.0, 0.0..=5_000.0)?;
    let network = Network {
        delay: Span::from_nanos((delay * 1e6) as i64),
        jitter: Span::from_nanos((jitter * 1e6) as i64),
        loss: fields.number("loss", 0.0, 0.0..=1.0)?,
        reorder: fields.number("reorder", 0.0, 0.0..=1.0)?,
        rate: match fields.number("kbps", 0.0, 0.0..=10_000_000.0)? as u64 {
            0 => None,
            kbps => Some(kbps * 1_000),
        },
    };
    fields.finish()?;
    Ok(network)
}

fn crowds(root: &mut Fields, networks: Fields, length: Span) -> Result<Vec<Crowd>, BadScenario> {
    let listed = root.take("sessions").unwrap_or(Value::Array(Vec::new()));
    let Value::Array(listed) = listed else {
        return Err(bad(
            "sessions",
            "is not a list of tables",
            "write [[sessions]] above each crowd",
        ));
    };
    if listed.is_empty() {
        return Err(bad("sessions", "nobody comes", "add a [[sessions]] table with a count"));
    }
    let mut crowds = Vec::new();
    for (number, crowd) in listed.into_iter().enumerate() {
        let place = format!("sessions[{number}]");
        let Value::Table(table) = crowd else {
            return Err(bad(place, "is not a table", "write [[sessions]] above each crowd"));
        };
        crowds.push(crowd_of(Fields::new(&place, table), number, &networks, length)?);
    }
    let all: f64 = crowds.iter().map(|crowd| crowd.count as f64).sum();
    if all > MOST_SESSIONS {
        return Err(bad(
            "sessions",
            format!("{all} are too many"),
            format!("ask for {MOST_SESSIONS} at most"),
        ));
    }
    Ok(crowds)
}

fn crowd_of(mut fields: Fields, number: usize, networks: &Fields, length: Span) -> Result<Crowd, BadScenario> {
    let whole = length.secs_f64();
    let network = match fields.text("network")? {
        None => Network::PERFECT,
        Some(name) => match networks.get(&name) {
            Some(Value::Table(table)) => network(Fields::new(&format!("networks.{name}"), table.clone()))?,
            _ => {
                let field = fields.name("network");
                return Err(bad(
                    field,
                    format!("there is no network {name:?}"),
                    format!("add [networks.{name}]"),
                ));
            }
        },
    };
    let crowd = Crowd {
        name: fields.text("name")?.unwrap_or_else(|| format!("crowd {}", number + 1)),
        count: fields.number("count", 1.0, 0.0..=MOST_SESSIONS)? as usize,
        from: fields.seconds("from_s", 0.0, 0.0..=whole)?,
        every: fields.seconds("every_s", 0.2, 0.0..=whole)?,
        stay: fields.seconds("stay_s", whole, 1.0..=whole)?,
        network,
        talk: fields.number("talk", 0.5, 0.0..=0.95)?,
        fps: fields.number("fps", 30.0, 0.0..=120.0)? as i64,
        reads: fields.flag("reads")?,
        watched: fields.flag("watched")?,
        questions: fields.number("questions_per_minute", 0.0, 0.0..=60.0)?,
        one_user: fields.flag("one_user")?,
    };
    fields.finish()?;
    Ok(crowd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_its_field_and_a_remedy() {
        for (text, expected) in [
            ("", "sessions: nobody comes; add a [[sessions]] table with a count"),
            ("sessions = 3", "sessions: is not a list of tables"),
            (
                "[machine]\ncorse = 4",
                "machine.corse: there is no such field; did you mean cores?",
            ),
            (
                "[machine]\npolicy = \"lifo\"",
                "machine.policy: \"lifo\" is no policy; write ours, fifo, edf or sjf",
            ),
            (
                "[[sessions]]\ntalk = 2",
                "sessions[0].talk: 2 is out of range; write 0 to 0.95",
            ),
            (
                "[[sessions]]\nnetwork = \"wifi\"",
                "sessions[0].network: there is no network \"wifi\"; add [networks.wifi]",
            ),
            (
                "[[sessions]]\nreads = 1",
                "sessions[0].reads: 1 is not a yes or no; write true or false",
            ),
            ("seconds = nan\n[[sessions]]", "seconds: NaN is out of range"),
            (
                "[[sessions]]\ncount = 15000\n[[sessions]]\ncount = 15000",
                "sessions: 30000 are too many",
            ),
            ("= 3", "not valid TOML"),
        ] {
            let told = Scenario::parse(text).expect_err(text).to_string();
            assert!(told.contains(expected), "{text}: {told}");
        }
    }

    #[test]
    fn no_text_whatever_makes_it_fall_over() {
        let text = include_str!("../../../../scenarios/office.toml");
        for seed in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(0..bytes.len());
                match random.u8(0..3) {
                    0 => bytes[at] = random.u8(b' '..b'~'),
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, random.u8(b' '..b'~')),
                }
            }
            let _ = Scenario::parse(&String::from_utf8_lossy(&bytes));
        }
    }
}
