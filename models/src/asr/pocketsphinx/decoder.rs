//! A safe decoder around the C library.

use std::ffi::{CStr, CString, c_int};
use std::path::Path;
use std::ptr::{NonNull, null, null_mut};
use std::sync::Arc;

use hearsight_core::time::Span;

use super::means::Means;
use super::{sys, verify_model};
use crate::asr::{Heard, Hypothesis};
use crate::files::BadFile;

/// A frame of PocketSphinx.
const FRAME: Span = Span::from_millis(10);

/// One decoder with its model. Fatal errors inside the library end the process.
pub(super) struct Decoder {
    pub(super) decoder: NonNull<sys::Decoder>,
    means: Means,
    open: bool,
}

/// The library reported an error that it survives.
#[derive(Debug, thiserror::Error)]
#[error("PocketSphinx could not {0}")]
pub(super) struct Refusal(pub(super) &'static str);

impl Decoder {
    /// Loads the model in `folder`.
    pub(super) fn open(folder: &Path) -> Result<Decoder, BadFile> {
        Decoder::with(folder, Search::Ours)
    }
    /// Loads it, and searches as `search` says.
    pub(super) fn with(folder: &Path, search: Search) -> Result<Decoder, BadFile> {
        verify_model(folder)?;
        let damaged = |why: &str| BadFile::damaged(folder, why);
        // SAFETY: a null definition asks for the library's default parameters; the result is checked.
        let config = unsafe { sys::ps_config_init(null()) };
        let config = NonNull::new(config).ok_or_else(|| damaged("PocketSphinx has no memory"))?;
        let set = configure(config, folder, search);
        // SAFETY: `config` is live; the decoder keeps a reference of its own, so ours is given back either way.
        let decoder = unsafe {
            sys::err_set_loglevel_str(c"ERROR".as_ptr());
            let decoder = if set.is_some() {
                sys::ps_init(config.as_ptr())
            } else {
                null_mut()
            };
            sys::ps_config_free(config.as_ptr());
            decoder
        };
        let decoder = NonNull::new(decoder).ok_or_else(|| damaged("PocketSphinx cannot load the model"))?;
        Ok(Decoder {
            decoder,
            means: Means::default(),
            open: false,
        })
    }
    /// Begins a segment; one under way is forgotten.
    pub(super) fn begin(&mut self, means: Means) -> Result<(), Refusal> {
        if std::mem::take(&mut self.open) {
            // SAFETY: the decoder is live and an utterance is open.
            unsafe { sys::ps_end_utt(self.decoder.as_ptr()) };
        }
        self.means = means;
        self.give_means()?;
        // SAFETY: the decoder is live and no utterance is open.
        if unsafe { sys::ps_start_utt(self.decoder.as_ptr()) } < 0 {
            return Err(Refusal("begin a segment"));
        }
        self.open = true;
        Ok(())
    }
    /// Decodes the next samples of the segment.
    pub(super) fn hear(&mut self, samples: &[i16]) -> Result<Hypothesis, Refusal> {
        if !self.open {
            return Err(Refusal("hear sound outside a segment"));
        }
        // SAFETY: the decoder is live, an utterance is open, and the library reads `len` samples during the call only.
        let done = unsafe { sys::ps_process_raw(self.decoder.as_ptr(), samples.as_ptr(), samples.len(), 0, 0) };
        if done < 0 {
            return Err(Refusal("decode sound"));
        }
        self.learn(samples.len())?;
        Ok(self.words(Posterior::Unknown))
    }
    /// Ends the segment.
    pub(super) fn finish(&mut self) -> Result<(Hypothesis, Means), Refusal> {
        if !std::mem::take(&mut self.open) {
            return Err(Refusal("end a segment that never began"));
        }
        // SAFETY: the decoder is live and an utterance is open.
        if unsafe { sys::ps_end_utt(self.decoder.as_ptr()) } < 0 {
            return Err(Refusal("end a segment"));
        }
        Ok((self.words(Posterior::Known), self.means.clone()))
    }

    fn give_means(&mut self) -> Result<(), Refusal> {
        let text = CString::new(self.means.to_text()).map_err(|_| Refusal("read its means"))?;
        // SAFETY: the decoder is live; the library copies the text during the call.
        let set = unsafe { sys::ps_set_cmn(self.decoder.as_ptr(), text.as_ptr()) };
        if set < 0 {
            Err(Refusal("take cepstral means"))
        } else {
            Ok(())
        }
    }

    fn learn(&mut self, samples: usize) -> Result<(), Refusal> {
        // SAFETY: the decoder is live; the text is the library's, valid until its means change, and copied here at once.
        let text = unsafe {
            let text = sys::ps_get_cmn(self.decoder.as_ptr(), 1);
            if text.is_null() {
                return Ok(());
            }
            CStr::from_ptr(text).to_string_lossy().into_owned()
        };
        self.means.learn(&text, samples as f64 / 160.0);
        self.give_means()
    }

    pub(super) fn words(&mut self, posterior: Posterior) -> Hypothesis {
        let mut words = Vec::new();
        // SAFETY: the decoder is live. The iterator is used until the library returns null, which frees it; its
        // strings belong to the dictionary and are copied at once.
        unsafe {
            if sys::ps_get_hyp(self.decoder.as_ptr(), null_mut()).is_null() {
                return Hypothesis::default();
            }
            let math = sys::ps_get_logmath(self.decoder.as_ptr());
            let mut seg = sys::ps_seg_iter(self.decoder.as_ptr());
            while !seg.is_null() {
                let (mut first, mut last): (c_int, c_int) = (0, 0);
                sys::ps_seg_frames(seg, &mut first, &mut last);
                let chance = sys::logmath_exp(math, sys::ps_seg_prob(seg, null_mut(), null_mut(), null_mut()));
                let certainty = (posterior == Posterior::Known).then_some(chance.clamp(0.0, 1.0) as f32);
                let word = sys::ps_seg_word(seg);
                if !word.is_null()
                    && let Some(text) = shown(&CStr::from_ptr(word).to_string_lossy())
                {
                    let start = FRAME * i64::from(first.max(0));
                    let end = FRAME * (i64::from(last.max(first).max(0)) + 1);
                    words.push(Heard {
                        text,
                        start,
                        end,
                        certainty,
                    });
                }
                if words.len() > MOST_WORDS {
                    sys::ps_seg_free(seg);
                    break;
                }
                seg = sys::ps_seg_next(seg);
            }
        }
        Hypothesis { words, sure: 0 }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the pointer is ours and is not used again.
        unsafe { sys::ps_free(self.decoder.as_ptr()) };
    }
}

/// More words than a segment can hold: 30 s at ten words a second.
const MOST_WORDS: usize = 400;

/// How a decoder searches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// As streaming needs it.
    Ours,
    /// As the library does unless it is told otherwise.
    Default,
}

