//! The three graphs of a model on ONNX Runtime, and the cache of keys and values that a conversation carries.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use hearsight_core::time::Span;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, TensorRef, ValueType};

use super::folder::{BadModel, Folder, Graph, Shape};
use crate::runtime::Runtime;
use crate::watch::{Watch, Watched};

/// A run of a graph did not come to an end.
#[derive(Debug)]
pub(super) enum Failed {
    /// Its time was up.
    Late,
    /// It did not begin: another conversation has the model.
    Busy,
    /// Anything else, in words.
    Broken(String),
}

impl From<ort::Error> for Failed {
    fn from(why: ort::Error) -> Failed {
        let why = why.to_string();
        // The runtime has no code of its own for this (`kernel.cc`, `CheckIfTerminate`).
        if why.contains("terminate flag") {
            Failed::Late
        } else {
            Failed::Broken(why)
        }
    }
}

/// The graphs of one model. One run at a time: whoever holds them has the model to himself.
pub(super) struct Graphs {
    vision: Session,
    embed: Session,
    decoder: Session,
    /// `past_key_values.{layer}.{key|value}` and `present.{layer}.{key|value}`, layer by layer.
    past: Vec<String>,
    present: Vec<String>,
    takes: Takes,
    watch: Watch,
    shape: Shape,
    side: usize,
}

/// Inputs and outputs that some exports have and others do not.
struct Takes {
    mask: bool,
    positions: bool,
    kept_logits: bool,
    attention: bool,
}

/// What one tile became.
#[derive(Default)]
pub(super) struct Sight {
    /// `words_per_tile` embeddings in a row.
    pub(super) features: Vec<f32>,
    /// Where each word stands in the tile: left, top, right and bottom, 0..1. Empty where the export does not say: words are a grid.
    pub(super) places: Vec<[f32; 4]>,
    /// How clearly each word shows what it shows, 0..1; empty where the export does not say.
    pub(super) clarity: Vec<f32>,
}

impl Sight {
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.features) + size_of_val(&*self.places) + size_of_val(&*self.clarity)
    }
}

/// What the decoder says after the last of the tokens it was given.
pub(super) struct Said {
    /// One for each token of the vocabulary.
    pub(super) logits: Vec<f32>,
    /// Where the last token looked: a weight for each token so far; empty where the export does not say.
    pub(super) looked: Vec<f32>,
}

impl Graphs {
    /// Opens the three graphs, each on `threads` threads, and checks that they take and give what the settings say.
    pub(super) fn open(
        runtime: &Runtime,
        folder: &Folder,
        shape: &Shape,
        side: usize,
        threads: usize,
    ) -> Result<Graphs, BadModel> {
        let open = |name: &str| {
            let Graph { path, bytes } = folder.graph(name)?;
            let session = match bytes {
                Some(bytes) => runtime.session_of(bytes, &path, threads),
                None => runtime.session(&path, threads),
            };
            session.map(|session| (path.clone(), session)).map_err(|why| match why {
                crate::files::BadFile::Damaged { why, .. } => BadModel::damaged(&path, why),
                other @ crate::files::BadFile::Missing { .. } => BadModel::damaged(&path, other),
            })
        };
        let (vision_path, vision) = open("vision_encoder")?;
        let (embed_path, embed) = open("embed_tokens")?;
        let (decoder_path, decoder) = open("decoder_model_merged")?;
        has_input(&vision_path, &vision, "pixel_values", TensorElementType::Float32, &[])?;
        let mask = vision
            .inputs()
            .iter()
            .any(|input| input.name() == "pixel_attention_mask");
        if mask {
            has_input(
                &vision_path,
                &vision,
                "pixel_attention_mask",
                TensorElementType::Bool,
                &[],
            )?;
        }
        has_output(&vision_path, &vision, "image_features")?;
        has_input(&embed_path, &embed, "input_ids", TensorElementType::Int64, &[])?;
        has_output(&embed_path, &embed, "inputs_embeds")?;
        let names = |kind: &str| -> Vec<String> {
            let parts = |layer| ["key", "value"].map(|part| format!("{kind}.{layer}.{part}"));
            (0..shape.layers).flat_map(parts).collect()
        };
        let (past, present) = (names("past_key_values"), names("present"));
        let takes = decoder_takes(&decoder_path, &decoder, shape, &past, mask)?;
        for name in present.iter().map(String::as_str).chain(["logits"]) {
            has_output(&decoder_path, &decoder, name)?;
        }
        Ok(Graphs {
            watch: Watch::start("vlm-watch")
                .map_err(|why| BadModel::unfit(&decoder_path, format!("no thread to watch it: {why}")))?,
            shape: shape.clone(),
            vision,
            embed,
            decoder,
            past,
            present,
            takes,
            side,
        })
    }

