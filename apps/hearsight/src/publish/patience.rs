//! Whether and when a connection is tried again.

use hearsight_core::time::Span;

use crate::send::DialError;

/// The first wait, and the most of one, without a wish of the server's.
const FIRST: Span = Span::from_millis(500);
const MOST: Span = Span::from_secs(30);
/// A server that wants to be left alone for longer is tried anyway.
const MOST_ASKED: Span = Span::from_secs(300);
/// Waits grow no further after so many: 0.5 s · 2⁶ is beyond the most.
const DOUBLINGS: u32 = 6;

/// Counts failures in a row.
pub(super) struct Patience {
    retries: Option<u32>,
    failures: u32,
    rng: fastrand::Rng,
}

impl Patience {
    /// Allows so many retries in a row; none: any number. The seed tells many connections apart, so that they don't all
    /// come back in one moment.
    pub(super) fn new(retries: Option<u32>, seed: u64) -> Patience {
        Patience {
            retries,
            failures: 0,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// A connection lasted: what failed before is forgiven.
    pub(super) fn restore(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure, at least `asked` where the server said so; none when it is enough.
    pub(super) fn wait(&mut self, asked: Option<Span>) -> Option<Span> {
        if self.retries.is_some_and(|retries| self.failures >= retries) {
            return None;
        }
        let doubled = (FIRST * (1 << self.failures.min(DOUBLINGS))).min(MOST);
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

/// Whether trying again can help, and how long the server wants to be left alone.
pub(super) fn again(error: &DialError) -> Option<Option<Span>> {
    match error {
        DialError::Unreachable(_) | DialError::TimedOut(_) => Some(None),
        DialError::Refused {
            status: 408 | 425 | 429 | 500..=599,
            retry_after,
            ..
        } => Some(*retry_after),
        DialError::Address(_) | DialError::Refused { .. } | DialError::Answer(_) | DialError::Stack(_) => None,
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

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let refused = |status| DialError::Refused {
            status,
            detail: String::new(),
            retry_after: Some(Span::from_secs(3)),
        };
        for status in [429, 503, 500, 502] {
            assert_eq!(again(&refused(status)), Some(Some(Span::from_secs(3))), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 415, 422, 302, 200] {
            assert_eq!(again(&refused(status)), None, "{status}");
        }
        assert_eq!(again(&DialError::TimedOut("x")), Some(None));
        assert_eq!(again(&DialError::Address("x".into())), None);
    }
}
