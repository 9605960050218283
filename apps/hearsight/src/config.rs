//! The settings of the program: `hearsight.toml` documents every key, and gives each a flag and an environment variable.
//!
//! Defaults < file < environment < flags. Unknown names are refused with the nearest valid one; values are checked here,
//! so that whoever holds a [`Config`] need not.

mod ask;
mod check;
mod command;
mod command_line;
mod door;
mod error;
mod hearing;
mod models;
mod operate;
mod seeing;
mod settings;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use hearsight_core::schedule::Admission;

pub use ask::{Answerer, Ask};
pub(crate) use check::is_loopback;
pub use command::{Captions, Command, Report};
use command_line::program;
pub use door::{Access, Ice, IceLogin, Limits, Listen};
pub use error::{BadValue, ConfigError};
pub use hearing::{Engine as RecogniserKind, Hearing, Place};
pub use models::{Models, ModelsCommand};
pub use operate::{Events, Operate, Strangers, Webhook};
pub use seeing::{Reader, Seeing};
pub use settings::Source;
use settings::{Key, Settings};
pub use view::{MadeOn, View};

use crate::allocate::Terms;

/// Where a file is looked for when none is named, the first that exists.
const FILES: [&str; 2] = ["hearsight.toml", "/etc/hearsight/hearsight.toml"];
/// More than a hundred times what a file with every key takes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Every setting, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Addresses and certificates.
    pub listen: Listen,
    /// What a stranger may take.
    pub limits: Limits,
    /// Who may publish, and where else to go.
    pub access: Access,
    /// STUN and TURN servers that clients are told of.
    pub ice: Ice,
    /// Libraries and models.
    pub assets: Assets,
    /// Models that are pulled from a hub.
    pub models: Models,
    /// The pool of recogniser processes.
    pub recognise: Recognise,
    /// Who makes words of speech.
    pub hearing: Hearing,
    /// What is made of pictures.
    pub seeing: Seeing,
    /// Who answers questions about them; none: nobody.
    pub ask: Option<Ask>,
    /// The engines' threads.
    pub engine: Engine,
    /// How pictures are shown at a higher rate; none: not at all.
    pub view: Option<View>,
    /// What senders are told of what is worth their bits.
    pub allocate: Terms,
    /// What is logged, and how.
    pub log: Log,
    /// The microphone of this machine.
    pub microphone: Microphone,
    /// What operators see, and how the server ends.
    pub operate: Operate,
    /// Who may read events over HTTP.
    pub events: Events,
    /// Who is told of events; none: nobody.
    pub webhook: Option<Webhook>,
    /// The sample talk.
    pub demo: Demo,
}

/// Libraries and models; whether they are there and whole is for those who load them to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Assets {
    /// The folder that set-up filled.
    pub deps: PathBuf,
    /// The shared library.
    pub onnxruntime: PathBuf,
    /// The model file.
    pub silero: PathBuf,
    /// The folder of the reader's models.
    pub ocr: PathBuf,
    /// The folder of a small model that answers questions instead of the one that is part of the program.
    pub glance: Option<PathBuf>,
    /// The model folder.
    pub pocketsphinx: PathBuf,
}

/// The pool of recogniser processes.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognise {
    /// At most.
    pub workers: usize,
    /// Kept ready; at most `workers`.
    pub warm: usize,
}

/// The engines' threads.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// None: as many as there are cores.
    pub threads: Option<NonZeroUsize>,
    /// Who may come in.
    pub admission: Admission,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Events less severe are dropped.
    pub level: tracing::Level,
    /// How a line looks.
    pub format: LogFormat,
    /// Where the timing of every session is recorded; none: nowhere.
    pub tape: Option<PathBuf>,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The microphone of this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Microphone {
    /// Its identifier, its name or a part of either; empty: the system's default.
    pub device: String,
}

/// The sample talk.
#[derive(Clone, Debug, PartialEq)]
pub struct Demo {
    /// How many times it is played.
    pub loops: u32,
    /// 16 kHz mono WAV.
    pub talk: PathBuf,
}

/// What was loaded, and what it was loaded from, so that it can be watched and compared.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What the program was asked to do.
    pub command: Command,
    /// Files that the settings came from or would come from.
    pub files: Vec<PathBuf>,
    values: BTreeMap<String, String>,
}

impl Loaded {
    /// The dotted names of the keys whose values differ from those of `other`.
    pub fn changed(&self, other: &Loaded) -> Vec<String> {
        let differs = |(key, value): &(&String, &String)| other.values.get(*key) != Some(*value);
        self.values.iter().filter(differs).map(|(key, _)| key.clone()).collect()
    }
}

/// The dotted name of every key, in the order of the file.
pub fn keys() -> Vec<String> {
    settings::keys().iter().map(Key::dotted).collect()
}

/// What surrounds the program: given, so that tests need not change the process.
#[derive(Clone, Debug, Default)]
struct Surroundings {
    variables: Vec<(String, String)>,
    files: Vec<PathBuf>,
}

impl Surroundings {
    fn variable(&self, name: &str) -> Option<String> {
        let (_, value) = self.variables.iter().find(|(known, _)| known == name)?;
        Some(value.clone())
    }
}

/// Reads flags (`args` with the program's name first), the process's environment and the settings file.
pub fn load<I, T>(args: I) -> Result<Loaded, ConfigError>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    // A variable that is not Unicode can't be one of ours with a sensible value; a lossy value fails its own check.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .collect();
    load_within(
        args,
        Surroundings {
            variables,
            files: FILES.map(PathBuf::from).to_vec(),
        },
    )
}

fn load_within<I, T>(args: I, around: Surroundings) -> Result<Loaded, ConfigError>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let keys = settings::keys();
    let mut program = program(&keys);
    let matches = program.try_get_matches_from_mut(args)?;
    let (name, flags) = matches.subcommand().expect("clap requires a subcommand");
    let (name, flags) = flags.subcommand().unwrap_or((name, flags));
    let mut settings = Settings::defaults(keys.clone());
    if let Some(command) = command::without_settings(flags) {
        return Ok(Loaded {
            config: check::config(&settings, &around.variables)?,
            command,
            files: Vec::new(),
            values: BTreeMap::new(),
        });
    }
    if let Some((path, text)) = file(flags, &around.files)? {
        settings.merge_file(&path, &text)?;
    }
    settings.merge_variables(around.variables.iter().cloned())?;
    for key in &keys {
        // A command that is no server has few of the flags.
        if let Ok(Some(text)) = flags.try_get_one::<String>(&key.dotted()) {
            settings.merge_flag(key, text)?;
        }
    }
    let config = check::config(&settings, &around.variables)?;
    let command = command::asked(name, flags, &settings, &around)?;
    let named = flags.get_one::<PathBuf>("config").cloned();
    Ok(Loaded {
        config,
        command,
        files: named.map_or_else(|| around.files.clone(), |path| vec![path]),
        values: settings.texts(),
    })
}

/// The settings file: the one that was named, else the first that exists.
fn file(flags: &ArgMatches, searched: &[PathBuf]) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let named = flags.get_one::<PathBuf>("config").cloned();
    let Some(path) = named.or_else(|| searched.iter().find(|path| path.exists()).cloned()) else {
        return Ok(None);
    };
    match read(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) => Err(ConfigError::Unreadable {
            path,
            problem: error.to_string(),
        }),
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::other("it is longer than 1 MiB"));
    }
    Ok(text)
}