    /// What a tile becomes. `pixels` are three planes of `side²` values.
    pub(super) fn see(&mut self, pixels: &[f32], limit: Span) -> Result<Sight, Failed> {
        let (side, full) = (self.side, vec![true; self.side * self.side]);
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = vec![(
            "pixel_values".into(),
            TensorRef::from_array_view(([1usize, 1, 3, side, side], pixels))?.into(),
        )];
        if self.takes.mask {
            let mask = TensorRef::from_array_view(([1usize, 1, side, side], full.as_slice()))?;
            inputs.push(("pixel_attention_mask".into(), mask.into()));
        }
        let run = Arc::new(RunOptions::new()?);
        let _watched = watched(&self.watch, &run, limit);
        let outputs = self.vision.run_with_options(inputs, &*run)?;
        let words = self.shape.words_per_tile;
        let shares = |name: &str, each: usize| match outputs.get(name) {
            Some(_) => Ok(values(&outputs, name, words * each)?
                .iter()
                .map(|share| share.clamp(0.0, 1.0))
                .collect()),
            None => Ok::<Vec<f32>, Failed>(Vec::new()),
        };
        let places = shares("places", 4)?;
        Ok(Sight {
            features: values(&outputs, "image_features", words * self.shape.hidden)?.to_vec(),
            places: places.as_chunks().0.to_vec(),
            clarity: shares("clarity", 1)?,
        })
    }

    /// Gives the decoder `tokens` after what `cache` holds; where a token stands for a picture, the next of `features` takes its
    /// place. The cache grows by as many tokens, or stays as it was.
    pub(super) fn read(
        &mut self,
        cache: &mut Cache,
        tokens: &[i64],
        features: &mut &[f32],
        limit: Span,
    ) -> Result<Said, Failed> {
        let run = Arc::new(RunOptions::new()?);
        let _watched = watched(&self.watch, &run, limit);
        let (embeds, rest) = self.embed(tokens, features)?;
        let (count, total) = (tokens.len(), cache.tokens + tokens.len());
        let mask = vec![1i64; total];
        let positions: Vec<i64> = (cache.tokens as i64..total as i64).collect();
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = vec![
            (
                "inputs_embeds".into(),
                TensorRef::from_array_view(([1usize, count, self.shape.hidden], embeds.as_slice()))?.into(),
            ),
            (
                "attention_mask".into(),
                TensorRef::from_array_view(([1usize, total], mask.as_slice()))?.into(),
            ),
        ];
        if self.takes.positions {
            let positions = TensorRef::from_array_view(([1usize, count], positions.as_slice()))?;
            inputs.push(("position_ids".into(), positions.into()));
        }
        if self.takes.kept_logits {
            let one = Tensor::from_array(([0usize; 0], vec![1i64]))?;
            inputs.push(("num_logits_to_keep".into(), one.into()));
        }
        let blank = cache
            .past
            .is_empty()
            .then(|| self.blank())
            .transpose()?
            .unwrap_or_default();
        let past = if cache.past.is_empty() { &blank } else { &cache.past };
        for (name, value) in self.past.iter().zip(past) {
            inputs.push((name.as_str().into(), value.into()));
        }
        let mut outputs = self.decoder.run_with_options(inputs, &*run)?;
        let said = said(&outputs, &self.shape, total, self.takes.attention)?;
        let grown: Vec<DynValue> = self.present.iter().filter_map(|name| outputs.remove(name)).collect();
        let shaped =
            |value: &DynValue| value.shape()[..] == [1, self.shape.heads as i64, total as i64, self.shape.width as i64];
        if grown.len() != self.present.len() || !grown.iter().all(shaped) {
            return Err(Failed::Broken("keys and values of another shape came back".into()));
        }
        cache.past = grown;
        cache.tokens = total;
        *features = rest;
        Ok(said)
    }

