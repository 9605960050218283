//! From settings to a [`Config`]: every value is checked, and an error names the field and the remedy.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::settings::Settings;
use super::{
    Assets, BadValue, Config, ConfigError, Demo, Engine, Limits, Listen, Log, LogFormat, Microphone, Recognise,
};

/// Checks every setting; `variables` tell where the state folder is by default.
pub(super) fn config(settings: &Settings, variables: &[(String, String)]) -> Result<Config, ConfigError> {
    let checked = Checked(settings);
    let assets = assets(&checked)?;
    let workers = checked.integer("recognise.workers", 1..=256)?;
    let warm = checked.integer("recognise.warm", 0..=256)?;
    if warm > workers {
        return Err(checked.refusal(
            "recognise.warm",
            "more are kept ready than may run",
            "lower it, or raise recognise.workers",
        ));
    }
    let talk = checked
        .path("demo.talk")?
        .unwrap_or_else(|| assets.deps.join("talk/talk.wav"));
    Ok(Config {
        listen: listen(&checked, variables)?,
        limits: Limits {
            sessions: checked.integer("limits.sessions", 1..=1000)?,
            connect: Duration::from_secs(checked.integer("limits.connect_s", 1..=120)? as u64),
        },
        assets,
        recognise: Recognise { workers, warm },
        engine: Engine {
            threads: NonZeroUsize::new(checked.integer("engine.threads", 0..=256)?),
        },
        log: log(&checked)?,
        microphone: Microphone {
            device: checked.text("microphone.device")?.to_owned(),
        },
        demo: Demo {
            loops: checked.integer("demo.loops", 1..=1000)? as u32,
            talk,
        },
    })
}

fn listen(checked: &Checked<'_>, variables: &[(String, String)]) -> Result<Listen, ConfigError> {
    let (http, https, udp) = addresses(checked)?;
    let problem = "it is not an IP address";
    let remedy = "write one without a port, such as \"203.0.113.7\"";
    let public_address: Option<IpAddr> = checked.parsed("listen.public_address", problem, remedy)?;
    if public_address.is_some_and(|address| address.is_unspecified() || address.is_multicast()) {
        let remedy = "write the address that browsers use";
        return Err(checked.refusal("listen.public_address", "nobody can be reached there", remedy));
    }
    let certificate = match (checked.file("listen.certificate")?, checked.file("listen.key")?) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            let problem = "the certificate's private key is missing";
            return Err(checked.refusal("listen.key", problem, "name its PEM file"));
        }
        (None, Some(_)) => {
            let problem = "the key's certificate is missing";
            return Err(checked.refusal("listen.certificate", problem, "name its PEM file"));
        }
    };
    let state = checked.path("listen.state")?.unwrap_or_else(|| state_folder(variables));
    Ok(Listen {
        http,
        https,
        udp,
        public_address,
        certificate,
        state,
    })
}

/// The HTTP, HTTPS and media addresses, which must suit each other.
type Addresses = (Option<SocketAddr>, Option<SocketAddr>, SocketAddr);

fn addresses(checked: &Checked<'_>) -> Result<Addresses, ConfigError> {
    const NOT_ONE: &str = "it is not an address with a port";
    const REMEDY: &str = "write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"";
    let http: Option<SocketAddr> = checked.parsed("listen.http", NOT_ONE, REMEDY)?;
    let https: Option<SocketAddr> = checked.parsed("listen.https", NOT_ONE, REMEDY)?;
    let udp: Option<SocketAddr> = checked.parsed("listen.udp", NOT_ONE, REMEDY)?;
    let Some(udp) = udp else {
        return Err(checked.refusal("listen.udp", "without it no media can arrive", REMEDY));
    };
    if http.is_some_and(|address| !address.ip().is_loopback()) {
        let problem = "plain HTTP is offered to this machine only, since browsers give a camera to secure pages alone";
        let remedy = "use a loopback address here, and listen.https for other machines";
        return Err(checked.refusal("listen.http", problem, remedy));
    }
    if http.is_none() && https.is_none() {
        let remedy = "set listen.http or listen.https";
        return Err(checked.refusal("listen.http", "there is no address to serve on", remedy));
    }
    if https.is_some_and(|address| !address.ip().is_loopback()) && udp.ip().is_loopback() {
        let problem = "browsers on other machines, which listen.https admits, could not send to it";
        let remedy = "use \"0.0.0.0:8189\", or the address that listen.https has";
        return Err(checked.refusal("listen.udp", problem, remedy));
    }
    Ok((http, https, udp))
}

