//! The folder of a model: its files, what its settings say, and whether they belong together.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use super::processor::Processor;
use super::scaling::Filter;

/// A settings file is a few kilobytes, a tokeniser a few megabytes: larger ones are something else.
const MOST_SETTINGS: u64 = 1 << 20;
const MOST_TOKENISER: u64 = 64 << 20;

/// A model can't be used. One line that names the file and the repair.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadModel {
    /// A file is not there, or can't be read.
    #[error("{path} cannot be read ({why}); `hearsight models pull` brings it")]
    Missing {
        /// Which file.
        path: String,
        /// What the system says.
        why: String,
    },
    /// A file is not what it should be.
    #[error(
        "{path} is damaged ({why}); `hearsight models verify` tells which files are, `hearsight models pull` brings them again"
    )]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The files are whole, but this engine can't run them, or they don't belong together.
    #[error(
        "{path} cannot be used ({why}); take a model in the three-file layout of SmolVLM's exports, all files of one revision"
    )]
    Unfit {
        /// Which file.
        path: String,
        /// What doesn't fit.
        why: String,
    },
}

impl BadModel {
    pub(super) fn damaged(path: &Path, why: impl ToString) -> BadModel {
        let (path, why) = (path.display().to_string(), one_line(&why.to_string()));
        BadModel::Damaged { path, why }
    }
    pub(super) fn unfit(path: &Path, why: impl ToString) -> BadModel {
        let (path, why) = (path.display().to_string(), one_line(&why.to_string()));
        BadModel::Unfit { path, why }
    }
    fn missing(path: &Path, why: &std::io::Error) -> BadModel {
        let (path, why) = (path.display().to_string(), why.to_string());
        BadModel::Missing { path, why }
    }
}

/// Libraries put line breaks into their messages.
fn one_line(why: &str) -> String {
    let line = why.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
}

/// The files of a model that is part of the program, by their names below its folder.
pub(super) type Carried = &'static [(&'static str, &'static [u8])];

/// Where a model's files lie: in a folder of this machine, or in the program itself.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
    variant: String,
    carried: Option<Carried>,
}

/// The file of a graph.
pub(super) struct Graph {
    pub(super) path: PathBuf,
    /// What is in it, where it is part of the program.
    pub(super) bytes: Option<&'static [u8]>,
}

impl Folder {
    /// The model below `root`; its graphs are those of `variant` (`q4`, `int8`, …), the plain ones if that is empty.
    pub(super) fn new(root: &Path, variant: &str) -> Folder {
        Folder {
            root: root.to_path_buf(),
            variant: variant.to_owned(),
            carried: None,
        }
    }
    /// The model of this name that is part of the program.
    pub(super) fn carried(name: &str, files: Carried) -> Folder {
        Folder {
            carried: Some(files),
            ..Folder::new(Path::new(name), "")
        }
    }
    /// What a file is called.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
    fn inside(&self, name: &str) -> Option<&'static [u8]> {
        let mut files = self.carried?.iter();
        files.find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
    }
    fn has(&self, name: &str) -> bool {
        match self.carried {
            Some(_) => self.inside(name).is_some(),
            None => self.file(name).exists(),
        }
    }
    fn bytes(&self, name: &str, most: u64) -> Result<Vec<u8>, BadModel> {
        let path = self.file(name);
        match (self.carried, self.inside(name)) {
            (None, _) => read(&path, most),
            (Some(_), Some(bytes)) => Ok(bytes.to_vec()),
            (Some(_), None) => Err(BadModel::missing(&path, &std::io::ErrorKind::NotFound.into())),
        }
    }
    /// The graph of this name: in `onnx/`, as on the hub, or beside the settings. Checked to be one, as far as its head tells.
    pub(super) fn graph(&self, name: &str) -> Result<Graph, BadModel> {
        if self.carried.is_some() {
            let name = format!("onnx/{name}.onnx");
            let (path, bytes) = (self.file(&name), self.inside(&name));
            return Ok(Graph { path, bytes });
        }
        let name = match self.variant.as_str() {
            "" => format!("{name}.onnx"),
            variant => format!("{name}_{variant}.onnx"),
        };
        let nested = self.root.join("onnx").join(&name);
        let path = if nested.exists() { nested } else { self.root.join(&name) };
        let path = if path.exists() {
            path
        } else {
            self.root.join("onnx").join(&name)
        };
        let mut head = [0u8; 2];
        let mut file = open(&path, u64::MAX)?;
        file.read_exact(&mut head)
            .map_err(|why| BadModel::damaged(&path, why))?;
        // Field 1 of ModelProto, `ir_version`, a varint: what every writer puts first.
        if head[0] != 0x08 || head[1] == 0 {
            return Err(BadModel::damaged(&path, "it does not begin as an ONNX model"));
        }
        Ok(Graph { path, bytes: None })
    }
    /// The tokeniser, as it is written down.
    pub(super) fn tokeniser(&self) -> Result<(PathBuf, String), BadModel> {
        let path = self.file("tokenizer.json");
        let bytes = self.bytes("tokenizer.json", MOST_TOKENISER)?;
        let text = String::from_utf8(bytes).map_err(|why| BadModel::damaged(&path, why))?;
        Ok((path, text))
    }
    fn settings(&self, name: &str) -> Result<Table, BadModel> {
        let path = self.file(name);
        let bytes = self.bytes(name, MOST_SETTINGS)?;
        let value = serde_json::from_slice(&bytes).map_err(|why| BadModel::damaged(&path, why))?;
        Ok(Table { path, value })
    }
    /// The chat template, wherever this revision keeps it.
    pub(super) fn template(&self) -> Result<Option<(PathBuf, String)>, BadModel> {
        let name = "chat_template.jinja";
        if self.has(name) {
            let bytes = self.bytes(name, MOST_SETTINGS)?;
            return Ok(Some((self.file(name), String::from_utf8_lossy(&bytes).into_owned())));
        }
        for name in ["chat_template.json", "tokenizer_config.json"] {
            if !self.has(name) {
                continue;
            }
            let table = self.settings(name)?;
            if let Some(template) = table.value.get("chat_template").and_then(Value::as_str) {
                return Ok(Some((table.path.clone(), template.to_owned())));
            }
        }
        Ok(None)
    }
}

