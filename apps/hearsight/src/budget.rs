//! How old an answer may be, and what the path to it is allowed to take. `Graph::worst_case` adds the second up, and a
//! test holds the sum against the first.

use hearsight_core::gate::{Budget, Late};
use hearsight_core::link::Keep;
use hearsight_core::time::Span;

/// Words that may still change, from the end of the newest word. Shed fourth.
pub const WORDS_PARTIAL: Budget = Budget {
    outlet: "words.partial",
    span: Span::from_millis(400),
    value: 1.0,
    late: Late::Shed,
};
/// Words that will not change, from the end of speech. Never shed.
pub const WORDS_FINAL: Budget = Budget {
    outlet: "words.final",
    span: Span::from_millis(600),
    value: 5.0,
    late: Late::Deliver,
};
/// Speech starts and stops, from the moment that it did. Never shed.
pub const TURN: Budget = Budget {
    outlet: "turn",
    span: Span::from_millis(300),
    value: 5.0,
    late: Late::Deliver,
};
/// Figures of the picture, from the capture of the last one counted. Shed third.
pub const PICTURE: Budget = Budget {
    outlet: "picture.stats",
    span: Span::from_millis(1000),
    value: 2.0,
    late: Late::Shed,
};
/// The picture that is watched, from the capture of the newest that it is made of. What came is late rather than not shown;
/// what is made between is shed, first of all: the better ways of making it, then the picture.
pub const VIEW: Budget = Budget {
    outlet: "view",
    span: Span::from_millis(120),
    value: 0.1,
    late: Late::Deliver,
};

/// What the picture says, from the capture of the picture that says it. Shed third, and before that made do with less: first
/// fewer readings, then smaller pictures, then fewer lines.
pub const READING: Budget = Budget {
    outlet: "reading",
    span: Span::from_millis(1000),
    value: 2.0,
    late: Late::Shed,
};

/// The first words of an answer about the picture, from the question: its last word, or its arrival. Looking less closely is what
/// keeps to it; an answer that begins late is no less one, up to its deadline.
pub const ANSWER: Budget = Budget {
    outlet: "answer",
    span: Span::from_millis(1500),
    value: 5.0,
    late: Late::Deliver,
};
/// A whole answer, from the question. Nothing of it is said later: what is not done by then is told as such.
pub const fn whole_answer(allowed: Span) -> Budget {
    Budget {
        outlet: "answer.whole",
        span: allowed,
        value: 5.0,
        late: Late::Deliver,
    }
}

/// How long the jitter buffer waits for a missing packet. Two Opus packets: one that is reordered and one retransmission
/// on a short path; beyond, concealment costs less than waiting.
pub const JITTER_WAIT: Span = Span::from_millis(40);
/// How late sound from a microphone of this machine may be at its door: the wake-up of the thread that fetches it.
pub const MICROPHONE_WAIT: Span = Span::from_millis(10);
/// Into the resampler of a microphone: a sound server hands over several portions at a time.
pub const INTO_RESAMPLER: Keep = Keep::Recent(Span::from_millis(20));
/// Into the Opus decoder, which takes microseconds: whatever waits longer than this means that the machine stalled.
pub const INTO_OPUS: Keep = Keep::Recent(Span::from_millis(20));
/// Into the voice detector: seven of its slices.
pub const INTO_VAD: Keep = Keep::Recent(Span::from_millis(35));
/// Into the recogniser: twice its slice and a little, so that one slow slice loses nothing.
pub const INTO_RECOGNISER: Keep = Keep::Recent(Span::from_millis(120));
/// Into the video decoder.
pub const INTO_DECODER: Keep = Keep::Recent(Span::from_millis(150));
/// Into the picture statistics: they count every picture, and are quick.
pub const INTO_MEASURE: Keep = Keep::Every(8);
/// Into the choice of pictures to read: it looks at every picture, and is quick.
pub const INTO_CHOICE: Keep = Keep::Every(8);
/// Into the reader: a newer picture makes an older one worthless.
pub const INTO_READER: Keep = Keep::Latest;
/// Into the memory of what was seen, and to the clerk: they are quick.
pub const INTO_MEMORY: Keep = Keep::Every(64);
/// Into the display: a picture's vectors refer to the one before it, so that a loss is held over.
pub const INTO_SMOOTH: Keep = Keep::Every(2);
/// Into the coder: two display moments at 60 a second.
pub const INTO_ENCODER: Keep = Keep::Recent(Span::from_millis(34));
/// The longest that a picture waits for its display moment: half an interval at 10 pictures a second, and some jitter.
pub const PLAYOUT: Span = Span::from_millis(65);
/// The longest slice in which a picture is made. Larger ones are made less well, or not.
pub const SMOOTH_SLICE: Span = Span::from_millis(25);
/// The longest slice in which one is coded: 1280×720 takes about a third.
pub const ENCODE_SLICE: Span = Span::from_millis(25);
/// Into the account of what is watched, and to its screen: they are quick.
pub const INTO_SCREEN: Keep = Keep::Every(128);
/// Into the events: a reader this far behind has lost its place.
pub const INTO_EVENTS: Keep = Keep::Every(256);
