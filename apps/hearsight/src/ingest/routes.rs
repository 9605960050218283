//! Which session a datagram belongs to: STUN requests by the user name they carry, everything else by its source.
//!
//! An address is learnt only when its session sends to it, which an ICE-lite agent does only in reply to a request that
//! proved to know its password. A request can still be replayed from elsewhere: so a mapping that is in use is never overwritten.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::SessionId;

/// After this silence another session may have the address: a page that was reloaded keeps its port.
const TAKEOVER: Duration = Duration::from_secs(2);

/// Addresses that one session may hold: its candidates, and some that it had before.
const MAX_ADDRESSES: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Routes {
    by_name: HashMap<String, SessionId>,
    by_address: HashMap<SocketAddr, Mapping>,
}

#[derive(Debug)]
struct Mapping {
    id: SessionId,
    heard: Instant,
}

/// What became of learning an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learnt {
    Yes,
    /// It belongs to another session that is alive.
    Contested,
}

impl Routes {
    pub(super) fn enter(&mut self, ufrag: String, id: SessionId) {
        self.by_name.insert(ufrag, id);
    }

    /// The session is addressed by another name from now on.
    pub(super) fn rename(&mut self, ufrag: &str, id: SessionId) {
        self.by_name.retain(|_, of| *of != id);
        self.enter(ufrag.to_owned(), id);
    }

    pub(super) fn leave(&mut self, id: SessionId) {
        self.by_name.retain(|_, of| *of != id);
        self.by_address.retain(|_, mapping| mapping.id != id);
    }

    /// The session of a datagram.
    pub(super) fn find(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> Option<SessionId> {
        if let Some(name) = stun_request_name(datagram) {
            let id = self.by_name.get(name).copied()?;
            if let Some(mapping) = self.by_address.get_mut(&source)
                && mapping.id == id
            {
                mapping.heard = now;
            }
            return Some(id);
        }
        let mapping = self.by_address.get_mut(&source)?;
        mapping.heard = now;
        Some(mapping.id)
    }

    /// The session sends to `address`.
    pub(super) fn learn(&mut self, now: Instant, address: SocketAddr, id: SessionId) -> Learnt {
        match self.by_address.get_mut(&address) {
            Some(mapping) if mapping.id == id => Learnt::Yes,
            Some(mapping) if now.saturating_duration_since(mapping.heard) < TAKEOVER => Learnt::Contested,
            Some(mapping) => {
                *mapping = Mapping { id, heard: now };
                Learnt::Yes
            }
            None => {
                self.make_room(id);
                self.by_address.insert(address, Mapping { id, heard: now });
                Learnt::Yes
            }
        }
    }

    /// Forgets the session's quietest address when it holds too many.
    fn make_room(&mut self, id: SessionId) {
        let of_session = || self.by_address.iter().filter(|(_, mapping)| mapping.id == id);
        if of_session().count() >= MAX_ADDRESSES {
            let quietest = of_session()
                .min_by_key(|(_, mapping)| mapping.heard)
                .map(|(address, _)| *address);
            if let Some(address) = quietest {
                self.by_address.remove(&address);
            }
        }
    }
}

/// The name, before the colon, that a STUN binding request addresses (RFC 8489 sections 5 and 14.3, RFC 8445 section 7.1.2).
pub fn stun_request_name(datagram: &[u8]) -> Option<&str> {
    const BINDING_REQUEST: [u8; 2] = [0, 1];
    const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
    const USERNAME: [u8; 2] = [0, 6];
    if datagram.get(..2)? != BINDING_REQUEST || datagram.get(4..8)? != COOKIE {
        return None;
    }
    let mut rest = datagram.get(20..)?;
    while let [k0, k1, l0, l1, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if [*k0, *k1] == USERNAME {
            let name = std::str::from_utf8(tail.get(..length)?).ok()?;
            return name.split(':').next();
        }
        rest = tail.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: &str) -> Vec<u8> {
        let padded = name.len().next_multiple_of(4);
        let mut bytes = vec![0, 1, 0, (4 + 8 + padded) as u8, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend([7; 12]);
        bytes.extend([0x80, 0x22, 0, 3, b'a', b'b', b'c', 0]);
        bytes.extend([0, 6, 0, name.len() as u8]);
        bytes.extend(name.as_bytes());
        bytes.resize(20 + 8 + 4 + padded, 0);
        bytes
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_request_names_its_session_and_garbage_names_none() {
        assert_eq!(stun_request_name(&request("ours:theirs")), Some("ours"));
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let mut bytes = request("ours:theirs");
            for _ in 0..random.usize(1..6) {
                let at = random.usize(0..bytes.len());
                bytes[at] = random.u8(..);
            }
            bytes.truncate(random.usize(0..=bytes.len()));
            // Whatever it says, it says it without a panic.
            let _ = stun_request_name(&bytes);
        }
    }

    #[test]
    fn a_live_address_is_never_taken_over_and_a_silent_one_may_be() {
        let clock = hearsight_live::clock::Clock::new();
        let start = clock.instant_from_moment(hearsight_core::time::Moment::ZERO);
        let (a, b) = (SessionId(1), SessionId(2));
        let mut routes = Routes::default();
        routes.enter("a".into(), a);
        routes.enter("b".into(), b);
        assert_eq!(
            routes.find(start, address(1), b"\x80rtp"),
            None,
            "nobody was sent to there"
        );
        assert_eq!(routes.learn(start, address(1), a), Learnt::Yes);
        for tenth in 1..100u32 {
            let now = start + Duration::from_millis(100) * tenth;
            assert_eq!(routes.find(now, address(1), b"\x80rtp"), Some(a));
            // Someone replays b's request from a's address; b answers, and still a keeps it.
            assert_eq!(routes.find(now, address(1), &request("b:x")), Some(b));
            assert_eq!(routes.learn(now, address(1), b), Learnt::Contested);
        }
        let later = start + Duration::from_secs(20);
        assert_eq!(routes.learn(later, address(1), b), Learnt::Yes);
        assert_eq!(routes.find(later, address(1), b"\x80rtp"), Some(b));
    }

    #[test]
    fn a_session_holds_a_bounded_number_of_addresses_and_leaves_none() {
        let clock = hearsight_live::clock::Clock::new();
        let start = clock.instant_from_moment(hearsight_core::time::Moment::ZERO);
        let mut routes = Routes::default();
        routes.enter("a".into(), SessionId(1));
        for port in 1..1_000 {
            routes.learn(
                start + Duration::from_millis(u64::from(port)),
                address(port),
                SessionId(1),
            );
            assert!(routes.by_address.len() <= MAX_ADDRESSES);
        }
        assert_eq!(routes.find(start, address(999), b"\x80rtp"), Some(SessionId(1)));
        routes.rename("b", SessionId(1));
        assert_eq!(routes.find(start, address(1), &request("a:x")), None);
        assert_eq!(routes.find(start, address(1), &request("b:x")), Some(SessionId(1)));
        routes.leave(SessionId(1));
        assert!(routes.by_address.is_empty() && routes.by_name.is_empty());
    }
}
