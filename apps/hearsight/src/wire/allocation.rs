//! What to spend the uplink's bits on, on the wire.

use hearsight_core::allocate::Map;
use hearsight_core::allocate::regions::{COLUMNS, INSIDE, ROWS};
use serde::{Deserialize, Serialize};

/// The longest run of one letter: `1` to `9`, then `a` to `z`.
const LONGEST: usize = 35;

/// How much of it is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing: congestion control alone.
    #[default]
    Off,
    /// The most bits worth sending.
    Cap,
    /// And where they go.
    #[serde(rename = "cap+regions")]
    CapRegions,
    /// And how many pictures a second, so that losses leave something to look at.
    Full,
}

impl Mode {
    /// Every mode, with its name in the settings and on the wire.
    pub const ALL: [(Mode, &'static str); 4] = [
        (Mode::Off, "off"),
        (Mode::Cap, "cap"),
        (Mode::CapRegions, "cap+regions"),
        (Mode::Full, "full"),
    ];

    /// The mode of a name.
    pub fn from_name(name: &str) -> Option<Mode> {
        Mode::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(mode, _)| *mode)
    }

    /// Whether it says where bits go.
    pub const fn has_regions(self) -> bool {
        matches!(self, Mode::CapRegions | Mode::Full)
    }
}

/// What to spend the uplink's bits on: the server's wish, which congestion control overrules. `number` rises within a session;
/// a sender heeds only its own session's. `cap_kbps` is null where congestion control alone decides, and `reason` says why
/// it is what it is. `kind` is what is looked for, `readability` how well the latest evidence of it could be read. `map` tells
/// what blocks of the picture are worth, null where all are alike; see [`text_from_map`]. `slot_ms`: in every such stretch of
/// time a picture should arrive that can be decoded; null where the rate of pictures is the sender's choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Allocation {
    pub session: String,
    pub number: u64,
    pub mode: Mode,
    pub cap_kbps: Option<u32>,
    pub reason: String,
    pub kind: String,
    pub readability: Option<f32>,
    pub map: Option<String>,
    pub slot_ms: Option<u32>,
}

/// A map as text: 40 columns of 18 rows, row by row, in runs of a level (a hexadecimal digit, `f` inside) and a length (`1` to
/// `9`, `a` for 10 to `z` for 35).
pub fn text_from_map(map: &Map) -> String {
    let digit = |value: usize| char::from_digit(value as u32, 36).unwrap_or('0');
    let mut text = String::new();
    for same in map.levels().chunk_by(|one, other| one == other) {
        for run in same.chunks(LONGEST) {
            text.push(digit(usize::from(run[0])));
            text.push(digit(run.len()));
        }
    }
    text
}

/// The map of a text; none where it is none.
pub fn map_from_text(text: &str) -> Option<Map> {
    let mut levels = Vec::with_capacity(COLUMNS * ROWS);
    let mut letters = text.chars();
    while let Some(level) = letters.next() {
        let level = level.to_digit(16).filter(|level| *level <= u32::from(INSIDE))?;
        let length = letters.next()?.to_digit(36).filter(|length| *length > 0)? as usize;
        if levels.len() + length > COLUMNS * ROWS {
            return None;
        }
        levels.extend(std::iter::repeat_n(level as u8, length));
    }
    Map::new(&levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_comes_back_from_its_text_and_broken_text_is_none() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut level = 0;
            let levels: Vec<u8> = (0..COLUMNS * ROWS)
                .map(|_| {
                    if random.u8(0..9) == 0 {
                        level = random.u8(0..=INSIDE);
                    }
                    level
                })
                .collect();
            let map = Map::new(&levels).expect("a map");
            let text = text_from_map(&map);
            assert_eq!(map_from_text(&text), Some(map));
            let mut broken = text.into_bytes();
            for _ in 0..random.usize(1..4) {
                let place = random.usize(0..broken.len());
                match random.bool() {
                    true => broken[place] = random.u8(b' '..b'~'),
                    false => drop(broken.remove(place)),
                }
            }
            // It may be another map by chance, and never anything else.
            let broken = String::from_utf8(broken).expect("ASCII");
            if let Some(map) = map_from_text(&broken) {
                assert_eq!(map.levels().len(), COLUMNS * ROWS, "seed {seed}");
            }
        }
        for none in ["", "f", "fz", "g1", "f0", "-1", "ff\u{e9}", &"fz".repeat(1_000)] {
            assert_eq!(map_from_text(none), None, "{none:.9}");
        }
    }
}
