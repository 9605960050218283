//! Features to what is heard in them, as they come.
//!
//! The encoder looks a little ahead: what it says of a feature is settled only once those after it are there. An encoder with a
//! memory computes every feature once in every layer. The published one has none: it is run again on as many features before the
//! new ones as its layers reach back over, and no more.

use std::path::Path;

use ort::session::Session;
use ort::value::{DynValue, Tensor};

use super::graphs::{Broken, Inputs, check, floats, integers, taken, tensor_bytes};
use super::shape::Shape;
use crate::asr::folder::BadModel;

/// The encoder's graph.
pub(super) enum Encoder {
    /// Sees a window of features at once.
    Whole(Session),
    /// Carries tensors from call to call: the names of those it takes, and of those it gives.
    Streaming {
        session: Session,
        past: Vec<String>,
        present: Vec<String>,
        /// Shapes of no past.
        blank: Vec<Vec<usize>>,
    },
}

/// What one stream's encoder carries.
pub(super) enum EncoderState {
    /// Features to be seen again: so many of them are settled.
    Window { features: Vec<f32>, settled: usize },
    /// What every layer keeps; nothing before the first feature.
    Layers(Vec<DynValue>),
}

impl EncoderState {
    pub(super) fn bytes(&self) -> usize {
        match self {
            EncoderState::Window { features, .. } => features.capacity() * size_of::<f32>(),
            EncoderState::Layers(carried) => carried.iter().map(tensor_bytes).sum(),
        }
    }
}

/// What is heard in features.
pub(super) struct Encoding {
    /// Nothing later changes it.
    pub(super) settled: Vec<f32>,
    /// What is heard at the edge so far, without what comes after.
    pub(super) edge: Vec<f32>,
}

impl Encoder {
    pub(super) fn whole(session: Session) -> Encoder {
        Encoder::Whole(session)
    }

    /// The graph at `path`, whose layers are as many as it has inputs for.
    pub(super) fn streaming(path: &Path, session: Session) -> Result<Encoder, BadModel> {
        check(path, &session, &["features", "hold"], &["encoded"])?;
        let (mut past, mut present, mut blank) = (Vec::new(), Vec::new(), Vec::new());
        for layer in 0.. {
            if !session
                .inputs()
                .iter()
                .any(|input| input.name() == format!("past_key.{layer}"))
            {
                break;
            }
            for (takes, gives) in [
                ("past_key", "present_key"),
                ("past_value", "present_value"),
                ("waiting", "still"),
            ] {
                let (takes, gives) = (format!("{takes}.{layer}"), format!("{gives}.{layer}"));
                check(path, &session, &[&takes], &[&gives])?;
                let input = session.inputs().iter().find(|input| input.name() == takes);
                let shape = input.and_then(|input| input.dtype().tensor_shape());
                let shape: Vec<usize> = shape
                    .into_iter()
                    .flat_map(|shape| shape.iter())
                    // What is open is time: of that there is none yet.
                    .map(|&size| usize::try_from(size).unwrap_or(0))
                    .collect();
                blank.push(shape);
                past.push(takes);
                present.push(gives);
            }
        }
        if past.is_empty() {
            return Err(BadModel::unfit(path, "it carries nothing"));
        }
        Ok(Encoder::Streaming {
            session,
            past,
            present,
            blank,
        })
    }

    /// What a stream begins with.
    pub(super) fn state(&self) -> EncoderState {
        match self {
            Encoder::Whole(_) => EncoderState::Window {
                features: Vec::new(),
                settled: 0,
            },
            Encoder::Streaming { .. } => EncoderState::Layers(Vec::new()),
        }
    }

