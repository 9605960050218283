//! The graphs of a model on ONNX Runtime: opened, held against the settings, run.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hearsight_core::time::Span;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session, SessionInputValue, SessionOutputs};
use ort::value::{DynValue, Tensor, TensorRef};

use super::cross::{Cross, Laid};
use super::encode::{Encoder, EncoderState, Encoding};
use super::shape::{PAST, Shape};
use crate::asr::folder::{BadModel, graph, needed_graph};
use crate::files::BadFile;
use crate::runtime::Runtime;
use crate::watch::{Watch, Watched};

/// A run went wrong: nothing of a stream can do that to a whole model.
#[derive(Debug)]
pub(super) struct Broken(pub(super) String);

impl From<ort::Error> for Broken {
    fn from(why: ort::Error) -> Broken {
        // One line: the runtime puts line breaks into its messages.
        let words: Vec<_> = why.to_string().split_whitespace().map(str::to_owned).collect();
        Broken(words.join(" "))
    }
}

/// Inputs of a run, by name.
pub(super) type Inputs<'v> = Vec<(Cow<'v, str>, SessionInputValue<'v>)>;

/// One set of a model's graphs. One stream at a time has it, for one slice.
pub(super) struct Graphs {
    frontend: Session,
    /// Weights that a front end of two files takes as inputs.
    frontend_weights: Vec<(String, DynValue)>,
    encoder: Encoder,
    adapter: Session,
    cross_kv: Session,
    decoder: Session,
    /// Of the decoder's outputs those that are asked for: not the cross keys and values, which some exports hand back.
    said: RunOptions<HasSelectedOutputs>,
    /// The outputs that tell where a token looked, layer by layer; none where the export does not say.
    looks: Vec<String>,
    watch: Watch,
    shape: Shape,
    laid: Laid,
}

/// What the front end still needs of the sound before: the frames that its convolutions reach back to.
pub(super) struct Front {
    past: [Vec<f32>; 2],
    frames: i64,
}

impl Front {
    pub(super) fn new(shape: &Shape) -> Front {
        Front {
            past: shape.channels.map(|channels| vec![0.0; channels * PAST]),
            frames: 0,
        }
    }
    pub(super) fn bytes(&self) -> usize {
        self.past.iter().map(|past| past.capacity() * size_of::<f32>()).sum()
    }
}

/// Keys and values of the tokens so far, `[layers, 1, heads, tokens, width]` each.
pub(super) struct Own {
    keys: DynValue,
    values: DynValue,
    pub(super) tokens: usize,
}

impl Own {
    pub(super) fn bytes(&self) -> usize {
        [&self.keys, &self.values].map(tensor_bytes).iter().sum()
    }
}

/// What a tensor of floats takes.
pub(super) fn tensor_bytes(value: &DynValue) -> usize {
    value.shape().num_elements() * size_of::<f32>()
}

/// What the decoder holds most likely after one of its tokens.
pub(super) struct Guess {
    pub(super) token: i64,
    /// The chance that it gives it.
    pub(super) chance: f32,
    /// Where the token before it looked: a weight for each feature, the mean over layers and heads; empty where the export does
    /// not say.
    pub(super) looked: Vec<f32>,
}

impl Graphs {
    /// Opens the graphs in `folder`, each on `threads` threads.
    pub(super) fn open(runtime: &Runtime, folder: &Path, shape: &Shape, threads: usize) -> Result<Graphs, BadModel> {
        let open = |path: &Path| {
            runtime.session(path, threads).map_err(|why| match why {
                BadFile::Damaged { why, .. } => BadModel::damaged(path, why),
                other @ BadFile::Missing { .. } => BadModel::damaged(path, other),
            })
        };
        let session = |name: &str, takes: &[&str], gives: &[&str]| -> Result<Session, BadModel> {
            let path = needed_graph(folder, name)?;
            let session = open(&path)?;
            check(&path, &session, takes, gives)?;
            Ok(session)
        };
        let split = graph(folder, "frontend.weights")?;
        let frontend = session(
            if split.is_some() { "frontend.model" } else { "frontend" },
            &FRONTEND_TAKES,
            &FRONTEND_GIVES,
        )?;
        let frontend_weights = match split {
            Some(path) => weights(&path, &mut open(&path)?, &frontend)?,
            None => Vec::new(),
        };
        let streaming = graph(folder, "encoder_streaming")?;
        let encoder = match &streaming {
            Some(path) => Encoder::streaming(path, open(path)?)?,
            None => Encoder::whole(session("encoder", &["features"], &["encoded"])?),
        };
        // The same decoder, which says where it looked as well: words get their times from it.
        let looking = graph(folder, "decoder_kv_with_attention")?.is_some();
        let decoder = session(
            if looking {
                "decoder_kv_with_attention"
            } else {
                "decoder_kv"
            },
            &DECODER_TAKES,
            &DECODER_GIVES,
        )?;
        let given = |name: &String| decoder.outputs().iter().any(|output| output.name() == name);
        let looks: Vec<String> = (0..shape.layers)
            .map(|layer| format!("cross_attentions.{layer}"))
            .filter(given)
            .collect();
        let unstarted = |why: &dyn ToString| BadModel::unfit(folder, why.to_string());
        Ok(Graphs {
            frontend,
            frontend_weights,
            encoder,
            adapter: session("adapter", &["encoded", "pos_offset"], &["memory"])?,
            cross_kv: session("cross_kv", &["memory"], &["k_cross", "v_cross"])?,
            said: selected(&looks).map_err(|why| unstarted(&why))?,
            decoder,
            looks,
            watch: Watch::start("asr-watch").map_err(|why| unstarted(&why))?,
            shape: shape.clone(),
            laid: Laid::default(),
        })
    }

