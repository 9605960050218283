//! Whether and when something that failed elsewhere is tried again: waits grow, are jittered, and come to an end.

use hearsight_core::time::Span;

/// The first wait where nobody names another, and the most of one, without a wish of the server's.
const FIRST: Span = Span::from_millis(500);
const MOST: Span = Span::from_secs(30);
/// A server that wants to be left alone for longer is tried anyway.
const MOST_ASKED: Span = Span::from_secs(300);
/// Waits grow no further after so many: 0.5 s · 2⁶ is beyond the most.
const DOUBLINGS: u32 = 6;

/// Counts failures in a row.
pub(crate) struct Patience {
    retries: Option<u32>,
    failures: u32,
    first: Span,
    rng: fastrand::Rng,
}

impl Patience {
    /// Allows so many retries in a row; none: any number. The seed tells many connections apart, so that they don't all
    /// come back in one moment.
    pub(crate) fn new(retries: Option<u32>, seed: u64) -> Patience {
        Patience::beginning(FIRST, retries, seed)
    }

    /// The same with another first wait.
    pub(crate) fn beginning(first: Span, retries: Option<u32>, seed: u64) -> Patience {
        Patience {
            retries,
            failures: 0,
            first,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// A connection lasted: what failed before is forgiven.
    pub(crate) fn restore(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure, at least `asked` where the server said so; none when it is enough.
    pub(crate) fn wait(&mut self, asked: Option<Span>) -> Option<Span> {
        if self.retries.is_some_and(|retries| self.failures >= retries) {
            return None;
        }
        let doubled = (self.first * (1 << self.failures.min(DOUBLINGS))).min(MOST);
        self.failures = self.failures.saturating_add(1);
        // Half of it is left to chance (full jitter would sometimes not wait at all).
        let jittered = doubled / 2 + Span::from_nanos(self.rng.i64(0..=doubled.nanos() / 2));
        Some(match asked {
            // The server knows best, but not to the moment: not all shall come at once.
            Some(asked) => asked.min(MOST_ASKED) + jittered / 4,
            None => jittered,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_jittered_bounded_and_come_to_an_end() {
        for seed in 0..200 {
            let mut patience = Patience::new(Some(12), seed);
            for n in 0..12u32 {
                let wait = patience.wait(None).expect("allowed");
                let most = (FIRST * (1 << n.min(6))).min(MOST);
                assert!(wait >= most / 2 && wait <= most, "seed {seed}, {n}: {wait}");
            }
            assert_eq!(patience.wait(None), None);
            patience.restore();
            assert!(patience.wait(None).is_some_and(|wait| wait <= FIRST));
        }
        let mut endless = Patience::new(None, 1);
        assert!((0..10_000).all(|_| endless.wait(None).is_some_and(|wait| wait <= MOST)));
    }

    #[test]
    fn the_server_says_how_long_within_reason() {
        let mut patience = Patience::new(None, 7);
        for asked in [0, 1, 20, 299] {
            let asked = Span::from_secs(asked);
            let wait = patience.wait(Some(asked)).unwrap();
            assert!(wait >= asked && wait <= asked + MOST, "{wait} for {asked}");
        }
        let wait = patience.wait(Some(Span::from_secs(1_000_000))).unwrap();
        assert!(wait <= MOST_ASKED + MOST);
    }
}
