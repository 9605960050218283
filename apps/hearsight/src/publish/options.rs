//! What `hearsight publish` is asked to do: its arguments, read and checked.

use std::fmt;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use hearsight_codecs::source::{Origin, Rounds};
use hearsight_core::time::Span;
use reqwest::Url;

use crate::film::Coding;
use crate::send::Trust;

/// Where the token may stand besides a file: a command line is for all to read.
pub const TOKEN_VARIABLE: &str = "HEARSIGHT_PUBLISH_TOKEN";
/// The camera that `camera` means.
const FIRST_CAMERA: &str = "/dev/video0";
/// A token or a chain of certificates is a few kilobytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// More connections than one address has ports to spare.
const MAX_COPIES: i64 = 10_000;

/// What to publish, where to, and how to tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What is shown.
    pub feed: Feed,
    /// The WHIP endpoint.
    pub to: Url,
    /// Width and height in pixels; none: as they are, at most 1280×720.
    pub size: Option<(u32, u32)>,
    /// How it is encoded.
    pub coding: Coding,
    /// How often it is played.
    pub rounds: Rounds,
    /// Where it begins.
    pub start: Span,
    /// After how long it ends; none: with the source, or with Ctrl-C.
    pub most: Option<Span>,
    /// How many connections send the same.
    pub copies: u32,
    /// How often in a row a connection is tried again; none: for ever.
    pub retries: Option<u32>,
    /// For the server.
    pub token: Option<Token>,
    /// Whom to trust.
    pub trust: Trust,
    /// Whether captions are shown.
    pub captions: Captions,
    /// How figures are shown.
    pub telling: Telling,
}

/// What is shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Feed {
    /// The project's own scene, with a beep and a bar at every whole second.
    Test,
    /// What GStreamer can read.
    Source(Origin),
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An address may hold a password.
        f.write_str(match self {
            Feed::Test => "Test",
            Feed::Source(Origin::Address(_)) => "Source(Address)",
            Feed::Source(Origin::Camera(_)) => "Source(Camera)",
        })
    }
}

