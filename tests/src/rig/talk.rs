//! The sample talk that set-up made, or its beginning.

use std::path::PathBuf;

use anyhow::Context;
use hearsight::demo::talk::Talk;
use serde_json::Value;

use super::sound::Sound;

/// The whole talk.
pub fn whole() -> anyhow::Result<Talk> {
    Ok(Talk::open(&path())?)
}

/// Its first `count` sentences, with the pause after them.
pub fn first_sentences(count: usize) -> anyhow::Result<Talk> {
    let mut script: Value = serde_json::from_slice(&std::fs::read(path().with_extension("json"))?)?;
    let sentences = script["sentences"]
        .as_array_mut()
        .context("the script has no sentences")?;
    let end_us = sentences
        .get(count)
        .and_then(|next| next["start_us"].as_u64())
        .context("the talk has no more sentences")?;
    sentences.truncate(count);
    let mut sound = Sound::read(&path())?;
    // The next sentence begins with a sound of its own: stop a little before it.
    let samples = end_us.saturating_sub(100_000) * u64::from(sound.rate) / 1_000_000;
    sound.samples.truncate(samples as usize);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("talk.wav");
    sound.write(&file)?;
    std::fs::write(file.with_extension("json"), script.to_string())?;
    Ok(Talk::open(&file)?)
}

fn path() -> PathBuf {
    let deps = std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| PathBuf::from(".deps"), PathBuf::from);
    deps.join("talk/talk.wav")
}