    /// Takes the next features.
    pub(super) fn encode(&mut self, shape: &Shape, state: &mut EncoderState, new: &[f32]) -> Result<Encoding, Broken> {
        match (self, state) {
            (Encoder::Whole(session), EncoderState::Window { features, settled }) => {
                features.extend_from_slice(new);
                let total = features.len() / shape.encoded;
                let encoded = window(session, shape, features)?;
                let ready = total.saturating_sub(shape.ahead).max(*settled);
                let encoding = Encoding {
                    settled: encoded[*settled * shape.encoded..ready * shape.encoded].to_vec(),
                    edge: encoded[ready * shape.encoded..].to_vec(),
                };
                let gone = ready.saturating_sub(shape.left);
                features.drain(..gone * shape.encoded);
                *settled = ready - gone;
                Ok(encoding)
            }
            (encoder @ Encoder::Streaming { .. }, EncoderState::Layers(carried)) => {
                let (settled, present) = encoder.step(shape, carried, new, Hold::Waiting)?;
                *carried = present;
                let (edge, _) = encoder.step(shape, carried, &[], Hold::Nothing)?;
                Ok(Encoding { settled, edge })
            }
            _ => Err(Broken("the state of another encoder".into())),
        }
    }

    /// What is heard in the features that wait for others.
    pub(super) fn rest(&mut self, shape: &Shape, state: &mut EncoderState) -> Result<Vec<f32>, Broken> {
        match (self, state) {
            (Encoder::Whole(session), EncoderState::Window { features, settled }) => {
                let encoded = window(session, shape, features)?;
                Ok(encoded[*settled * shape.encoded..].to_vec())
            }
            (encoder @ Encoder::Streaming { .. }, EncoderState::Layers(carried)) => {
                Ok(encoder.step(shape, carried, &[], Hold::Nothing)?.0)
            }
            _ => Err(Broken("the state of another encoder".into())),
        }
    }

    /// One run of an encoder with a memory: what is heard, and what it carries on.
    fn step(
        &mut self,
        shape: &Shape,
        carried: &[DynValue],
        new: &[f32],
        hold: Hold,
    ) -> Result<(Vec<f32>, Vec<DynValue>), Broken> {
        let Encoder::Streaming {
            session,
            past,
            present,
            blank,
        } = self
        else {
            return Err(Broken("an encoder without a memory".into()));
        };
        let hold = [i64::from(hold == Hold::Waiting)];
        let none = |shape: Vec<usize>| Tensor::<f32>::new(session.allocator(), shape).map(Tensor::into_dyn);
        let nothing = none(vec![1, 0, shape.encoded])?;
        let first: Vec<DynValue> = match carried {
            [] => blank.iter().cloned().map(none).collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        let carried = if carried.is_empty() { &first } else { carried };
        let mut inputs: Inputs<'_> = vec![integers("hold", &hold)?];
        inputs.push(match new {
            [] => ("features".into(), (&nothing).into()),
            _ => floats("features", &[1, new.len() / shape.encoded, shape.encoded], new)?,
        });
        inputs.extend(
            past.iter()
                .zip(carried)
                .map(|(name, value)| (name.as_str().into(), value.into())),
        );
        let mut outputs = session.run(inputs)?;
        let ready = outputs.get("encoded").map_or(0, |value| value.shape().num_elements());
        let encoded = taken(&outputs, "encoded", ready)?;
        if encoded.len() % shape.encoded != 0 {
            return Err(Broken("encoded of another width".into()));
        }
        let present: Vec<DynValue> = present.iter().filter_map(|name| outputs.remove(name)).collect();
        if present.len() != past.len() {
            return Err(Broken("the encoder forgets".into()));
        }
        Ok((encoded, present))
    }
}

/// What becomes of features that later ones could still tell more of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// They wait.
    Waiting,
    /// They go without.
    Nothing,
}

fn window(session: &mut Session, shape: &Shape, features: &[f32]) -> Result<Vec<f32>, Broken> {
    let count = features.len() / shape.encoded;
    if count == 0 {
        return Ok(Vec::new());
    }
    let outputs = session.run(vec![floats("features", &[1, count, shape.encoded], features)?])?;
    taken(&outputs, "encoded", features.len())
}
