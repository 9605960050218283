//! PocketSphinx as it comes: its own endpointer before its own decoder, joined as its own live program does (`live.c`), every
//! parameter at its default. `make eval` measures it beside ours; nothing else uses it.

use std::ffi::{CStr, CString};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::ptr::NonNull;

use hearsight_core::time::Span;

use super::decoder::{Decoder, Posterior, Refusal, Search};
use super::means::Means;
use super::protocol::{Reply, Request};
use super::workers::Worker;
use super::{sys, worker};
use crate::asr::{Heard, Hypothesis};
use crate::files::BadFile;

/// Samples in a frame of the endpointer: 30 ms.
pub const FRAME: usize = 480;
/// Speech has ended for it when nine tenths of so much sound are silence.
pub const WINDOW: Span = Span::from_millis(300);

/// A worker process, as its parent sees it.
pub struct Own {
    worker: Worker,
    reply: Span,
}

impl Own {
    /// Starts one by `command`, which runs [`main`]. Errors are one line for people.
    pub fn start(command: Command) -> Result<Own, String> {
        let worker = Worker::start(command, Span::from_secs(20))?;
        let reply = Span::from_secs(60);
        Ok(Own { worker, reply })
    }
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.worker.pid()
    }
    /// Begins a stream; what was learnt from the one before is forgotten.
    pub fn begin(&mut self) -> Result<(), String> {
        match self.worker.ask(&Request::Begin(Means::default()), self.reply)? {
            Reply::Begun => Ok(()),
            _ => Err("it does not begin".to_owned()),
        }
    }
    /// Takes the next [`FRAME`] samples of the stream (16 kHz, −1..1); the words of an utterance where one ends, their times from the
    /// first sample of the stream.
    pub fn hear(&mut self, frame: &[f32]) -> Result<Option<Hypothesis>, String> {
        let sound = frame.iter().map(|sample| (sample * 32768.0).round() as i16).collect();
        match self.worker.ask(&Request::Sound(sound), self.reply)? {
            Reply::Final(hypothesis, _) => Ok(Some(hypothesis)),
            _ => Ok(None),
        }
    }
    /// The stream ends: the words of an utterance under way.
    pub fn finish(&mut self) -> Result<Option<Hypothesis>, String> {
        match self.worker.ask(&Request::Finish, self.reply)? {
            Reply::Final(hypothesis, _) => Ok(Some(hypothesis)),
            _ => Ok(None),
        }
    }
}

/// What runs inside the worker process.
pub fn main(model: &Path) -> ExitCode {
    worker::run(Live::open(model), |live, request| live.answer(request))
}

/// The loop of the live program.
struct Live {
    decoder: Decoder,
    endpointer: Option<Endpointer>,
    /// The means that the decoder begins with.
    cold: CString,
    /// Where the utterance under way began.
    since: Option<Span>,
}

impl Live {
    fn open(model: &Path) -> Result<Live, BadFile> {
        let decoder = Decoder::with(model, Search::Default)?;
        // SAFETY: the decoder is live; the text is the library's and is copied here at once.
        let cold = unsafe {
            let text = sys::ps_get_cmn(decoder.decoder.as_ptr(), 0);
            match text.is_null() {
                true => CString::default(),
                false => CStr::from_ptr(text).to_owned(),
            }
        };
        Ok(Live {
            decoder,
            endpointer: None,
            cold,
            since: None,
        })
    }

    fn answer(&mut self, request: Request) -> Result<Reply, Refusal> {
        let ended = match request {
            Request::Begin(_) => {
                self.begin()?;
                return Ok(Reply::Begun);
            }
            Request::Sound(frame) => self.hear(&frame)?,
            Request::Finish => self.finish()?,
        };
        Ok(match ended {
            Some(hypothesis) => Reply::Final(hypothesis, Means::default()),
            None => Reply::Heard(Hypothesis::default()),
        })
    }

