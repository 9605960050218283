//! The drawing of the house: one session's graph, the same for the live and for the simulated host.
//!
//! ```text
//! sight ─▸ decode ─┬─▸ measure ─────────────▸ picture
//!                  ├────────────────────────▸ follow
//!                  ├─▸ choose ─▸ read ──────▸ reading
//!                  └─▸ smooth ─┬─▸ encode ──▸ view
//!                              └─▸ account ─▸ viewed
//! sound ─▸ opus ─▸ vad ─┬─▸ recognise ──────▸ words
//!                       └───────────────────▸ turn
//! ```
//!
//! Questions about the picture meet what was seen in a memory. The clerk hears of each before the engine does.
//!
//! ```text
//! decode ─▸ show ─────┐
//! questions ──────────┼─▸ memory ─┬─▸ answer ─┬─▸ clerk ─▸ answers
//! recognise ─▸ aloud ─┘           └───────────┘
//! ```
//!
//! A microphone of this machine brings sound that is not coded; from the detector on the drawing is the same.
//!
//! ```text
//! microphone ─▸ resample ─▸ vad ─┬─▸ recognise ─▸ words
//!                                └──────────────▸ turn
//! ```

use std::sync::Arc;

use hearsight_codecs::measure::PictureStats;
use hearsight_core::gate::Budget;
use hearsight_core::graph::{Graph, Outlet, Sink, Source};
use hearsight_core::link::Keep;
use hearsight_core::media::{self, Decoded, Packet, Pcm, Voice, Words};
use hearsight_core::schedule::Lane;
use hearsight_core::stage::{Engine, Signal, Stage};
use hearsight_core::stamped::Mark;
use hearsight_core::time::{Moment, Span};
use hearsight_models::ocr::Chosen;
use hearsight_models::vlm::memory::Shown;
use hearsight_models::vlm::turn::{Query, Turn};

use crate::budget;
use crate::view::{Counts, Viewing};
use crate::watch::Screen;

/// What does the work: real ones live, fakes with a cost in simulation.
#[allow(missing_docs, reason = "one for each box of the drawing")]
pub struct Rooms {
    pub opus: Box<dyn Stage<In = Packet, Out = Pcm>>,
    pub hearing: Hearing,
    pub decode: Box<dyn Engine<In = Packet, Out = Decoded>>,
    pub measure: Box<dyn Stage<In = Decoded, Out = PictureStats>>,
    /// None where pictures are not shown.
    pub view: Option<Viewing>,
    /// None: what the picture says is not read.
    pub reading: Option<Reading>,
    /// None: nobody answers questions about it.
    pub answering: Option<Answering>,
}

/// From questions to answers about the picture.
#[allow(missing_docs, reason = "one for each box of the drawing")]
pub struct Answering {
    /// None: what is said is no question.
    pub aloud: Option<Box<dyn Stage<In = Words, Out = Query>>>,
    pub memory: Box<dyn Stage<In = Query, Out = Turn>>,
    pub answer: Box<dyn Engine<In = Turn, Out = Turn>>,
    pub clerk: Box<dyn Stage<In = Turn, Out = Turn>>,
    /// From a question to the end of its answer.
    pub allowed: Span,
}

/// From pictures to what they say.
#[allow(missing_docs, reason = "one for each box of the drawing")]
pub struct Reading {
    pub choose: Box<dyn Stage<In = Decoded, Out = Chosen>>,
    pub read: Box<dyn Engine<In = Chosen, Out = media::Reading>>,
}

/// From 16 kHz sound to words.
#[allow(missing_docs, reason = "one for each box of the drawing")]
pub struct Hearing {
    pub vad: Box<dyn Engine<In = Pcm, Out = Voice>>,
    pub recognise: Box<dyn Engine<In = Voice, Out = Words>>,
    /// How long after the end of speech the detector calls it a pause, and the end of the phrase.
    pub pause: Span,
    pub ending: Span,
    /// How long the recogniser may look for the last words after that, beyond its slice.
    pub settling: Span,
}

/// Who listens at the outlets of a session.
pub trait Audience: Send + Sync {
    /// Starts and stops of speech; `Sound` passes by.
    fn voice(&self, now: Moment, signal: Signal<Voice>);
    /// Partial and final words.
    fn words(&self, now: Moment, signal: Signal<Words>);
    /// Figures of the picture.
    fn picture(&self, now: Moment, signal: Signal<PictureStats>);
    /// What the picture says.
    fn reading(&self, now: Moment, signal: Signal<media::Reading>);
    /// Questions about the picture, their answers, and why there is none.
    fn answer(&self, now: Moment, signal: Signal<Turn>);
    /// What became of the display moments of the view.
    fn viewed(&self, now: Moment, signal: Signal<Counts>);
    /// Every decoded picture, with its motion; nobody has to look.
    fn seen(&self, _now: Moment, _signal: Signal<Decoded>) {}
}

/// The doors of a session's graph.
pub struct Doors {
    /// Encoded sound.
    pub sound: Source<Packet>,
    /// Encoded pictures.
    pub sight: Source<Packet>,
    /// Questions about them, where somebody answers.
    pub questions: Option<Source<Query>>,
}