/// systemd's folder for the service, else the XDG base directory specification's for the user.
fn state_folder(variables: &[(String, String)]) -> PathBuf {
    let variable = |name: &str| {
        let (_, value) = variables
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())?;
        Some(PathBuf::from(value))
    };
    variable("STATE_DIRECTORY")
        .or_else(|| variable("XDG_STATE_HOME").map(|home| home.join("hearsight")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/state/hearsight")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/hearsight"))
}

fn assets(checked: &Checked<'_>) -> Result<Assets, ConfigError> {
    let Some(deps) = checked.path("assets.deps")? else {
        return Err(checked.refusal(
            "assets.deps",
            "no folder is named",
            "write \".deps\", which `make setup` fills",
        ));
    };
    let within = |key: &str, place: &str| -> Result<PathBuf, ConfigError> {
        Ok(checked.path(key)?.unwrap_or_else(|| deps.join(place)))
    };
    Ok(Assets {
        onnxruntime: within("assets.onnxruntime", "onnxruntime/libonnxruntime.so")?,
        silero: within("assets.silero", "silero/silero_vad_16k_op15.onnx")?,
        pocketsphinx: within("assets.pocketsphinx", "pocketsphinx/model/en-us")?,
        deps,
    })
}

fn log(checked: &Checked<'_>) -> Result<Log, ConfigError> {
    let level = match checked.text("log.level")? {
        "error" => tracing::Level::ERROR,
        "warn" => tracing::Level::WARN,
        "info" => tracing::Level::INFO,
        "debug" => tracing::Level::DEBUG,
        "trace" => tracing::Level::TRACE,
        _ => {
            return Err(checked.refusal(
                "log.level",
                "there is no such level",
                "write error, warn, info, debug or trace",
            ));
        }
    };
    let format = match checked.text("log.format")? {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => return Err(checked.refusal("log.format", "there is no such format", "write text or json")),
    };
    Ok(Log {
        level,
        format,
        tape: checked.path("log.tape")?,
    })
}

struct Checked<'a>(&'a Settings);

impl<'a> Checked<'a> {
    fn refusal(&self, key: &str, problem: &str, remedy: &str) -> ConfigError {
        let (value, source) = self.0.get(key);
        ConfigError::from(Box::new(BadValue {
            field: key.to_owned(),
            given: value
                .as_str()
                .map_or_else(|| value.to_string().trim().to_owned(), str::to_owned),
            source_of: source.clone(),
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        }))
    }
    fn text(&self, key: &str) -> Result<&'a str, ConfigError> {
        match self.0.get(key).0.as_str() {
            // It would cut a path short at the border to the system.
            Some(text) if !text.contains('\0') => Ok(text),
            _ => Err(self.refusal(key, "it holds a NUL character", "remove it")),
        }
    }
    /// Empty: none.
    fn path(&self, key: &str) -> Result<Option<PathBuf>, ConfigError> {
        Ok(Some(self.text(key)?).filter(|text| !text.is_empty()).map(PathBuf::from))
    }
    /// A path to a file that exists, or none.
    fn file(&self, key: &str) -> Result<Option<PathBuf>, ConfigError> {
        let path = self.path(key)?;
        if path.as_ref().is_some_and(|path| !path.is_file()) {
            return Err(self.refusal(
                key,
                "there is no such file",
                "name a PEM file that this user can read, or leave it empty",
            ));
        }
        Ok(path)
    }
    /// Empty: none.
    fn parsed<T: FromStr>(&self, key: &str, problem: &str, remedy: &str) -> Result<Option<T>, ConfigError> {
        let text = self.text(key)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| self.refusal(key, problem, remedy))
    }
    fn integer(&self, key: &str, range: RangeInclusive<usize>) -> Result<usize, ConfigError> {
        let value = self
            .0
            .get(key)
            .0
            .as_integer()
            .and_then(|value| usize::try_from(value).ok());
        match value {
            Some(value) if range.contains(&value) => Ok(value),
            _ => {
                let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
                Err(self.refusal(key, "it is out of range", &remedy))
            }
        }
    }
}
