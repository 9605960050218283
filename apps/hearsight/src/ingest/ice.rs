//! A session's ICE generations: which is in force, what a PATCH means for it, and the restart itself (RFC 9725 section 4.3).

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use str0m::{Candidate, IceCreds, Rtc};
use thiserror::Error;

use super::fragment::{Credentials, Fragment};
use super::sdp::{self, Way};

/// Earlier user names of a client that are remembered, so that a request that arrives late is not taken for a new restart.
const MAX_EARLIER: usize = 16;

/// What `If-Match` asks for (RFC 9110 section 13.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `*`: whichever generation there is.
    Any,
    /// One of these entity tags, unquoted; weak ones match nothing and are left out.
    OneOf(Vec<String>),
}

/// What became of a PATCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patched {
    /// The candidates are noted.
    Noted,
    /// A new ICE generation began.
    Restarted {
        /// Our new credentials and one candidate, as a fragment.
        fragment: String,
        /// The new entity tag of the session, unquoted.
        ice_generation: String,
    },
}

/// Why a PATCH was not taken. The session goes on as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PatchError {
    /// There is no such session.
    #[error("there is no such session, or it has ended")]
    Gone,
    /// The condition names another generation, or the credentials are of an earlier one.
    #[error("this is about an earlier ICE generation of the session")]
    Stale,
    /// A restart is under way, or the ingest thread does not keep up.
    #[error("the session can't restart ICE now")]
    Busy,
    /// The restart failed.
    #[error("the session could not restart ICE with these credentials")]
    Failed,
}

/// The ICE generation in force.
#[derive(Debug)]
pub(super) struct Generation {
    /// Our user name, which is its entity tag.
    tag: String,
    theirs: Option<Credentials>,
    /// Their user names before, oldest first.
    earlier: Vec<String>,
    /// A restart has been asked of the ingest thread.
    restarting: bool,
    /// The lines that name the first section of the offer, which stands for the bundle (RFC 8840 section 4.4).
    section: String,
}

/// What a fragment means for a generation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Trickle,
    Restart(Credentials),
}

impl Generation {
    /// The first: `tag` answers `offer`.
    pub(super) fn first(tag: String, offer: &str) -> Generation {
        let first = |prefix: &str| offer.lines().find_map(|line| line.strip_prefix(prefix));
        let kind = first("m=").and_then(|media| media.split(' ').next()).unwrap_or("audio");
        let mid = first("a=mid:").map_or("0", str::trim_end);
        Generation {
            tag,
            theirs: Credentials::of_offer(offer),
            earlier: Vec::new(),
            restarting: false,
            section: format!("m={kind} 9 RTP/AVP 0\r\na=mid:{mid}\r\n"),
        }
    }

    /// What we say of this generation, with one candidate alone: there are clients that join several with commas.
    pub(super) fn fragment(&self, ours: &IceCreds, candidate: Option<SocketAddr>) -> String {
        let IceCreds { ufrag, pass } = ours;
        let mut text = format!(
            "a=ice-lite\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pass}\r\n{}",
            self.section
        );
        if let Some(Ok(candidate)) = candidate.map(|address| Candidate::host(address, "udp")) {
            text += &format!("a={}\r\na=end-of-candidates\r\n", candidate.to_sdp_string());
        }
        text
    }

    /// What the fragment means; when it is a restart, no other is begun before [`restarted`](Self::restarted) or
    /// [`failed`](Self::failed).
    pub(super) fn judge(&mut self, condition: &Condition, fragment: &Fragment) -> Result<Meaning, PatchError> {
        if matches!(condition, Condition::OneOf(tags) if !tags.contains(&self.tag)) {
            return Err(PatchError::Stale);
        }
        let Some(credentials) = fragment
            .credentials
            .as_ref()
            .filter(|c| self.theirs.as_ref() != Some(c))
        else {
            return Ok(Meaning::Trickle);
        };
        if self.earlier.contains(&credentials.ufrag) {
            return Err(PatchError::Stale);
        }
        if std::mem::replace(&mut self.restarting, true) {
            return Err(PatchError::Busy);
        }
        Ok(Meaning::Restart(credentials.clone()))
    }

