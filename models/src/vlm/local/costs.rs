//! What slices cost on this machine, learnt per model, and what follows for a question: how closely to look, how much to say.

use hearsight_core::gate::Percentile95;
use hearsight_core::time::{Moment, Span};

use super::processor::Detail;

/// What a slice does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing worth learning from.
    Nothing,
    /// Converts and scales one picture.
    Draw,
    /// Normalises one tile.
    Cut,
    /// Encodes one tile.
    See,
    /// Reads so many tokens of the question.
    Read(usize),
    /// Says one token.
    Say,
}

/// What a question takes before its first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) pictures: usize,
    pub(super) tiles: usize,
    pub(super) tokens: usize,
}

/// Refusals in a row after which one question is let through, to learn whether things got better.
const PROBE_AFTER: u32 = 8;
/// Words take several tokens, and one that follows shows that the first is whole.
const FIRST_WORD: i64 = 4;

/// Learnt 95th percentiles, per piece of work.
#[derive(Debug, Default)]
pub(super) struct Costs {
    draw: Percentile95,
    cut: Percentile95,
    see: Percentile95,
    read: Percentile95,
    say: Percentile95,
    refused: u32,
}

impl Costs {
    pub(super) fn learn(&mut self, work: Work, cost: Span) {
        match work {
            Work::Nothing => {}
            Work::Draw => self.draw.learn(cost),
            Work::Cut => self.cut.learn(cost),
            Work::See => self.see.learn(cost),
            Work::Read(tokens) => self.read.learn(cost / (tokens.max(1) as i64)),
            Work::Say => self.say.learn(cost),
        }
    }

    /// From the question to its first word; none while any part of it was never measured.
    pub(super) fn first_text(&self, load: Load) -> Option<Span> {
        let words = self.read.get()? * load.tokens as i64 + self.say.get()? * FIRST_WORD;
        if load.pictures == 0 {
            return Some(words);
        }
        let tile = self.cut.get()? + self.see.get()?;
        Some(self.draw.get()? * load.pictures as i64 + tile * load.tiles as i64 + words)
    }

    /// Time for one token of an answer.
    pub(super) fn token(&self) -> Option<Span> {
        self.say.get()
    }

    /// The closest look among `options` (closest first) whose first word comes in time; none where not even the last does.
    /// Before anything was measured, with a deadline, the cheapest: what it takes is then known.
    pub(super) fn choose<T>(&mut self, options: Vec<(Load, T)>, now: Moment, deadline: Moment) -> Option<(Load, T)> {
        if deadline == Moment::MAX {
            return options.into_iter().next();
        }
        let last = options.len().checked_sub(1)?;
        for (index, (load, option)) in options.into_iter().enumerate() {
            let in_time = match self.first_text(load) {
                Some(takes) => now + takes <= deadline,
                None => index == last,
            };
            if in_time || (index == last && self.refused >= PROBE_AFTER) {
                self.refused = 0;
                return Some((load, option));
            }
        }
        self.refused += 1;
        None
    }
}

/// How closely to look, by how much of the picture is writing (0..1): closest first, the rest for when time is short. Plain scenes
/// are told from a few visual tokens; of writing, every token taken away is a word unread (One Visual Token, arXiv 2411.03312).
pub(super) fn looks(text: f32, full: Detail) -> Vec<Detail> {
    const SOME: f32 = 0.15;
    const MUCH: f32 = 0.5;
    // No number is no reason to save.
    let closest = if text < SOME {
        Detail::GLANCE
    } else if text < MUCH {
        Detail::LOOK
    } else {
        full
    };
    let mut looks = vec![full, Detail::LOOK, Detail::GLANCE];
    looks.retain(|look| *look <= closest && *look <= full);
    looks.dedup();
    looks
}

