//! The recordings and what is said in them.

use std::path::{Path, PathBuf};

/// One recording.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// The file.
    pub(crate) path: PathBuf,
    /// Who speaks; what is learnt of a voice is kept for it.
    pub(crate) speaker: String,
    /// What is said; none in noise.
    pub(crate) reference: String,
}

/// The folder of recordings.
pub(crate) struct Material {
    root: PathBuf,
}

impl Material {
    /// `HEARSIGHT_EVAL`, or `shared/eval` beside the checkout; none where neither is.
    pub(crate) fn find() -> Option<Material> {
        let named = std::env::var_os("HEARSIGHT_EVAL").map(PathBuf::from);
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/eval");
        let root = named.unwrap_or(beside);
        root.is_dir().then_some(Material { root })
    }
    /// The sets that are present, each with its recordings in order; `quick` keeps about so many over all sets.
    pub(crate) fn sets(&self, quick: Option<usize>) -> Vec<(String, Vec<Recording>)> {
        let read = |part: &str| {
            let all = self.tsv("speech/librispeech", 4);
            all.into_iter()
                .filter(|recording| recording.path.iter().any(|folder| folder == part))
                .collect()
        };
        let mut sets: Vec<(String, Vec<Recording>)> = vec![
            ("librispeech-clean".to_owned(), read("train-clean-100")),
            ("librispeech-other".to_owned(), read("test-other")),
            ("misc".to_owned(), self.tsv("speech/misc", 1)),
            ("digits".to_owned(), self.digits()),
            ("noise".to_owned(), self.noise()),
        ];
        sets.retain(|(_, recordings)| !recordings.is_empty());
        if let Some(most) = quick {
            let share = (most / sets.len().max(1)).max(1);
            for (_, recordings) in &mut sets {
                let step = recordings.len().div_ceil(share).max(1);
                *recordings = recordings.iter().step_by(step).cloned().collect();
            }
        }
        sets
    }

    /// `transcripts.tsv`: the file first, the speaker (or the file again) second, the reference in `column`.
    fn tsv(&self, folder: &str, column: usize) -> Vec<Recording> {
        let folder = self.root.join(folder);
        let Ok(text) = std::fs::read_to_string(folder.join("transcripts.tsv")) else {
            return Vec::new();
        };
        let recording = |line: &str| {
            let fields: Vec<&str> = line.split('\t').collect();
            let reference = (*fields.get(column)?).to_owned();
            let path = folder.join(fields.first()?);
            let speaker = if column == 1 { fields[0] } else { fields[1] }.to_owned();
            path.is_file().then_some(Recording {
                path,
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
                path,
            })
        };
        let mut all: Vec<Recording> = self.files("speech/digits").into_iter().filter_map(recording).collect();
        all.sort_by(|one, other| (&one.speaker, &one.path).cmp(&(&other.speaker, &other.path)));
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
            path,
        };
        self.files("noise").into_iter().filter(silent).map(recording).collect()
    }

    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.root.join(folder)) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.is_file());
        files.sort();
        files
    }
}