    /// Whether every layer of the encoder sees every feature once.
    pub(super) fn incremental(&self) -> bool {
        matches!(self.encoder, Encoder::Streaming { .. })
    }

    pub(super) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// A flag that turns true after `limit`, for as long as what comes with it is held.
    pub(super) fn limit(&self, limit: Span) -> (Arc<AtomicBool>, Watched) {
        let over = Arc::new(AtomicBool::new(false));
        let flag = over.clone();
        (
            over,
            self.watch.limit(move || flag.store(true, Ordering::Relaxed), limit),
        )
    }

    /// The features of `sound`, whose length is a multiple of [`super::shape::FEATURE`] samples: one for each.
    pub(super) fn front(&mut self, front: &mut Front, sound: &[f32]) -> Result<Vec<f32>, Broken> {
        let [first, second] = self.shape.channels;
        let (kept, none, frames) = ([0.0f32; super::shape::FRAME - 1], [0i64], [front.frames]);
        let mut inputs: Inputs<'_> = vec![
            floats("audio_chunk", &[1, sound.len()], sound)?,
            floats("sample_buffer", &[1, kept.len()], &kept)?,
            integers("sample_len", &none)?,
            floats("conv1_buffer", &[1, first, PAST], &front.past[0])?,
            floats("conv2_buffer", &[1, second, PAST], &front.past[1])?,
            integers("frame_count", &frames)?,
        ];
        let weights = self.frontend_weights.iter();
        inputs.extend(weights.map(|(name, value)| (name.as_str().into(), value.into())));
        let outputs = self.frontend.run(inputs)?;
        let features = taken(
            &outputs,
            "features",
            sound.len() / super::shape::FEATURE * self.shape.encoded,
        )?;
        front.past = [
            taken(&outputs, "conv1_buffer_out", first * PAST)?,
            taken(&outputs, "conv2_buffer_out", second * PAST)?,
        ];
        front.frames += (sound.len() / super::shape::FRAME) as i64;
        Ok(features)
    }

    /// What the encoder makes of `features` after those before.
    pub(super) fn encode(&mut self, state: &mut EncoderState, features: &[f32]) -> Result<Encoding, Broken> {
        self.encoder.encode(&self.shape, state, features)
    }

    /// What it makes of the features that still wait for others, when there will be none.
    pub(super) fn encode_rest(&mut self, state: &mut EncoderState) -> Result<Vec<f32>, Broken> {
        self.encoder.rest(&self.shape, state)
    }

    /// Puts the keys and values of `encoded`, which begins at feature `at`, behind those in `cross`; what is there from `at` on
    /// makes room.
    pub(super) fn remember(&mut self, cross: &mut Cross, at: usize, encoded: &[f32]) -> Result<(), Broken> {
        let (shape, count) = (&self.shape, encoded.len() / self.shape.encoded);
        if count == 0 {
            cross.replace(at, 0, &[], &[]);
            return Ok(());
        }
        let memory = {
            let place = [at as i64];
            let outputs = self.adapter.run(vec![
                floats("encoded", &[1, count, shape.encoded], encoded)?,
                integers("pos_offset", &place)?,
            ])?;
            taken(&outputs, "memory", count * shape.memory)?
        };
        let outputs = self
            .cross_kv
            .run(vec![floats("memory", &[1, count, shape.memory], &memory)?])?;
        let keys = lent(&outputs, "k_cross", count * shape.per_place())?;
        let values = lent(&outputs, "v_cross", count * shape.per_place())?;
        cross.replace(at, count, keys, values);
        Ok(())
    }

    /// Lays out what the decoder is to look at.
    pub(super) fn look_at(&mut self, cross: &Cross) {
        self.laid.lay(cross);
    }

    /// Gives the decoder `tokens` after those in `own`, with all that is laid out to look at: a guess after each, and a longer
    /// `own`. `favour` names the tokens that are likely after the first so many of `tokens`, and by how much.
    pub(super) fn decode(
        &mut self,
        own: &Own,
        tokens: &[i64],
        favour: impl Fn(usize) -> Vec<(i64, f32)>,
    ) -> Result<(Vec<Guess>, Own), Broken> {
        let (shape, cross) = (&self.shape, &self.laid);
        let seen = [shape.layers, 1, shape.heads, cross.features(), shape.width];
        let inputs: Inputs<'_> = vec![
            (
                "token".into(),
                TensorRef::from_array_view(([1usize, tokens.len()], tokens))?.into(),
            ),
            ("k_self".into(), (&own.keys).into()),
            ("v_self".into(), (&own.values).into()),
            floats("out_k_cross", &seen, cross.keys())?,
            floats("out_v_cross", &seen, cross.values())?,
        ];
        let mut outputs = self.decoder.run_with_options(inputs, &self.said)?;
        let logits = lent(&outputs, "logits", tokens.len() * shape.vocabulary)?;
        let rows = looked(&outputs, &self.looks, tokens.len(), cross.features())?;
        let guesses = logits.chunks_exact(shape.vocabulary).zip(rows).zip(1..);
        let guesses: Vec<Guess> = guesses
            .map(|((logits, looked), given)| guess(logits, &favour(given), looked))
            .collect::<Option<_>>()
            .ok_or_else(|| Broken("the decoder says what is not a number".into()))?;
        let total = own.tokens + tokens.len();
        let expected = [shape.layers, 1, shape.heads, total, shape.width].map(|size| size as i64);
        let mut cache = |name: &str| {
            let value = outputs.remove(name).filter(|value| value.shape()[..] == expected);
            value.ok_or_else(|| Broken(format!("{name} of another shape")))
        };
        let own = Own {
            keys: cache("out_k_self")?,
            values: cache("out_v_self")?,
            tokens: total,
        };
        Ok((guesses, own))
    }

    /// The first `tokens` of `own`: those alone are kept.
    pub(super) fn first(&self, own: &Own, tokens: usize) -> Result<Own, Broken> {
        let shape = &self.shape;
        let size = [shape.layers, 1, shape.heads, tokens, shape.width];
        let cut = |value: &DynValue| -> Result<DynValue, Broken> {
            if tokens == 0 {
                return Ok(Tensor::<f32>::new(self.decoder.allocator(), size)?.into_dyn());
            }
            let (_, all) = value.try_extract_tensor::<f32>()?;
            let lanes = all.chunks_exact((own.tokens * shape.width).max(1));
            let kept: Vec<f32> = lanes.flat_map(|lane| &lane[..tokens * shape.width]).copied().collect();
            Ok(Tensor::from_array((size, kept))?.into_dyn())
        };
        Ok(Own {
            keys: cut(&own.keys)?,
            values: cut(&own.values)?,
            tokens,
        })
    }

    /// Keys and values of no token.
    pub(super) fn blank(&self) -> Result<Own, Broken> {
        let shape = [self.shape.layers, 1, self.shape.heads, 0, self.shape.width];
        let none = || Tensor::<f32>::new(self.decoder.allocator(), shape).map(Tensor::into_dyn);
        Ok(Own {
            keys: none()?,
            values: none()?,
            tokens: 0,
        })
    }
}

