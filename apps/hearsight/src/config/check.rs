//! From settings to a [`Config`]: every value is checked, and an error names the field and the remedy.

mod ask;
mod checked;
mod door;
mod hearing;

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use checked::Checked;
use hearsight_core::schedule::Admission;
use hearsight_shaders::interpolate::Rung;

use super::settings::Settings;
use super::{
    Assets, Config, ConfigError, Demo, Engine, Events, Listen, Log, LogFormat, MadeOn, Microphone, Models, Operate,
    Reader, Recognise, Seeing, Strangers, View, Webhook,
};
use crate::allocate::{self, Mode, Terms};

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
    let listen = door::listen(&checked, variables)?;
    let models = models(&checked, &listen)?;
    Ok(Config {
        ask: ask::ask(&checked, &assets, &models)?,
        models,
        listen,
        limits: door::limits(&checked)?,
        access: door::access(&checked)?,
        ice: door::ice(&checked)?,
        assets,
        recognise: Recognise { workers, warm },
        hearing: hearing::hearing(&checked)?,
        seeing: seeing(&checked)?,
        engine: Engine {
            threads: NonZeroUsize::new(checked.integer("engine.threads", 0..=256)?),
            admission: match checked.text("engine.admission")? {
                "load" => Admission::ByLoad,
                "always" => Admission::Always,
                _ => return Err(checked.refusal("engine.admission", "there is no such way", "write load or always")),
            },
        },
        view: view(&checked)?,
        allocate: allocate(&checked)?,
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
        glance: checked.path("assets.glance")?,
        pocketsphinx: within("assets.pocketsphinx", "pocketsphinx/model/en-us")?,
        deps,
    })
}

fn seeing(checked: &Checked<'_>) -> Result<Seeing, ConfigError> {
    let threads = checked.integer("seeing.threads", 1..=16)?;
    let reader = Reader {
        threads: NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN),
        pictures: NonZeroUsize::new(checked.integer("seeing.pictures", 0..=16)?),
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

fn allocate(checked: &Checked<'_>) -> Result<Terms, ConfigError> {
    let remedy = "write off, cap, cap+regions or full";
    let mode = Mode::from_name(checked.text("allocate.mode")?)
        .ok_or_else(|| checked.refusal("allocate.mode", "there is no such mode", remedy))?;
    let most = checked.integer("allocate.most", 0..=allocate::MOST_KBPS as usize)? as u32;
    if (1..allocate::LEAST_KBPS).contains(&most) {
        let problem = "at so little no picture is worth sending";
        return Err(checked.refusal("allocate.most", problem, "write 100 or more, or 0 for no ceiling"));
    }
    let most_kbps = (most > 0).then_some(most);
    Ok(Terms { mode, most_kbps })
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
