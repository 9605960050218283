//! Test speech and WAV files.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Mono 16-bit sound.
#[derive(Clone, Debug)]
pub struct Sound {
    /// Samples per second.
    pub rate: u32,
    /// −1..1.
    pub samples: Vec<f32>,
}

impl Sound {
    /// Speech by flite's voice `rms`, which the embedded recogniser understands best, without silence around it.
    pub fn speech(text: &str) -> anyhow::Result<Sound> {
        Sound::spoken("rms", text)
    }

    /// Speech by one of flite's voices, without silence around it.
    pub fn spoken(voice: &str, text: &str) -> anyhow::Result<Sound> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("speech.wav");
        let status = Command::new("flite")
            .args(["-voice", voice, "-t", text, "-o"])
            .arg(&path)
            .stdin(Stdio::null())
            .status()
            .context("flite is not installed; `make test` installs it")?;
        ensure!(status.success(), "flite failed");
        let mut sound = Sound::read(&path)?;
        let loud = |sample: &f32| sample.abs() > 0.02;
        let first = sound.samples.iter().position(loud).unwrap_or(0);
        let last = sound.samples.iter().rposition(loud).unwrap_or(0);
        sound.samples = sound.samples.get(first..=last).unwrap_or_default().to_vec();
        Ok(sound)
    }

    /// That much silence.
    pub fn silence(rate: u32, millis: u32) -> Sound {
        Sound {
            rate,
            samples: vec![0.0; (rate / 1000 * millis) as usize],
        }
    }

    /// One sound after the other; they must have one rate.
    pub fn then(mut self, next: &Sound) -> Sound {
        debug_assert_eq!(self.rate, next.rate);
        self.samples.extend_from_slice(&next.samples);
        self
    }

    /// How long it is, in milliseconds.
    pub fn millis(&self) -> f64 {
        self.samples.len() as f64 * 1000.0 / f64::from(self.rate)
    }

    /// Reads 16-bit mono PCM.
    pub fn read(path: &Path) -> anyhow::Result<Sound> {
        let bytes = std::fs::read(path)?;
        ensure!(
            bytes.len() > 44 && &bytes[..4] == b"RIFF",
            "{} is not a WAV file",
            path.display()
        );
        let rate = u32::from_le_bytes(bytes[24..28].try_into()?);
        let data = bytes
            .windows(4)
            .position(|tag| tag == b"data")
            .context("no data in the WAV file")?;
        let samples = bytes[data + 8..]
            .chunks_exact(2)
            .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0);
        Ok(Sound {
            rate,
            samples: samples.collect(),
        })
    }

    /// Writes 16-bit mono PCM.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let bytes = self.samples.len() as u32 * 2;
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        file.write_all(b"RIFF")?;
        file.write_all(&(36 + bytes).to_le_bytes())?;
        file.write_all(b"WAVEfmt \x10\0\0\0\x01\0\x01\0")?;
        file.write_all(&self.rate.to_le_bytes())?;
        file.write_all(&(self.rate * 2).to_le_bytes())?;
        file.write_all(b"\x02\0\x10\0data")?;
        file.write_all(&bytes.to_le_bytes())?;
        for sample in &self.samples {
            file.write_all(&((sample.clamp(-1.0, 1.0) * 32767.0) as i16).to_le_bytes())?;
        }
        Ok(file.flush()?)
    }
}
