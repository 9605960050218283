//! SDP fragments (RFC 8840 section 9): what a client says of ICE after its offer. A pure parser of strangers' text.

use std::fmt;

use thiserror::Error;

/// The longest fragment read, in bytes: dozens of candidates.
pub const MAX_FRAGMENT: usize = 16 * 1024;

/// Candidates in one fragment; a machine with many interfaces has some twenty.
const MAX_CANDIDATES: usize = 64;

/// The names of a client's ICE agent (RFC 8839 section 5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(super) ufrag: String,
    pub(super) password: String,
}

impl fmt::Debug for Credentials {
    // Without the password: whoever knows it can take the session's packets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.ufrag)
    }
}

/// What a fragment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Whose candidates they are; other ones than before ask for an ICE restart.
    pub credentials: Option<Credentials>,
    /// How many candidates it names. An ICE-lite agent sends no checks, so it has no use for the candidates themselves.
    pub candidates: usize,
    /// There will be no more.
    pub complete: bool,
}

/// Why a text is not a fragment.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FragmentError {
    /// It is longer than [`MAX_FRAGMENT`], or names too many candidates.
    #[error("it has more than {MAX_FRAGMENT} bytes or {MAX_CANDIDATES} candidates")]
    TooLong,
    /// A line is not SDP, by its number from 1.
    #[error("line {0} is not SDP")]
    Line(usize),
    /// A candidate is not one (RFC 8839 section 5.1), by the number of its line from 1.
    #[error("the candidate of line {0} is broken")]
    Candidate(usize),
    /// User name or password are missing, of a wrong length or form, or differ between sections.
    #[error("a=ice-ufrag and a=ice-pwd go together, the same for all sections, with 4 and 22 characters or more")]
    Credentials,
    /// It says nothing of ICE.
    #[error("it holds neither candidates nor credentials")]
    Empty,
}

impl Fragment {
    /// Reads a fragment. User name and password may stand before the first `m=` line or after it: clients differ.
    pub fn parse(text: &str) -> Result<Fragment, FragmentError> {
        if text.len() > MAX_FRAGMENT {
            return Err(FragmentError::TooLong);
        }
        let mut fragment = Fragment {
            credentials: None,
            candidates: 0,
            complete: false,
        };
        let (mut ufrag, mut password) = (None, None);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            if !line.is_char_boundary(2) || line.as_bytes().get(1) != Some(&b'=') || !line.is_char_boundary(1) {
                return Err(FragmentError::Line(number));
            }
            if let Some(value) = line.strip_prefix("a=ice-ufrag:") {
                same(&mut ufrag, value)?;
            } else if let Some(value) = line.strip_prefix("a=ice-pwd:") {
                same(&mut password, value)?;
            } else if let Some(value) = line.strip_prefix("a=candidate:") {
                if !is_candidate(value) {
                    return Err(FragmentError::Candidate(number));
                }
                fragment.candidates += 1;
            } else if line == "a=end-of-candidates" {
                fragment.complete = true;
            }
        }
        fragment.credentials = match (ufrag, password) {
            (None, None) => None,
            (Some(ufrag), Some(password)) => Some(Credentials::new(ufrag, password)?),
            _ => return Err(FragmentError::Credentials),
        };
        match fragment {
            Fragment { candidates, .. } if candidates > MAX_CANDIDATES => Err(FragmentError::TooLong),
            Fragment {
                credentials: None,
                candidates: 0,
                complete: false,
            } => Err(FragmentError::Empty),
            fragment => Ok(fragment),
        }
    }
}

impl Credentials {
    fn new(ufrag: &str, password: &str) -> Result<Credentials, FragmentError> {
        let ice_char = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'-' | b'_' | b'=');
        let good = |text: &str, least: usize| (least..=256).contains(&text.len()) && text.bytes().all(ice_char);
        if !good(ufrag, 4) || !good(password, 22) {
            return Err(FragmentError::Credentials);
        }
        Ok(Credentials {
            ufrag: ufrag.to_owned(),
            password: password.to_owned(),
        })
    }

    /// Those of an offer: bundled sections share them. None where str0m, which reads it too, finds some that we do not.
    pub(super) fn of_offer(offer: &str) -> Option<Credentials> {
        let first = |prefix: &str| offer.lines().find_map(|line| line.strip_prefix(prefix));
        Credentials::new(first("a=ice-ufrag:")?.trim_end(), first("a=ice-pwd:")?.trim_end()).ok()
    }

    /// The offer with these in place of its own, and without its candidates.
    pub(super) fn in_offer(&self, offer: &str) -> String {
        let mut text = String::with_capacity(offer.len());
        for line in offer.lines().map(str::trim_end) {
            match line {
                _ if line.starts_with("a=candidate:") || line == "a=end-of-candidates" => continue,
                _ if line.starts_with("a=ice-ufrag:") => text.extend(["a=ice-ufrag:", &self.ufrag]),
                _ if line.starts_with("a=ice-pwd:") => text.extend(["a=ice-pwd:", &self.password]),
                _ => text.push_str(line),
            }
            text.push_str("\r\n");
        }
        text
    }
}

