//! What one viewer may ask for, over all of his conversations.

use std::sync::{Mutex, PoisonError};

use hearsight_core::time::{Moment, Span};

/// Tokens per minute, questions and answers together, shared by the conversations of one viewer. An answer under way is never cut by
/// it: what it took too much is paid back by waiting.
#[derive(Debug)]
pub struct Allowance {
    per_minute: u32,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// Nanotokens: what accrues in a nanosecond is not rounded away.
    balance: i128,
    at: Option<Moment>,
}

const NANO: i128 = 1_000_000_000;

impl Allowance {
    /// `per_minute` tokens a minute, and as many at once.
    pub fn new(per_minute: u32) -> Allowance {
        Allowance {
            per_minute,
            account: Mutex::new(Account {
                balance: i128::from(per_minute) * NANO,
                at: None,
            }),
        }
    }

    /// Whether a question may be asked at `now`; otherwise how long to wait.
    pub fn ask(&self, now: Moment) -> Result<(), Span> {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let most = i128::from(self.per_minute) * NANO;
        let passed = account.at.map_or(Span::ZERO, |at| now - at);
        let accrued = i128::from(passed.nanos().max(0)) * i128::from(self.per_minute) / 60;
        account.balance = (account.balance + accrued).min(most);
        account.at = Some(account.at.map_or(now, |at| at.max(now)));
        if account.balance > 0 {
            return Ok(());
        }
        let per_minute = i128::from(self.per_minute.max(1));
        // Rounded up: after so long there is some.
        let wait = ((1 - account.balance) * 60 + per_minute - 1) / per_minute;
        Err(Span::from_nanos(i64::try_from(wait).unwrap_or(i64::MAX)))
    }

    /// Takes what a question or an answer took.
    pub fn take(&self, tokens: u32) {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.balance -= i128::from(tokens) * NANO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_any_stretch_no_more_is_taken_than_accrues_and_one_answer() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let per_minute = random.u32(1..2_000);
            let allowance = Allowance::new(per_minute);
            let (mut now, mut taken, mut longest) = (Moment::from_millis(7), 0u64, 0u64);
            let start = now;
            for _ in 0..300 {
                now += Span::from_millis(random.i64(0..4_000));
                match allowance.ask(now) {
                    Ok(()) => {
                        let tokens = random.u32(0..500);
                        allowance.take(tokens);
                        taken += u64::from(tokens);
                        longest = longest.max(tokens.into());
                    }
                    Err(wait) => {
                        now += wait;
                        assert_eq!(allowance.ask(now), Ok(()), "seed {seed}: after {wait}");
                    }
                }
                let accrued = (now - start).secs_f64() * f64::from(per_minute) / 60.0;
                let most = accrued + f64::from(per_minute) + longest as f64;
                assert!(taken as f64 <= most + 1.0, "seed {seed}: {taken} of {most}");
            }
        }
    }

    #[test]
    fn nothing_a_minute_is_nothing() {
        let allowance = Allowance::new(0);
        assert!(allowance.ask(Moment::from_millis(1)).is_err());
        assert!(allowance.ask(Moment::MAX).is_err());
    }
}
