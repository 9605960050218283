//! The sound card counts samples by its own crystal. This places them on our clock, without a hole and never backwards.

use hearsight_core::time::{Moment, Span};

/// How far the place of sound may be from where the card says that it was captured. Sound servers misjudge their own delay
/// by some tens of milliseconds; beyond, sound is missing, or there is more of it than time has passed.
pub const RESYNC: Span = Span::from_millis(100);

/// Each portion is drawn towards what the card says by a sixteenth of the distance: what the card says jitters.
const GAIN: i64 = 16;

/// And by at most 1 % of its length, more than any crystal is off.
const MOST: i64 = 100;

/// Where a portion of sound stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where the one before it ended, drawn a little towards what the card says.
    Follows(Moment),
    /// So much later: sound is missing in between.
    After(Moment, Span),
    /// Nowhere: there is more sound than time has passed.
    Nowhere,
}

/// The one converter from a card's samples to our [`Moment`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct CardClock {
    next: Option<Moment>,
}

impl CardClock {
    /// Where sound of length `span` stands that was captured at `seen`, as far as the card knows, after sound without a hole.
    pub fn follow(&mut self, seen: Moment, span: Span) -> Place {
        let Some(next) = self.next else {
            self.next = Some(seen + span);
            return Place::Follows(seen);
        };
        let off = seen - next;
        if off > RESYNC {
            return self.after_hole(seen, span);
        }
        if off < -RESYNC {
            return Place::Nowhere;
        }
        let most = span / MOST;
        let begin = next + (off / GAIN).clamp(-most, most);
        self.next = Some(begin + span);
        Place::Follows(begin)
    }

    /// As [`CardClock::follow`], after a hole that is known: in no case earlier than what came before.
    pub fn after_hole(&mut self, seen: Moment, span: Span) -> Place {
        let next = self.next.unwrap_or(seen);
        let begin = seen.max(next);
        if begin - seen > RESYNC {
            return Place::Nowhere;
        }
        self.next = Some(begin + span);
        Place::After(begin, begin - next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card whose crystal is `ppm` off and whose word for the capture is up to `jitter` late.
    fn run(seed: u64, ppm: f64, jitter: Span) -> (Vec<Span>, usize) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut clock = CardClock::default();
        let (span, mut end) = (Span::from_millis(10), None);
        let (mut offs, mut nowhere) = (Vec::new(), 0);
        for count in 0..60_000i64 {
            let truth = Moment::from_nanos((count as f64 * 1e7 / (1.0 + ppm * 1e-6)) as i64);
            let seen = truth + Span::from_nanos(random.i64(0..=jitter.nanos()));
            match clock.follow(seen, span) {
                Place::Follows(begin) => {
                    let seam = end.map_or(Span::ZERO, |end| begin - end);
                    assert!(seam.nanos().abs() <= span.nanos() / MOST, "seed {seed}: {seam} between");
                    offs.push(begin - truth);
                    end = Some(begin + span);
                }
                Place::After(..) => panic!("seed {seed}: a hole where there is none"),
                Place::Nowhere => nowhere += 1,
            }
        }
        (offs, nowhere)
    }

    #[test]
    fn ten_minutes_of_drift_stay_within_the_jitter_without_a_hole() {
        for seed in 0..10 {
            let mut random = fastrand::Rng::with_seed(seed);
            let ppm = random.f64() * 2_000.0 - 1_000.0;
            let jitter = Span::from_millis(random.i64(0..40));
            let (offs, nowhere) = run(seed, ppm, jitter);
            assert_eq!(nowhere, 0);
            let worst = offs.iter().map(|off| off.nanos().abs()).max().unwrap_or(0);
            assert!(worst <= jitter.nanos() + 1_000_000, "seed {seed}: {worst} ns off");
        }
    }

    #[test]
    fn a_card_that_runs_away_never_leads_by_more_than_the_bound() {
        let (offs, nowhere) = run(0, 50_000.0, Span::ZERO);
        assert!(nowhere > 0, "so much sound does not fit into the time");
        let most = offs.into_iter().max().unwrap_or(Span::ZERO);
        assert!(most <= RESYNC + Span::from_millis(1), "{most} ahead");
    }

    #[test]
    fn time_never_runs_backwards_whatever_the_card_says() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut clock, mut end) = (CardClock::default(), None::<Moment>);
            for _ in 0..300 {
                let seen = Moment::from_millis(random.i64(-1_000..100_000));
                let span = Span::from_millis(random.i64(0..200));
                let place = if random.bool() {
                    clock.follow(seen, span)
                } else {
                    clock.after_hole(seen, span)
                };
                let (begin, slack) = match place {
                    Place::Follows(begin) => (begin, span / MOST),
                    Place::After(begin, missing) => {
                        assert!(missing >= Span::ZERO, "seed {seed}");
                        (begin, Span::ZERO)
                    }
                    Place::Nowhere => continue,
                };
                assert!(end.is_none_or(|end| begin >= end - slack), "seed {seed}");
                let off = begin - seen;
                assert!(off <= RESYNC && off >= -RESYNC, "seed {seed}: {off} off");
                end = Some(begin + span);
            }
        }
    }
}