/// A bearer token, which no output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token itself, for the one header that carries it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Checks that it can stand in a header (the `token68` of RFC 9110 section 11.2 and what servers accept besides).
    fn parse(text: &str) -> Result<Token, String> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it must hold one token: printable ASCII without spaces".into());
        }
        Ok(Token(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Whether captions are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captions {
    /// They are not listened to.
    Ignored,
    /// Final words are printed, and the last ones waited for.
    Shown,
}

/// How figures are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// For people.
    Lines,
    /// One JSON object a line.
    Json,
}

/// The arguments.
pub fn arguments() -> Vec<Arg> {
    what().into_iter().chain(whereto()).collect()
}

fn flag(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn number(name: &'static str, help: &'static str, default: &'static str, range: RangeInclusive<i64>) -> Arg {
    let parser = value_parser!(u32).range(range);
    flag(name, "N", help).default_value(default).value_parser(parser)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// What is shown.
fn what() -> [Arg; 7] {
    let time = |name, help| {
        flag(name, "SECONDS", help)
            .value_parser(seconds)
            .allow_negative_numbers(true)
    };
    let source = "A file, an address that GStreamer reads (rtsp://…), `camera`, `camera:/dev/video1`, or `test`";
    let pixels = "Pixels of the pictures, with bars where the shape differs [default: the source's, at most 1280x720]";
    let source = Arg::new("source").value_name("SOURCE").help(source);
    [
        source.default_value("test").value_parser(feed),
        flag("size", "WxH", pixels).value_parser(size),
        number("fps", "Pictures a second, at most", "30", 1..=120),
        number(
            "kbps",
            "Kilobits a second of the pictures, at most",
            "2000",
            64..=50_000,
        ),
        switch("loop", "Play a file over and over"),
        time("start", "Begin a file there"),
        time("for", "Stop after so long"),
    ]
}

/// Where it goes, and what is told of it.
fn whereto() -> [Arg; 7] {
    let to = flag("to", "URL", "The WHIP endpoint, such as https://host:8443/whip/name");
    let copies = "Connections that send the same, as streams name-1 to name-N";
    let retries = "How often in a row to try a connection again; 0: for ever";
    let token = "A file with the bearer token for the server; or the variable HEARSIGHT_PUBLISH_TOKEN";
    let trusted = "A PEM certificate to trust besides those of the system";
    [
        to.required(true).value_parser(endpoint),
        number("copies", copies, "1", 1..=MAX_COPIES),
        number("retries", retries, "5", 0..=1_000_000),
        flag("token-file", "FILE", token).value_parser(token_from_file),
        flag("certificate", "FILE", trusted).value_parser(read),
        switch("captions", "Print what a Hearsight server hears"),
        switch("json", "Print figures as lines of JSON"),
    ]
}

/// Reads what clap has found; `variable` looks into the environment. Errors: the token there can't be one.
pub fn from_matches(matches: &ArgMatches, variable: impl Fn(&str) -> Option<String>) -> Result<Options, clap::Error> {
    let number = |name: &str| matches.get_one::<u32>(name).copied().unwrap_or_default();
    let span = |name: &str| matches.get_one::<Span>(name).copied();
    let token = match (matches.get_one::<Token>("token-file"), variable(TOKEN_VARIABLE)) {
        (Some(token), _) => Some(token.clone()),
        (None, Some(text)) => Some(Token::parse(&text).map_err(|problem| {
            let problem = format!("{TOKEN_VARIABLE}: {problem}\n");
            clap::Error::raw(clap::error::ErrorKind::InvalidValue, problem)
        })?),
        (None, None) => None,
    };
    let required = "clap gives a default or refuses";
    Ok(Options {
        feed: matches.get_one::<Feed>("source").expect(required).clone(),
        to: matches.get_one::<Url>("to").expect(required).clone(),
        size: matches.get_one("size").copied(),
        coding: Coding {
            fps: number("fps"),
            bitrate: number("kbps") * 1_000,
        },
        rounds: if matches.get_flag("loop") {
            Rounds::Endless
        } else {
            Rounds::Once
        },
        start: span("start").unwrap_or(Span::ZERO),
        most: span("for"),
        copies: number("copies"),
        retries: Some(number("retries")).filter(|retries| *retries > 0),
        token,
        trust: match matches.get_one::<Vec<u8>>("certificate") {
            Some(pem) => Trust::Certificates(pem.clone()),
            None => Trust::SelfSignedOnLoopback,
        },
        captions: if matches.get_flag("captions") {
            Captions::Shown
        } else {
            Captions::Ignored
        },
        telling: if matches.get_flag("json") {
            Telling::Json
        } else {
            Telling::Lines
        },
    })
}

fn feed(text: &str) -> Result<Feed, String> {
    if text == "test" {
        return Ok(Feed::Test);
    }
    if text == "camera" {
        return Ok(Feed::Source(Origin::Camera(FIRST_CAMERA.into())));
    }
    if let Some(device) = text.strip_prefix("camera:") {
        return Ok(Feed::Source(Origin::Camera(device.to_owned())));
    }
    if text.contains("://") {
        return Ok(Feed::Source(Origin::Address(text.to_owned())));
    }
    let path = Path::new(text);
    if !path.is_file() {
        return Err("there is no such file; `test` and `camera` are sources too".into());
    }
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    let address = Url::from_file_path(path).map_err(|()| "its path can't be written as an address".to_owned())?;
    Ok(Feed::Source(Origin::Address(address.into())))
}

fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("write http:// or https://, a host and the endpoint's path".into());
    }
    Ok(url)
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let wrong = || "write width and height such as 1280x720, even, from 16 to 3840".to_owned();
    let (width, height) = text.split_once(['x', '×']).ok_or_else(wrong)?;
    let side = |text: &str| {
        let side = text.parse::<u32>().ok()?;
        ((16..=3840).contains(&side) && side.is_multiple_of(2)).then_some(side)
    };
    side(width).zip(side(height)).ok_or_else(wrong)
}

fn seconds(text: &str) -> Result<Span, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "write seconds, such as 90 or 1.5".to_owned())?;
    if !(0.0..=1e7).contains(&seconds) {
        return Err("write seconds from 0 to ten million".into());
    }
    Ok(Span::from_micros((seconds * 1e6) as i64))
}

