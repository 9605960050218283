//! The recordings and what is said in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use hearsight_tests::rig::sound::Sound;

use super::music;
use super::sound::{load, resample};

/// What flite is given to say where no recordings of people are.
const TALK: &str = include_str!("../../../scripts/talk.txt");
/// Its voices.
const VOICES: [&str; 3] = ["rms", "slt", "awb"];

/// Where the sound of a recording is.
#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    /// At 16 kHz.
    Made(Arc<[f32]>),
}

/// One recording.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    source: Source,
    /// Who speaks; what is learnt of a voice is kept for it.
    pub(crate) speaker: String,
    /// What is said; none in noise.
    pub(crate) reference: String,
}

impl Recording {
    /// Its sound at 16 kHz, channels averaged.
    pub(crate) fn load(&self) -> Result<Vec<f32>> {
        match &self.source {
            Source::File(path) => load(path),
            Source::Made(samples) => Ok(samples.to_vec()),
        }
    }
}

/// The folder of recordings, where there is one.
pub(crate) struct Material {
    root: Option<PathBuf>,
}

impl Material {
    /// `HEARSIGHT_EVAL`, or `shared/eval` beside the checkout.
    pub(crate) fn find() -> Material {
        let named = std::env::var_os("HEARSIGHT_EVAL").map(PathBuf::from);
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/eval");
        let root = Some(named.unwrap_or(beside)).filter(|root| root.is_dir());
        Material { root }
    }

    /// Whether there are recordings of people.
    pub(crate) fn is_recorded(&self) -> bool {
        self.root.is_some()
    }

    /// The sets that are present, each with its recordings in order; `quick` keeps about so many over all sets. Where nobody was
    /// recorded, flite speaks; music is played here.
    pub(crate) fn sets(&self, quick: Option<usize>) -> Result<Vec<(String, Vec<Recording>)>> {
        let read = |part: &str| {
            let all = self.tsv("speech/librispeech", 4);
            let of = |recording: &Recording| match &recording.source {
                Source::File(path) => path.iter().any(|folder| folder == part),
                Source::Made(_) => false,
            };
            all.into_iter().filter(of).collect()
        };
        let synthetic = if self.is_recorded() { Vec::new() } else { synthetic()? };
        let mut sets: Vec<(String, Vec<Recording>)> = vec![
            ("librispeech-clean".to_owned(), read("train-clean-100")),
            ("librispeech-other".to_owned(), read("test-other")),
            ("misc".to_owned(), self.tsv("speech/misc", 1)),
            ("digits".to_owned(), self.digits()),
            ("synthetic".to_owned(), synthetic),
            ("noise".to_owned(), self.noise()),
            ("music".to_owned(), played()),
        ];
        sets.retain(|(_, recordings)| !recordings.is_empty());
        if let Some(most) = quick {
            let share = (most / sets.len().max(1)).max(1);
            for (_, recordings) in &mut sets {
                let step = recordings.len().div_ceil(share).max(1);
                *recordings = recordings.iter().step_by(step).cloned().collect();
            }
        }
        Ok(sets)
    }

    /// `transcripts.tsv`: the file first, the speaker (or the file again) second, the reference in `column`.
    fn tsv(&self, folder: &str, column: usize) -> Vec<Recording> {
        let Some(folder) = self.root.as_ref().map(|root| root.join(folder)) else {
            return Vec::new();
        };
        let Ok(text) = std::fs::read_to_string(folder.join("transcripts.tsv")) else {
            return Vec::new();
        };
        let recording = |line: &str| {
            let fields: Vec<&str> = line.split('\t').collect();
            let reference = (*fields.get(column)?).to_owned();
            let path = folder.join(fields.first()?);
            let speaker = if column == 1 { fields[0] } else { fields[1] }.to_owned();
            path.is_file().then_some(Recording {
                source: Source::File(path),
                speaker,
                reference,
            })
        };
        text.lines().skip(1).filter_map(recording).collect()
    }

    /// `<digit>_<speaker>_<take>.wav`.
    fn digits(&self) -> Vec<Recording> {
        const NAMES: [&str; 10] = [
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
        ];
        let recording = |path: PathBuf| {
            let name = path.file_stem()?.to_str()?.to_owned();
            let mut parts = name.split('_');
            let digit: usize = parts.next()?.parse().ok()?;
            let reference = (*NAMES.get(digit)?).to_owned();
            Some(Recording {
                speaker: parts.next()?.to_owned(),
                reference,
                source: Source::File(path),
            })
        };
        let mut all: Vec<Recording> = self.files("speech/digits").into_iter().filter_map(recording).collect();
        // Files are in order already.
        all.sort_by(|one, other| one.speaker.cmp(&other.speaker));
        all
    }

    /// Recordings of noise; those of that folder that hold speech are left out.
    pub(crate) fn noise(&self) -> Vec<Recording> {
        let silent = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            !name.starts_with("dfn_clean") && !name.starts_with("dfn_noisy") && name.ends_with(".flac")
        };
        let recording = |path: PathBuf| Recording {
            speaker: path.display().to_string(),
            reference: String::new(),
            source: Source::File(path),
        };
        self.files("noise").into_iter().filter(silent).map(recording).collect()
    }

    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let Some(Ok(entries)) = self.root.as_ref().map(|root| std::fs::read_dir(root.join(folder))) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.is_file());
        files.sort();
        files
    }
}

/// The sample talk, sentence by sentence, by each voice.
fn synthetic() -> Result<Vec<Recording>> {
    let sentences = || TALK.lines().filter(|line| !line.trim().is_empty());
    let spoken = |(voice, sentence): (&str, &str)| {
        let sound = Sound::spoken(voice, sentence)?;
        Ok(Recording {
            source: Source::Made(resample(&sound.samples, sound.rate as usize).into()),
            speaker: voice.to_owned(),
            reference: sentence.to_owned(),
        })
    };
    VOICES
        .iter()
        .flat_map(|voice| sentences().map(|sentence| (*voice, sentence)))
        .map(spoken)
        .collect()
}

fn played() -> Vec<Recording> {
    let recording = |(name, samples): (&str, Vec<f32>)| Recording {
        source: Source::Made(samples.into()),
        speaker: name.to_owned(),
        reference: String::new(),
    };
    music::pieces().into_iter().map(recording).collect()
}
