//! The settings of [hearing].

use std::num::NonZeroUsize;
use std::path::PathBuf;

use hearsight_models::asr::{Hints, whisper};

use super::super::ConfigError;
use super::super::hearing::{Engine, Hearing, Place};
use super::Checked;

pub(super) fn hearing(checked: &Checked<'_>) -> Result<Hearing, ConfigError> {
    const NO_SUCH: &str = "there is no such recogniser";
    let engine = |key: &str, none: &str| match checked.text(key)? {
        name if name == none => Ok(None),
        name => Engine::parse(name).map(Some).ok_or_else(|| {
            checked.refusal(
                key,
                NO_SUCH,
                &format!("write pocketsphinx, moonshine, whisper or {none}"),
            )
        }),
    };
    let (recogniser, last) = (engine("hearing.recogniser", "auto")?, engine("hearing.final", "same")?);
    let also = checked.texts("hearing.also");
    let also: Option<Vec<Engine>> = also.iter().map(|name| Engine::parse(name)).collect();
    let Some(also) = also else {
        return Err(checked.refusal(
            "hearing.also",
            NO_SUCH,
            "write some of pocketsphinx, moonshine and whisper",
        ));
    };
    let language = checked.text("hearing.language")?;
    let Some(language) = whisper::language(language) else {
        let problem = "it is no language that whisper knows";
        return Err(checked.refusal("hearing.language", problem, "write its code, such as en, or auto"));
    };
    let hints = checked.texts("hearing.hints");
    let Some(hints) = Hints::new(hints.iter().map(String::as_str)) else {
        let problem = "there are too many, one is too long, or one is no text";
        return Err(checked.refusal(
            "hearing.hints",
            problem,
            "write at most 64, of at most 48 characters each",
        ));
    };
    let count = |key: &str| {
        let count = checked.integer(key, 1..=16)?;
        Ok::<_, ConfigError>(NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN))
    };
    Ok(Hearing {
        recogniser,
        last: last.filter(|last| recogniser != Some(*last)),
        also,
        moonshine: place(checked, "hearing.moonshine")?,
        whisper: place(checked, "hearing.whisper")?,
        language: language.to_owned(),
        hints,
        threads: count("hearing.threads")?,
        runs: count("hearing.runs")?,
        denoise: checked.truth("hearing.denoise"),
    })
}

/// A pulled model, or one that lies anywhere.
fn place(checked: &Checked<'_>, key: &str) -> Result<Place, ConfigError> {
    match checked.text(key)? {
        "" => Err(checked.refusal(
            key,
            "no model is named",
            "write a name that `hearsight models list` knows",
        )),
        path if path.contains('/') => Ok(Place::Path(PathBuf::from(path))),
        name => Ok(Place::Pulled(name.to_owned())),
    }
}
