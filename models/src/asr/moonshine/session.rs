//! One stream's recogniser: its state, and how it goes on with each portion of sound.

use std::sync::Arc;

use hearsight_core::stage::Fault;
use hearsight_core::time::{MediaTime, Span};

use super::Model;
use super::cross::Cross;
use super::decode::{Allowance, Ended, Hypothesis};
use super::encode::{EncoderState, Encoding};
use super::favour::Favour;
use super::graphs::{Broken, Front, Graphs};
use super::shape::{FEATURE, FRAME};
use crate::asr::words::{self, Placed, later, quietest};
use crate::asr::{Heard, Hypothesis as Words, Recogniser};

/// A word of this certainty is taken as said once two hypotheses in a row have it; one of less after so many more.
const CERTAIN: f32 = 0.9;
const SOON: u32 = 2;
const LATER: u32 = 6;
/// A pause is looked for in so many features at the end of a stretch: 1.2 s, in which most people make one.
const PAUSE_WITHIN: usize = 60;

/// Moonshine for one stream. The model is shared; what is held here is a few hundred kilobytes, and some kilobytes for each feature
/// of the stretch under way, until [`Recogniser::finish`] or [`Recogniser::reset`].
pub struct Moonshine {
    model: Arc<Model>,
    favour: Favour,
    segment: Option<Segment>,
}

/// The segment under way.
struct Segment {
    /// Samples that make no feature yet.
    sound: Vec<f32>,
    front: Front,
    encoder: EncoderState,
    /// The latest settled features, as the encoder gave them: as many as a pause is looked for in.
    recent: Vec<f32>,
    /// Features of the stretch that are settled.
    settled: usize,
    /// How loud each feature since the beginning of the stretch is: its mean absolute sample.
    loud: Vec<f32>,
    cross: Cross,
    hypothesis: Hypothesis,
    /// Words of the stretches before, and how many features these had.
    said: Vec<Heard>,
    before: usize,
    /// Features that were settled when words were last looked for, and how many more are waited for.
    looked: usize,
    patience: usize,
}

impl Moonshine {
    pub(super) fn new(model: Arc<Model>, favour: Favour) -> Moonshine {
        Moonshine {
            model,
            favour,
            segment: None,
        }
    }

    /// Memory that the segment under way holds; 0 between segments.
    pub fn bytes(&self) -> usize {
        self.segment.as_ref().map_or(0, Segment::bytes)
    }

    /// Runs `step` on the segment under way with a set of graphs of its own. After a fault nothing is left of the segment.
    fn with<T>(
        &mut self,
        step: impl FnOnce(&Means<'_>, &mut Graphs, &mut Segment) -> Result<T, Broken>,
    ) -> Result<T, Fault> {
        let model = self.model.clone();
        let mut graphs = model.graphs();
        let segment = self.segment.get_or_insert_with(|| Segment::new(&model, &graphs));
        let means = Means {
            model: &model,
            favour: &self.favour,
        };
        step(&means, &mut graphs, segment).map_err(|Broken(why)| {
            self.segment = None;
            Fault::Reset(format!("{}: {why}", model.name()))
        })
    }
}

/// What a segment is heard with.
struct Means<'a> {
    model: &'a Model,
    favour: &'a Favour,
}

impl std::ops::Deref for Means<'_> {
    type Target = Model;
    fn deref(&self) -> &Model {
        self.model
    }
}

impl Recogniser for Moonshine {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn begin(&mut self, _at: MediaTime) -> Result<(), Fault> {
        self.segment = None;
        Ok(())
    }

    fn hear(&mut self, samples: &[f32]) -> Result<Option<Words>, Fault> {
        self.with(|model, graphs, segment| segment.hear(model, graphs, samples))
    }

    fn finish(&mut self) -> Result<Words, Fault> {
        if self.segment.is_none() {
            return Ok(Words::default());
        }
        let words = self.with(|model, graphs, segment| segment.finish(model, graphs));
        self.segment = None;
        words
    }