    fn begin(&mut self) -> Result<(), Refusal> {
        self.finish()?;
        self.endpointer = Some(Endpointer::new()?);
        // SAFETY: the decoder is live; the library copies the text during the call.
        let set = unsafe { sys::ps_set_cmn(self.decoder.decoder.as_ptr(), self.cold.as_ptr()) };
        if set < 0 {
            Err(Refusal("take cepstral means"))
        } else {
            Ok(())
        }
    }

    fn hear(&mut self, frame: &[i16]) -> Result<Option<Hypothesis>, Refusal> {
        let endpointer = self.endpointer.as_mut().ok_or(Refusal("hear before the beginning"))?;
        if frame.len() != FRAME {
            return Err(Refusal("hear anything but a frame"));
        }
        // SAFETY: the endpointer is live and reads FRAME samples during the call; what it answers is a frame of its own, valid until
        // the next call.
        let speech = unsafe { sys::ps_endpointer_process(endpointer.0.as_ptr(), frame.as_ptr()) };
        let (goes_on, start) = (endpointer.in_speech(), endpointer.speech_start());
        if speech.is_null() {
            return Ok(None);
        }
        self.decode(speech, FRAME, start)?;
        if goes_on { Ok(None) } else { self.end() }
    }

    fn finish(&mut self) -> Result<Option<Hypothesis>, Refusal> {
        let Some(endpointer) = self.endpointer.take() else {
            return Ok(None);
        };
        if self.since.is_none() {
            return Ok(None);
        }
        let (mut count, start) = (0, endpointer.speech_start());
        let last = [0; FRAME];
        // SAFETY: the endpointer is live until the end of this function; it takes none of `last`, and what it answers is its own.
        let rest = unsafe { sys::ps_endpointer_end_stream(endpointer.0.as_ptr(), last.as_ptr(), 0, &mut count) };
        if !rest.is_null() && count > 0 {
            self.decode(rest, count, start)?;
        }
        self.end()
    }

    /// Decodes `count` samples at `samples`, which belong to the endpointer.
    fn decode(&mut self, samples: *const i16, count: usize, start: Span) -> Result<(), Refusal> {
        let decoder = self.decoder.decoder.as_ptr();
        // SAFETY: the decoder is live, and an utterance is begun before sound is given to it; `samples` is valid for `count`.
        unsafe {
            if self.since.is_none() && sys::ps_start_utt(decoder) < 0 {
                return Err(Refusal("begin an utterance"));
            }
            self.since.get_or_insert(start);
            if sys::ps_process_raw(decoder, samples, count, 0, 0) < 0 {
                return Err(Refusal("decode sound"));
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Option<Hypothesis>, Refusal> {
        let Some(since) = self.since.take() else {
            return Ok(None);
        };
        // SAFETY: the decoder is live and an utterance is open.
        if unsafe { sys::ps_end_utt(self.decoder.decoder.as_ptr()) } < 0 {
            return Err(Refusal("end an utterance"));
        }
        let mut hypothesis = self.decoder.words(Posterior::Known);
        for word in &mut hypothesis.words {
            let Heard { start, end, .. } = word;
            (*start, *end) = (*start + since, *end + since);
        }
        Ok(Some(hypothesis))
    }
}

/// An endpointer with the library's defaults.
struct Endpointer(NonNull<sys::Endpointer>);

impl Endpointer {
    fn new() -> Result<Endpointer, Refusal> {
        // SAFETY: zeros ask for the defaults; the result is checked.
        let made = unsafe { sys::ps_endpointer_init(0.0, 0.0, 0, 0, 0.0) };
        NonNull::new(made).map(Endpointer).ok_or(Refusal("make an endpointer"))
    }
    fn in_speech(&self) -> bool {
        // SAFETY: it is live.
        unsafe { sys::ps_endpointer_in_speech(self.0.as_ptr()) != 0 }
    }
    fn speech_start(&self) -> Span {
        // SAFETY: it is live.
        let seconds = unsafe { sys::ps_endpointer_speech_start(self.0.as_ptr()) };
        Span::from_millis((seconds * 1000.0) as i64)
    }
}

impl Drop for Endpointer {
    fn drop(&mut self) {
        // SAFETY: the pointer is ours and is not used again.
        unsafe { sys::ps_endpointer_free(self.0.as_ptr()) };
    }
}
