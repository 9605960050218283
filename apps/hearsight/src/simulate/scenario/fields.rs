//! The fields of a scenario's tables, with an error that names the field and the remedy for each that won't do.

use hearsight_core::time::Span;
use toml::{Table, Value};

use super::{BadScenario, bad};

/// A table whose fields are taken one by one: whatever is left at the end is misspelt.
pub(super) struct Fields {
    place: String,
    values: Table,
    known: Vec<&'static str>,
}

impl Fields {
    pub(super) fn new(place: &str, values: Table) -> Fields {
        Fields {
            place: place.to_owned(),
            values,
            known: Vec::new(),
        }
    }

    pub(super) fn name(&self, field: &str) -> String {
        if self.place.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.place)
        }
    }

    pub(super) fn take(&mut self, field: &'static str) -> Option<Value> {
        self.known.push(field);
        self.values.remove(field)
    }

    /// A field that stays where it is.
    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.values.get(field)
    }

    pub(super) fn table(&mut self, field: &'static str) -> Result<Fields, BadScenario> {
        match self.take(field) {
            None => Ok(Fields::new(field, Table::new())),
            Some(Value::Table(table)) => Ok(Fields::new(field, table)),
            Some(other) => Err(bad(
                self.name(field),
                format!("{other} is not a table"),
                format!("write [{field}]"),
            )),
        }
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<Option<String>, BadScenario> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(bad(
                self.name(field),
                format!("{other} is not text"),
                "write it in quotes",
            )),
        }
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, BadScenario> {
        match self.take(field) {
            None => Ok(false),
            Some(Value::Boolean(flag)) => Ok(flag),
            Some(other) => Err(bad(
                self.name(field),
                format!("{other} is not a yes or no"),
                "write true or false",
            )),
        }
    }

    pub(super) fn number(
        &mut self,
        field: &'static str,
        default: f64,
        valid: std::ops::RangeInclusive<f64>,
    ) -> Result<f64, BadScenario> {
        let number = match self.take(field) {
            None => return Ok(default),
            Some(Value::Integer(number)) => number as f64,
            Some(Value::Float(number)) => number,
            Some(other) => {
                return Err(bad(
                    self.name(field),
                    format!("{other} is not a number"),
                    "write a number",
                ));
            }
        };
        if valid.contains(&number) {
            return Ok(number);
        }
        let (least, most) = (valid.start(), valid.end());
        Err(bad(
            self.name(field),
            format!("{number} is out of range"),
            format!("write {least} to {most}"),
        ))
    }

    pub(super) fn seconds(
        &mut self,
        field: &'static str,
        default: f64,
        valid: std::ops::RangeInclusive<f64>,
    ) -> Result<Span, BadScenario> {
        let seconds = self.number(field, default, valid)?;
        Ok(Span::from_nanos((seconds * 1e9) as i64))
    }

    pub(super) fn finish(self) -> Result<(), BadScenario> {
        let Some(unknown) = self.values.keys().next() else {
            return Ok(());
        };
        let like = |known: &&&str| (strsim::jaro_winkler(known, unknown) * 1e6) as u64;
        let nearest = self.known.iter().max_by_key(like).copied().unwrap_or_default();
        Err(bad(
            self.name(unknown),
            "there is no such field",
            format!("did you mean {nearest}?"),
        ))
    }
}