/// Draws a session into an empty graph.
pub fn draw(graph: &mut Graph, rooms: Rooms, audience: Arc<dyn Audience>) -> Doors {
    let Rooms {
        opus,
        hearing,
        decode,
        measure,
        reading,
        answering,
        view,
    } = rooms;
    let (sound, packets) = graph.source("sound", budget::JITTER_WAIT);
    let pcm = graph.stage("opus", &packets, budget::INTO_OPUS, Some(Mark::Decoded), opus);
    let words = draw_hearing(graph, &pcm, hearing, &audience);

    let (sight, packets) = graph.source("sight", budget::JITTER_WAIT);
    let pictures = graph.engine(
        "decode",
        Lane::See,
        &packets,
        budget::INTO_DECODER,
        Some(Mark::Decoded),
        decode,
    );
    let figures = graph.stage("measure", &pictures, budget::INTO_MEASURE, None, measure);
    let shown = graph.sink("picture", &figures, budget::INTO_EVENTS, PictureSink(audience.clone()));
    graph.promise(shown, budget::PICTURE, Span::ZERO);
    graph.sink("follow", &pictures, budget::INTO_MEASURE, FollowSink(audience.clone()));
    if let Some(reading) = reading {
        draw_reading(graph, &pictures, reading, audience.clone());
    }
    let questions = answering.map(|answering| draw_answering(graph, &pictures, &words, answering, audience.clone()));
    if let Some(view) = view {
        draw_view(graph, &pictures, view, audience);
    }
    Doors {
        sound,
        sight,
        questions,
    }
}

/// From questions, and what they are about, to answers.
fn draw_answering(
    graph: &mut Graph,
    pictures: &Outlet<Decoded>,
    words: &Outlet<Words>,
    answering: Answering,
    audience: Arc<dyn Audience>,
) -> Source<Query> {
    let Answering {
        aloud,
        memory,
        answer,
        clerk,
        allowed,
    } = answering;
    let (questions, asked) = graph.source("questions", Span::ZERO);
    let shown = graph.stage("show", pictures, budget::INTO_MEMORY, None, Shown);
    let said = aloud.map(|aloud| graph.stage("aloud", words, budget::INTO_MEMORY, None, aloud));
    let queries: Vec<&Outlet<Query>> = [Some(&asked), Some(&shown), said.as_ref()]
        .into_iter()
        .flatten()
        .collect();
    let put = graph.join("memory", &queries, budget::INTO_MEMORY, None, memory);
    // A question that waited as long as it might have been answered needs no engine any more.
    let turns = graph.engine(
        "reply",
        Lane::Think,
        &put,
        Keep::Recent(allowed),
        Some(Mark::Answered),
        answer,
    );
    // Drawn after the engine, so that the clerk is handed a question first.
    let kept = graph.join("clerk", &[&turns, &put], budget::INTO_MEMORY, None, clerk);
    let told = graph.sink("answers", &kept, budget::INTO_EVENTS, AnswerSink { audience, allowed });
    graph.promise(told, budget::ANSWER, Span::ZERO);
    graph.promise(told, budget::whole_answer(allowed), Span::ZERO);
    questions
}

/// From decoded pictures to what they say.
fn draw_reading(graph: &mut Graph, pictures: &Outlet<Decoded>, reading: Reading, audience: Arc<dyn Audience>) {
    let Reading { choose, read } = reading;
    let chosen = graph.stage("choose", pictures, budget::INTO_CHOICE, None, choose);
    let said = graph.engine(
        "read",
        Lane::Think,
        &chosen,
        budget::INTO_READER,
        Some(Mark::Read),
        read,
    );
    let read = graph.sink("reading", &said, budget::INTO_EVENTS, ReadingSink(audience));
    graph.promise(read, budget::READING, Span::ZERO);
}

/// From pictures to a screen, at a higher rate.
fn draw_view(graph: &mut Graph, pictures: &Outlet<Decoded>, view: Viewing, audience: Arc<dyn Audience>) {
    let Viewing {
        smooth,
        encode,
        account,
        screen,
    } = view;
    let moments = graph.engine(
        "smooth",
        Lane::Show,
        pictures,
        budget::INTO_SMOOTH,
        Some(Mark::Smoothed),
        smooth,
    );
    let coded = graph.engine(
        "encode",
        Lane::Show,
        &moments,
        budget::INTO_ENCODER,
        Some(Mark::Encoded),
        encode,
    );
    let counts = graph.stage("account", &moments, budget::INTO_SCREEN, None, account);
    graph.sink("viewed", &counts, budget::INTO_EVENTS, ViewedSink(audience));
    let shown = graph.sink("view", &coded, budget::INTO_SCREEN, ViewSink(screen));
    graph.promise(shown, budget::VIEW, Span::ZERO);
}

