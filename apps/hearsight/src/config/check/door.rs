//! The door: addresses that suit each other, limits, tokens, and servers for peers behind routers.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;

use super::checked::Checked;
use super::{NOT_AN_ADDRESS, WRITE_AN_ADDRESS};
use crate::config::{Access, ConfigError, Ice, IceLogin, Limits, Listen};

pub(super) fn listen(checked: &Checked<'_>, variables: &[(String, String)]) -> Result<Listen, ConfigError> {
    let (http, https, udp) = addresses(checked)?;
    let problem = "it is not an IP address";
    let remedy = "write one without a port, such as \"203.0.113.7\"";
    let public_address: Option<IpAddr> = checked.parsed("listen.public_address", problem, remedy)?;
    if public_address.is_some_and(|address| address.is_unspecified() || address.is_multicast()) {
        let remedy = "write the address that browsers use";
        return Err(checked.refusal("listen.public_address", "nobody can be reached there", remedy));
    }
    const PEM: &str = "name a PEM file that this user can read, or leave it empty";
    let certificate = match (
        checked.file("listen.certificate", PEM)?,
        checked.file("listen.key", PEM)?,
    ) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            let problem = "the certificate's private key is missing";
            return Err(checked.refusal("listen.key", problem, "name its PEM file"));
        }
        (None, Some(_)) => {
            let problem = "the key's certificate is missing";
            return Err(checked.refusal("listen.certificate", problem, "name its PEM file"));
        }
    };
    let state = checked.path("listen.state")?.unwrap_or_else(|| state_folder(variables));
    Ok(Listen {
        http,
        https,
        udp,
        public_address,
        certificate,
        state,
    })
}

/// The HTTP, HTTPS and media addresses, which must suit each other.
type Addresses = (Option<SocketAddr>, Option<SocketAddr>, SocketAddr);

fn addresses(checked: &Checked<'_>) -> Result<Addresses, ConfigError> {
    let http: Option<SocketAddr> = checked.parsed("listen.http", NOT_AN_ADDRESS, WRITE_AN_ADDRESS)?;
    let https: Option<SocketAddr> = checked.parsed("listen.https", NOT_AN_ADDRESS, WRITE_AN_ADDRESS)?;
    let udp: Option<SocketAddr> = checked.parsed("listen.udp", NOT_AN_ADDRESS, WRITE_AN_ADDRESS)?;
    let Some(udp) = udp else {
        return Err(checked.refusal("listen.udp", "without it no media can arrive", WRITE_AN_ADDRESS));
    };
    if http.is_some_and(|address| !address.ip().is_loopback()) {
        let problem = "plain HTTP is offered to this machine only, since browsers give a camera to secure pages alone";
        let remedy = "use a loopback address here, and listen.https for other machines";
        return Err(checked.refusal("listen.http", problem, remedy));
    }
    if http.is_none() && https.is_none() {
        let remedy = "set listen.http or listen.https";
        return Err(checked.refusal("listen.http", "there is no address to serve on", remedy));
    }
    if https.is_some_and(|address| !address.ip().is_loopback()) && udp.ip().is_loopback() {
        let problem = "browsers on other machines, which listen.https admits, could not send to it";
        let remedy = "use \"0.0.0.0:8189\", or the address that listen.https has";
        return Err(checked.refusal("listen.udp", problem, remedy));
    }
    Ok((http, https, udp))
}

pub(super) fn limits(checked: &Checked<'_>) -> Result<Limits, ConfigError> {
    let some = |key: &str, most: usize| Ok::<_, ConfigError>(NonZeroUsize::new(checked.integer(key, 0..=most)?));
    Ok(Limits {
        sessions: checked.integer("limits.sessions", 1..=1000)?,
        sessions_per_user: some("limits.sessions_per_user", 1000)?,
        sessions_per_address: some("limits.sessions_per_address", 1000)?,
        viewers: checked.integer("limits.viewers", 1..=1000)?,
        viewers_per_user: some("limits.viewers_per_user", 1000)?,
        viewers_per_address: some("limits.viewers_per_address", 1000)?,
        offers_per_minute: some("limits.offers_per_minute", 100_000)?,
        connections_per_address: some("limits.connections_per_address", 10_000)?,
        connect: Duration::from_secs(checked.integer("limits.connect_s", 1..=120)? as u64),
    })
}

