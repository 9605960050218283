//! Two recognisers of one stream: provisional words from a quick one, final words from a better one.

use hearsight_core::stage::Fault;
use hearsight_core::time::{MediaTime, Span};

use super::{Found, Hypothesis, Recogniser};

/// Hears with two recognisers. What the second has not found in time, or fails at, the first has found.
///
/// The second should work aside ([`super::Crew`]): whatever it takes is added to the first one's slices.
pub struct Cascade<P, F> {
    name: String,
    first: P,
    second: F,
    /// The second one's part in the segment under way.
    second_hears: bool,
    /// The segment is over, and this is known of its end.
    ending: Option<Ending>,
}

#[derive(Default)]
struct Ending {
    first: Option<Hypothesis>,
}

impl<P: Recogniser, F: Recogniser> Cascade<P, F> {
    /// `first` for provisional words, `second` for final ones.
    pub fn new(first: P, second: F) -> Cascade<P, F> {
        Cascade {
            name: format!("{}, then {}", first.name(), second.name()),
            first,
            second,
            second_hears: false,
            ending: None,
        }
    }

    /// The one for final words.
    pub fn second(&self) -> &F {
        &self.second
    }

    /// What the second answers; after a fault it has no part in the segment any more.
    fn ask<T>(&mut self, ask: impl FnOnce(&mut F) -> Result<T, Fault>) -> Option<T> {
        if !self.second_hears {
            return None;
        }
        let answer = ask(&mut self.second);
        if let Err(fault) = &answer {
            tracing::warn!(
                stage = "recognise",
                "final words come from the first recogniser: {fault}"
            );
            self.second.reset();
            self.second_hears = false;
        }
        answer.ok()
    }

    fn over(&mut self, last: Hypothesis) -> Hypothesis {
        self.ending = None;
        if std::mem::take(&mut self.second_hears) {
            self.second.reset();
        }
        last
    }

    /// The first one's last words count once the second has no part any more.
    fn first_alone(&mut self) -> Option<Hypothesis> {
        let known = self.ending.as_mut()?.first.take_if(|_| !self.second_hears)?;
        Some(self.over(known))
    }
}

impl<P: Recogniser, F: Recogniser> Recogniser for Cascade<P, F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn begin(&mut self, at: MediaTime) -> Result<(), Fault> {
        self.ending = None;
        self.second_hears = true;
        self.ask(|second| second.begin(at));
        self.first.begin(at)
    }

    fn hear(&mut self, samples: &[f32]) -> Result<Option<Hypothesis>, Fault> {
        self.ask(|second| second.hear(samples));
        self.first.hear(samples)
    }

    fn finish(&mut self) -> Result<Hypothesis, Fault> {
        let first = self.first.finish()?;
        let second = self.ask(Recogniser::finish);
        self.second_hears = false;
        Ok(self.over(second.unwrap_or(first)))
    }

    fn end(&mut self) -> Result<Option<Hypothesis>, Fault> {
        let second = self.ask(Recogniser::end);
        let first = self.first.end()?;
        self.ending = Some(Ending { first });
        if let Some(Some(last)) = second {
            self.second_hears = false;
            return Ok(Some(self.over(last)));
        }
        Ok(self.first_alone())
    }

    fn poll(&mut self) -> Result<Found, Fault> {
        if self.ending.is_none() {
            // What the second thinks meanwhile is not shown.
            self.ask(Recogniser::poll);
            return self.first.poll();
        }
        if let Some(Found::Last(last)) = self.ask(Recogniser::poll) {
            self.second_hears = false;
            // The first may still be looking; nobody waits for it.
            if self.ending.as_ref().is_some_and(|ending| ending.first.is_none()) {
                self.first.reset();
            }
            return Ok(Found::Last(self.over(last)));
        }
        if let Some(ending) = &mut self.ending
            && ending.first.is_none()
            && let Found::Last(last) = self.first.poll()?
        {
            ending.first = Some(last);
        }
        Ok(self.first_alone().map_or(Found::Nothing, Found::Last))
    }

    fn works(&self) -> bool {
        self.ending.is_some() || self.first.works()
    }

    fn ready(&self) -> bool {
        self.first.ready() && (!self.second_hears || self.second.ready())
    }

    fn settle_for(&mut self) -> Option<Hypothesis> {
        let known = self.ending.take().and_then(|ending| ending.first);
        match known {
            Some(last) => Some(self.over(last)),
            None => self.first.settle_for(),
        }
    }

    fn reset(&mut self) {
        self.first.reset();
        self.second.reset();
        self.second_hears = false;
        self.ending = None;
    }

    fn portion(&self) -> Span {
        self.first.portion()
    }

    fn slice(&self) -> Span {
        self.first.slice() + self.second.slice()
    }
    fn aside(&mut self) -> Span {
        self.first.aside() + self.second.aside()
    }

    fn settling(&self) -> Span {
        self.first.settling().max(self.second.settling())
    }
}
