//! Bearer tokens (RFC 6750): whose each is, and which streams it may publish and watch. The file holds digests, never a token.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use thiserror::Error;

/// Thousands of tokens.
const MAX_FILE: u64 = 1 << 20;

/// The longest token looked at; ours have 64 characters.
const MAX_TOKEN: usize = 512;

/// Every token that is good.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    all: Vec<Token>,
}

/// One token's user, and what it may publish and watch.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) user: Arc<str>,
    digest: [u8; 32],
    /// Names, or beginnings followed by `*`; none: every stream.
    streams: Option<Vec<String>>,
    /// Likewise, what it may only watch.
    watch: Vec<String>,
}

/// Why a file of tokens can't be used. No message quotes the file: it might hold a token by mistake.
#[derive(Debug, Error)]
pub enum TokensError {
    /// It can't be read.
    #[error("can't read the tokens {}: {source}; let this user read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what `hearsight token` prints.
    #[error("can't use the tokens {}: {problem}; `hearsight token USER` prints a valid entry", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    user: String,
    sha256: String,
    streams: Option<Vec<String>>,
    #[serde(default)]
    watch: Vec<String>,
}

impl Tokens {
    /// Reads a file of tokens.
    pub fn read(path: &Path) -> Result<Tokens, TokensError> {
        let read = || {
            let mut text = String::new();
            std::fs::File::open(path)?
                .take(MAX_FILE + 1)
                .read_to_string(&mut text)?;
            if text.len() as u64 > MAX_FILE {
                return Err(io::Error::other("it is longer than 1 MiB"));
            }
            Ok(text)
        };
        let path = || path.to_path_buf();
        let text = read().map_err(|source| TokensError::Unreadable { path: path(), source })?;
        Tokens::parse(&text).map_err(|problem| TokensError::Invalid { path: path(), problem })
    }

    fn parse(text: &str) -> Result<Tokens, String> {
        let file: File = toml::from_str(text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("line {}: {}", 1 + before.matches('\n').count(), error.message())
        })?;
        let tokens = file.token.into_iter().enumerate().map(|(number, entry)| {
            let at = |problem: &str| format!("token {}: {problem}", number + 1);
            check_user(&entry.user).map_err(at)?;
            check_streams(entry.streams.as_deref().unwrap_or_default()).map_err(at)?;
            check_streams(&entry.watch).map_err(at)?;
            let digest = digest_from_hex(&entry.sha256).ok_or_else(|| at("sha256 has 64 hexadecimal digits"))?;
            Ok(Token {
                user: entry.user.into(),
                digest,
                streams: entry.streams,
                watch: entry.watch,
            })
        });
        Ok(Tokens {
            all: tokens.collect::<Result<_, String>>()?,
        })
    }

    /// The entry of a token that was shown. How long it takes tells nothing about the entries.
    pub(super) fn find(&self, shown: &str) -> Option<&Token> {
        if shown.len() > MAX_TOKEN {
            return None;
        }
        let shown = digest(&SHA256, shown.as_bytes());
        let mut found = None;
        for token in &self.all {
            if verify_slices_are_equal(&token.digest, shown.as_ref()).is_ok() {
                found = Some(token);
            }
        }
        found
    }
}

impl Token {
    /// Whether it may publish a stream.
    pub(super) fn may_publish(&self, stream: &str) -> bool {
        self.streams.as_ref().is_none_or(|patterns| fits(patterns, stream))
    }

    /// Whether it may watch a stream.
    pub(super) fn may_watch(&self, stream: &str) -> bool {
        self.may_publish(stream) || fits(&self.watch, stream)
    }
}

fn fits(patterns: &[String], stream: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => stream.starts_with(beginning),
        None => pattern == stream,
    })
}

/// A new token, and its entry for the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// What the user shows: 256 random bits.
    pub token: String,
    /// The lines for the file.
    pub entry: String,
}

/// Makes a token for a user, who may publish and watch `streams`, and only watch those of `watch`; without either, publish
/// every one. The error says what is wrong with the arguments.
pub fn create(user: &str, streams: &[String], watch: &[String]) -> Result<Created, String> {
    check_user(user)?;
    check_streams(streams)?;
    check_streams(watch)?;
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random numbers: {error}"))?;
    let token = hex(&bytes);
    let mut entry = format!(
        "[[token]]\nuser = \"{user}\"\nsha256 = \"{}\"\n",
        hex(digest(&SHA256, token.as_bytes()).as_ref())
    );
    let quoted = |streams: &[String]| {
        streams
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !streams.is_empty() || !watch.is_empty() {
        entry += &format!("streams = [{}]\n", quoted(streams));
    }
    if !watch.is_empty() {
        entry += &format!("watch = [{}]\n", quoted(watch));
    }
    Ok(Created { token, entry })
}

fn check_user(user: &str) -> Result<(), &'static str> {
    // A user's name becomes part of TURN user names, where a colon parts it from a time.
    let good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-' | b'@' | b'+');
    match (1..=64).contains(&user.len()) && user.bytes().all(good) {
        true => Ok(()),
        false => Err("a user's name has 1 to 64 letters, digits and . _ - @ +"),
    }
}