pub(super) fn access(checked: &Checked<'_>) -> Result<Access, ConfigError> {
    const ELSEWHERE: &str = "access.elsewhere";
    const REMEDY: &str = "write one such as \"https://other.example\"";
    let elsewhere: Option<Uri> = checked.parsed(ELSEWHERE, "it is not an address", REMEDY)?;
    let elsewhere = match elsewhere {
        Some(uri) if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() => {
            return Err(checked.refusal(ELSEWHERE, "it is not the address of a web server", REMEDY));
        }
        uri => uri.map(|uri| uri.to_string().trim_end_matches('/').to_owned()),
    };
    let tokens = checked.file(
        "access.tokens",
        "make it with `hearsight token USER`, or leave it empty",
    )?;
    Ok(Access { tokens, elsewhere })
}

pub(super) fn ice(checked: &Checked<'_>) -> Result<Ice, ConfigError> {
    let servers = checked.texts("ice.servers");
    if servers.len() > 8 || !servers.iter().all(|server| is_ice_server(server)) {
        return Err(checked.refusal(
            "ice.servers",
            "not all are STUN or TURN addresses, or there are more than 8",
            "write them like \"stun:stun.example:3478\" or \"turns:turn.example:5349?transport=tcp\"",
        ));
    }
    let username = checked.text("ice.username")?;
    // It is written into a header, and `:` parts it from a time of expiry.
    if !username.bytes().all(|c| c.is_ascii_graphic() && c != b':') {
        return Err(checked.refusal(
            "ice.username",
            "it holds odd characters",
            "use letters, digits and signs, no colon",
        ));
    }
    const FILE: &str = "name a file that holds it, or leave it empty";
    let credential = checked.file("ice.credential", FILE)?;
    let secret = checked.file("ice.secret", FILE)?;
    let lifetime = Duration::from_secs(checked.integer("ice.lifetime_s", 60..=604_800)? as u64);
    let login = match (username, credential, secret) {
        ("", None, None) => IceLogin::None,
        ("", None, Some(secret)) => IceLogin::Secret { secret, lifetime },
        ("", Some(_), _) => {
            return Err(checked.refusal("ice.username", "the credential's user is missing", "write it"));
        }
        (_, None, None) => {
            return Err(checked.refusal(
                "ice.credential",
                "the user's password is missing",
                "name the file that holds it",
            ));
        }
        (_, _, Some(_)) => {
            let problem = "there is a user name as well, and one of them is enough";
            return Err(checked.refusal(
                "ice.secret",
                problem,
                "leave ice.username and ice.credential empty, or this",
            ));
        }
        (username, Some(credential), None) => IceLogin::Password {
            username: username.to_owned(),
            credential,
        },
    };
    if login == IceLogin::None && servers.iter().any(|server| server.starts_with("turn")) {
        let problem = "TURN servers ask for a name and a password";
        return Err(checked.refusal(
            "ice.servers",
            problem,
            "set ice.secret, or ice.username and ice.credential",
        ));
    }
    Ok(Ice { servers, login })
}

/// Whether it is a STUN or TURN address (RFC 7064, RFC 7065) that can stand in a header.
fn is_ice_server(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let (host, query) = rest
        .split_once('?')
        .map_or((rest, None), |(host, query)| (host, Some(query)));
    let relays = matches!(scheme, "turn" | "turns");
    let host_like = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b':' | b'[' | b']');
    (relays || matches!(scheme, "stun" | "stuns"))
        && (1..=255).contains(&host.len())
        && host.bytes().all(host_like)
        && query.is_none_or(|query| relays && matches!(query, "transport=udp" | "transport=tcp"))
}

/// systemd's folder for the service, else the XDG base directory specification's for the user.
fn state_folder(variables: &[(String, String)]) -> PathBuf {
    let variable = |name: &str| {
        let (_, value) = variables
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())?;
        Some(PathBuf::from(value))
    };
    variable("STATE_DIRECTORY")
        .or_else(|| variable("XDG_STATE_HOME").map(|home| home.join("hearsight")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/state/hearsight")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/hearsight"))
}
