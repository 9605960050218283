//! STUN and TURN servers that clients are told of, by `Link` (RFC 9725 section 4.6).

use std::time::Duration;

use aws_lc_rs::hmac;
use axum::http::HeaderValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The servers, and how clients log in to the relaying ones.
#[derive(Clone, Debug, Default)]
pub struct IceServers {
    /// Addresses, RFC 7064 and RFC 7065.
    pub servers: Vec<String>,
    /// For TURN; STUN asks for nothing.
    pub login: Login,
}

/// How clients log in to TURN servers.
#[derive(Clone, Default)]
pub enum Login {
    /// Not at all.
    #[default]
    None,
    /// All alike.
    Password {
        /// The user name.
        username: String,
        /// The password.
        credential: String,
    },
    /// Each with a name that expires and a password made from it: the TURN REST scheme, which coturn calls `use-auth-secret`.
    Secret {
        /// Shared with the TURN servers.
        secret: Vec<u8>,
        /// How long a name is good for.
        lifetime: Duration,
    },
}

impl std::fmt::Debug for Login {
    // Without passwords and secrets: settings are shown and logged.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Login::None => "None",
            Login::Password { .. } => "Password",
            Login::Secret { .. } => "Secret",
        })
    }
}

impl IceServers {
    /// One `Link` value per server, for a user, at a time since 1970.
    pub(super) fn links(&self, user: Option<&str>, unix: Duration) -> Vec<HeaderValue> {
        let login = match &self.login {
            Login::None => None,
            Login::Password { username, credential } => Some((username.clone(), credential.clone())),
            Login::Secret { secret, lifetime } => Some(temporary(secret, user, unix + *lifetime)),
        };
        let link = |server: &String| {
            let mut text = format!("<{server}>; rel=\"ice-server\"");
            if let Some((username, credential)) = login.as_ref().filter(|_| server.starts_with("turn")) {
                let (username, credential) = (quoted(username), quoted(credential));
                text +=
                    &format!("; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\"");
            }
            HeaderValue::from_str(&text).ok()
        };
        self.servers.iter().filter_map(link).collect()
    }
}

/// The name is `expiry:user`, the password base64 of its HMAC-SHA1 (draft-uberti-behave-turn-rest-00 section 2.2).
fn temporary(secret: &[u8], user: Option<&str>, expiry: Duration) -> (String, String) {
    let username = format!("{}:{}", expiry.as_secs(), user.unwrap_or("guest"));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let credential = BASE64_STANDARD.encode(hmac::sign(&key, username.as_bytes()));
    (username, credential)
}

/// The inside of a quoted string (RFC 9110 section 5.6.4).
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(login: Login, user: Option<&str>) -> Vec<String> {
        let servers = ["stun:s.example", "turn:t.example:3478?transport=udp"].map(str::to_owned);
        let ice = IceServers {
            servers: servers.to_vec(),
            login,
        };
        let unix = Duration::from_secs(1_800_000_000);
        let texts = ice.links(user, unix).into_iter();
        texts.map(|link| link.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_password_is_told_for_turn_alone_and_quoted() {
        let login = Login::Password {
            username: "me".into(),
            credential: "a\"b\\c".into(),
        };
        assert!(!format!("{login:?}").contains("a\""));
        assert_eq!(
            links(login, None),
            [
                r#"<stun:s.example>; rel="ice-server""#,
                r#"<turn:t.example:3478?transport=udp>; rel="ice-server"; username="me"; credential="a\"b\\c"; credential-type="password""#,
            ]
        );
        assert!(!links(Login::None, None).join("").contains("credential"));
    }

    #[test]
    fn a_secret_makes_names_that_expire_and_passwords_as_coturn_does() {
        let login = || Login::Secret {
            secret: b"north".to_vec(),
            lifetime: Duration::from_secs(600),
        };
        // printf 1800000600:alice | openssl dgst -sha1 -hmac north -binary | base64
        let alice = links(login(), Some("alice"));
        assert!(
            alice[1].contains(r#"username="1800000600:alice"; credential="8ZET7dsUGGXZ8WEDxmkDf0cN13Y=";"#),
            "{alice:?}"
        );
        assert!(links(login(), None)[1].contains("1800000600:guest"));
    }
}
