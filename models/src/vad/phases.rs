//! The decision from window to window: silence, speech, pause. Knows no samples and no times, only windows.

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
    /// This window is speech again.
    Resumed,
    /// The segment is over: silence has lasted long enough.
    Ended,
    /// The segment has grown too long; it ends after this window and the next begins there.
    Cut,
}

/// The state between windows.
#[derive(Clone, Debug)]
pub(super) struct Phases {
    open: bool,
    paused: bool,
    /// Voiced windows in a row before the onset is believed.
    run: u32,
    /// Windows of silence since the last speech.
    silent: u32,
    /// Windows since the segment began.
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
            open: false,
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
        self.open
    }
    /// Windows of silence since the last speech of the open segment.
    pub(super) fn silent(&self) -> u32 {
        self.silent
    }
    /// Closes the segment from outside: a long hole, a stall, the end of the stream.
    pub(super) fn close(&mut self) {
        self.open = false;
        self.paused = false;
        self.run = 0;
        self.silent = 0;
        self.length = 0;
    }
    /// Takes the next window's probability of speech and its level in dB below full scale.
    pub(super) fn window(&mut self, config: &Config, probability: f32, level_db: f32) -> Turn {
        let heard = level_db >= config.faintest_db && level_db >= self.floor_db + config.above_floor_db;
        self.follow_floor(probability < config.off, level_db);
        let dip = level_db < self.levels.iter().copied().fold(f32::INFINITY, f32::min);
        self.levels[self.next % DIP] = level_db;
        self.next = (self.next + 1) % DIP;
        let speech = heard && probability >= config.on;
        if !self.open {
            return self.closed(config, speech);
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

    fn closed(&mut self, config: &Config, speech: bool) -> Turn {
        self.run = if speech { self.run + 1 } else { 0 };
        if self.run < config.onset_windows {
            return Turn::None;
        }
        self.close();
        self.open = true;
        self.length = config.onset_windows;
        Turn::Started
    }

    fn silence_limits(&mut self, config: &Config) -> Turn {
        if self.silent >= config.end_windows {
            self.close();
            return Turn::Ended;
        }
        if self.silent == config.pause_windows {
            self.paused = true;
            return Turn::Paused;
        }
        Turn::None
    }

    /// Long segments: a shorter pause is enough to end, then a dip is enough to cut, then any place is.
    fn length_limits(&mut self, config: &Config, dip: bool) -> Option<Turn> {
        if self.length < config.breath_windows {
            return None;
        }
        let soft = self.length >= config.soft_windows;
        if self.silent >= if soft { 2 } else { 4 } {
            self.close();
            return Some(Turn::Ended);
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
        } else if quiet && !self.open {
            self.floor_db = (self.floor_db + 0.1).min(level_db);
        }
    }
}