fn same<'a>(known: &mut Option<&'a str>, value: &'a str) -> Result<(), FragmentError> {
    match *known.get_or_insert(value) == value {
        true => Ok(()),
        false => Err(FragmentError::Credentials),
    }
}

/// Whether it has the form of a candidate; transports and names that we do not know are let pass, and passed over (RFC
/// 9725 section 4.3.2).
fn is_candidate(value: &str) -> bool {
    let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
    let [foundation, component, transport, priority, address, port, typ, kind, ..] = words[..] else {
        return false;
    };
    (1..=32).contains(&foundation.len())
        && component
            .parse::<u16>()
            .is_ok_and(|component| (1..=256).contains(&component))
        && !transport.is_empty()
        && priority.parse::<u32>().is_ok()
        && address.len() <= 255
        && port.parse::<u16>().is_ok()
        && typ == "typ"
        && !kind.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9725, figure 4, with the user name before `m=`.
    const TRICKLE: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
        a=candidate:3471623853 1 udp 2122194687 3a5b.local 61765 typ host generation 0 ufrag EsAw network-id 2\r\n\
        a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw\r\n\
        a=end-of-candidates\r\n";

    fn credentials() -> Credentials {
        Credentials::new("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1").unwrap()
    }

    #[test]
    fn candidates_and_credentials_are_read_before_and_after_the_media_line() {
        let whole = Fragment {
            credentials: Some(credentials()),
            candidates: 3,
            complete: true,
        };
        assert_eq!(Fragment::parse(TRICKLE), Ok(whole.clone()));
        let lines: Vec<&str> = TRICKLE.lines().collect();
        let after = [&lines[2..4], &lines[..2], &lines[4..]].concat().join("\n");
        assert_eq!(Fragment::parse(&after), Ok(whole));
        let restart = lines[..2].join("\r\n");
        let parsed = Fragment::parse(&restart).unwrap();
        assert_eq!(
            (parsed.credentials, parsed.candidates, parsed.complete),
            (Some(credentials()), 0, false)
        );
        assert!(!format!("{:?}", credentials()).contains("P2uY"));
    }

    #[test]
    fn what_is_broken_is_named() {
        let broken = |text: &str| Fragment::parse(text).expect_err(text);
        assert_eq!(broken(""), FragmentError::Empty);
        assert_eq!(broken("m=audio 9 RTP/AVP 0\r\na=mid:0\r\n"), FragmentError::Empty);
        assert_eq!(broken("hello"), FragmentError::Line(1));
        assert_eq!(broken("a=mid:0\r\n{\"candidate\":1}"), FragmentError::Line(2));
        assert_eq!(
            broken("a=candidate:1 1 udp x 192.0.2.1 9 typ host"),
            FragmentError::Candidate(1)
        );
        assert_eq!(broken("a=ice-ufrag:EsAw"), FragmentError::Credentials);
        assert_eq!(broken("a=ice-ufrag:EsAw\na=ice-pwd:short"), FragmentError::Credentials);
        let two = format!("{TRICKLE}a=ice-ufrag:Other\r\n");
        assert_eq!(broken(&two), FragmentError::Credentials);
        assert_eq!(broken(&"a=x\n".repeat(10_000)), FragmentError::TooLong);
        let many = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\n".repeat(MAX_CANDIDATES + 1);
        assert_eq!(broken(&many), FragmentError::TooLong);
    }

    #[test]
    fn mutations_never_panic_and_what_is_accepted_is_within_its_bounds() {
        let mut random = fastrand::Rng::with_seed(17);
        let mut accepted = 0;
        for _ in 0..50_000 {
            let mut bytes = TRICKLE.as_bytes().to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..bytes.len());
                match random.u8(..4) {
                    0 => bytes[at] = random.u8(..),
                    1 => drop(bytes.splice(at..at, "é\r\n=:a".bytes().take(random.usize(..7)))),
                    2 => drop(bytes.drain(at..(at + random.usize(..40)).min(bytes.len()))),
                    _ => bytes.truncate(at.max(1)),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            let text = String::from_utf8_lossy(&bytes);
            if let Ok(fragment) = Fragment::parse(&text) {
                accepted += 1;
                assert!(fragment.candidates <= 3);
                let long = |c: &Credentials| c.ufrag.len() >= 4 && c.password.len() >= 22;
                assert!(fragment.credentials.as_ref().is_none_or(long));
            }
        }
        assert!(accepted > 1_000, "the mutations are not all broken: {accepted}");
    }

    #[test]
    fn an_offer_gets_other_credentials_and_loses_its_candidates() {
        let offer = format!("v=0\r\ns=-\r\n{TRICKLE}a=sendonly\r\n");
        assert_eq!(Credentials::of_offer(&offer), Some(credentials()));
        let other = Credentials::new("other", "0123456789012345678901").unwrap();
        let changed = other.in_offer(&offer);
        assert_eq!(Credentials::of_offer(&changed), Some(other));
        assert!(!changed.contains("candidate") && changed.ends_with("a=sendonly\r\n"));
        assert_eq!(Credentials::of_offer("v=0"), None);
    }
}
