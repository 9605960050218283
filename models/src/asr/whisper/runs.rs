//! whisper.cpp itself: one window of sound to tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hearsight_core::time::Span;
use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperError, WhisperState};

use super::Config;
use crate::watch::Watch;

/// Samples of one step of the encoder's context: 20 ms.
pub(super) const STEP: usize = 320;
/// The context is given in so many steps at a time, and at least so many.
const STEPS: usize = 64;
/// Less than 100 ms is nothing to whisper.cpp: what is shorter gets silence behind it.
const SHORTEST: usize = 3200;

/// A token and the chance that it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) id: i64,
    pub(super) chance: f32,
}

/// One working memory of the model, and how it is asked.
pub(super) struct Runs {
    state: WhisperState,
    /// By language, those that were spoken: a language's name, once given to the binding, is never given back.
    params: Vec<(&'static str, FullParams<'static, 'static>)>,
    over: Arc<AtomicBool>,
    watch: Watch,
    context: usize,
    end: i64,
}

/// What a stream expects to be said.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// As whisper.cpp names it, or `auto`.
    pub(super) language: &'static str,
    /// Tokens of likely words, as if they had been said before.
    pub(super) before: Vec<i32>,
}

/// A run gave nothing.
pub(super) enum Failed {
    /// Its time was up.
    Late,
    /// Anything else, in words.
    Broken(String),
}

impl Runs {
    pub(super) fn new(
        model: &WhisperContext,
        context: usize,
        language: &'static str,
        config: &Config,
    ) -> Result<Runs, String> {
        let over = Arc::new(AtomicBool::new(false));
        let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        params.set_n_threads(config.threads.clamp(1, 64) as i32);
        params.set_no_context(true);
        params.set_single_segment(true);
        params.set_no_timestamps(true);
        params.set_suppress_blank(true);
        params.set_suppress_nst(false);
        // One pass: what is doubtful is not tried again at other temperatures, which takes many times as long.
        params.set_temperature(0.0);
        params.set_temperature_inc(0.0);
        params.set_logprob_thold(config.least.max(1e-9).ln());
        params.set_print_progress(false);
        params.set_print_realtime(false);
        params.set_print_special(false);
        params.set_print_timestamps(false);
        let flag = over.clone();
        // The binding calls back through the type that it was given, on a box of its own: only for this type are they the same.
        // It is never given back, so there is one for each working memory and not one for each run.
        let ends: Box<dyn FnMut() -> bool> = Box::new(move || flag.load(Ordering::Relaxed));
        params.set_abort_callback_safe::<_, Box<dyn FnMut() -> bool>>(ends);
        Ok(Runs {
            state: model.create_state().map_err(|why| why.to_string())?,
            params: vec![(language, spoken(params, language))],
            over,
            watch: Watch::start("asr-watch").map_err(|why| why.to_string())?,
            context,
            end: i64::from(model.token_eot()),
        })
    }

    /// The tokens of `sound`, no more than speech can have, found within `limit`.
    pub(super) fn hear(&mut self, sound: &[f32], expected: &Expected, limit: Span) -> Result<Vec<Said>, Failed> {
        self.over.store(false, Ordering::Relaxed);
        let flag = self.over.clone();
        let _watched = self.watch.limit(move || flag.store(true, Ordering::Relaxed), limit);
        let steps = sound
            .len()
            .div_ceil(STEP)
            .max(1)
            .next_multiple_of(STEPS)
            .min(self.context);
        let most = sound.len() * super::MOST_PER_SECOND / 16_000 + 4;
        let mut params = self.params_for(expected.language);
        params.set_tokens(&expected.before);
        params.set_audio_ctx(steps as i32);
        // whisper.cpp counts from 0.
        params.set_max_tokens(most as i32 - 1);
        let padded: Vec<f32>;
        let sound = if sound.len() < SHORTEST {
            let silence = std::iter::repeat_n(0.0, SHORTEST - sound.len());
            padded = sound.iter().copied().chain(silence).collect();
            &padded
        } else {
            sound
        };
        match self.state.full(params, sound) {
            Ok(()) => Ok(self.said()),
            Err(_) if self.over.load(Ordering::Relaxed) => Err(Failed::Late),
            Err(WhisperError::GenericError(code)) => Err(Failed::Broken(format!("whisper.cpp says {code}"))),
            Err(why) => Err(Failed::Broken(why.to_string())),
        }
    }

    fn params_for<'a>(&mut self, language: &'static str) -> FullParams<'a, 'a> {
        if let Some((_, params)) = self.params.iter().find(|(known, _)| *known == language) {
            return params.clone();
        }
        let params = spoken(self.params[0].1.clone(), language);
        self.params.push((language, params.clone()));
        params
    }

    fn said(&self) -> Vec<Said> {
        let segments = (0..self.state.full_n_segments()).filter_map(|at| self.state.get_segment(at));
        let mut said = Vec::new();
        for segment in segments {
            let tokens = (0..segment.n_tokens()).filter_map(|at| segment.get_token(at));
            said.extend(tokens.map(|token| Said {
                id: i64::from(token.token_id()),
                chance: token.token_probability(),
            }));
        }
        // From its end on all tokens are control.
        said.retain(|said| said.id < self.end);
        said
    }
}

fn spoken(mut params: FullParams<'static, 'static>, language: &'static str) -> FullParams<'static, 'static> {
    params.set_language(Some(language));
    params
}
