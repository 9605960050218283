//! Where each setting comes from: the commented defaults, a file, the environment, flags; the later wins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml_edit::{Document, DocumentMut, Item, Value};

use super::{BadValue, ConfigError};
use crate::publish::options::TOKEN_VARIABLE;

/// The default file: the documentation of every key, and what flags and variables are made from.
pub(super) const DEFAULTS: &str = include_str!("../../hearsight.toml");

/// Variables of the build, the tests, the demo and of commands, which are no settings.
const NOT_SETTINGS: [&str; 4] = ["HEARSIGHT_DEPS", "HEARSIGHT_STARTED", "HEARSIGHT_EVAL", TOKEN_VARIABLE];

/// Similarity (0..1, Damerau-Levenshtein) from which an unknown name is taken for a misspelt one. Below it a variable
/// is left alone: Kubernetes sets HEARSIGHT_SERVICE_HOST and the like beside a service of our name.
const MISSPELT: f64 = 0.75;

/// One setting as the default file documents it.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) section: String,
    pub(super) name: String,
    /// The comment above the key, unwrapped.
    pub(super) help: String,
    pub(super) default: Value,
}

impl Key {
    /// As errors name it: `listen.http`.
    pub(super) fn dotted(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
    /// As the command line names it, without dashes in front: `listen-http`.
    pub(super) fn flag(&self) -> String {
        format!("{}-{}", self.section, self.name).replace('_', "-")
    }
    /// As the environment names it: `HEARSIGHT_LISTEN_HTTP`.
    pub(super) fn variable(&self) -> String {
        format!("HEARSIGHT_{}_{}", self.section, self.name).to_uppercase()
    }
    /// What a value looks like, for help and errors.
    pub(super) fn kind(&self) -> &'static str {
        match self.default {
            Value::Integer(_) => "whole number",
            Value::Boolean(_) => "true or false",
            Value::Array(_) => "list",
            _ => "text",
        }
    }
    fn parse(&self, text: &str) -> Option<Value> {
        match self.default {
            Value::Integer(_) => text.trim().parse::<i64>().ok().map(Value::from),
            Value::Boolean(_) => text.trim().parse::<bool>().ok().map(Value::from),
            Value::Array(_) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Value::Array(items.collect()))
            }
            _ => Some(Value::from(text)),
        }
    }
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: the default.
    Default,
    /// A line of a file.
    File(PathBuf, usize),
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("the default"),
            Source::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Source::Variable(name) => f.write_str(name),
            Source::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// Every key of the default file, in its order.
pub(super) fn keys() -> Vec<Key> {
    let document = Document::parse(DEFAULTS).expect("the default file parses: a test holds it");
    let mut keys = Vec::new();
    for (section, item) in document.iter() {
        let table = item
            .as_table()
            .expect("the default file has only tables at its top: a test holds it");
        for (name, item) in table.iter() {
            let comment = table
                .key(name)
                .and_then(|key| key.leaf_decor().prefix())
                .and_then(|raw| match raw.span() {
                    Some(span) => DEFAULTS.get(span),
                    None => raw.as_str(),
                });
            keys.push(Key {
                section: section.to_owned(),
                name: name.to_owned(),
                help: unwrapped(comment.unwrap_or_default()),
                default: item.as_value().expect("a key has a value").clone().decorated("", ""),
            });
        }
    }
    keys
}

/// The comment as one paragraph.
fn unwrapped(comment: &str) -> String {
    let lines = comment
        .lines()
        .filter_map(|line| line.trim().strip_prefix('#'))
        .map(str::trim);
    lines.collect::<Vec<_>>().join(" ")
}