/// Only the lattice of a finished segment knows how likely its words are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Posterior {
    Known,
    Unknown,
}

/// The word without the mark of its pronunciation; none for silence and fillers.
fn shown(word: &str) -> Option<Arc<str>> {
    let word = word.split('(').next().unwrap_or_default();
    let filler = word.is_empty() || word.starts_with(['<', '[', '+']);
    (!filler).then(|| Arc::from(word))
}

/// Sets the parameters; `None` when one of them is refused.
fn configure(config: NonNull<sys::Config>, folder: &Path, search: Search) -> Option<()> {
    let path = |name: &str| CString::new(folder.join(name).to_str()?).ok();
    let (acoustic, dictionary, language) = (path("en-us")?, path("cmudict-en-us.dict")?, path("en-us.lm.bin")?);
    let config = config.as_ptr();
    // SAFETY: `config` is live, names and values are C strings that the library copies.
    unsafe {
        if search == Search::Ours {
            // The flat second pass would add up to a second after the end of speech. The lattice adds tens of
            // milliseconds, takes one word error in fourteen away and gives posteriors.
            sys::ps_config_set_bool(config, c"fwdflat".as_ptr(), 0);
            sys::ps_config_set_bool(config, c"bestpath".as_ptr(), 1);
            // Fewer states and word ends per frame than by default keep the lattice small: a quarter less work and less than
            // a third of the time to finish, for the same word errors. A third fewer of both make one to four more word errors in a hundred.
            sys::ps_config_set_int(config, c"maxhmmpf".as_ptr(), 4500);
            sys::ps_config_set_int(config, c"maxwpf".as_ptr(), 15);
        }
        let strings = [(c"hmm", &acoustic), (c"dict", &dictionary), (c"lm", &language)];
        for (name, value) in strings {
            if sys::ps_config_set_str(config, name.as_ptr(), value.as_ptr()).is_null() {
                return None;
            }
        }
    }
    Some(())
}