/// Draws what hears a microphone of this machine into an empty graph. `resample` takes what the card brings, at any rate.
pub fn draw_microphone(
    graph: &mut Graph,
    resample: Box<dyn Stage<In = Pcm, Out = Pcm>>,
    hearing: Hearing,
    audience: &Arc<dyn Audience>,
) -> Source<Pcm> {
    let (microphone, sound) = graph.source("microphone", budget::MICROPHONE_WAIT);
    let pcm = graph.stage(
        "resample",
        &sound,
        budget::INTO_RESAMPLER,
        Some(Mark::Decoded),
        resample,
    );
    draw_hearing(graph, &pcm, hearing, audience);
    microphone
}

/// From 16 kHz sound to turns and words.
fn draw_hearing(graph: &mut Graph, pcm: &Outlet<Pcm>, hearing: Hearing, audience: &Arc<dyn Audience>) -> Outlet<Words> {
    let Hearing {
        vad,
        recognise,
        pause,
        ending,
        settling,
    } = hearing;
    // The silences include what the stages declare as their delay anyway.
    let pause = (pause - vad.delay()).max(Span::ZERO);
    let ending = (ending - vad.delay() - recognise.delay()).max(Span::ZERO);
    let voice = graph.engine("vad", Lane::Listen, pcm, budget::INTO_VAD, Some(Mark::Voiced), vad);
    let words = graph.engine(
        "recognise",
        Lane::Hear,
        &voice,
        budget::INTO_RECOGNISER,
        Some(Mark::Recognised),
        recognise,
    );
    let turn = graph.sink("turn", &voice, budget::INTO_EVENTS, TurnSink(audience.clone()));
    let said = graph.sink("words", &words, budget::INTO_EVENTS, WordsSink(audience.clone()));
    graph.promise(said, budget::WORDS_PARTIAL, Span::ZERO);
    graph.promise(said, budget::WORDS_FINAL, ending + settling);
    graph.promise(turn, budget::TURN, pause);
    words
}

struct TurnSink(Arc<dyn Audience>);
impl Sink<Voice> for TurnSink {
    fn budget(&self, voice: &Voice) -> Option<Budget> {
        match voice {
            Voice::Started | Voice::Paused | Voice::Resumed => Some(budget::TURN),
            Voice::Sound(_) | Voice::Rested | Voice::Ended => None,
        }
    }
    fn take(&mut self, now: Moment, signal: Signal<Voice>) {
        self.0.voice(now, signal);
    }
}

struct WordsSink(Arc<dyn Audience>);
impl Sink<Words> for WordsSink {
    fn budget(&self, words: &Words) -> Option<Budget> {
        Some(if words.settled {
            budget::WORDS_FINAL
        } else {
            budget::WORDS_PARTIAL
        })
    }
    fn take(&mut self, now: Moment, signal: Signal<Words>) {
        self.0.words(now, signal);
    }
}

struct PictureSink(Arc<dyn Audience>);
impl Sink<PictureStats> for PictureSink {
    fn budget(&self, _: &PictureStats) -> Option<Budget> {
        Some(budget::PICTURE)
    }
    fn take(&mut self, now: Moment, signal: Signal<PictureStats>) {
        self.0.picture(now, signal);
    }
}

struct FollowSink(Arc<dyn Audience>);
impl Sink<Decoded> for FollowSink {
    fn budget(&self, _: &Decoded) -> Option<Budget> {
        None
    }
    fn take(&mut self, now: Moment, signal: Signal<Decoded>) {
        self.0.seen(now, signal);
    }
}

struct ReadingSink(Arc<dyn Audience>);
impl Sink<media::Reading> for ReadingSink {
    fn budget(&self, _: &media::Reading) -> Option<Budget> {
        Some(budget::READING)
    }
    fn take(&mut self, now: Moment, signal: Signal<media::Reading>) {
        self.0.reading(now, signal);
    }
}

struct AnswerSink {
    audience: Arc<dyn Audience>,
    allowed: Span,
}
impl Sink<Turn> for AnswerSink {
    fn budget(&self, turn: &Turn) -> Option<Budget> {
        match turn {
            Turn::First { .. } => Some(budget::ANSWER),
            Turn::Answer { .. } => Some(budget::whole_answer(self.allowed)),
            Turn::Ask { .. } | Turn::Cancel { .. } | Turn::More { .. } | Turn::None { .. } => None,
        }
    }
    fn take(&mut self, now: Moment, signal: Signal<Turn>) {
        self.audience.answer(now, signal);
    }
}

struct ViewSink(Screen);
impl Sink<Packet> for ViewSink {
    fn budget(&self, _: &Packet) -> Option<Budget> {
        Some(budget::VIEW)
    }
    fn take(&mut self, _: Moment, signal: Signal<Packet>) {
        if let Signal::Item(unit) = signal {
            self.0.put(unit);
        }
    }
}

struct ViewedSink(Arc<dyn Audience>);
impl Sink<Counts> for ViewedSink {
    fn budget(&self, _: &Counts) -> Option<Budget> {
        None
    }
    fn take(&mut self, now: Moment, signal: Signal<Counts>) {
        self.0.viewed(now, signal);
    }
}
