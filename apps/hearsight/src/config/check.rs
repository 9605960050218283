//! From settings to a [`Config`]: every value is checked, and an error names the field and the remedy.

mod ask;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use axum::http::Uri;
use hearsight_shaders::interpolate::Rung;

use super::settings::Settings;
use super::{
    Access, Assets, BadValue, Config, ConfigError, Demo, Engine, Events, Ice, IceLogin, Limits, Listen, Log, LogFormat,
    MadeOn, Microphone, Models, Operate, Reader, Recognise, Seeing, Strangers, View, Webhook,
};

const NOT_AN_ADDRESS: &str = "it is not an address with a port";
const WRITE_AN_ADDRESS: &str = "write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"";

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
    let listen = listen(&checked, variables)?;
    let models = models(&checked, &listen)?;
    Ok(Config {
        ask: ask::ask(&checked, &assets, &models)?,
        models,
        listen,
        limits: limits(&checked)?,
        access: access(&checked)?,
        ice: ice(&checked)?,
        assets,
        recognise: Recognise { workers, warm },
        seeing: seeing(&checked)?,
        engine: Engine {
            threads: NonZeroUsize::new(checked.integer("engine.threads", 0..=256)?),
        },
        view: view(&checked)?,
        log: log(&checked)?,
        microphone: Microphone {
            device: checked.text("microphone.device")?.to_owned(),
        },
        operate: Operate {
            listen: checked.parsed("operate.listen", NOT_AN_ADDRESS, WRITE_AN_ADDRESS)?,
            drain: Duration::from_secs(checked.integer("operate.drain_s", 0..=3600)? as u64),
        },
        events: events(&checked)?,
        webhook: webhook(&checked)?,
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
    const PEM: &str = "name a PEM file that this user can read, or leave it empty";
    let certificate = match (
        checked.file("listen.certificate", PEM)?,
        checked.file("listen.key", PEM)?,
    ) {
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
    let http: Option<SocketAddr> = checked.parsed("listen.http", NOT_AN_ADDRESS, WRITE_AN_ADDRESS)?;
    let https: Option<SocketAddr> = checked.parsed("listen.https", NOT_AN_ADDRESS, WRITE_AN_ADDRESS)?;
    let udp: Option<SocketAddr> = checked.parsed("listen.udp", NOT_AN_ADDRESS, WRITE_AN_ADDRESS)?;
    let Some(udp) = udp else {
        return Err(checked.refusal("listen.udp", "without it no media can arrive", WRITE_AN_ADDRESS));
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

fn limits(checked: &Checked<'_>) -> Result<Limits, ConfigError> {
    let some = |key: &str, most: usize| Ok::<_, ConfigError>(NonZeroUsize::new(checked.integer(key, 0..=most)?));
    Ok(Limits {
        sessions: checked.integer("limits.sessions", 1..=1000)?,
        sessions_per_user: some("limits.sessions_per_user", 1000)?,
        sessions_per_address: some("limits.sessions_per_address", 1000)?,
        viewers: checked.integer("limits.viewers", 1..=1000)?,
        viewers_per_user: some("limits.viewers_per_user", 1000)?,
        viewers_per_address: some("limits.viewers_per_address", 1000)?,
        offers_per_minute: some("limits.offers_per_minute", 100_000)?,
        connections_per_address: some("limits.connections_per_address", 10_000)?,
        connect: Duration::from_secs(checked.integer("limits.connect_s", 1..=120)? as u64),
    })
}

fn access(checked: &Checked<'_>) -> Result<Access, ConfigError> {
    const ELSEWHERE: &str = "access.elsewhere";
    const REMEDY: &str = "write one such as \"https://other.example\"";
    let elsewhere: Option<Uri> = checked.parsed(ELSEWHERE, "it is not an address", REMEDY)?;
    let elsewhere = match elsewhere {
        Some(uri) if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() => {
            return Err(checked.refusal(ELSEWHERE, "it is not the address of a web server", REMEDY));
        }
        uri => uri.map(|uri| uri.to_string().trim_end_matches('/').to_owned()),
    };
    let tokens = checked.file(
        "access.tokens",
        "make it with `hearsight token USER`, or leave it empty",
    )?;
    Ok(Access { tokens, elsewhere })
}

fn ice(checked: &Checked<'_>) -> Result<Ice, ConfigError> {
    let servers = checked.texts("ice.servers");
    if servers.len() > 8 || !servers.iter().all(|server| is_ice_server(server)) {
        return Err(checked.refusal(
            "ice.servers",
            "not all are STUN or TURN addresses, or there are more than 8",
            "write them like \"stun:stun.example:3478\" or \"turns:turn.example:5349?transport=tcp\"",
        ));
    }
    let username = checked.text("ice.username")?;
    // It is written into a header, and `:` parts it from a time of expiry.
    if !username.bytes().all(|c| c.is_ascii_graphic() && c != b':') {
        return Err(checked.refusal(
            "ice.username",
            "it holds odd characters",
            "use letters, digits and signs, no colon",
        ));
    }
    const FILE: &str = "name a file that holds it, or leave it empty";
    let credential = checked.file("ice.credential", FILE)?;
    let secret = checked.file("ice.secret", FILE)?;
    let lifetime = Duration::from_secs(checked.integer("ice.lifetime_s", 60..=604_800)? as u64);
    let login = match (username, credential, secret) {
        ("", None, None) => IceLogin::None,
        ("", None, Some(secret)) => IceLogin::Secret { secret, lifetime },
        ("", Some(_), _) => {
            return Err(checked.refusal("ice.username", "the credential's user is missing", "write it"));
        }
        (_, None, None) => {
            return Err(checked.refusal(
                "ice.credential",
                "the user's password is missing",
                "name the file that holds it",
            ));
        }
        (_, _, Some(_)) => {
            let problem = "there is a user name as well, and one of them is enough";
            return Err(checked.refusal(
                "ice.secret",
                problem,
                "leave ice.username and ice.credential empty, or this",
            ));
        }
        (username, Some(credential), None) => IceLogin::Password {
            username: username.to_owned(),
            credential,
        },
    };
    if login == IceLogin::None && servers.iter().any(|server| server.starts_with("turn")) {
        let problem = "TURN servers ask for a name and a password";
        return Err(checked.refusal(
            "ice.servers",
            problem,
            "set ice.secret, or ice.username and ice.credential",
        ));
    }
    Ok(Ice { servers, login })
}

/// Whether it is a STUN or TURN address (RFC 7064, RFC 7065) that can stand in a header.
fn is_ice_server(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let (host, query) = rest
        .split_once('?')
        .map_or((rest, None), |(host, query)| (host, Some(query)));
    let relays = matches!(scheme, "turn" | "turns");
    let host_like = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b':' | b'[' | b']');
    (relays || matches!(scheme, "stun" | "stuns"))
        && (1..=255).contains(&host.len())
        && host.bytes().all(host_like)
        && query.is_none_or(|query| relays && matches!(query, "transport=udp" | "transport=tcp"))
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
        ocr: within("assets.ocr", "ocr")?,
        glance: within("assets.glance", "glance")?,
        pocketsphinx: within("assets.pocketsphinx", "pocketsphinx/model/en-us")?,
        deps,
    })
}

fn seeing(checked: &Checked<'_>) -> Result<Seeing, ConfigError> {
    let threads = checked.integer("seeing.threads", 1..=16)?;
    let reader = Reader {
        threads: NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN),
        per_second: checked.integer("seeing.per_second", 1..=10)? as u32,
    };
    Ok(Seeing {
        reader: checked.truth("seeing.reader").then_some(reader),
    })
}

