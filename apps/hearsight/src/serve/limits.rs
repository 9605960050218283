//! How much one user and one address may take: sessions at a time, offers in a minute, connections at a time.
//!
//! What is taken is given back when its guard is dropped, whatever happened in between. Memory is bounded whoever asks.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_core::time::{Moment, Span};

use super::{Errand, Guest};
use crate::ingest::{Refusal, SessionId};

/// The bounds in force; none: no bound of that kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at a time of one user.
    pub sessions_per_user: Option<NonZeroUsize>,
    /// Sessions at a time from one address.
    pub sessions_per_address: Option<NonZeroUsize>,
    /// Viewers at a time of one user.
    pub viewers_per_user: Option<NonZeroUsize>,
    /// Viewers at a time from one address.
    pub viewers_per_address: Option<NonZeroUsize>,
    /// Offers in a minute from one address.
    pub offers_per_minute: Option<NonZeroUsize>,
    /// HTTP connections at a time from one address, on each listener.
    pub connections_per_address: Option<NonZeroUsize>,
}

/// An address as it is counted: IPv4 whole; of IPv6 the network of 64 bits, all of which one subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Neighbour(IpAddr);

impl Neighbour {
    pub(super) fn of(address: IpAddr) -> Neighbour {
        Neighbour(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            whole => whole,
        })
    }
}

/// The sessions and viewers that are there, and whose.
#[derive(Debug, Default)]
pub(super) struct Guests {
    present: Mutex<HashMap<SessionId, Guest>>,
}

impl Guests {
    /// Takes a place for a session, if its user and its address have one left.
    pub(super) fn enter(self: &Arc<Self>, id: SessionId, guest: &Guest, limits: &Limits) -> Result<Place, Refusal> {
        let mut present = locked(&self.present);
        let (per_user, per_address, what) = match guest.errand {
            Errand::Publish => (limits.sessions_per_user, limits.sessions_per_address, "sessions"),
            Errand::Watch => (limits.viewers_per_user, limits.viewers_per_address, "viewers"),
        };
        let full = |limit: Option<NonZeroUsize>, same: &dyn Fn(&Guest) -> bool| {
            let like = |other: &&Guest| other.errand == guest.errand && same(other);
            limit.filter(|limit| present.values().filter(like).count() >= limit.get())
        };
        let neighbour = guest.address.map(Neighbour::of);
        let same_user = |other: &Guest| guest.user.is_some() && other.user == guest.user;
        let same_address = |other: &Guest| neighbour.is_some() && other.address.map(Neighbour::of) == neighbour;
        if let Some(limit) = full(per_user, &same_user) {
            return Err(too_many(limit, what, "of one user"));
        }
        if let Some(limit) = full(per_address, &same_address) {
            return Err(too_many(limit, what, "from one address"));
        }
        present.insert(id, guest.clone());
        Ok(Place {
            guests: self.clone(),
            id,
        })
    }

    /// Gives a session's place back before its guard does: it is over, though the ingest thread has yet to see to it.
    pub(super) fn leave(&self, id: SessionId) {
        locked(&self.present).remove(&id);
    }

    /// Whose session it is, and of which stream.
    pub(super) fn get(&self, id: SessionId) -> Option<Guest> {
        locked(&self.present).get(&id).cloned()
    }
}

fn too_many(limit: NonZeroUsize, what: &str, whose: &str) -> Refusal {
    Refusal::TooMany {
        retry_after: 10,
        detail: format!("at most {limit} {what} {whose} are taken at a time: end one, and try again"),
    }
}

/// A session's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    guests: Arc<Guests>,
    id: SessionId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.guests.leave(self.id);
    }
}

/// Addresses that are remembered; a flood from more shares one allowance.
const MAX_REMEMBERED: usize = 16_384;

/// Between two looks for addresses that may be forgotten.
const SWEEP: Span = Span::from_secs(1);

/// An allowance holds a minute's worth, which may be spent at once.
const MINUTE: Span = Span::from_secs(60);

