//! What is worth the sender's bits, as a session says it.

use hearsight_core::stage::Lost;
use hearsight_core::time::Moment;

use super::Speaker;
use crate::allocate::{Spender, Viewers};
use crate::wire::ToClient;
use crate::wire::allocation::Allocation;

impl Speaker {
    /// Also says what is worth the sender's bits.
    pub fn with_spender(mut self, spender: Spender) -> Speaker {
        self.spender = Some(spender);
        self
    }

    /// Whether the sender should draw its picture anew at `now`; said once.
    pub(super) fn take_redraw(&self, now: Moment) -> bool {
        self.spender.as_ref().is_some_and(|spender| spender.take_redraw(now))
    }

    /// Somebody watches the picture, or nobody does.
    pub(super) fn watched(&self, now: Moment, viewers: Viewers) {
        self.spend(|spender| spender.watched(now, viewers));
    }

    /// Says what `spend` makes of it, and counts what was refused on the way.
    pub(super) fn spend(&self, spend: impl FnOnce(&Spender) -> Option<Allocation>) {
        let Some(spender) = &self.spender else { return };
        let before = spender.refused();
        if let Some(word) = spend(spender) {
            self.say(&ToClient::Allocation(word));
        }
        let refused = spender.refused().saturating_sub(before);
        if refused > 0 {
            let refused = u32::try_from(refused).unwrap_or(u32::MAX);
            self.meter.lost("allocate", Lost::Refused, refused);
        }
    }
}
