//! What is said: speech from a file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearsight_codecs::source::{Frame, Pulled, SourceError};
use hearsight_core::media::Pcm;
use hearsight_core::time::{MediaTime, Span};
use serde::Deserialize;
use thiserror::Error;

use crate::film::Reel;

/// Samples per second in the file.
const RATE_IN: u32 = 16_000;
/// Samples per second that Opus takes.
const RATE: u32 = 48_000;
/// Samples of 20 ms, one packet.
const FRAME: i64 = 960;
/// Twenty minutes of speech, and a script of as much.
const MAX_BYTES: u64 = 40 << 20;
/// Silence after the end, so that the last words are finished like all others.
const TAIL: Span = Span::from_millis(800);
/// Points of the interpolating filter to either side, in samples of the file: 1 ms.
const REACH: i64 = 16;

/// Why the talk can't be given.
#[derive(Debug, Error)]
pub enum TalkError {
    /// A file can't be read.
    #[error("can't read the talk {}: {problem}; `make setup` makes it, or name another with --demo-talk", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// It is not the kind of sound that is wanted.
    #[error("the talk {} can't be used: {problem}; `make setup` makes a good one", path.display())]
    Sound {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The script beside it makes no sense.
    #[error("the talk's script {} can't be used: {problem}; `make setup` makes a good one", path.display())]
    Script {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// A talk: its sound, and the text of it where there is a script.
pub struct Talk {
    samples: Arc<[f32]>,
    script: Option<String>,
}

#[derive(Deserialize)]
struct Script {
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    text: String,
}

impl Talk {
    /// Reads a 16 kHz mono 16-bit WAV file, and the script of the same name with the ending `json` if there is one.
    pub fn open(path: &Path) -> Result<Talk, TalkError> {
        let sound = |problem| TalkError::Sound {
            path: path.to_owned(),
            problem,
        };
        let samples = samples_from_wav(&read(path)?).map_err(sound)?;
        if samples.is_empty() {
            return Err(sound("it is empty"));
        }
        let script = path.with_extension("json");
        let script = script.exists().then(|| read_script(&script)).transpose()?;
        Ok(Talk {
            samples: tripled(&samples).into(),
            script,
        })
    }

    /// How long it is.
    pub fn span(&self) -> Span {
        Span::from_samples(self.samples.len() as i64, RATE)
    }

    /// What is said in it, where known.
    pub fn script(&self) -> Option<&str> {
        self.script.as_deref()
    }

    /// The talk as sound, `loops` times, and a little silence.
    pub fn sound(&self, loops: u32) -> Sound {
        Sound {
            samples: self.samples.clone(),
            loops,
            next: 0,
        }
    }

    /// How long that sounds.
    pub fn sounds(&self, loops: u32) -> Span {
        self.span() * i64::from(loops) + TAIL
    }
}

/// Frames of 20 ms.
pub struct Sound {
    samples: Arc<[f32]>,
    loops: u32,
    next: i64,
}

impl Reel<Pcm> for Sound {
    fn pull(&mut self, _: MediaTime) -> Result<Pulled<Pcm>, SourceError> {
        let first = self.next;
        let length = self.samples.len() as i64;
        let spoken = length * i64::from(self.loops);
        if first >= spoken + TAIL.samples(RATE) {
            return Ok(Pulled::End);
        }
        self.next += FRAME;
        let sample = |i: i64| {
            if i < spoken {
                self.samples[(i % length) as usize]
            } else {
                0.0
            }
        };
        Ok(Pulled::Frame(Frame {
            at: MediaTime::ZERO + Span::from_samples(first, RATE),
            age: Span::ZERO,
            item: Pcm {
                rate: RATE,
                samples: (first..first + FRAME).map(sample).collect(),
            },
        }))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TalkError> {
    let unreadable = |problem: std::io::Error| TalkError::Unreadable {
        path: path.to_owned(),
        problem: problem.to_string(),
    };
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unreadable(std::io::Error::other("it is longer than 40 MiB")));
    }
    Ok(bytes)
}

fn read_script(path: &Path) -> Result<String, TalkError> {
    let script: Script = serde_json::from_slice(&read(path)?).map_err(|error| TalkError::Script {
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    let sentences: Vec<String> = script.sentences.into_iter().map(|sentence| sentence.text).collect();
    Ok(sentences.join(" "))
}

/// The samples of a RIFF WAVE file, −1..1; chunks other than `fmt ` and `data` are passed over.
fn samples_from_wav(bytes: &[u8]) -> Result<Vec<f32>, &'static str> {
    let rest = bytes.strip_prefix(b"RIFF").ok_or("it is not a WAV file")?;
    let mut rest = rest
        .get(4..)
        .and_then(|rest| rest.strip_prefix(b"WAVE"))
        .ok_or("it is not a WAV file")?;
    let mut fits = false;
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, size @ ..] = *head;
        let size = u32::from_le_bytes(size) as usize;
        let chunk = &body[..size.min(body.len())];
        match &[a, b, c, d] {
            b"fmt " => {
                let mut expected = vec![1, 0, 1, 0];
                expected.extend(RATE_IN.to_le_bytes());
                let bits = chunk.get(14..16);
                fits = chunk.starts_with(&expected) && bits == Some(&[16, 0]);
            }
            b"data" if fits => {
                let samples = chunk
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0);
                return Ok(samples.collect());
            }
            b"data" => return Err("it must be 16 kHz, mono, 16-bit PCM"),
            _ => {}
        }
        // Chunks begin at even places.
        rest = body.get(size.saturating_add(size % 2)..).unwrap_or_default();
    }
    Err("it holds no sound")
}

/// Three times as many samples: a windowed sinc that keeps every sample in its place.
fn tripled(samples: &[f32]) -> Vec<f32> {
    let weights = |third: i64| -> Vec<f32> {
        let weight = |i: i64| {
            let x = (i as f64) - third as f64 / 3.0;
            let window = (std::f64::consts::FRAC_PI_2 * x / (REACH as f64 + 1.0)).cos().powi(2);
            let sinc = if x == 0.0 {
                1.0
            } else {
                (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x)
            };
            (sinc * window) as f32
        };
        (-REACH..=REACH).map(weight).collect()
    };
    let filters = [weights(0), weights(1), weights(2)];
    let sample = |i: i64| {
        usize::try_from(i)
            .ok()
            .and_then(|i| samples.get(i))
            .copied()
            .unwrap_or(0.0)
    };
    let mut all = Vec::with_capacity(samples.len() * 3);
    for i in 0..samples.len() as i64 {
        for filter in &filters {
            all.push(
                (-REACH..=REACH)
                    .zip(filter)
                    .map(|(off, weight)| sample(i + off) * weight)
                    .sum(),
            );
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(rate: u32, samples: &[i16]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVEjunk\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0\x01\0".to_vec();
        bytes.extend(rate.to_le_bytes());
        bytes.extend((rate * 2).to_le_bytes());
        bytes.extend([2, 0, 16, 0]);
        bytes.extend(b"data");
        bytes.extend((samples.len() as u32 * 2).to_le_bytes());
        samples.iter().for_each(|sample| bytes.extend(sample.to_le_bytes()));
        bytes
    }

    #[test]
    fn a_wav_is_read_and_others_are_refused_with_a_reason() {
        assert_eq!(
            samples_from_wav(&wav(16_000, &[0, 16_384, -32_768])),
            Ok(vec![0.0, 0.5, -1.0])
        );
        assert_eq!(
            samples_from_wav(&wav(44_100, &[1])),
            Err("it must be 16 kHz, mono, 16-bit PCM")
        );
        assert_eq!(samples_from_wav(b"ID3"), Err("it is not a WAV file"));
        let good = wav(16_000, &[1, 2, 3, 4]);
        for seed in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = good[..random.usize(..=good.len())].to_vec();
            for _ in 0..random.usize(..4) {
                if let Some(byte) = random.choice(&mut bytes) {
                    *byte = random.u8(..);
                }
            }
            let _ = samples_from_wav(&bytes);
        }
    }

    #[test]
    fn a_missing_talk_names_the_file_and_the_remedy() {
        let problem = Talk::open(Path::new("/nowhere/talk.wav")).err().unwrap().to_string();
        assert!(
            problem.contains("/nowhere/talk.wav") && problem.contains("make setup"),
            "{problem}"
        );
    }

    #[test]
    fn tripled_sound_keeps_its_samples_and_its_tone() {
        let tone = |i: f64| (i * 0.4).sin() as f32;
        let samples: Vec<f32> = (0..400).map(|i| tone(f64::from(i))).collect();
        let tripled = tripled(&samples);
        assert_eq!(tripled.len(), 1_200);
        for (i, sample) in tripled.iter().enumerate().skip(100).take(1_000) {
            assert!((sample - tone(i as f64 / 3.0)).abs() < 0.01, "at {i}");
        }
    }

    #[test]
    fn the_sound_is_continuous_over_all_loops_and_ends() {
        let talk = Talk {
            samples: (0..4_000).map(|i| i as f32).collect(),
            script: None,
        };
        let mut sound = talk.sound(3);
        let mut heard = Vec::new();
        while let Pulled::Frame(frame) = sound.pull(MediaTime::ZERO).unwrap() {
            assert_eq!(frame.at, MediaTime::ZERO + Span::from_samples(heard.len() as i64, RATE));
            heard.extend_from_slice(&frame.item.samples);
        }
        assert_eq!(heard.len() as u64, (3 * 4_000 + 38_400u64).div_ceil(960) * 960);
        assert!(talk.sounds(3) <= Span::from_samples(heard.len() as i64, RATE));
        for (i, sample) in heard.iter().enumerate() {
            let expected = if i < 12_000 { (i % 4_000) as f32 } else { 0.0 };
            assert_eq!(*sample, expected, "at {i}");
        }
    }
}
