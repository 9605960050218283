//! Two engines under one deadline: the small one is asked first, and its answer stands if its words stood out clearly enough;
//! otherwise the large one is asked, if there is time for it (after SpecEyes, arXiv 2603.23483).

use hearsight_core::stage::Fault;
use hearsight_core::time::{Moment, Span};

use super::{Answer, Answerer, Ask, Ended, Refused, Spent, Step};

/// When the small engine's answer stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// An answer of at least this separability stands: by how many standard deviations of their rivals its least clear words led. It
    /// is a property of the small model, to be set from its answers to questions whose answers are known.
    pub separability: f32,
    /// The share of the time to the deadline that the small engine may take, 0..1.
    pub share: f32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            separability: 4.0,
            share: 0.4,
        }
    }
}

/// Asks `S`, and `L` where `S` was in doubt. Nothing is said before it is decided whose answer it is.
///
/// Each engine has its own conversation: a question without a picture goes to the one that answered last.
pub struct Cascade<S, L> {
    small: S,
    large: L,
    config: Config,
    name: String,
    question: Option<Question>,
    last: Who,
    /// Whose slice the last step was.
    worked: Who,
}

struct Question {
    ask: Ask,
    asked: Moment,
    stage: Stage,
}

enum Stage {
    /// The small engine is at work.
    Small,
    /// The large one is, since then; what the small one said is kept in case that no answer comes.
    Large {
        since: Moment,
        fallback: Option<Box<Answer>>,
        said: bool,
    },
    /// The small engine's answer stands: its text is passed on, then it is over.
    Stands { answer: Box<Answer>, passed_on: bool },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Small,
    Large,
}

impl<S: Answerer, L: Answerer> Cascade<S, L> {
    /// Asks `small` first.
    pub fn new(small: S, large: L, config: Config) -> Cascade<S, L> {
        Cascade {
            name: format!("{}, then {}", small.name(), large.name()),
            small,
            large,
            config,
            question: None,
            last: Who::Small,
            worked: Who::Small,
        }
    }

    fn ask_small(&mut self, now: Moment, ask: &Ask) -> Result<(), Refused> {
        let share = f64::from(self.config.share.clamp(0.0, 1.0));
        let deadline = if ask.deadline == Moment::MAX {
            Moment::MAX
        } else {
            now + Span::from_nanos(((ask.deadline - now).nanos() as f64 * share) as i64)
        };
        self.small.ask(
            now,
            Ask {
                deadline,
                ..ask.clone()
            },
        )
    }

    fn step_small(&mut self, now: Moment, question: &mut Question) -> Result<Option<Step>, Fault> {
        self.worked = Who::Small;
        let answer = match self.small.step(now) {
            Ok(Step::Over(answer)) => Some(answer),
            // Nothing is passed on before it stands.
            Ok(Step::On { again, .. }) => return Ok(Some(Step::On { text: None, again })),
            Ok(Step::Idle) | Err(Fault::Reset(_)) => None,
            Err(dead) => return Err(dead),
        };
        let stands = answer.as_ref().is_some_and(|answer| self.stands(answer));
        if !stands && self.large_can(now, &question.ask) {
            match self.large.ask(now, question.ask.clone()) {
                Ok(()) => {
                    let (since, said) = (now, false);
                    question.stage = Stage::Large {
                        since,
                        said,
                        fallback: answer,
                    };
                    return Ok(Some(Step::On { text: None, again: now }));
                }
                Err(refused) if answer.is_none() => return Err(Fault::Reset(refused.to_string())),
                Err(_) => {}
            }
        }
        let Some(answer) = answer else {
            return Err(Fault::Reset(
                "the small engine failed, and there was no time for the large one".into(),
            ));
        };
        question.stage = Stage::Stands {
            answer,
            passed_on: false,
        };
        Ok(None)
    }

    /// Whether it was said to its end, and clearly.
    fn stands(&self, answer: &Answer) -> bool {
        answer.ended != Ended::Late
            && answer
                .separability
                .is_some_and(|clear| clear >= self.config.separability)
    }

    /// Whether its first words would be in time, as far as is known.
    fn large_can(&self, now: Moment, ask: &Ask) -> bool {
        now < ask.deadline
            && self
                .large
                .first_text_in(ask)
                .is_none_or(|takes| now + takes <= ask.deadline)
    }

