//! Whisper as whisper.cpp's own live program drives it (`examples/stream`, its defaults): every three seconds a run over what was heard
//! since the line began, ten seconds at most, and a line ends with every second. No voice detector, nothing kept but a fifth of a second.
//! `make eval` measures it beside ours; nothing else uses it.

use hearsight_core::time::Span;
use whisper_rs::{FullParams, SamplingStrategy, WhisperState};

use super::Model;
use crate::asr::{Heard, Hypothesis};

/// Samples in a step: 3 s.
pub const FRAME: usize = 48_000;
/// Samples that a run hears at most: 10 s.
const LENGTH: usize = 160_000;
/// Samples of the line before that are heard again: 200 ms.
const KEEP: usize = 3_200;
/// Steps in a line.
const STEPS: usize = LENGTH / FRAME - 1;
/// Tokens of a run, at most.
const TOKENS: i32 = 32;

/// One stream.
pub struct Own {
    state: WhisperState,
    language: &'static str,
    threads: i32,
    /// What the next run hears: what was kept, and the line so far.
    window: Vec<f32>,
    /// Where the line began, and where the stream is, in samples.
    began: usize,
    heard: usize,
    steps: usize,
    line: Hypothesis,
}

impl Model {
    /// A stream as whisper.cpp's own program hears it, on the model's threads. Errors are one line for people.
    pub fn own(&self) -> Result<Own, String> {
        Ok(Own {
            state: self.loaded.create_state().map_err(|why| why.to_string())?,
            language: self.language,
            threads: self.config.threads.clamp(1, 64) as i32,
            window: Vec::with_capacity(LENGTH + KEEP + FRAME),
            began: 0,
            heard: 0,
            steps: 0,
            line: Hypothesis::default(),
        })
    }
}

impl Own {
    /// Begins a stream.
    pub fn begin(&mut self) {
        self.window.clear();
        (self.began, self.heard, self.steps) = (0, 0, 0);
        self.line = Hypothesis::default();
    }

    /// Takes the next [`FRAME`] samples of the stream, or fewer at its end (16 kHz, −1..1); the words of a line where one ends. It has no
    /// times for words: they are spread evenly over the line, from the first sample of the stream on.
    pub fn hear(&mut self, frame: &[f32]) -> Result<Option<Hypothesis>, String> {
        self.window.extend_from_slice(frame);
        let excess = self.window.len().saturating_sub(LENGTH + KEEP);
        self.window.drain(..excess);
        self.heard += frame.len();
        self.line = self.run()?;
        self.steps += 1;
        if self.steps < STEPS {
            return Ok(None);
        }
        let kept = self.window.len().saturating_sub(KEEP);
        self.window.drain(..kept);
        (self.began, self.steps) = (self.heard, 0);
        Ok(Some(std::mem::take(&mut self.line)))
    }

    /// The stream ends: the words of the line under way.
    pub fn finish(&mut self) -> Option<Hypothesis> {
        let line = std::mem::take(&mut self.line);
        (self.steps > 0).then_some(line)
    }

    fn run(&mut self) -> Result<Hypothesis, String> {
        let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        params.set_language(Some(self.language));
        params.set_n_threads(self.threads);
        params.set_no_context(true);
        params.set_single_segment(true);
        params.set_max_tokens(TOKENS);
        params.set_print_progress(false);
        params.set_print_realtime(false);
        params.set_print_special(false);
        params.set_print_timestamps(false);
        self.state.full(params, &self.window).map_err(|why| why.to_string())?;
        let segments = (0..self.state.full_n_segments()).filter_map(|at| self.state.get_segment(at));
        let text: Vec<String> = segments
            .filter_map(|one| one.to_str_lossy().ok().map(|text| text.into_owned()))
            .collect();
        Ok(self.spread(&text.concat()))
    }

    fn spread(&self, text: &str) -> Hypothesis {
        let words: Vec<&str> = text.split_whitespace().collect();
        let span = self.heard - self.began;
        let place = |word: usize| Span::from_samples((self.began + span * word / words.len().max(1)) as i64, 16_000);
        let heard = words.iter().enumerate().map(|(number, word)| Heard {
            text: (*word).into(),
            start: place(number),
            end: place(number + 1),
            certainty: None,
        });
        Hypothesis {
            words: heard.collect(),
            sure: 0,
        }
    }
}
