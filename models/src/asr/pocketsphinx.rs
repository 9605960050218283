//! PocketSphinx 5.1 (BSD licence): small, embedded, quick, English, and weak. It may end its process on a fatal error,
//! so it runs in worker processes of its own.

#[allow(unsafe_code)]
mod decoder;
mod means;
#[allow(unsafe_code)]
pub mod own;
mod pool;
mod protocol;
mod session;
#[allow(unsafe_code)]
mod sys;
pub mod worker;
mod workers;

pub use pool::{Config, Crew, Pool, Refused};
pub use session::PocketSphinx;
pub use workers::Memory;

use std::path::Path;

use crate::files::{BadFile, Magic, verify};

/// Reads `bytes` as a worker reads its parent and as its parent reads it: what the fuzzer may see of the protocol.
#[doc(hidden)]
pub fn read_messages(bytes: &[u8]) {
    let mut requests = bytes;
    while let Ok(Some(_)) = protocol::read(&mut requests, protocol::Request::parse) {}
    let mut replies = bytes;
    while let Ok(Some(_)) = protocol::read(&mut replies, protocol::Reply::parse) {}
}

/// Sound per request when on time: 64 ms, so that a word waits little.
const PORTION_MS: i64 = 64;

/// Whether the model in `folder` has all its files and each begins as it should. Quick: does not read them whole.
pub fn verify_model(folder: &Path) -> Result<(), BadFile> {
    const S3: Magic = Magic::OneOf(&[b"s3\n", b"s3\r"]);
    const MDEF: Magic = Magic::OneOf(&[b"BMDF", b"FDMB", b"0.3", b"#"]);
    const LM: Magic = Magic::OneOf(&[b"Trie Language Model", b"Darpa Trigram LM", b"\\data\\"]);
    verify(&folder.join("en-us/mdef"), MDEF, 1 << 10)?;
    for name in ["means", "variances", "transition_matrices", "sendump"] {
        let magic = if name == "sendump" { Magic::Any } else { S3 };
        verify(&folder.join("en-us").join(name), magic, 1 << 10)?;
    }
    verify(&folder.join("en-us/feat.params"), Magic::Any, 16)?;
    verify(&folder.join("en-us/noisedict"), Magic::Any, 16)?;
    verify(&folder.join("cmudict-en-us.dict"), Magic::Any, 1 << 10)?;
    verify(&folder.join("en-us.lm.bin"), LM, 1 << 10)
}
