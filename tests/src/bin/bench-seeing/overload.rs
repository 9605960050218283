//! More questions than the machine can answer in time, while it also reads: is anything later than it may be?

use std::sync::Arc;

use anyhow::{Context, Result};
use hearsight::budget;
use hearsight_core::media::{Picture, Planes};
use hearsight_core::stage::{Engine, Outbox, Signal, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Span};
use hearsight_live::clock::Clock;
use hearsight_models::ocr::{self, Choice, Chosen, Config, PaddleOcr, Reader};
use hearsight_models::vlm::Answerer;
use hearsight_models::vlm::local::Model;
use hearsight_tests::scenes::Scene;

use crate::exam::{answer, question};

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) answers: u32,
    pub(crate) refused: u32,
    pub(crate) readings: u32,
    /// Later than the budget and one slice.
    pub(crate) late: u32,
    /// The largest excess over the budget, in milliseconds; below zero where all was within it.
    pub(crate) latest_ms: f64,
}

impl Outcome {
    fn note(&mut self, over: Span, slice: Span) {
        self.late += u32::from(over > slice);
        self.latest_ms = self.latest_ms.max(over.secs_f64() * 1e3);
    }

    fn with(self, other: Outcome) -> Outcome {
        Outcome {
            answers: self.answers + other.answers,
            refused: self.refused + other.refused,
            readings: self.readings + other.readings,
            late: self.late + other.late,
            latest_ms: self.latest_ms.max(other.latest_ms),
        }
    }
}

/// Asks and reads on several threads at once for so long. Every question has `allowed`.
pub(crate) fn run(
    glance: &Arc<Model>,
    reader: &Arc<ocr::Model>,
    scene: &Scene,
    allowed: Span,
    length: Span,
) -> Result<Outcome> {
    const ASKERS: usize = 3;
    let picture = scene.render(2.0);
    let text = &scene.question.text;
    std::thread::scope(|scope| {
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        let mut running = Vec::new();
        for _ in 0..ASKERS {
            let (picture, glance) = (&picture, glance);
            running.push(thread("asker").spawn_scoped(scope, move || asks(glance, picture, text, allowed, length))?);
        }
        let (picture, reader) = (&picture, reader);
        running.push(thread("reader").spawn_scoped(scope, move || reads(reader, picture, length))?);
        running.into_iter().try_fold(
            Outcome {
                latest_ms: f64::MIN,
                ..Outcome::default()
            },
            |all, one| {
                let one = one.join().ok().context("a thread of the overload broke")?;
                Ok(all.with(one?))
            },
        )
    })
}

fn asks(glance: &Arc<Model>, picture: &Picture<Planes>, text: &str, allowed: Span, length: Span) -> Result<Outcome> {
    let clock = Clock::new();
    let (end, mut outcome) = (
        clock.now() + length,
        Outcome {
            latest_ms: f64::MIN,
            ..Outcome::default()
        },
    );
    while clock.now() < end {
        let mut conversation = glance.conversation(None);
        let deadline = clock.now() + allowed;
        match answer(
            &mut conversation,
            &clock,
            question(text, vec![picture.clone()], deadline),
        )? {
            Some(_) => {
                outcome.answers += 1;
                outcome.note(clock.now() - deadline, conversation.slice());
            }
            None => {
                outcome.refused += 1;
                std::thread::yield_now();
            }
        }
    }
    Ok(outcome)
}

fn reads(model: &Arc<ocr::Model>, picture: &Picture<Planes>, length: Span) -> Result<Outcome> {
    let clock = Clock::new();
    let (end, mut outcome) = (
        clock.now() + length,
        Outcome {
            latest_ms: f64::MIN,
            ..Outcome::default()
        },
    );
    while clock.now() < end {
        let mut reader = Reader::new(
            PaddleOcr::new(model.clone()),
            Config {
                budget: budget::READING,
            },
        );
        let began = clock.now();
        let chosen = Chosen {
            picture: picture.clone(),
            choice: Choice::Changed,
        };
        let mut signal = Signal::Item(Stamped::new(MediaTime::ZERO, began, chosen));
        let mut out = Outbox::default();
        loop {
            let wake = reader.run(clock.now(), signal, &mut out)?;
            if out.drain().any(|signal| matches!(signal, Signal::Item(_))) {
                outcome.readings += 1;
                outcome.note(clock.now() - (began + budget::READING.span), reader.slice());
            }
            if wake == Wake::OnSignal {
                break;
            }
            signal = Signal::Timer;
        }
    }
    Ok(outcome)
}
