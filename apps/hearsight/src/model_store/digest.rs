//! Digests of files: SHA-256, and what git calls a blob, by which hubs know small files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// Of a SHA-256 digest.
pub(super) const SHA256_BYTES: usize = 32;
/// Of the digest of a git blob.
pub(super) const GIT_BYTES: usize = 20;

/// What a file's content must hash to, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    /// SHA-256 of the content.
    Sha256(String),
    /// SHA-1 of `blob`, the size, NUL and the content: what git names a file by that is not in large file storage. It tells
    /// damage; against malice it is as weak as SHA-1, and so is the commit that pins it.
    GitBlob(String),
}

/// What was computed of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Computed {
    pub(super) size: u64,
    pub(super) sha256: String,
    git: String,
}

impl Computed {
    /// Whether this is the file that `digest` is of.
    pub(super) fn matches(&self, digest: &Digest) -> bool {
        match digest {
            Digest::Sha256(hex) => *hex == self.sha256,
            Digest::GitBlob(hex) => *hex == self.git,
        }
    }

    /// Reads a file from its first byte to its last.
    pub(super) fn of(path: &Path) -> io::Result<Computed> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut sha256 = Context::new(&SHA256);
        let mut git = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        git.update(format!("blob {size}\0").as_bytes());
        let mut buffer = vec![0; 1 << 20];
        let mut read = 0;
        loop {
            let part = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(bytes) => &buffer[..bytes],
                Err(problem) if problem.kind() == io::ErrorKind::Interrupted => continue,
                Err(problem) => return Err(problem),
            };
            sha256.update(part);
            git.update(part);
            read += part.len() as u64;
        }
        Ok(Computed {
            size: read,
            sha256: hex(sha256.finish().as_ref()),
            git: hex(git.finish().as_ref()),
        })
    }
}

/// In lower case.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether it is the hexadecimal of so many bytes, in lower case.
pub(super) fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2's example for SHA-256; for git, what `git hash-object` prints of the same three letters.
    #[test]
    fn digests_are_those_of_the_standards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let computed = Computed::of(&path).unwrap();
        assert_eq!(computed.size, 3);
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(computed.matches(&Digest::Sha256(sha256.into())));
        assert!(computed.matches(&Digest::GitBlob("f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f".into())));
        assert!(!computed.matches(&Digest::GitBlob(sha256.into())));
        assert!(is_hex(sha256, SHA256_BYTES) && !is_hex(&sha256.to_uppercase(), SHA256_BYTES));
    }
}