fn token_from_file(path: &str) -> Result<Token, String> {
    Token::parse(&String::from_utf8_lossy(&read(path)?))
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err("it is longer than 64 KiB".into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str], variable: Option<&str>) -> Result<Options, String> {
        let program = clap::Command::new("publish").args(arguments());
        let all = ["publish", "--to", "http://127.0.0.1:8080/whip/a"];
        let matches = program
            .try_get_matches_from(all.iter().chain(args))
            .map_err(|error| error.to_string())?;
        from_matches(&matches, |_| variable.map(str::to_owned)).map_err(|error| error.to_string())
    }

    #[test]
    fn sources_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let film = folder.path().join("a film #1.mp4");
        std::fs::write(&film, b"x").unwrap();
        let feed = |text: &str| options(&[text], None).map(|options| options.feed);
        assert!(options(&[], None).unwrap().feed == Feed::Test);
        let camera = |device: &str| Feed::Source(Origin::Camera(device.into()));
        assert!(feed("camera").unwrap() == camera("/dev/video0"));
        assert!(feed("camera:/dev/video7").unwrap() == camera("/dev/video7"));
        let rtsp = "rtsp://user:secret@host/1";
        assert!(feed(rtsp).unwrap() == Feed::Source(Origin::Address(rtsp.into())));
        assert!(!format!("{:?}", options(&[rtsp], None).unwrap()).contains("secret"));
        let Feed::Source(Origin::Address(address)) = feed(film.to_str().unwrap()).unwrap() else {
            panic!("a file")
        };
        assert!(
            address.starts_with("file:///") && address.ends_with("a%20film%20%231.mp4"),
            "{address}"
        );
        assert!(feed("/nowhere/film.mp4").unwrap_err().contains("no such file"));
    }

    #[test]
    fn values_that_will_not_do_are_refused_and_the_remedy_named() {
        for (args, remedy) in [
            (&["--size", "1281x720"][..], "1280x720"),
            (&["--size", "big"], "1280x720"),
            (&["--fps", "0"], "1..=120"),
            (&["--kbps", "1"], "64..=50000"),
            (&["--copies", "0"], "1..=10000"),
            (&["--for", "soon"], "seconds"),
            (&["--start", "-1"], "seconds from 0"),
            (&["--token-file", "/nowhere/token"], "No such file"),
        ] {
            let told = options(args, None).unwrap_err();
            assert!(told.contains(remedy), "{args:?}: {told}");
        }
        for odd in ["ftp://a/", "host/whip", "http://", ""] {
            assert!(endpoint(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn the_token_comes_from_a_file_or_the_environment_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "from-the-file\n").unwrap();
        let file = options(&["--token-file", path.to_str().unwrap()], Some("from-the-variable")).unwrap();
        assert_eq!(file.token.as_ref().map(Token::reveal), Some("from-the-file"));
        assert!(!format!("{file:?}").contains("from-the"));
        let variable = options(&[], Some("from-the-variable")).unwrap();
        assert_eq!(variable.token.as_ref().map(Token::reveal), Some("from-the-variable"));
        let odd = options(&[], Some("two words")).unwrap_err();
        assert!(odd.contains(TOKEN_VARIABLE) && !odd.contains("two words"), "{odd}");
        std::fs::write(&path, "\u{1}secret").unwrap();
        let odd = options(&["--token-file", path.to_str().unwrap()], None).unwrap_err();
        assert!(odd.contains("one token") && !odd.contains("secret"), "{odd}");
    }
}