    fn step_large(&mut self, now: Moment, question: &mut Question) -> Result<Option<Step>, Fault> {
        self.worked = Who::Large;
        let Stage::Large { since, fallback, said } = &mut question.stage else {
            return Ok(None);
        };
        let step = match self.large.step(now) {
            Ok(Step::On { text, again }) => {
                *said |= text.is_some();
                return Ok(Some(Step::On { text, again }));
            }
            other => other,
        };
        let empty = !*said && !matches!(&step, Ok(Step::Over(answer)) if answer.ended == Ended::Said);
        if let Some(answer) = fallback.take_if(|answer| empty && !answer.text.is_empty()) {
            question.stage = Stage::Stands {
                answer,
                passed_on: false,
            };
            return Ok(None);
        }
        let Step::Over(mut answer) = step? else {
            return Err(Fault::Reset("the large engine gave up".into()));
        };
        let before = *since - question.asked;
        let small = fallback.as_ref().map_or_else(Spent::default, |answer| answer.spent);
        answer.spent = both(small, answer.spent, before);
        self.last = Who::Large;
        Ok(Some(Step::Over(answer)))
    }
}

/// What both engines took, where the large one's words were said.
fn both(small: Spent, large: Spent, before: Span) -> Spent {
    Spent {
        first_text: large.first_text.map(|first| before + first),
        prepare: small.prepare + large.prepare,
        inference: small.inference + large.inference,
        bytes_moved: small.bytes_moved + large.bytes_moved,
        tiles: small.tiles + large.tiles,
        ..large
    }
}

impl<S: Answerer, L: Answerer> Answerer for Cascade<S, L> {
    fn name(&self) -> &str {
        &self.name
    }

    fn ask(&mut self, now: Moment, ask: Ask) -> Result<(), Refused> {
        self.cancel();
        let follows = ask.pictures.is_empty() && self.last == Who::Large;
        let stage = match if follows {
            Err(Refused::Late)
        } else {
            self.ask_small(now, &ask)
        } {
            Ok(()) => Stage::Small,
            Err(Refused::Late | Refused::Unavailable(_)) => {
                self.large.ask(now, ask.clone())?;
                Stage::Large {
                    since: now,
                    fallback: None,
                    said: false,
                }
            }
            Err(refused) => return Err(refused),
        };
        self.question = Some(Question { ask, asked: now, stage });
        Ok(())
    }

    fn step(&mut self, now: Moment) -> Result<Step, Fault> {
        let Some(mut question) = self.question.take() else {
            return Ok(Step::Idle);
        };
        let step = match question.stage {
            Stage::Small => self.step_small(now, &mut question)?,
            Stage::Large { .. } => self.step_large(now, &mut question)?,
            Stage::Stands { .. } => None,
        };
        let step = match (step, &mut question.stage) {
            (Some(step), _) => step,
            (
                None,
                Stage::Stands {
                    answer,
                    passed_on: passed_on @ false,
                },
            ) => {
                *passed_on = true;
                let text = (!answer.text.is_empty()).then(|| answer.text.clone());
                if text.is_some() {
                    // Held back until now.
                    answer.spent.first_text = Some(now - question.asked);
                }
                self.last = Who::Small;
                Step::On { text, again: now }
            }
            (None, Stage::Stands { answer, .. }) => return Ok(Step::Over(answer.clone())),
            (None, _) => Step::On { text: None, again: now },
        };
        if !matches!(step, Step::Over(_)) {
            self.question = Some(question);
        }
        Ok(step)
    }

    fn took(&mut self, cost: Span) {
        match self.worked {
            Who::Small => self.small.took(cost),
            Who::Large => self.large.took(cost),
        }
    }

    fn cancel(&mut self) {
        if self.question.take().is_some() {
            self.small.cancel();
            self.large.cancel();
        }
    }

    fn forget(&mut self) {
        self.question = None;
        self.small.forget();
        self.large.forget();
    }

    fn slice(&self) -> Span {
        self.small.slice().max(self.large.slice())
    }

    fn first_text_in(&self, ask: &Ask) -> Option<Span> {
        self.small.first_text_in(ask)
    }

    fn spent(&mut self) -> Span {
        self.small.spent() + self.large.spent()
    }
}

impl<A: Answerer + ?Sized> Answerer for Box<A> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn ask(&mut self, now: Moment, ask: Ask) -> Result<(), Refused> {
        (**self).ask(now, ask)
    }
    fn step(&mut self, now: Moment) -> Result<Step, Fault> {
        (**self).step(now)
    }
    fn took(&mut self, cost: Span) {
        (**self).took(cost);
    }
    fn cancel(&mut self) {
        (**self).cancel();
    }
    fn forget(&mut self) {
        (**self).forget();
    }
    fn slice(&self) -> Span {
        (**self).slice()
    }
    fn first_text_in(&self, ask: &Ask) -> Option<Span> {
        (**self).first_text_in(ask)
    }
    fn spent(&mut self) -> Span {
        (**self).spent()
    }
}