    /// The tokens' embeddings, and the features that are left.
    fn embed<'f>(&mut self, tokens: &[i64], features: &'f [f32]) -> Result<(Vec<f32>, &'f [f32]), Failed> {
        let hidden = self.shape.hidden;
        let outputs = self.embed.run(ort::inputs![
            "input_ids" => TensorRef::from_array_view(([1usize, tokens.len()], tokens))?
        ])?;
        let (_, embeds) = outputs[0].try_extract_tensor::<f32>()?;
        if embeds.len() != tokens.len() * hidden {
            return Err(Failed::Broken("embeddings of another size came back".into()));
        }
        let (mut embeds, mut rest) = (embeds.to_vec(), features);
        for (embed, token) in embeds.chunks_exact_mut(hidden).zip(tokens) {
            if *token == self.shape.image_token {
                let Some((feature, others)) = rest.split_at_checked(hidden) else {
                    return Err(Failed::Broken("more words of pictures than pictures".into()));
                };
                embed.copy_from_slice(feature);
                rest = others;
            }
        }
        Ok((embeds, rest))
    }

    /// Keys and values of no token.
    fn blank(&self) -> Result<Vec<DynValue>, ort::Error> {
        let shape = [1usize, self.shape.heads, 0, self.shape.width];
        let one = || Tensor::<f32>::new(self.decoder.allocator(), shape).map(Tensor::into_dyn);
        self.past.iter().map(|_| one()).collect()
    }
}

/// An output of so many values.
fn values<'o>(outputs: &'o ort::session::SessionOutputs<'_>, name: &str, expected: usize) -> Result<&'o [f32], Failed> {
    let output = outputs.get(name).ok_or_else(|| Failed::Broken(format!("no {name}")))?;
    let (_, values) = output.try_extract_tensor::<f32>()?;
    if values.len() != expected {
        let why = format!("a tile became {} values of {name}, not {expected}", values.len());
        return Err(Failed::Broken(why));
    }
    Ok(values)
}

/// Ends `run` after `limit`.
fn watched(watch: &Watch, run: &Arc<RunOptions>, limit: Span) -> Watched {
    let run = run.clone();
    // The flag can only fail to be set for options that don't exist.
    watch.limit(move || drop(run.terminate()), limit)
}

fn said(
    outputs: &ort::session::SessionOutputs<'_>,
    shape: &Shape,
    total: usize,
    attention: bool,
) -> Result<Said, Failed> {
    let broken = |why: &str| Failed::Broken(why.to_owned());
    let logits = outputs.get("logits").ok_or_else(|| broken("no logits"))?;
    let (_, logits) = logits.try_extract_tensor::<f32>()?;
    let start = logits
        .len()
        .checked_sub(shape.vocabulary)
        .ok_or_else(|| broken("fewer logits than words"))?;
    let logits = logits[start..].to_vec();
    if !logits.iter().all(|logit| logit.is_finite()) {
        return Err(broken("logits that are no numbers"));
    }
    let looked = match outputs.get("attention").filter(|_| attention) {
        Some(value) => {
            let (_, weights) = value.try_extract_tensor::<f32>()?;
            let start = weights.len().saturating_sub(total);
            weights[start..].to_vec()
        }
        None => Vec::new(),
    };
    Ok(Said { logits, looked })
}