const FRONTEND_TAKES: [&str; 6] = [
    "audio_chunk",
    "sample_buffer",
    "sample_len",
    "conv1_buffer",
    "conv2_buffer",
    "frame_count",
];
const FRONTEND_GIVES: [&str; 3] = ["features", "conv1_buffer_out", "conv2_buffer_out"];
const DECODER_TAKES: [&str; 5] = ["token", "k_self", "v_self", "out_k_cross", "out_v_cross"];
const DECODER_GIVES: [&str; 3] = ["logits", "out_k_self", "out_v_self"];

/// Whether a graph takes and gives what it should.
pub(super) fn check(path: &Path, session: &Session, takes: &[&str], gives: &[&str]) -> Result<(), BadModel> {
    let takes = takes
        .iter()
        .map(|name| (name, session.inputs().iter().any(|input| input.name() == *name)));
    let gives = gives
        .iter()
        .map(|name| (name, session.outputs().iter().any(|output| output.name() == *name)));
    match takes.chain(gives).find(|(_, there)| !there) {
        Some((name, _)) => Err(BadModel::unfit(path, format!("it has no {name}"))),
        None => Ok(()),
    }
}

/// The weights that the graph at `path` gives, all of which `frontend` takes.
fn weights(path: &Path, graph: &mut Session, frontend: &Session) -> Result<Vec<(String, DynValue)>, BadModel> {
    let names: Vec<String> = graph.outputs().iter().map(|output| output.name().to_owned()).collect();
    let none: Inputs<'_> = Vec::new();
    let mut outputs = graph.run(none).map_err(|why| BadModel::damaged(path, why))?;
    let mut weights = Vec::new();
    for name in names {
        let known = frontend.inputs().iter().any(|input| input.name() == name);
        let value = outputs.remove(&name).filter(|_| known);
        let value = value.ok_or_else(|| BadModel::unfit(path, format!("the front end takes no {name}")))?;
        weights.push((name, value));
    }
    Ok(weights)
}