/// What each address has spent of its allowance: a token bucket, kept as the moment at which it is full again.
#[derive(Debug)]
pub(super) struct Allowances {
    full_at: HashMap<Neighbour, Moment>,
    /// Of all whom there is no room to remember.
    others: Moment,
    swept: Moment,
}

impl Default for Allowances {
    fn default() -> Allowances {
        Allowances {
            full_at: HashMap::new(),
            others: Moment::ZERO,
            swept: Moment::ZERO,
        }
    }
}

impl Allowances {
    /// Spends `tenths` of one of `per_minute`; or says how long to wait for it.
    pub(super) fn spend(
        &mut self,
        now: Moment,
        from: Neighbour,
        per_minute: NonZeroUsize,
        tenths: i64,
    ) -> Result<(), Span> {
        let price = Span::from_nanos(MINUTE.nanos() * tenths / 10 / per_minute.get() as i64);
        let full_at = self.account(now, from);
        let after = (*full_at).max(now) + price;
        let over = after - (now + MINUTE);
        if over > Span::ZERO {
            return Err(over);
        }
        *full_at = after;
        Ok(())
    }

    fn account(&mut self, now: Moment, from: Neighbour) -> &mut Moment {
        if self.full_at.len() >= MAX_REMEMBERED && !self.full_at.contains_key(&from) {
            if now >= self.swept + SWEEP {
                self.swept = now;
                self.full_at.retain(|_, full_at| *full_at > now);
            }
            if self.full_at.len() >= MAX_REMEMBERED {
                return &mut self.others;
            }
        }
        self.full_at.entry(from).or_insert(now)
    }
}

/// Connections of each address; those of one listener.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    connections: Mutex<HashMap<Neighbour, usize>>,
}

impl Crowd {
    /// Lets one more in, unless there are `most` from its address.
    pub(super) fn enter(self: &Arc<Self>, from: Neighbour, most: Option<NonZeroUsize>) -> Option<OneOfCrowd> {
        let mut connections = locked(&self.connections);
        let count = connections.entry(from).or_default();
        if most.is_some_and(|most| *count >= most.get()) {
            return None;
        }
        *count += 1;
        Some(OneOfCrowd {
            crowd: self.clone(),
            from,
        })
    }
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct OneOfCrowd {
    crowd: Arc<Crowd>,
    from: Neighbour,
}

impl Drop for OneOfCrowd {
    fn drop(&mut self) {
        let mut connections = locked(&self.crowd.connections);
        if let Some(count) = connections.get_mut(&self.from) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                connections.remove(&self.from);
            }
        }
    }
}

