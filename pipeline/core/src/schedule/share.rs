//! Who had how much: sessions, and the users they belong to, each have a claim to an equal part of the machine.

use std::collections::BTreeMap;

use super::Lane;
use crate::time::{Moment, Span};

/// Up to so many equal parts nobody goes behind others: people speak in turns, and who speaks takes more than who listens.
const TOLERANCE: f64 = 4.0;

/// Further beyond its parts nobody is put.
pub(super) const MOST_BAND: u8 = 15;

/// What was had is forgotten by two thirds in this time.
const MEMORY: Span = Span::from_secs(1);

/// A session among those that share the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member(usize);

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// Processor seconds, the older the less.
    had: f64,
    at: Moment,
}

impl Account {
    fn at(&self, now: Moment) -> f64 {
        let since = (now - self.at).secs_f64().max(0.0);
        self.had * (-since / MEMORY.secs_f64()).exp()
    }
    fn take(&mut self, now: Moment, seconds: f64) {
        self.had = self.at(now) + seconds;
        self.at = now;
    }
}

/// One for each lane: what is seen of a session must not cost it its words, nor an answer the pictures that it is about.
type Accounts = [Account; Lane::ALL.len()];

#[derive(Clone, Debug)]
struct Entry {
    accounts: Accounts,
    user: Option<u64>,
    /// Which session it is, counted from the first there ever was.
    number: u64,
}

/// The accounts of all sessions and users.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    processors: f64,
    members: Vec<Option<Entry>>,
    free: Vec<usize>,
    present: usize,
    entered: u64,
    users: BTreeMap<u64, (Accounts, usize)>,
}

impl Shares {
    pub(super) fn new(processors: usize) -> Shares {
        Shares {
            processors: processors as f64,
            members: Vec::new(),
            free: Vec::new(),
            present: 0,
            entered: 0,
            users: BTreeMap::new(),
        }
    }

    pub(super) fn present(&self) -> usize {
        self.present
    }

    /// A session of `user`, where sessions have one, comes.
    pub(super) fn enter(&mut self, user: Option<u64>) -> Member {
        if let Some(user) = user {
            self.users.entry(user).or_default().1 += 1;
        }
        let entry = Some(Entry {
            accounts: Default::default(),
            user,
            number: self.entered,
        });
        self.entered += 1;
        self.present += 1;
        match self.free.pop() {
            Some(place) => {
                self.members[place] = entry;
                Member(place)
            }
            None => {
                self.members.push(entry);
                Member(self.members.len() - 1)
            }
        }
    }

    pub(super) fn leave(&mut self, member: Member) {
        let Some(entry) = self.members.get_mut(member.0).and_then(Option::take) else {
            return;
        };
        self.free.push(member.0);
        self.present -= 1;
        if let Some(user) = entry.user
            && let Some((_, sessions)) = self.users.get_mut(&user)
        {
            *sessions -= 1;
            if *sessions == 0 {
                self.users.remove(&user);
            }
        }
    }

    /// A slice of this session took so long.
    pub(super) fn took(&mut self, now: Moment, member: Member, lane: Lane, took: Span) {
        let Some(Some(entry)) = self.members.get_mut(member.0) else {
            return;
        };
        let seconds = took.secs_f64().max(0.0);
        entry.accounts[lane as usize].take(now, seconds);
        if let Some(user) = entry.user
            && let Some((accounts, _)) = self.users.get_mut(&user)
        {
            accounts[lane as usize].take(now, seconds);
        }
    }

    /// How many sessions came before this one.
    pub(super) fn seniority(&self, member: Member) -> u64 {
        match self.members.get(member.0) {
            Some(Some(entry)) => entry.number,
            _ => u64::MAX,
        }
    }

    /// How far a session, or its user, is beyond [`TOLERANCE`] equal parts: 0 within them, one more for each doubling.
    pub(super) fn band(&self, now: Moment, member: Member, lane: Lane) -> u8 {
        let Some(Some(entry)) = self.members.get(member.0) else {
            return 0;
        };
        let whole = self.processors * MEMORY.secs_f64();
        let over = |account: &Account, claims: usize| account.at(now) * claims.max(1) as f64 / whole;
        let own = over(&entry.accounts[lane as usize], self.present);
        let users = entry.user.and_then(|user| self.users.get(&user));
        let user = users.map_or(0.0, |(accounts, _)| over(&accounts[lane as usize], self.users.len()));
        (own.max(user) / TOLERANCE)
            .max(1.0)
            .log2()
            .ceil()
            .min(f64::from(MOST_BAND)) as u8
    }
}
