//! Reads one value at a time out of the settings, and words the refusal of one that won't do.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use crate::config::settings::Settings;
use crate::config::{BadValue, ConfigError};

/// Settings, read value by value; whoever refuses one says what is wrong with it and what would do.
pub(super) struct Checked<'a>(pub(super) &'a Settings);

impl<'a> Checked<'a> {
    /// An error about the value of `key`.
    pub(super) fn refusal(&self, key: &str, problem: &str, remedy: &str) -> ConfigError {
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
    /// A text without NUL characters.
    pub(super) fn text(&self, key: &str) -> Result<&'a str, ConfigError> {
        match self.0.get(key).0.as_str() {
            // It would cut a path short at the border to the system.
            Some(text) if !text.contains('\0') => Ok(text),
            _ => Err(self.refusal(key, "it holds a NUL character", "remove it")),
        }
    }
    /// Empty: none.
    pub(super) fn path(&self, key: &str) -> Result<Option<PathBuf>, ConfigError> {
        Ok(Some(self.text(key)?).filter(|text| !text.is_empty()).map(PathBuf::from))
    }
    /// A path to a file that exists, or none.
    pub(super) fn file(&self, key: &str, remedy: &str) -> Result<Option<PathBuf>, ConfigError> {
        let path = self.path(key)?;
        if path.as_ref().is_some_and(|path| !path.is_file()) {
            return Err(self.refusal(key, "there is no such file", remedy));
        }
        Ok(path)
    }
    /// The items of a list.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let items = self.0.get(key).0.as_array().into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }
    /// Empty: none.
    pub(super) fn parsed<T: FromStr>(&self, key: &str, problem: &str, remedy: &str) -> Result<Option<T>, ConfigError> {
        let text = self.text(key)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| self.refusal(key, problem, remedy))
    }
    /// Whether it is `true`.
    pub(super) fn truth(&self, key: &str) -> bool {
        self.0.get(key).0.as_bool().unwrap_or_default()
    }
    /// A whole number within `range`.
    pub(super) fn integer(&self, key: &str, range: RangeInclusive<usize>) -> Result<usize, ConfigError> {
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