    fn reset(&mut self) {
        self.segment = None;
    }

    /// An encoder without a memory is run on many features that it has seen before: larger portions cost less.
    fn portion(&self) -> Span {
        Span::from_millis(if self.model.incremental() { 160 } else { 320 })
    }

    fn slice(&self) -> Span {
        self.model.config.slice
    }
}

impl Segment {
    fn new(model: &Model, graphs: &Graphs) -> Segment {
        Segment {
            sound: Vec::new(),
            front: Front::new(&model.shape),
            encoder: graphs.encoder().state(),
            recent: Vec::new(),
            settled: 0,
            loud: Vec::new(),
            cross: Cross::new(&model.shape),
            hypothesis: Hypothesis::new(),
            said: Vec::new(),
            before: 0,
            looked: 0,
            patience: model.config.every(),
        }
    }

    fn hear(&mut self, model: &Means<'_>, graphs: &mut Graphs, samples: &[f32]) -> Result<Option<Words>, Broken> {
        self.sound.extend_from_slice(samples);
        let whole = self.sound.len() / FEATURE * FEATURE;
        if whole == 0 {
            return Ok(None);
        }
        let rest = self.sound.split_off(whole);
        let sound = std::mem::replace(&mut self.sound, rest);
        let Encoding { settled, edge } = self.encode(graphs, &sound)?;
        self.settle(model, graphs, &settled)?;
        let heard = self.before + self.settled + edge.len() / model.shape.encoded;
        if heard < self.looked + self.patience {
            return Ok(None);
        }
        self.looked = heard;
        graphs.remember(&mut self.cross, self.settled, &edge)?;
        let late = self.decode(model, graphs)? == Ended::Late;
        // Behind schedule words are looked for less often; all sound is heard all the same.
        self.patience = if late { self.patience * 2 } else { model.config.every() };
        Ok(Some(self.words(model)))
    }

    fn finish(&mut self, model: &Means<'_>, graphs: &mut Graphs) -> Result<Words, Broken> {
        // Silence behind it, until a feature has seen the last sample: each sees no frame after the first of its four.
        let covered = if self.sound.len() > FRAME { 2 * FEATURE } else { FEATURE };
        self.sound.resize(covered, 0.0);
        let sound = std::mem::take(&mut self.sound);
        let Encoding { settled, .. } = self.encode(graphs, &sound)?;
        self.settle(model, graphs, &settled)?;
        let rest = graphs.encode_rest(&mut self.encoder)?;
        self.settle(model, graphs, &rest)?;
        graphs.remember(&mut self.cross, self.settled, &[])?;
        self.hypothesis.doubt();
        if self.decode(model, graphs)? == Ended::Late {
            tracing::warn!(
                stage = "recognise",
                "the last words of a segment were not all found in time"
            );
        }
        let mut words = std::mem::take(&mut self.said);
        words.extend(
            self.placed(model)
                .into_iter()
                .map(|placed| later(self.before, placed.heard)),
        );
        let sure = words.len();
        Ok(Words { words, sure })
    }

    /// What is heard in `sound`, which is whole features.
    fn encode(&mut self, graphs: &mut Graphs, sound: &[f32]) -> Result<Encoding, Broken> {
        self.loud.extend(words::loudness(sound, FEATURE));
        let features = graphs.front(&mut self.front, sound)?;
        graphs.encode(&mut self.encoder, &features)
    }

    fn bytes(&self) -> usize {
        let floats = self.sound.capacity() + self.recent.capacity() + self.loud.capacity();
        let words = (self.said.capacity() + self.hypothesis.tokens.capacity()) * size_of::<Heard>();
        floats * size_of::<f32>()
            + words
            + self.front.bytes()
            + self.encoder.bytes()
            + self.cross.bytes()
            + self.hypothesis.bytes()
    }