/// `floor((deadline − now) / time per token)`, and never more than `most`: no picture makes an answer longer than this.
pub(super) fn tokens_in_time(now: Moment, deadline: Moment, token: Option<Span>, most: u32) -> u32 {
    let Some(token) = token.filter(|_| deadline != Moment::MAX) else {
        return most;
    };
    let fit = (deadline - now).nanos().max(0) / token.nanos().max(1);
    u32::try_from(fit).unwrap_or(u32::MAX).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Detail = Detail(4);

    fn learnt() -> Costs {
        let mut costs = Costs::default();
        let millis = Span::from_millis;
        costs.learn(Work::Draw, millis(10));
        costs.learn(Work::Cut, millis(1));
        costs.learn(Work::See, millis(100));
        costs.learn(Work::Read(10), millis(10));
        costs.learn(Work::Say, millis(20));
        costs
    }

    fn options() -> Vec<(Load, Detail)> {
        let load = |tiles| Load {
            pictures: 1,
            tiles,
            tokens: 20 + tiles * 64,
        };
        vec![(load(13), FULL), (load(5), Detail::LOOK), (load(1), Detail::GLANCE)]
    }

    #[test]
    fn writing_is_looked_at_closely_and_plain_scenes_are_not() {
        assert_eq!(looks(0.0, FULL), [Detail::GLANCE]);
        assert_eq!(looks(0.3, FULL), [Detail::LOOK, Detail::GLANCE]);
        assert_eq!(looks(0.9, FULL), [FULL, Detail::LOOK, Detail::GLANCE]);
        assert_eq!(looks(f32::NAN, FULL), [FULL, Detail::LOOK, Detail::GLANCE]);
        assert_eq!(looks(1.0, Detail::GLANCE), [Detail::GLANCE]);
        assert_eq!(looks(1.0, Detail::LOOK), [Detail::LOOK, Detail::GLANCE]);
    }

    #[test]
    fn a_nearer_deadline_never_means_a_closer_look() {
        let mut costs = learnt();
        let now = Moment::from_millis(500);
        let mut before = None;
        for millis in (0..4_000).rev().step_by(10) {
            let chosen = costs
                .choose(options(), now, now + Span::from_millis(millis))
                .map(|(load, look)| {
                    let takes = costs.first_text(load).expect("learnt");
                    (look, takes <= Span::from_millis(millis))
                });
            if let (Some((before, _)), Some((look, true))) = (before, chosen) {
                assert!(look <= before, "{millis} ms");
            }
            before = chosen.or(before);
        }
        assert_eq!(before.map(|(look, _)| look), Some(Detail::GLANCE));
    }

    #[test]
    fn what_would_be_late_is_refused_and_probed() {
        let (mut costs, now) = (learnt(), Moment::from_millis(500));
        let soon = now + Span::from_millis(50);
        let taken: Vec<bool> = (0..10).map(|_| costs.choose(options(), now, soon).is_some()).collect();
        assert_eq!(taken.iter().position(|taken| *taken), Some(PROBE_AFTER as usize));
    }

    #[test]
    fn the_first_question_with_a_deadline_takes_a_glance() {
        let mut costs = Costs::default();
        let now = Moment::from_millis(500);
        let chosen = costs.choose(options(), now, now + Span::from_millis(1));
        assert_eq!(chosen.map(|(_, look)| look), Some(Detail::GLANCE));
        let chosen = costs.choose(options(), now, Moment::MAX);
        assert_eq!(chosen.map(|(_, look)| look), Some(FULL));
    }

    #[test]
    fn answers_are_as_long_as_time_allows_and_no_longer_than_they_may() {
        let now = Moment::from_millis(100);
        let at = |millis| now + Span::from_millis(millis);
        let token = Some(Span::from_millis(20));
        assert_eq!(tokens_in_time(now, at(99), token, 50), 4);
        assert_eq!(tokens_in_time(now, at(100), token, 50), 5);
        assert_eq!(tokens_in_time(now, at(-100), token, 50), 0);
        assert_eq!(tokens_in_time(now, at(10_000), token, 50), 50);
        assert_eq!(tokens_in_time(now, at(10), None, 50), 50);
        assert_eq!(tokens_in_time(now, Moment::MAX, token, 50), 50);
    }
}
