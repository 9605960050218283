//! The settings of the program: `hearsight.toml` documents every key, and gives each a flag and an environment variable.
//!
//! Defaults < file < environment < flags. Unknown names are refused with the nearest valid one; values are checked here,
//! so that whoever holds a [`Config`] need not.

mod ask;
mod check;
mod command_line;
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
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;

pub use ask::{Answerer, Ask};
pub(crate) use check::is_loopback;
use command_line::program;
pub use models::{Models, ModelsCommand};
pub use operate::{Events, Operate, Strangers, Webhook};
pub use seeing::{Reader, Seeing};
pub use settings::Source;
use settings::{Key, Settings};
pub use view::{MadeOn, View};

use crate::publish::options::{self, Options};
use crate::smooth;

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
    /// What is made of pictures.
    pub seeing: Seeing,
    /// Who answers questions about them; none: nobody.
    pub ask: Option<Ask>,
    /// The engines' threads.
    pub engine: Engine,
    /// How pictures are shown at a higher rate; none: not at all.
    pub view: Option<View>,
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

/// Addresses and certificates.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Plain HTTP, always a loopback address.
    pub http: Option<SocketAddr>,
    /// HTTPS.
    pub https: Option<SocketAddr>,
    /// The one socket for all media.
    pub udp: SocketAddr,
    /// Where browsers reach this machine, when it is not one of its own addresses.
    pub public_address: Option<IpAddr>,
    /// Certificate chain and private key, both PEM files; none: one is made and kept in `state`.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Folder for what must outlive a restart; it may not exist yet.
    pub state: PathBuf,
}

/// What a stranger may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Sessions at a time.
    pub sessions: usize,
    /// Sessions at a time of one user; none: no limit of its own.
    pub sessions_per_user: Option<NonZeroUsize>,
    /// Sessions at a time from one address; none: no limit of its own.
    pub sessions_per_address: Option<NonZeroUsize>,
    /// Viewers at a time.
    pub viewers: usize,
    /// Viewers at a time of one user; none: no limit of its own.
    pub viewers_per_user: Option<NonZeroUsize>,
    /// Viewers at a time from one address; none: no limit of its own.
    pub viewers_per_address: Option<NonZeroUsize>,
    /// Offers in a minute from one address; none: any number.
    pub offers_per_minute: Option<NonZeroUsize>,
    /// HTTP connections at a time from one address; none: no limit of its own.
    pub connections_per_address: Option<NonZeroUsize>,
    /// From the offer to the first media.
    pub connect: Duration,
}

/// Who may publish, and where else to go.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// The file of bearer tokens; none: whoever reaches the server may publish.
    pub tokens: Option<PathBuf>,
    /// Where clients are sent when every place is taken: `http` or `https`, a host, and no slash at the end.
    pub elsewhere: Option<String>,
}

/// STUN and TURN servers that clients are told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Ice {
    /// Their addresses, RFC 7064 and RFC 7065.
    pub servers: Vec<String>,
    /// How clients log in to the TURN servers.
    pub login: IceLogin,
}

/// How clients log in to the TURN servers.
#[derive(Clone, Debug, PartialEq)]
pub enum IceLogin {
    /// Not at all.
    None,
    /// All alike.
    Password {
        /// The user name.
        username: String,
        /// The file that holds the password.
        credential: PathBuf,
    },
    /// Each with a name and password of its own, made with a shared secret.
    Secret {
        /// The file that holds the secret.
        secret: PathBuf,
        /// How long a name and password are good for.
        lifetime: Duration,
    },
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
    /// The folder of the small model that answers questions.
    pub glance: PathBuf,
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

/// What the program was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve until stopped.
    Serve,
    /// Serve, play the sample talk to the server, then keep serving.
    Demo,
    /// Caption a microphone of this machine until stopped.
    Listen(Captions),
    /// Print which microphones there are.
    Microphones,
    /// Send a file, a camera or a pattern to a server.
    Publish(Box<Options>),
    /// Make a film with more pictures a second; reads no settings.
    Smooth(Box<smooth::Options>),
    /// Print this text: the settings in force, as TOML.
    Config(String),
    /// Make a bearer token for a user and print it with its entry for the file of tokens.
    Token {
        /// Whose token.
        user: String,
        /// What it may publish and watch: names, or beginnings followed by `*`; empty: every stream, unless `watch` names some.
        streams: Vec<String>,
        /// What it may only watch.
        watch: Vec<String>,
    },
    /// Look whether the server could start, and say what to do about each problem.
    Check(Report),
    /// List, pull or verify models.
    Models(ModelsCommand),
    /// Be a recogniser process with the model of this folder. Reads no file and no environment: whoever started it did.
    RecogniseWorker(PathBuf),
}