    /// Puts settled features behind the others. Where the stretch is full, a new one begins: always at the same feature, however
    /// the sound came.
    fn settle(&mut self, model: &Means<'_>, graphs: &mut Graphs, mut new: &[f32]) -> Result<(), Broken> {
        let (stretch, each) = (model.stretch(), model.shape.encoded);
        while !new.is_empty() {
            let (fits, rest) = new.split_at(new.len().min((stretch - self.settled) * each));
            graphs.remember(&mut self.cross, self.settled, fits)?;
            self.settled += fits.len() / each;
            self.recent.extend_from_slice(fits);
            let spare = self.recent.len().saturating_sub(PAUSE_WITHIN * each);
            self.recent.drain(..spare);
            new = rest;
            if self.settled == stretch {
                self.turn_over(model, graphs)?;
            }
        }
        Ok(())
    }

    /// A full stretch is cut where it is quietest towards its end: the words before are said, and the next stretch begins there.
    fn turn_over(&mut self, model: &Means<'_>, graphs: &mut Graphs) -> Result<(), Broken> {
        let cut = quietest(&self.loud[..self.settled], PAUSE_WITHIN);
        graphs.remember(&mut self.cross, cut, &[])?;
        self.hypothesis.doubt();
        if self.decode(model, graphs)? == Ended::Late {
            tracing::warn!(
                stage = "recognise",
                "the words of a long segment were not all found in time"
            );
        }
        let placed = self.placed(model);
        self.said
            .extend(placed.into_iter().map(|word| later(self.before, word.heard)));
        self.before += cut;
        self.loud.drain(..cut);
        self.hypothesis = Hypothesis::new();
        // Places count from the beginning of the stretch: what stays is remembered anew.
        self.settled -= cut;
        let gone = self.recent.len() - (self.settled * model.shape.encoded).min(self.recent.len());
        self.recent.drain(..gone);
        graphs.remember(&mut self.cross, 0, &self.recent)
    }

    fn decode(&mut self, model: &Means<'_>, graphs: &mut Graphs) -> Result<Ended, Broken> {
        let (over, _watched) = graphs.limit(model.config.limit);
        let allowance = Allowance {
            over: &over,
            favour: model.favour,
            rounds: model.config.rounds,
        };
        self.hypothesis.update(graphs, &model.shape, &self.cross, &allowance)
    }

    /// The words of the stretch, unless they are more likely noise.
    fn placed(&self, model: &Model) -> Vec<Placed> {
        let tokens = &self.hypothesis.tokens;
        if words::are_noise(tokens, model.config.least) {
            return Vec::new();
        }
        words::words(
            &model.pieces,
            tokens,
            &self.loud[..self.cross.features().min(self.loud.len())],
        )
    }

    /// What is known by now, and how much of it is taken as said: a word that others follow, that the decoder is certain of or has
    /// said again and again, and in which nothing is heard for the first time.
    fn words(&mut self, model: &Model) -> Words {
        let placed = self.placed(model);
        let settled = self.settled;
        let stays = |word: &Placed| {
            let certain = word.heard.certainty.is_some_and(|certainty| certainty >= CERTAIN);
            let tokens = &self.hypothesis.tokens[word.tokens.clone()];
            let times = tokens.iter().map(|token| token.times).min().unwrap_or(0);
            let whole =
                word.features.end <= settled || word.heard.certainty.is_some_and(|it| it >= (1.0 + CERTAIN) / 2.0);
            word.tokens.end <= self.hypothesis.sure() || whole && times >= if certain { SOON } else { LATER }
        };
        let others = placed.len().saturating_sub(1);
        let sure = placed[..others].iter().take_while(|word| stays(word)).count();
        if let Some(last) = placed[..sure].last() {
            self.hypothesis.be_sure(last.tokens.end);
        }
        let sure = self.said.len() + sure;
        let words = placed.into_iter().map(|placed| later(self.before, placed.heard));
        Words {
            words: self.said.iter().cloned().chain(words).collect(),
            sure,
        }
    }
}