fn open(path: &Path, most: u64) -> Result<File, BadModel> {
    let file = File::open(path).map_err(|why| BadModel::missing(path, &why))?;
    let about = file.metadata().map_err(|why| BadModel::missing(path, &why))?;
    if !about.is_file() {
        return Err(BadModel::damaged(path, "not a file"));
    }
    if about.len() > most {
        return Err(BadModel::damaged(
            path,
            format!("{} bytes, at most {most} expected", about.len()),
        ));
    }
    Ok(file)
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, BadModel> {
    let mut bytes = Vec::new();
    // A file may grow between the look at its size and the reading.
    open(path, most)?
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|why| BadModel::missing(path, &why))?;
    Ok(bytes)
}

/// A settings file, and what is wrong with it where something is.
struct Table {
    path: PathBuf,
    value: Value,
}

impl Table {
    fn find(&self, field: &str) -> Option<&Value> {
        let found = field.split('.').try_fold(&self.value, |table, name| table.get(name))?;
        (!found.is_null()).then_some(found)
    }
    /// A whole number from 1 to `most`.
    fn count(&self, field: &str, most: u64) -> Result<usize, BadModel> {
        let found = self
            .find(field)
            .ok_or_else(|| BadModel::unfit(&self.path, format!("it lacks {field}")))?;
        let count = found.as_u64().filter(|count| (1..=most).contains(count));
        let count = count
            .ok_or_else(|| BadModel::unfit(&self.path, format!("{field} is not a whole number from 1 to {most}")))?;
        Ok(count as usize)
    }
    fn count_or(&self, field: &str, most: u64, otherwise: usize) -> Result<usize, BadModel> {
        match self.find(field) {
            Some(_) => self.count(field, most),
            None => Ok(otherwise),
        }
    }
    fn yes(&self, field: &str) -> bool {
        self.find(field).and_then(Value::as_bool).unwrap_or(true)
    }
    /// Three numbers, one for each colour; `otherwise` where there are none.
    fn colours(&self, field: &str, otherwise: f32) -> Result<[f32; 3], BadModel> {
        let Some(found) = self.find(field) else {
            return Ok([otherwise; 3]);
        };
        let numbers: Vec<f32> = found
            .as_array()
            .map(|list| {
                list.iter()
                    .filter_map(Value::as_f64)
                    .map(|number| number as f32)
                    .collect()
            })
            .unwrap_or_default();
        <[f32; 3]>::try_from(numbers)
            .ok()
            .filter(|numbers| numbers.iter().all(|number| number.is_finite() && number.abs() < 100.0))
            .ok_or_else(|| BadModel::unfit(&self.path, format!("{field} is not three numbers")))
    }
    fn number_or(&self, field: &str, otherwise: f64) -> Result<f64, BadModel> {
        let Some(found) = self.find(field) else {
            return Ok(otherwise);
        };
        found
            .as_f64()
            .filter(|number| number.is_finite())
            .ok_or_else(|| BadModel::unfit(&self.path, format!("{field} is not a number")))
    }
}

/// What the settings say of the decoder.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) layers: usize,
    /// Of keys and values.
    pub(super) heads: usize,
    /// Of one head.
    pub(super) width: usize,
    /// Of an embedding.
    pub(super) hidden: usize,
    pub(super) vocabulary: usize,
    /// Tokens that a conversation may have at most.
    pub(super) positions: usize,
    /// The token that a picture's words stand in for.
    pub(super) image_token: i64,
    /// Those that end an answer.
    pub(super) stops: Vec<i64>,
    /// Tokens that one tile becomes: a square.
    pub(super) words_per_tile: usize,
}

impl Shape {
    /// Bytes that one token takes in the cache.
    pub(super) fn bytes_per_token(&self) -> usize {
        2 * self.layers * self.heads * self.width * size_of::<f32>()
    }
}