/// The lock, also after a panic elsewhere: what it guards is valid between any two statements.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognisers::Wishes;

    fn some(n: usize) -> Option<NonZeroUsize> {
        NonZeroUsize::new(n)
    }

    fn address(random: &mut fastrand::Rng) -> IpAddr {
        match random.bool() {
            true => IpAddr::from([10, 0, 0, random.u8(..4)]),
            false => IpAddr::from([0x2001, 0xdb8, 0, random.u16(..4), random.u16(..), 0, 0, 1]),
        }
    }

    #[test]
    fn places_taken_and_given_back_in_any_order_never_exceed_the_limits_and_leave_nothing() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let limits = Limits {
                sessions_per_user: some(random.usize(1..4)),
                sessions_per_address: some(random.usize(1..5)),
                viewers_per_user: some(random.usize(1..4)),
                viewers_per_address: some(random.usize(1..5)),
                ..Limits::default()
            };
            let guests = Arc::new(Guests::default());
            let mut held: Vec<(Place, Guest)> = Vec::new();
            for _ in 0..300 {
                if !held.is_empty() && random.u8(..3) == 0 {
                    drop(held.swap_remove(random.usize(..held.len())));
                    continue;
                }
                let user = ["a", "b"].get(random.usize(..3)).map(|user| Arc::from(*user));
                let guest = Guest {
                    stream: "s".into(),
                    user,
                    address: Some(address(&mut random)),
                    errand: [Errand::Publish, Errand::Watch][random.usize(..2)],
                    wishes: Wishes::default(),
                };
                let (per_user, per_address) = match guest.errand {
                    Errand::Publish => (limits.sessions_per_user, limits.sessions_per_address),
                    Errand::Watch => (limits.viewers_per_user, limits.viewers_per_address),
                };
                let alike = || held.iter().filter(|(_, g)| g.errand == guest.errand);
                let id = SessionId::random().unwrap();
                let same_user = alike()
                    .filter(|(_, g)| g.user.is_some() && g.user == guest.user)
                    .count();
                let at = |guest: &Guest| guest.address.map(Neighbour::of);
                let same_address = alike().filter(|(_, g)| at(g) == at(&guest)).count();
                let room = per_user.is_some_and(|most| same_user < most.get())
                    && per_address.is_some_and(|most| same_address < most.get());
                let entered = guests.enter(id, &guest, &limits);
                assert_eq!(entered.is_ok(), room, "seed {seed}");
                if let Ok(place) = entered {
                    assert_eq!(guests.get(id), Some(guest.clone()));
                    held.push((place, guest));
                }
            }
            held.clear();
            assert!(locked(&guests.present).is_empty(), "seed {seed}");
        }
    }

    #[test]
    fn an_allowance_is_a_minutes_worth_at_most_and_refills_evenly() {
        let from = Neighbour::of(IpAddr::from([10, 0, 0, 1]));
        for per_minute in [1, 7, 60, 900] {
            let most = some(per_minute).unwrap();
            let mut allowances = Allowances::default();
            let mut random = fastrand::Rng::with_seed(per_minute as u64);
            let (mut now, mut taken) = (Moment::from_millis(5), Vec::new());
            for _ in 0..per_minute * 2 + 50 {
                match allowances.spend(now, from, most, 10) {
                    Ok(()) => taken.push(now),
                    Err(wait) => {
                        assert!(wait <= MINUTE && wait > Span::ZERO);
                        // As long as it says, and no longer.
                        assert!(
                            allowances
                                .spend(now + wait - Span::from_nanos(1), from, most, 10)
                                .is_err()
                        );
                        now += wait;
                        assert_eq!(allowances.spend(now, from, most, 10), Ok(()));
                        taken.push(now);
                    }
                }
                now += Span::from_micros(random.i64(0..50));
            }
            let within = |start: Moment| taken.iter().filter(|at| **at >= start && **at < start + MINUTE).count();
            assert!(within(Moment::ZERO) >= per_minute, "all at once is allowed");
            assert!(taken.iter().all(|start| within(*start) <= 2 * per_minute));
        }
    }

    #[test]
    fn a_flood_from_everywhere_is_remembered_in_bounds_and_shares_one_allowance() {
        let mut allowances = Allowances::default();
        let most = some(2).unwrap();
        let now = Moment::from_millis(1);
        let taken = (0..100_000u32)
            .filter(|i| {
                let from = Neighbour::of(IpAddr::from(i.to_be_bytes()));
                allowances.spend(now, from, most, 10).is_ok()
            })
            .count();
        assert_eq!((taken, allowances.full_at.len()), (MAX_REMEMBERED + 2, MAX_REMEMBERED));
        // Later the first have their allowance back and are forgotten.
        let later = now + MINUTE;
        assert_eq!(
            allowances.spend(later, Neighbour::of([11, 0, 0, 1].into()), most, 10),
            Ok(())
        );
        assert_eq!(allowances.full_at.len(), 1);
    }

    #[test]
    fn connections_are_counted_by_address_and_given_back() {
        let crowd = Arc::new(Crowd::default());
        let one = Neighbour::of([10, 0, 0, 1].into());
        let first = crowd.enter(one, some(2)).expect("room");
        let second = crowd.enter(one, some(2)).expect("room");
        assert!(crowd.enter(one, some(2)).is_none());
        assert!(crowd.enter(Neighbour::of([10, 0, 0, 2].into()), some(2)).is_some());
        assert!(crowd.enter(one, None).is_some());
        drop(first);
        let third = crowd.enter(one, some(2)).expect("given back");
        drop((second, third));
        assert!(locked(&crowd.connections).is_empty());
    }
}