fn decoder_takes(
    path: &Path,
    decoder: &Session,
    shape: &Shape,
    past: &[String],
    mask: bool,
) -> Result<Takes, BadModel> {
    use TensorElementType::{Float32, Int64};
    has_input(path, decoder, "inputs_embeds", Float32, &[-1, -1, shape.hidden as i64])?;
    has_input(path, decoder, "attention_mask", Int64, &[])?;
    for name in past {
        has_input(
            path,
            decoder,
            name,
            Float32,
            &[-1, shape.heads as i64, -1, shape.width as i64],
        )?;
    }
    let known = ["inputs_embeds", "attention_mask", "position_ids", "num_logits_to_keep"];
    let stranger = decoder
        .inputs()
        .iter()
        .map(|input| input.name())
        .find(|name| !known.contains(name) && !past.iter().any(|own| own == name));
    if let Some(name) = stranger {
        return Err(BadModel::unfit(
            path,
            format!("it takes {name}, which config.json knows nothing of"),
        ));
    }
    let takes = |name: &str| decoder.inputs().iter().any(|input| input.name() == name);
    Ok(Takes {
        mask,
        positions: takes("position_ids"),
        kept_logits: takes("num_logits_to_keep"),
        attention: decoder.outputs().iter().any(|output| output.name() == "attention"),
    })
}

/// Whether the graph takes `name`, of that type; where `dims` gives a size and the graph does, they must agree.
fn has_input(
    path: &Path,
    session: &Session,
    name: &str,
    wanted: TensorElementType,
    dims: &[i64],
) -> Result<(), BadModel> {
    let Some(input) = session.inputs().iter().find(|input| input.name() == name) else {
        return Err(BadModel::unfit(path, format!("it takes no {name}")));
    };
    let ValueType::Tensor { ty, shape, .. } = input.dtype() else {
        return Err(BadModel::unfit(path, format!("its {name} is no tensor")));
    };
    if *ty != wanted {
        return Err(BadModel::unfit(
            path,
            format!("its {name} is {ty}, not {wanted}: take a variant that keeps it so"),
        ));
    }
    let differs = |(have, want): (&i64, &i64)| *have >= 0 && *want >= 0 && have != want;
    if !dims.is_empty() && (shape.len() != dims.len() || shape.iter().zip(dims).any(differs)) {
        return Err(BadModel::unfit(
            path,
            format!("its {name} is {shape}, where config.json says {dims:?}"),
        ));
    }
    Ok(())
}

fn has_output(path: &Path, session: &Session, name: &str) -> Result<(), BadModel> {
    if session.outputs().iter().any(|output| output.name() == name) {
        return Ok(());
    }
    Err(BadModel::unfit(path, format!("it gives no {name}")))
}

/// Keys and values of all tokens of a conversation so far.
#[derive(Default)]
pub(super) struct Cache {
    past: Vec<DynValue>,
    tokens: usize,
}

impl Cache {
    /// How many tokens it holds.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    /// Forgets all but the first `tokens`. Copies what stays; if that can't be had, forgets everything.
    pub(super) fn cut_back(&mut self, tokens: usize) {
        if tokens >= self.tokens {
            return;
        }
        let kept = if tokens == 0 {
            Ok(Vec::new())
        } else {
            self.past.iter().map(|value| head(value, tokens)).collect()
        };
        match kept {
            Ok(past) => *self = Cache { past, tokens },
            Err(_) => *self = Cache::default(),
        }
    }
}

/// The first `tokens` of one layer's keys or values, `[1, heads, tokens, width]`.
fn head(value: &DynValue, tokens: usize) -> Result<DynValue, ort::Error> {
    let (shape, data) = value.try_extract_tensor::<f32>()?;
    let [_, heads, all, width] = shape[..] else {
        return Err(ort::Error::new("keys and values have four dimensions"));
    };
    let (all, width) = (all as usize, width as usize);
    let kept: Vec<f32> = data
        .chunks_exact((all * width).max(1))
        .flat_map(|one| &one[..tokens * width])
        .copied()
        .collect();
    Ok(Tensor::from_array(([1, heads as usize, tokens, width], kept))?.into_dyn())
}