/// What captions are printed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captions {
    /// For people: words that may still change are rewritten in place.
    Live,
    /// For programs: the events, one JSON object a line.
    Json,
}

/// For whom `hearsight check` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// One line per check.
    People,
    /// One JSON document.
    Machines,
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

/// Why the program can't start with these settings. The text is for people: it names the field and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Wrong flags, or help or the version was asked for: [`clap::Error::exit`] prints it and chooses the status.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// A file that was named, or found, can't be read.
    #[error("can't read the settings file {}: {problem}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// A file is not TOML.
    #[error("{} is not valid TOML: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// With line and column.
        problem: String,
    },
    /// Nothing has this name.
    #[error("unknown setting {name} ({source_of}); did you mean {nearest}?")]
    Unknown {
        /// As it was written.
        name: String,
        /// Where it was written.
        source_of: Source,
        /// The valid name most like it.
        nearest: String,
    },
    /// A value that won't do.
    #[error(transparent)]
    Value(#[from] Box<BadValue>),
}

/// A value that won't do, and what would.
#[derive(Debug, thiserror::Error)]
#[error("{field} = {given:?} ({source_of}): {problem}; {remedy}")]
pub struct BadValue {
    /// The dotted name.
    pub field: String,
    /// The value.
    pub given: String,
    /// Where it was given.
    pub source_of: Source,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub remedy: String,
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
    if let Some(command) = without_settings(flags) {
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
    let command = match name {
        "demo" => Command::Demo,
        "listen" if flags.get_flag("devices") => Command::Microphones,
        "listen" if flags.get_flag("json") => Command::Listen(Captions::Json),
        "listen" => Command::Listen(Captions::Live),
        "publish" => Command::Publish(Box::new(options::from_matches(flags, |name| around.variable(name))?)),
        "config" => Command::Config(settings.effective()),
        "check" if flags.get_flag("json") => Command::Check(Report::Machines),
        "check" => Command::Check(Report::People),
        "list" if flags.get_flag("json") => Command::Models(ModelsCommand::List(Report::Machines)),
        "list" => Command::Models(ModelsCommand::List(Report::People)),
        "pull" => Command::Models(ModelsCommand::Pull(models(flags))),
        "verify" => Command::Models(ModelsCommand::Verify(models(flags))),
        _ => Command::Serve,
    };
    let named = flags.get_one::<PathBuf>("config").cloned();
    Ok(Loaded {
        config,
        command,
        files: named.map_or_else(|| around.files.clone(), |path| vec![path]),
        values: settings.texts(),
    })
}

/// The models that were named.
fn models(flags: &ArgMatches) -> Vec<String> {
    flags
        .get_many::<String>("models")
        .unwrap_or_default()
        .cloned()
        .collect()
}

/// Commands that read no file and no environment.
fn without_settings(flags: &ArgMatches) -> Option<Command> {
    if let Some(model) = flags.try_get_one::<PathBuf>("model").ok().flatten() {
        return Some(Command::RecogniseWorker(model.clone()));
    }
    if flags.try_get_one::<PathBuf>("input").ok().flatten().is_some() {
        return Some(Command::Smooth(Box::new(smooth::options::from_matches(flags))));
    }
    let user = flags.try_get_one::<String>("user").ok().flatten()?.clone();
    let names = |flag: &str| flags.get_many::<String>(flag).unwrap_or_default().cloned().collect();
    Some(Command::Token {
        user,
        streams: names("streams"),
        watch: names("watch"),
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
