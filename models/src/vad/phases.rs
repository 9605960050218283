//! The decision from window to window: silence, speech, pause, rest. Knows no samples and no times, only windows.

use super::Config;

/// What a window changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing: silence or speech goes on.
    None,
    /// Speech began with the first of the last `onset_windows` windows.
    Started,
    /// Silence has lasted `pause_windows`.
    Paused,
    /// The phrase is over: silence has lasted long enough.
    Rested,
    /// This window is speech again; after a rest, since the first of the last `onset_windows` windows.
    Resumed,
    /// The segment is over: the rest has lasted long enough.
    Ended,
    /// The phrase has grown too long; it ends after this window and the next begins there.
    Cut,
}

/// Where in a segment the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Outside,
    Phrase,
    /// Between two phrases of a segment, or after the last one.
    Rest,
}

/// The state between windows.
#[derive(Clone, Debug)]
pub(super) struct Phases {
    place: Place,
    paused: bool,
    /// Voiced windows in a row before the onset is believed.
    run: u32,
    /// Windows of silence since the last speech.
    silent: u32,
    /// Windows since the phrase began.
    length: u32,
    floor_db: f32,
    /// Levels of the last windows, for the quietest place.
    levels: [f32; DIP],
    next: usize,
}

/// A cut prefers a window quieter than all of the last two seconds.
const DIP: usize = 62;
/// Below this no room is: the floor starts here and rises to what is heard.
const LOWEST_FLOOR_DB: f32 = -75.0;

impl Phases {
    pub(super) fn new() -> Phases {
        let levels = [f32::NEG_INFINITY; DIP];
        Phases {
            place: Place::Outside,
            paused: false,
            run: 0,
            silent: 0,
            length: 0,
            floor_db: LOWEST_FLOOR_DB,
            levels,
            next: 0,
        }
    }
    /// Whether a segment is open.
    pub(super) fn open(&self) -> bool {
        self.place != Place::Outside
    }
    /// Whether a phrase of it is under way.
    pub(super) fn in_phrase(&self) -> bool {
        self.place == Place::Phrase
    }
    /// Windows of silence since the last speech of the open segment.
    pub(super) fn silent(&self) -> u32 {
        self.silent
    }
    /// Closes the segment from outside: a long hole, a stall, the end of the stream.
    pub(super) fn close(&mut self) {
        self.enter(Place::Outside);
    }
    /// Takes the next window's probability of speech and its level in dB below full scale.
    pub(super) fn window(&mut self, config: &Config, probability: f32, level_db: f32) -> Turn {
        let heard = level_db >= config.faintest_db && level_db >= self.floor_db + config.above_floor_db;
        self.follow_floor(probability < config.off, level_db);
        let dip = level_db < self.levels.iter().copied().fold(f32::INFINITY, f32::min);
        self.levels[self.next % DIP] = level_db;
        self.next = (self.next + 1) % DIP;
        let speech = heard && probability >= config.on;
        if self.place != Place::Phrase {
            return self.between(config, speech);
        }
        self.length = self.length.saturating_add(1);
        let silence = !heard || probability < config.off;
        if speech || (self.silent == 0 && !silence) {
            self.silent = 0;
            if std::mem::take(&mut self.paused) {
                return Turn::Resumed;
            }
        } else {
            self.silent += 1;
        }
        self.length_limits(config, dip)
            .unwrap_or_else(|| self.silence_limits(config))
    }

    /// Outside a phrase: an onset begins one, of a new segment or of the one that rests, which otherwise ends some time.
    fn between(&mut self, config: &Config, speech: bool) -> Turn {
        self.run = if speech { self.run + 1 } else { 0 };
        self.silent = self.silent.saturating_add(1);
        let rests = self.place == Place::Rest;
        if self.run >= config.onset_windows {
            self.enter(Place::Phrase);
            self.length = config.onset_windows;
            return if rests { Turn::Resumed } else { Turn::Started };
        }
        // A window that may be an onset is waited for.
        if rests && self.run == 0 && self.silent >= config.end_windows {
            self.close();
            return Turn::Ended;
        }
        Turn::None
    }

    fn enter(&mut self, place: Place) {
        self.place = place;
        self.paused = false;
        self.run = 0;
        self.length = 0;
        if place != Place::Rest {
            self.silent = 0;
        }
    }

    fn silence_limits(&mut self, config: &Config) -> Turn {
        if self.silent >= config.rest_windows {
            self.enter(Place::Rest);
            return Turn::Rested;
        }
        if self.silent == config.pause_windows {
            self.paused = true;
            return Turn::Paused;
        }
        Turn::None
    }

    /// Long phrases: a shorter pause is enough to end, then a dip is enough to cut, then any place is.
    fn length_limits(&mut self, config: &Config, dip: bool) -> Option<Turn> {
        if self.length < config.breath_windows {
            return None;
        }
        let soft = self.length >= config.soft_windows;
        if self.silent >= if soft { 2 } else { 4 } {
            self.enter(Place::Rest);
            return Some(Turn::Rested);
        }
        if !soft {
            return None;
        }
        if dip || self.length >= config.longest_windows {
            self.length = 0;
            return Some(Turn::Cut);
        }
        None
    }

    /// The floor falls at once and rises slowly (3 dB per second), and only while nobody speaks: a voice must not raise it.
    fn follow_floor(&mut self, quiet: bool, level_db: f32) {
        if level_db < self.floor_db {
            self.floor_db = level_db.max(LOWEST_FLOOR_DB);
        } else if quiet && self.place != Place::Phrase {
            self.floor_db = (self.floor_db + 0.1).min(level_db);
        }
    }
}