fn selected(looks: &[String]) -> Result<RunOptions<HasSelectedOutputs>, ort::Error> {
    let names = DECODER_GIVES.iter().copied().chain(looks.iter().map(String::as_str));
    let outputs = names.fold(OutputSelector::no_default(), OutputSelector::with);
    Ok(RunOptions::new()?.with_outputs(outputs))
}

pub(super) fn floats<'v>(
    name: &'v str,
    shape: &[usize],
    values: &'v [f32],
) -> Result<(Cow<'v, str>, SessionInputValue<'v>), Broken> {
    Ok((
        name.into(),
        TensorRef::from_array_view((shape.to_vec(), values))?.into(),
    ))
}

pub(super) fn integers<'v>(name: &'v str, values: &'v [i64]) -> Result<(Cow<'v, str>, SessionInputValue<'v>), Broken> {
    Ok((
        name.into(),
        TensorRef::from_array_view(([values.len()], values))?.into(),
    ))
}

/// An output of `count` values, all of them numbers.
pub(super) fn lent<'o>(outputs: &'o SessionOutputs<'_>, name: &str, count: usize) -> Result<&'o [f32], Broken> {
    let value = outputs.get(name).ok_or_else(|| Broken(format!("no {name}")))?;
    let (_, values) = value.try_extract_tensor::<f32>()?;
    if values.len() != count {
        return Err(Broken(format!("{name} has {} values, not {count}", values.len())));
    }
    Ok(values)
}

pub(super) fn taken(outputs: &SessionOutputs<'_>, name: &str, count: usize) -> Result<Vec<f32>, Broken> {
    lent(outputs, name, count).map(<[f32]>::to_vec)
}

/// For each of `tokens` where it looked, over `features`: the mean over layers and heads.
fn looked(
    outputs: &SessionOutputs<'_>,
    looks: &[String],
    tokens: usize,
    features: usize,
) -> Result<Vec<Vec<f32>>, Broken> {
    let mut rows = vec![Vec::new(); tokens];
    for name in looks {
        let value = outputs.get(name).ok_or_else(|| Broken(format!("no {name}")))?;
        let (_, weights) = value.try_extract_tensor::<f32>()?;
        if weights.len() % (tokens * features) != 0 {
            return Err(Broken(format!("{name} is no table of tokens and features")));
        }
        for (at, row) in weights.chunks_exact(features).enumerate() {
            let mean = &mut rows[at % tokens];
            mean.resize(features, 0.0);
            mean.iter_mut().zip(row).for_each(|(mean, weight)| *mean += weight);
        }
    }
    Ok(rows)
}

/// The likeliest token, those that are favoured by so much more; none if that can't be said.
fn guess(logits: &[f32], favoured: &[(i64, f32)], looked: Vec<f32>) -> Option<Guess> {
    let (first, &best) = logits
        .iter()
        .enumerate()
        .filter(|(_, logit)| !logit.is_nan())
        // The first of equals, as the reference has it.
        .reduce(|best, other| if other.1 > best.1 { other } else { best })?;
    let sum: f32 = logits
        .iter()
        .map(|logit| (logit - best).exp())
        .filter(|e| !e.is_nan())
        .sum();
    let raised = favoured.iter().filter_map(|&(token, more)| {
        let logit = logits.get(usize::try_from(token).ok()?)?;
        Some((token, logit + more)).filter(|raised| raised.1 > best)
    });
    let token = raised.reduce(|best, other| if other.1 > best.1 { other } else { best });
    let token = token.map_or(first as i64, |(token, _)| token);
    // How much it was favoured says nothing of how likely it is.
    let logit = logits[token as usize];
    best.is_finite().then(|| Guess {
        token,
        chance: (logit - best).exp() / sum.max(1.0),
        looked,
    })
}
