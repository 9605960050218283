//! The door: where the server is reached, who may come in, and how many.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Addresses and certificates.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Plain HTTP, always a loopback address.
    pub http: Option<SocketAddr>,
    /// HTTPS.
    pub https: Option<SocketAddr>,
    /// The one socket for all media.
    pub udp: SocketAddr,
    /// Where browsers reach this machine, when it is not one of its own addresses.
    pub public_address: Option<IpAddr>,
    /// Certificate chain and private key, both PEM files; none: one is made and kept in `state`.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Folder for what must outlive a restart; it may not exist yet.
    pub state: PathBuf,
}

/// What a stranger may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Sessions at a time.
    pub sessions: usize,
    /// Sessions at a time of one user; none: no limit of its own.
    pub sessions_per_user: Option<NonZeroUsize>,
    /// Sessions at a time from one address; none: no limit of its own.
    pub sessions_per_address: Option<NonZeroUsize>,
    /// Viewers at a time.
    pub viewers: usize,
    /// Viewers at a time of one user; none: no limit of its own.
    pub viewers_per_user: Option<NonZeroUsize>,
    /// Viewers at a time from one address; none: no limit of its own.
    pub viewers_per_address: Option<NonZeroUsize>,
    /// Offers in a minute from one address; none: any number.
    pub offers_per_minute: Option<NonZeroUsize>,
    /// HTTP connections at a time from one address; none: no limit of its own.
    pub connections_per_address: Option<NonZeroUsize>,
    /// From the offer to the first media.
    pub connect: Duration,
}

/// Who may publish, and where else to go.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// The file of bearer tokens; none: whoever reaches the server may publish.
    pub tokens: Option<PathBuf>,
    /// Where clients are sent when every place is taken: `http` or `https`, a host, and no slash at the end.
    pub elsewhere: Option<String>,
}

/// STUN and TURN servers that clients are told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Ice {
    /// Their addresses, RFC 7064 and RFC 7065.
    pub servers: Vec<String>,
    /// How clients log in to the TURN servers.
    pub login: IceLogin,
}

/// How clients log in to the TURN servers.
#[derive(Clone, Debug, PartialEq)]
pub enum IceLogin {
    /// Not at all.
    None,
    /// All alike.
    Password {
        /// The user name.
        username: String,
        /// The file that holds the password.
        credential: PathBuf,
    },
    /// Each with a name and password of its own, made with a shared secret.
    Secret {
        /// The file that holds the secret.
        secret: PathBuf,
        /// How long a name and password are good for.
        lifetime: Duration,
    },
}