fn check_streams(streams: &[String]) -> Result<(), &'static str> {
    let good = |pattern: &String| {
        let name = pattern.strip_suffix('*').unwrap_or(pattern);
        pattern.len() <= 128 && !pattern.is_empty() && name.bytes().all(is_of_stream_name)
    };
    match streams.iter().all(good) {
        true => Ok(()),
        false => Err("a stream is a name of letters, digits and . _ - ~, or the beginning of one and a *"),
    }
}

/// Whether a stream's name may have this character: those that need no escape in an address (RFC 3986 section 2.3).
pub(super) fn is_of_stream_name(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-' | b'~')
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest_from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0u8; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        let digits = text.get(at..at + 2).filter(|digits| !digits.starts_with('+'))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_made_is_found_by_what_its_user_shows_and_by_nothing_else() {
        let streams = ["me".to_owned(), "lab-*".to_owned()];
        let alice = create("alice", &streams, &["news".to_owned()]).unwrap();
        let bob = create("bob@example", &[], &[]).unwrap();
        let tokens = Tokens::parse(&format!("{}\n{}", alice.entry, bob.entry)).unwrap();
        assert!(!format!("{}{}", alice.entry, bob.entry).contains(&alice.token));
        let found = tokens.find(&alice.token).expect("hers");
        assert_eq!(&*found.user, "alice");
        let may = |stream: &str| found.may_publish(stream);
        assert!(may("me") && may("lab-") && may("lab-7") && !may("lab") && !may("mine") && !may("*"));
        assert!(found.may_watch("me") && found.may_watch("news") && !may("news") && !found.may_watch("new"));
        let eve = create("eve", &[], &["news".to_owned()]).unwrap();
        let eves = Tokens::parse(&eve.entry).unwrap();
        let eves = eves.find(&eve.token).expect("hers");
        assert!(eves.may_watch("news") && !eves.may_publish("news") && !eves.may_watch("me"));
        let found = tokens.find(&bob.token).expect("his");
        assert!(&*found.user == "bob@example" && found.may_publish("anything"));
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let mut other = alice.token.clone().into_bytes();
            let at = random.usize(..other.len());
            other[at] = random.alphanumeric() as u8;
            let other = String::from_utf8(other).unwrap();
            assert_eq!(tokens.find(&other).is_some(), other == alice.token, "{other}");
        }
        assert!(tokens.find("").is_none() && tokens.find(&"a".repeat(1_000_000)).is_none());
    }

    #[test]
    fn a_file_that_is_not_right_is_refused_with_its_place_and_without_its_content() {
        let refused = |text: &str| Tokens::parse(text).expect_err(text);
        assert!(refused("[[token]]\nuser = \"a\"\n").contains("sha256"));
        let long = "0".repeat(64);
        assert!(refused(&format!("[[token]]\nuser = \"a b\"\nsha256 = \"{long}\"\n")).contains("token 1"));
        assert!(refused(&format!("\n[[token]]\nuser = \"a\"\nsha265 = \"{long}\"\n")).starts_with("line 4"));
        let secret = refused("[[token]]\nuser = \"a\"\nsha256 = \"hunter2\"\n");
        assert!(
            secret.contains("64 hexadecimal") && !secret.contains("hunter2"),
            "{secret}"
        );
        let odd = format!("[[token]]\nuser = \"a\"\nsha256 = \"{long}\"\nstreams = [\"a*b\"]\n");
        assert!(refused(&odd).contains("stream"));
        assert!(Tokens::parse("").unwrap().all.is_empty(), "nobody may come in");
        assert!(create("", &[], &[]).is_err() && create("a:b", &[], &[]).is_err());
        for (streams, watch) in [(vec!["x\"".to_owned()], vec![]), (vec![], vec!["x\"".to_owned()])] {
            assert!(create("a", &streams, &watch).is_err());
        }
        let missing = Tokens::read(Path::new("no/such/file"))
            .expect_err("missing")
            .to_string();
        assert!(missing.contains("no/such/file"), "{missing}");
    }
}