fn view(checked: &Checked<'_>) -> Result<Option<View>, ConfigError> {
    let best = match checked.text("view.quality")? {
        "full" => Rung::Full,
        "vectors" => Rung::Vectors,
        "blend" => Rung::Blend,
        "hold" => Rung::Hold,
        _ => {
            let remedy = "write full, vectors, blend or hold";
            return Err(checked.refusal("view.quality", "there is no such way", remedy));
        }
    };
    let device = match checked.text("view.device")? {
        "auto" => MadeOn::Best,
        "cpu" => MadeOn::Cpu,
        "gpu" => MadeOn::Gpu,
        _ => return Err(checked.refusal("view.device", "there is no such device", "write auto, cpu or gpu")),
    };
    let view = View {
        times: checked.integer("view.rate", 1..=4)? as u32,
        max_fps: checked.integer("view.max_fps", 10..=120)? as u32,
        bitrate: checked.integer("view.bitrate", 150..=50_000)? as u32 * 1_000,
        best,
        device,
    };
    Ok(checked.truth("view.enabled").then_some(view))
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

fn events(checked: &Checked<'_>) -> Result<Events, ConfigError> {
    let without_token = match checked.text("events.without_token")? {
        "nobody" => Strangers::Refused,
        "anyone" => Strangers::Welcome,
        _ => return Err(checked.refusal("events.without_token", "it is neither", "write nobody or anyone")),
    };
    Ok(Events {
        readers: checked.integer("events.readers", 0..=10_000)?,
        without_token,
    })
}

fn webhook(checked: &Checked<'_>) -> Result<Option<Webhook>, ConfigError> {
    let remedy = "write an address such as \"https://example.org/hearsight\"";
    let url: Option<reqwest::Url> = checked.parsed("webhook.url", "it is not a URL", remedy)?;
    let secret = checked.file("webhook.secret", "name the file that holds it, or leave it empty")?;
    let events = checked.texts("webhook.events");
    if !events.iter().all(|name| Webhook::EVENTS.contains(&name.as_str())) {
        let remedy = format!("write some of {}", Webhook::EVENTS.join(", "));
        return Err(checked.refusal("webhook.events", "there is no such event", &remedy));
    }
    let Some(url) = url else { return Ok(None) };
    if !is_safe(&url) {
        let problem = "events hold what people do, and would cross the network for all to read";
        return Err(checked.refusal("webhook.url", problem, "use https, or http on a loopback address"));
    }
    let Some(secret) = secret else {
        let problem = "without one nobody can tell our events from forged ones";
        return Err(checked.refusal("webhook.secret", problem, "name the file that holds it"));
    };
    Ok(Some(Webhook { url, secret, events }))
}

fn models(checked: &Checked<'_>, listen: &Listen) -> Result<Models, ConfigError> {
    const REMEDY: &str = "write an address such as \"https://huggingface.co\"";
    let hub: Option<reqwest::Url> = checked.parsed("models.hub", "it is not a URL", REMEDY)?;
    let Some(mut hub) = hub else {
        return Err(checked.refusal("models.hub", "no hub is named", REMEDY));
    };
    if !is_safe(&hub) {
        let problem = "on its way a model could be exchanged for another";
        return Err(checked.refusal("models.hub", problem, "use https, or http on a loopback address"));
    }
    if hub.query().is_some() || hub.fragment().is_some() || !hub.username().is_empty() || hub.password().is_some() {
        let problem = "it holds more than a host and a path";
        return Err(checked.refusal(
            "models.hub",
            problem,
            "put a token into the file that models.token_file names",
        ));
    }
    let path = hub.path().trim_end_matches('/').to_owned();
    hub.set_path(&path);
    Ok(Models {
        folder: checked
            .path("models.folder")?
            .unwrap_or_else(|| listen.state.join("models")),
        hub,
        token: checked.file("models.token_file", "name the file that holds it, or leave it empty")?,
    })
}

/// Whether what is sent there can't be read or changed on its way: `https`, or `http` that stays on this machine.
fn is_safe(url: &reqwest::Url) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && is_loopback(url)
}

/// Whether the address is of this machine.
pub(crate) fn is_loopback(url: &reqwest::Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse();
        host == "localhost" || address.is_ok_and(|address: IpAddr| address.is_loopback())
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
    fn file(&self, key: &str, remedy: &str) -> Result<Option<PathBuf>, ConfigError> {
        let path = self.path(key)?;
        if path.as_ref().is_some_and(|path| !path.is_file()) {
            return Err(self.refusal(key, "there is no such file", remedy));
        }
        Ok(path)
    }
    /// The items of a list.
    fn texts(&self, key: &str) -> Vec<String> {
        let items = self.0.get(key).0.as_array().into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }
    /// Empty: none.
    fn parsed<T: FromStr>(&self, key: &str, problem: &str, remedy: &str) -> Result<Option<T>, ConfigError> {
        let text = self.text(key)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| self.refusal(key, problem, remedy))
    }
    fn truth(&self, key: &str) -> bool {
        self.0.get(key).0.as_bool().unwrap_or_default()
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
