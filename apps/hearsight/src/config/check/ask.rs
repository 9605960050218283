//! The settings of [ask].

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use hearsight_models::vlm::aloud::Meant;

use super::super::ask::{Answerer, Ask};
use super::super::{Assets, ConfigError, Models};
use super::{Checked, is_safe};

pub(super) fn ask(checked: &Checked<'_>, assets: &Assets, models: &Models) -> Result<Option<Ask>, ConfigError> {
    let aloud = aloud(checked)?;
    let number = |key: &str, least, most| Ok::<_, ConfigError>(checked.integer(key, least..=most)? as u32);
    let remote = remote(checked)?;
    let engine = |key: &str| match checked.text(key)? {
        "none" => Ok(None),
        "glance" if key == "ask.engine" => Ok(Some(Answerer::Glance(assets.glance.clone()))),
        "local" => Ok(Some(Answerer::Local(local(checked, models)?))),
        "remote" => match remote.clone() {
            Some(remote) => Ok(Some(remote)),
            None => Err(checked.refusal(key, "no server is named", "set ask.url and ask.remote_model")),
        },
        _ => Err(checked.refusal(
            key,
            "there is no such engine",
            "write local, remote or none; ask.engine may be glance",
        )),
    };
    let (first, large) = (engine("ask.engine")?, engine("ask.large")?);
    if large.is_some() && first == large {
        let problem = "it is the same as ask.engine";
        return Err(checked.refusal("ask.large", problem, "choose a larger one, or none"));
    }
    let ask = |first| {
        Ok(Ask {
            first,
            large: large.clone(),
            separability: number("ask.separability", 0, 10_000)? as f32 / 100.0,
            threads: NonZeroUsize::new(checked.integer("ask.threads", 1..=16)?).unwrap_or(NonZeroUsize::MIN),
            deadline: Duration::from_millis(number("ask.deadline_ms", 200, 60_000)?.into()),
            tokens: number("ask.tokens", 1, 512)?,
            pictures: checked.integer("ask.pictures", 1..=4)?,
            remembered: checked.integer("ask.remembered", 1..=256)?,
            remembered_bytes: checked.integer("ask.remembered_mb", 1..=1024)? << 20,
            session_tokens: number("ask.session_tokens", 100, 10_000_000)?,
            user_tokens: number("ask.user_tokens", 100, 10_000_000)?,
            aloud,
        })
    };
    match first {
        Some(first) => ask(first).map(Some),
        // Settings that are out of range are told all the same.
        None if large.is_none() => ask(Answerer::Glance(assets.glance.clone())).map(|_| None),
        None => Err(checked.refusal("ask.engine", "ask.large comes after it", "set it, or ask.large to none")),
    }
}

fn remote(checked: &Checked<'_>) -> Result<Option<Answerer>, ConfigError> {
    const REMEDY: &str = "write the base of its API, such as \"http://127.0.0.1:8000/v1\"";
    let url: Option<reqwest::Url> = checked.parsed("ask.url", "it is not a URL", REMEDY)?;
    let key = checked.file("ask.key_file", "name the file that holds it, or leave it empty")?;
    let model = checked.text("ask.remote_model")?;
    let Some(url) = url else { return Ok(None) };
    if !is_safe(&url) {
        let problem = "pictures and what is said of them would cross the network for all to see";
        return Err(checked.refusal("ask.url", problem, "use https, or http on a loopback address"));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        let remedy = "put a key into the file that ask.key_file names";
        return Err(checked.refusal("ask.url", "it holds more than a host and a path", remedy));
    }
    if model.is_empty() {
        return Err(checked.refusal(
            "ask.remote_model",
            "the server's model is missing",
            "write what the server calls it",
        ));
    }
    let model = model.to_owned();
    Ok(Some(Answerer::Remote { url, model, key }))
}

/// The folder of a model: pulled, or wherever it lies.
fn local(checked: &Checked<'_>, models: &Models) -> Result<PathBuf, ConfigError> {
    match checked.text("ask.model")? {
        "" => Err(checked.refusal(
            "ask.model",
            "no model is named",
            "write a name that `hearsight models list` knows",
        )),
        path if path.contains('/') => Ok(PathBuf::from(path)),
        name => Ok(models.folder.join(name)),
    }
}

fn aloud(checked: &Checked<'_>) -> Result<Option<Meant>, ConfigError> {
    let name = checked.text("ask.name")?.trim().to_lowercase();
    match checked.text("ask.aloud")? {
        "never" => Ok(None),
        "named" if name.is_empty() => {
            Err(checked.refusal("ask.name", "no name is agreed", "write one that the recogniser knows"))
        }
        "named" => Ok(Some(Meant::Named(name))),
        "questions" => Ok(Some(Meant::Questions(name))),
        _ => Err(checked.refusal("ask.aloud", "there is no such way", "write never, named or questions")),
    }
}
