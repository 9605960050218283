//! What the picture says, as the data channel carries it.

use hearsight_core::media;
use hearsight_core::time::MediaTime;
use serde::{Deserialize, Serialize};

use super::{MAX_MESSAGE, short};

/// What was read in the picture shown at `at_us`. `read_at_us` is when the picture was shown that the lines were read in: earlier
/// where nothing has changed since. `readability` (0..1, null where nothing looks like text) is that of the evidence, and
/// `unread` counts places that look like text and are not among the lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Reading {
    pub id: u64,
    pub at_us: i64,
    pub read_at_us: i64,
    pub readability: Option<f32>,
    pub unread: u32,
    pub lines: Vec<ReadLine>,
}

/// One line. `region` holds its corners as shares of the picture's width and height, clockwise from where the text begins, at
/// the top; `certainty` is the chance that the text is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct ReadLine {
    pub text: String,
    pub region: [[f32; 2]; 4],
    pub certainty: f32,
}

/// Bytes of JSON that a line takes beside its text, at most, and that a reading takes beside its lines.
const AROUND_TEXT: usize = 140;
const AROUND_LINES: usize = 256;

impl Reading {
    /// A reading shown at `at`, not numbered yet. Lines beyond what one message holds count as unread.
    pub fn from(reading: &media::Reading, at: MediaTime) -> Reading {
        let mut room = MAX_MESSAGE - AROUND_LINES;
        let fits = |line: &&media::Line| {
            // Quotes and backslashes are doubled.
            let bytes = AROUND_TEXT + 2 * line.text.len();
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        };
        let lines: Vec<ReadLine> = reading.lines.iter().take_while(fits).map(line_from).collect();
        Reading {
            id: 0,
            at_us: at.micros(),
            read_at_us: reading.read.micros(),
            readability: reading.readability.map(|readability| short(readability.get())),
            unread: reading.unread + (reading.lines.len() - lines.len()) as u32,
            lines,
        }
    }
}

fn line_from(line: &media::Line) -> ReadLine {
    ReadLine {
        text: line.text.to_string(),
        region: line.region.corners.map(|corner| [short(corner.x), short(corner.y)]),
        certainty: short(line.certainty.get()),
    }
}

#[cfg(test)]
mod tests {
    use hearsight_core::media::{Certainty, Line, Point, Readability, Region};

    use super::*;
    use crate::wire::ToClient;

    #[test]
    fn the_longest_reading_fits_into_a_message_and_what_does_not_is_counted() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let letters = ['a', '"', '\\', '\u{4e2d}', ' '];
            let mut line = || Line {
                text: (0..random.usize(0..400))
                    .map(|_| letters[random.usize(0..5)])
                    .collect::<String>()
                    .into(),
                region: Region {
                    corners: [Point {
                        x: random.f32(),
                        y: random.f32(),
                    }; 4],
                },
                certainty: Certainty::new(random.f32()),
            };
            let lines: Vec<Line> = (0..32).map(|_| line()).collect();
            let reading = media::Reading {
                lines: lines.into(),
                unread: 3,
                readability: Some(Readability::new(1.0 / 3.0)),
                read: MediaTime::from_millis(-1),
            };
            let mut told = Reading::from(&reading, MediaTime::from_millis(40));
            assert_eq!(told.lines.len() as u32 + told.unread, 35);
            told.id = u64::MAX;
            let json = serde_json::to_string(&ToClient::Reading(told)).expect("it is plain");
            assert!(json.len() <= MAX_MESSAGE, "seed {seed}: {}", json.len());
        }
    }
}
