//! What the fake devices of the browser play: a click and then speech for the microphone, a flash for the camera. Both
//! are played over and over, with lengths that never meet for long.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Result, ensure};
use hearsight_tests::rig::sound::Sound;

/// Short, without an inner pause that could end a segment early, and with an end that falls off fast.
const SAID: &str = "we can hear what people say";
/// Before the click, so that the first one is known as one whenever the page begins to listen.
const BEFORE_MS: u32 = 1_500;
/// Between the click and the speech: the end of a segment that the click might begin, and the pre-roll of the next.
const GAP_MS: u32 = 800;
/// After the speech: more than any end of a segment.
const REST_MS: u32 = 2_000;
/// A click is this long: enough to survive the browser's own cleaning of the sound.
const CLICK_MS: u32 = 3;

/// The pictures of the fake camera.
pub(crate) const CAMERA: (u32, u32) = (640, 360);
const FPS: u32 = 30;
/// 5.3 s, of which a fifth of a second is white.
const PICTURES: u32 = 159;
const WHITE: std::ops::Range<u32> = 80..86;

/// Writes the sound. Returns the milliseconds from the click to the last sample of speech above 2 % of its own scale.
pub(crate) fn write_microphone(path: &Path) -> Result<f64> {
    let mut speech = Sound::speech(SAID)?;
    let peak = speech
        .samples
        .iter()
        .fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    ensure!(peak > 0.0, "the speech is silent");
    for sample in &mut speech.samples {
        *sample *= 1.0 / 3.0 / peak;
    }
    let rate = speech.rate;
    let samples = (rate / 1000 * CLICK_MS) as usize;
    // Alternating signs: a click without a level of its own, which no filter against rumble takes away.
    let click = Sound {
        rate,
        samples: (0..samples).map(|n| if n / 4 % 2 == 0 { 1.0 } else { -1.0 }).collect(),
    };
    let to_end = click.millis() + Sound::silence(rate, GAP_MS).millis() + speech.millis();
    Sound::silence(rate, BEFORE_MS)
        .then(&click)
        .then(&Sound::silence(rate, GAP_MS))
        .then(&speech)
        .then(&Sound::silence(rate, REST_MS))
        .write(path)?;
    Ok(to_end)
}

/// Writes the pictures: a dark one with a bar that moves, so that there is always something to send, and a white flash.
pub(crate) fn write_camera(path: &Path) -> io::Result<()> {
    let (width, height) = (CAMERA.0 as usize, CAMERA.1 as usize);
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "YUV4MPEG2 W{width} H{height} F{FPS}:1 Ip A1:1 C420jpeg")?;
    let colour = vec![128; width * height / 2];
    for n in 0..PICTURES {
        let white = WHITE.contains(&n);
        let bar = n as usize * 4 % width;
        let line: Vec<u8> = (0..width)
            .map(|x| match (white, x.abs_diff(bar) < 16) {
                (true, _) => 235,
                (false, true) => 60,
                (false, false) => 24,
            })
            .collect();
        file.write_all(b"FRAME\n")?;
        for _ in 0..height {
            file.write_all(&line)?;
        }
        file.write_all(&colour)?;
    }
    file.flush()
}