/// The known name most like `name`.
pub(super) fn nearest<S: AsRef<str>>(name: &str, known: impl IntoIterator<Item = S>) -> Option<(S, f64)> {
    known
        .into_iter()
        .map(|candidate| {
            let likeness = strsim::normalized_damerau_levenshtein(name, candidate.as_ref());
            (candidate, likeness)
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The settings in force, by dotted name.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    keys: Vec<Key>,
    values: BTreeMap<String, (Value, Source)>,
}

impl Settings {
    /// The defaults.
    pub(super) fn defaults(keys: Vec<Key>) -> Settings {
        let values = keys
            .iter()
            .map(|key| (key.dotted(), (key.default.clone(), Source::Default)))
            .collect();
        Settings { keys, values }
    }
    /// A value and where it was given; the key must exist.
    pub(super) fn get(&self, dotted: &str) -> (&Value, &Source) {
        let (value, source) = self.values.get(dotted).expect("a key of the default file");
        (value, source)
    }

    /// Takes every key of a file; unknown ones and values of the wrong kind are refused.
    pub(super) fn merge_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let document = Document::parse(text).map_err(|error| ConfigError::Syntax {
            path: path.to_path_buf(),
            problem: error.to_string(),
        })?;
        let line_at = |span: Option<std::ops::Range<usize>>| {
            let start = span.map_or(0, |span| span.start);
            1 + text
                .as_bytes()
                .iter()
                .take(start)
                .filter(|byte| **byte == b'\n')
                .count()
        };
        for (section, item) in document.iter() {
            let source = Source::File(
                path.to_path_buf(),
                line_at(document.key(section).and_then(|key| key.span())),
            );
            if !self.keys.iter().any(|key| key.section == section) {
                return Err(self.unknown(section, source));
            }
            let Some(table) = item.as_table_like() else {
                return Err(ConfigError::from(Box::new(BadValue {
                    field: section.to_owned(),
                    given: item.to_string().trim().to_owned(),
                    source_of: source,
                    problem: "it is a section, and holds settings".to_owned(),
                    remedy: format!("write [{section}] and its settings below"),
                })));
            };
            for (name, item) in table.iter() {
                let source = Source::File(path.to_path_buf(), line_at(table.key(name).and_then(|key| key.span())));
                self.take_item(section, name, item, source)?;
            }
        }
        Ok(())
    }

    fn take_item(&mut self, section: &str, name: &str, item: &Item, source: Source) -> Result<(), ConfigError> {
        let Some(key) = self.keys.iter().find(|key| key.section == section && key.name == name) else {
            return Err(self.unknown(&format!("{section}.{name}"), source));
        };
        match item.as_value() {
            Some(value) if value.type_name() == key.default.type_name() && texts_only(value) => {
                self.values
                    .insert(key.dotted(), (value.clone().decorated("", ""), source));
                Ok(())
            }
            _ => Err(wrong_kind(key, item.to_string().trim(), source)),
        }
    }

    /// Takes every variable that is ours; a misspelt one is refused.
    pub(super) fn merge_variables(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (name, text) in variables {
            let source = Source::Variable(name.clone());
            if let Some(key) = self.keys.iter().find(|key| key.variable() == name).cloned() {
                self.take_text(&key, &text, source)?;
            } else if name == "HEARSIGHT_DEPS" {
                // Lower than its full name, whichever comes first.
                if !matches!(self.get("assets.deps").1, Source::Variable(_)) {
                    self.values.insert("assets.deps".into(), (Value::from(text), source));
                }
            } else if self.is_ours(&name) {
                return Err(self.unknown(&name, source));
            }
        }
        Ok(())
    }

    /// Takes one flag's value.
    pub(super) fn merge_flag(&mut self, key: &Key, text: &str) -> Result<(), ConfigError> {
        self.take_text(key, text, Source::Flag(key.flag()))
    }

    fn take_text(&mut self, key: &Key, text: &str, source: Source) -> Result<(), ConfigError> {
        let Some(value) = key.parse(text) else {
            return Err(wrong_kind(key, text, source));
        };
        self.values.insert(key.dotted(), (value, source));
        Ok(())
    }

    /// Whether an unknown variable was meant for us.
    fn is_ours(&self, name: &str) -> bool {
        let Some(rest) = name
            .strip_prefix("HEARSIGHT_")
            .filter(|_| !NOT_SETTINGS.contains(&name))
        else {
            return false;
        };
        let in_a_section = self
            .keys
            .iter()
            .any(|key| rest.starts_with(&format!("{}_", key.section.to_uppercase())));
        let variables = self
            .keys
            .iter()
            .map(|key| format!("{}_{}", key.section, key.name).to_uppercase());
        in_a_section || nearest(rest, variables).is_some_and(|(_, likeness)| likeness >= MISSPELT)
    }

    fn unknown(&self, name: &str, source: Source) -> ConfigError {
        let known: Vec<String> = match source {
            Source::Variable(_) => self.keys.iter().map(Key::variable).collect(),
            _ if name.contains('.') => self.keys.iter().map(Key::dotted).collect(),
            _ => self.keys.iter().map(|key| key.section.clone()).collect(),
        };
        let nearest = nearest(name, known).map_or_else(String::new, |(name, _)| name);
        ConfigError::Unknown {
            name: name.to_owned(),
            source_of: source,
            nearest,
        }
    }

    /// Every value as TOML writes it, by dotted name.
    pub(super) fn texts(&self) -> BTreeMap<String, String> {
        let text = |(key, (value, _)): (&String, &(Value, Source))| (key.clone(), value.to_string());
        self.values.iter().map(text).collect()
    }

    /// The default file with the values in force, each that is not a default marked with its source.
    pub(super) fn effective(&self) -> String {
        let mut document: DocumentMut = DEFAULTS.parse().expect("the default file parses: a test holds it");
        for key in &self.keys {
            let (value, source) = self.get(&key.dotted());
            let remark = match source {
                Source::Default => String::new(),
                // A line break in a file's name must not end the comment.
                given => format!(" # from {}", given.to_string().replace(char::is_control, "?")),
            };
            document[&key.section][&key.name] = Item::Value(value.clone().decorated(" ", &remark));
        }
        document.to_string()
    }
}

/// Whether a list, if it is one, holds nothing but text.
fn texts_only(value: &Value) -> bool {
    value.as_array().is_none_or(|items| items.iter().all(Value::is_str))
}

fn wrong_kind(key: &Key, given: &str, source: Source) -> ConfigError {
    ConfigError::from(Box::new(BadValue {
        field: key.dotted(),
        given: given.to_owned(),
        source_of: source,
        problem: format!("it must be a {}", key.kind())
            .replace("a text", "text in quotes")
            .replace("a true", "true")
            .replace("a list", "a list of texts in quotes"),
        remedy: format!("the default is {}", key.default.to_string().trim()),
    }))
}
