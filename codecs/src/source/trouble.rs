//! What can be wrong with a source, told so that a person can mend it.

use gstreamer as gst;
use thiserror::Error;

/// What every source needs, and the Debian package that has it.
const NEEDED: [(&str, &str); 11] = [
    ("uridecodebin", "gstreamer1.0-plugins-base"),
    ("decodebin", "gstreamer1.0-plugins-base"),
    ("videoconvert", "gstreamer1.0-plugins-base"),
    ("videoscale", "gstreamer1.0-plugins-base"),
    ("videorate", "gstreamer1.0-plugins-base"),
    ("audioconvert", "gstreamer1.0-plugins-base"),
    ("audioresample", "gstreamer1.0-plugins-base"),
    ("appsink", "gstreamer1.0-plugins-base"),
    ("videoflip", "gstreamer1.0-plugins-good"),
    ("v4l2src", "gstreamer1.0-plugins-good"),
    ("autoaudiosrc", "gstreamer1.0-plugins-good"),
];
/// What common files need besides: without these, each such file is refused when it is opened.
const USUAL: [(&str, &str); 6] = [
    ("qtdemux", "gstreamer1.0-plugins-good"),
    ("matroskademux", "gstreamer1.0-plugins-good"),
    ("wavparse", "gstreamer1.0-plugins-good"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
    ("avdec_h264", "gstreamer1.0-libav"),
    ("avdec_aac", "gstreamer1.0-libav"),
];

/// A piece of GStreamer that is not installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingPlugin {
    /// What GStreamer calls it.
    pub element: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
}

/// Every piece of GStreamer that sources or common files need and that is not there. Everything, when GStreamer itself
/// can't start.
pub fn missing_plugins() -> Vec<MissingPlugin> {
    let started = gst::init().is_ok();
    NEEDED
        .iter()
        .chain(&USUAL)
        .filter(|(element, _)| !started || gst::ElementFactory::find(element).is_none())
        .map(|&(element, package)| MissingPlugin { element, package })
        .collect()
}

/// Why a source gives nothing, or nothing more. No message holds the source's address: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// GStreamer can't start.
    #[error("GStreamer can't start: {0}; install it with `make setup`")]
    Gstreamer(String),
    /// A piece of GStreamer is not installed.
    #[error("{what} is not installed; install {package}, or everything with `make setup`")]
    Missing {
        /// What it would be for, or what GStreamer calls it.
        what: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// It can't be read or decoded.
    #[error("the source can't be played: {0}")]
    Unplayable(String),
    /// Neither pictures nor sound.
    #[error("the source holds neither pictures nor sound")]
    Empty,
    /// It can't begin elsewhere than at its start.
    #[error("the source can't be started in the middle or played again: it can't seek")]
    Seek,
    /// Nothing came.
    #[error("the source gave nothing in {0} s")]
    Silent(i64),
}

/// Starts GStreamer and looks whether the pieces that every source needs are there.
pub(super) fn prepare() -> Result<(), SourceError> {
    gst::init().map_err(|error| SourceError::Gstreamer(error.to_string()))?;
    match NEEDED
        .iter()
        .find(|(element, _)| gst::ElementFactory::find(element).is_none())
    {
        Some(&(element, package)) => Err(SourceError::Missing {
            what: format!("GStreamer's {element}"),
            package,
        }),
        None => Ok(()),
    }
}

/// What a message on the bus says is wrong, if anything.
pub(super) fn from_message(message: &gst::Message) -> Option<SourceError> {
    match message.view() {
        gst::MessageView::Error(error) => Some(SourceError::Unplayable(printable(error.error().message()))),
        gst::MessageView::Element(element) => element
            .structure()
            .filter(|structure| structure.name() == "missing-plugin")
            .map(missing),
        _ => None,
    }
}

/// A request for a plug-in (GStreamer's design document "missing plugins").
fn missing(wanted: &gst::StructureRef) -> SourceError {
    let text = |field: &str| wanted.get::<String>(field).unwrap_or_default();
    let package = match text("type").as_str() {
        "decoder" => "gstreamer1.0-libav",
        "urisource" => "gstreamer1.0-plugins-bad",
        _ => "gstreamer1.0-plugins-good",
    };
    let what = match printable(&text("name")) {
        name if name.is_empty() => "a part of GStreamer that this source needs".to_owned(),
        name => format!("GStreamer's {name}"),
    };
    SourceError::Missing { what, package }
}

/// One line of at most 200 characters: names of codecs come out of files.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