    pub(super) fn restarted(&mut self, tag: String, theirs: Credentials) {
        if self.earlier.len() >= MAX_EARLIER {
            self.earlier.remove(0);
        }
        self.earlier.extend(self.theirs.replace(theirs).map(|old| old.ufrag));
        self.tag = tag;
        self.restarting = false;
    }

    pub(super) fn theirs(&self) -> Option<&Credentials> {
        self.theirs.as_ref()
    }

    pub(super) fn failed(&mut self) {
        self.restarting = false;
    }
}

/// Restarts ICE: new credentials on both sides, candidate pairs made anew, DTLS and everything above it going on. When it
/// fails, the old generation is in force again.
pub(super) fn restart(
    rtc: &mut Rtc,
    (offer, way): (&str, Way),
    old: Option<&Credentials>,
    new: &Credentials,
) -> Option<IceCreds> {
    let before = rtc.direct_api().local_ice_credentials();
    let answered = sdp::read_offer(&new.in_offer(offer), way).ok().and_then(|offer| {
        let accept = AssertUnwindSafe(|| rtc.sdp_api().accept_offer(offer).is_ok());
        catch_unwind(accept).ok().filter(|accepted| *accepted)
    });
    let after = rtc.direct_api().local_ice_credentials();
    if answered.is_some() && after != before {
        return Some(after);
    }
    let mut direct = rtc.direct_api();
    direct.set_local_ice_credentials(before);
    if let Some(old) = old {
        direct.set_remote_ice_credentials(creds(old));
    }
    None
}

fn creds(credentials: &Credentials) -> IceCreds {
    IceCreds {
        ufrag: credentials.ufrag.clone(),
        pass: credentials.password.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restart_with(ufrag: &str) -> Fragment {
        Fragment::parse(&format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:0123456789012345678901\r\n")).unwrap()
    }

    fn credentials(ufrag: &str) -> Credentials {
        restart_with(ufrag).credentials.unwrap()
    }

    #[test]
    fn a_fragment_means_what_its_credentials_and_its_condition_say() {
        let mut generation = Generation::first(
            "ours1".into(),
            &credentials("theirs1").in_offer("m=audio 9\na=mid:0\na=ice-ufrag:x\na=ice-pwd:x\n"),
        );
        let tag = |tag: &str| Condition::OneOf(vec!["x".into(), tag.into()]);
        let bare = Fragment {
            credentials: None,
            candidates: 1,
            complete: false,
        };
        assert_eq!(generation.judge(&Condition::Any, &bare), Ok(Meaning::Trickle));
        assert_eq!(
            generation.judge(&tag("ours1"), &restart_with("theirs1")),
            Ok(Meaning::Trickle)
        );
        assert_eq!(generation.judge(&tag("other"), &bare), Err(PatchError::Stale));
        assert_eq!(
            generation.judge(&Condition::OneOf(vec![]), &bare),
            Err(PatchError::Stale)
        );
        let second = Meaning::Restart(credentials("theirs2"));
        assert_eq!(generation.judge(&Condition::Any, &restart_with("theirs2")), Ok(second));
        assert_eq!(
            generation.judge(&Condition::Any, &restart_with("theirs3")),
            Err(PatchError::Busy)
        );
        generation.failed();
        let third = Meaning::Restart(credentials("theirs3"));
        assert_eq!(generation.judge(&tag("ours1"), &restart_with("theirs3")), Ok(third));
        generation.restarted("ours2".into(), credentials("theirs3"));
        assert_eq!(generation.judge(&tag("ours1"), &bare), Err(PatchError::Stale));
        // A late copy of what was said before.
        assert_eq!(
            generation.judge(&Condition::Any, &restart_with("theirs1")),
            Err(PatchError::Stale)
        );
        for i in 0..100 {
            let theirs = credentials(&format!("later{i}"));
            generation.restarted(format!("tag{i}"), theirs);
            assert!(generation.earlier.len() <= MAX_EARLIER);
        }
    }
}
