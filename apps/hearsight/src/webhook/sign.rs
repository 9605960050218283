//! Signatures as Standard Webhooks 1.0 has them: HMAC-SHA256 over the id, the time and the body, in base64.

use std::fmt;
use std::path::Path;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// How a secret is written begins so.
const PREFIX: &str = "whsec_";
/// Bytes that a secret has (Standard Webhooks, "Signature scheme").
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// No secret's file is longer.
const LONGEST_FILE: u64 = 4096;

/// Why a secret can't be used. The text names the file and the remedy, and never what the file holds.
#[derive(Debug, Error)]
pub enum BadSecret {
    /// The file can't be read.
    #[error(
        "can't read the webhook's secret {path}: {source}; name a file that this user can read with webhook.secret"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error(
        "{path} holds no webhook secret: write whsec_ and 24 to 64 bytes in base64, such as \
         \"whsec_$(openssl rand -base64 32)\""
    )]
    Malformed {
        /// The file.
        path: String,
    },
}

/// What signs.
pub struct Secret(hmac::Key);

impl Secret {
    /// Reads a secret's file.
    pub fn read(path: &Path) -> Result<Secret, BadSecret> {
        use std::io::Read;
        let shown = path.display().to_string();
        let mut text = String::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(LONGEST_FILE).read_to_string(&mut text));
        match read {
            Ok(_) => Secret::parse(&text).ok_or(BadSecret::Malformed { path: shown }),
            Err(source) => Err(BadSecret::Unreadable { path: shown, source }),
        }
    }

    /// Reads a secret as its file holds it.
    pub fn parse(text: &str) -> Option<Secret> {
        let bytes = STANDARD.decode(text.trim().strip_prefix(PREFIX)?).ok()?;
        BYTES
            .contains(&bytes.len())
            .then(|| Secret(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of the header `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_signed_as_there() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        let short = STANDARD.encode([7; 23]);
        let long = STANDARD.encode([7; 65]);
        for text in [
            "",
            "whsec_",
            "hunter2",
            "whsec_***",
            &format!("whsec_{short}"),
            &format!("whsec_{long}"),
        ] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hunter2").unwrap();
        let error = Secret::read(&path).unwrap_err().to_string();
        assert!(error.contains("openssl") && !error.contains("hunter2"), "{error}");
        let error = Secret::read(&folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("webhook.secret"), "{error}");
    }
}