/// Reads `config.json`, `generation_config.json` and `processor_config.json`.
pub(super) fn shape(folder: &Folder) -> Result<Shape, BadModel> {
    let config = folder.settings("config.json")?;
    let hidden = config.count("text_config.hidden_size", 1 << 16)?;
    let all_heads = config.count("text_config.num_attention_heads", 1 << 10)?;
    let image_token = config.count("image_token_id", 1 << 24)?;
    let vocabulary = config.count("text_config.vocab_size", 1 << 24)?;
    if image_token >= vocabulary {
        return Err(BadModel::unfit(
            &config.path,
            "image_token_id lies beyond the vocabulary",
        ));
    }
    let side = config.count("vision_config.image_size", 1 << 12)? / config.count("vision_config.patch_size", 1 << 8)?;
    let counted = side / config.count_or("scale_factor", 64, 1)?;
    let mut words_per_tile = counted * counted;
    if folder.has("processor_config.json") {
        words_per_tile =
            folder
                .settings("processor_config.json")?
                .count_or("image_seq_len", 1 << 14, words_per_tile)?;
    }
    if words_per_tile == 0 || words_per_tile.isqrt().pow(2) != words_per_tile {
        return Err(BadModel::unfit(
            &config.path,
            format!("a tile becomes {words_per_tile} tokens, which are no square"),
        ));
    }
    Ok(Shape {
        layers: config.count("text_config.num_hidden_layers", 256)?,
        heads: config.count_or("text_config.num_key_value_heads", 1 << 10, all_heads)?,
        width: config.count_or("text_config.head_dim", 1 << 10, (hidden / all_heads).max(1))?,
        positions: config.count_or("text_config.max_position_embeddings", 1 << 20, 2048)?,
        image_token: image_token as i64,
        stops: stops(folder, vocabulary)?,
        hidden,
        vocabulary,
        words_per_tile,
    })
}

/// `eos_token_id`: one, or several.
fn stops(folder: &Folder, vocabulary: usize) -> Result<Vec<i64>, BadModel> {
    let table = folder.settings("generation_config.json")?;
    let found = table
        .find("eos_token_id")
        .ok_or_else(|| BadModel::unfit(&table.path, "it lacks eos_token_id"))?;
    let listed = match found {
        Value::Array(list) => list.iter().map(Value::as_i64).collect(),
        one => Some(one.as_i64().into_iter().collect::<Vec<_>>()),
    };
    listed
        .filter(|ids| !ids.is_empty() && ids.len() <= 64)
        .filter(|ids| ids.iter().all(|&id| (0..vocabulary as i64).contains(&id)))
        .ok_or_else(|| BadModel::unfit(&table.path, "eos_token_id is no token, and no list of tokens"))
}

/// Reads `preprocessor_config.json`, or the part of `processor_config.json` that newer revisions keep it in.
pub(super) fn processor(folder: &Folder) -> Result<Processor, BadModel> {
    let table = if folder.has("preprocessor_config.json") {
        folder.settings("preprocessor_config.json")?
    } else {
        let Table { path, mut value } = folder.settings("processor_config.json")?;
        let value = value.get_mut("image_processor").map(Value::take).unwrap_or_default();
        Table { path, value }
    };
    let filter = match table.count_or("resample", 5, 1)? {
        1 => Filter::Lanczos,
        2 => Filter::Bilinear,
        3 => Filter::Bicubic,
        other => return Err(BadModel::unfit(&table.path, format!("resample {other} is not known"))),
    };
    let tile = table.count("max_image_size.longest_edge", 2048)?;
    let longest = if table.yes("do_resize") {
        // The reference never scales beyond 4096 pixels.
        table.count("size.longest_edge", 4096)?
    } else {
        return Err(BadModel::unfit(
            &table.path,
            "do_resize is false: pictures would be of any size",
        ));
    };
    let (mean, deviation) = if table.yes("do_normalize") {
        (table.colours("image_mean", 0.5)?, table.colours("image_std", 0.5)?)
    } else {
        ([0.0; 3], [1.0; 3])
    };
    if deviation.iter().any(|value| *value <= 0.0) {
        return Err(BadModel::unfit(&table.path, "image_std is not above 0"));
    }
    let scale = if table.yes("do_rescale") {
        table.number_or("rescale_factor", 1.0 / 255.0)?
    } else {
        1.0
    };
    let splitting = table.yes("do_image_splitting");
    Ok(Processor::new(longest as u32, tile as u32, splitting, filter).normalised(scale, mean, deviation))
}

/// How sure answers are and how often they are right: `certainty = σ(scale · logit(p) + offset)`, from `calibration.json` where the
/// model comes with one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Calibration {
    pub(super) scale: f64,
    pub(super) offset: f64,
}

pub(super) fn calibration(folder: &Folder) -> Result<Calibration, BadModel> {
    if !folder.has("calibration.json") {
        return Ok(Calibration {
            scale: 1.0,
            offset: 0.0,
        });
    }
    let table = folder.settings("calibration.json")?;
    Ok(Calibration {
        scale: table.number_or("scale", 1.0)?,
        offset: table.number_or("offset", 0.0)?,
    })
}
