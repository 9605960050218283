//! Which models there are: `manifest.toml`, which is part of the program.

use serde::Deserialize;

use super::StoreError;

const MANIFEST: &str = include_str!("manifest.toml");

/// One model that can be pulled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What people call it, and the name of its folder.
    pub name: String,
    /// What it is for.
    pub purpose: String,
    /// SPDX identifier.
    pub licence: String,
    /// `owner/name` on the hub.
    pub repository: String,
    /// The commit.
    pub revision: String,
    /// The folder of the repository that its files lie in.
    #[serde(default)]
    pub within: String,
    /// Whether somebody has pulled it with this entry.
    pub checked: bool,
    /// Its files.
    pub files: Vec<Wanted>,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    path: String,
    save_as: Option<String>,
    /// Its size in bytes, as public pages round it.
    pub about: Option<u64>,
}

impl Wanted {
    /// A file that is saved as it is called.
    #[cfg(test)]
    pub(super) fn new(path: &str, about: Option<u64>) -> Wanted {
        Wanted {
            path: path.to_owned(),
            save_as: None,
            about,
        }
    }
    /// Where it lies below the model's folder.
    pub fn saved_as(&self) -> &str {
        self.save_as.as_deref().unwrap_or(&self.path)
    }
}

impl Model {
    /// Where the repository has a file.
    pub(super) fn remote(&self, file: &Wanted) -> String {
        match self.within.as_str() {
            "" => file.path.clone(),
            within => format!("{within}/{}", file.path),
        }
    }

    /// What its files take, as far as public pages tell, in bytes; none where they leave one out.
    pub fn about(&self) -> Option<u64> {
        self.files.iter().map(|file| file.about).sum()
    }
}

/// Every model of the manifest, in its order.
pub fn models() -> Vec<Model> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Manifest {
        model: Vec<Model>,
    }
    let manifest: Manifest = toml::from_str(MANIFEST).expect("the manifest parses: a test holds it");
    manifest.model
}

/// The model of that name.
pub(super) fn find<'a>(models: &'a [Model], name: &str) -> Result<&'a Model, StoreError> {
    models.iter().find(|model| model.name == name).ok_or_else(|| {
        let likeness = |model: &&Model| strsim::normalized_damerau_levenshtein(name, &model.name);
        let nearest = models.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        StoreError::Unknown {
            name: name.to_owned(),
            nearest: nearest.map_or_else(String::new, |model| model.name.clone()),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_manifest_names_commits_and_paths_that_stay_in_their_folder() {
        let models = models();
        let names: BTreeSet<_> = models.iter().map(|model| &model.name).collect();
        assert_eq!(names.len(), models.len(), "names tell models apart");
        for model in &models {
            let is_word = |text: &str| {
                !text.is_empty()
                    && !text.starts_with('.')
                    && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
            };
            assert!(is_word(&model.name), "{}: it is a folder's name", model.name);
            let (owner, name) = model.repository.split_once('/').expect("owner/name");
            assert!(is_word(owner) && is_word(name), "{}", model.repository);
            let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            assert!(
                model.revision.len() == 40 && model.revision.bytes().all(hex),
                "{}: a commit",
                model.name
            );
            assert!(
                ["MIT", "Apache-2.0"].contains(&model.licence.as_str()),
                "{}",
                model.licence
            );
            let saved: BTreeSet<_> = model.files.iter().map(Wanted::saved_as).collect();
            assert_eq!(
                saved.len(),
                model.files.len(),
                "{}: files don't overwrite each other",
                model.name
            );
            for file in &model.files {
                for path in [file.saved_as(), &model.remote(file)] {
                    assert!(path.split('/').all(is_word), "{}: {path}", model.name);
                }
            }
        }
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let models = models();
        assert_eq!(find(&models, "whisper-base.en").unwrap().name, "whisper-base.en");
        let told = find(&models, "smolvlm-256-instruct").unwrap_err().to_string();
        assert!(told.contains("smolvlm-256m-instruct"), "{told}");
    }
}
