//! What the camera sees: a sign that stands still before leaves that go by.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use hearsight_core::media::{Picture, Planes};
use hearsight_tests::rig::coded::raw;
use hearsight_tests::scenes::{Family, Foliage, Fonts, SIZE, Scene, Split, TILE};

/// Pictures a second: what browsers send at low rates.
const FPS: usize = 15;
/// How long until it repeats itself, in seconds: the leaves go by once, without a seam.
const SECONDS: usize = 4;
/// The largest letters that are taken, over the smallest.
const LETTERS: f32 = 1.3;

/// A film, and where in it the sign is.
pub(crate) struct Film {
    pictures: Vec<Picture<Planes>>,
    /// Left, top, width and height of what does not change, in pixels.
    pub place: [usize; 4],
    /// What is written there.
    pub says: String,
}

impl Film {
    /// The first scene of the unseen ones that asks about letters of this many pixels, or a little more.
    pub(crate) fn of_a_sign(letters: f32) -> Result<Film> {
        let letters = letters..letters * LETTERS;
        let (fonts, foliage) = (Fonts::load()?, Foliage::grown());
        let scene = (70_000..80_000)
            .map(|seed| Scene::new(Family::Word, Split::Unseen, seed, &fonts))
            .find(|scene| scene.question.letters.is_some_and(|size| letters.contains(&size)))
            .context("no scene has letters of that size")?;
        let pictures = (0..SECONDS * FPS).map(|n| {
            let across = (n * TILE) as f32 / (SECONDS * FPS) as f32;
            scene.render_before(&foliage.at(across, 0.0), 0.0)
        });
        let [left, top, right, bottom] = scene.region(0.0);
        let (wide, high) = (SIZE.0 as f32, SIZE.1 as f32);
        let (x, y) = ((left * wide).ceil() as usize, (top * high).ceil() as usize);
        Ok(Film {
            pictures: pictures.collect(),
            place: [x, y, (right * wide) as usize - x, (bottom * high) as usize - y],
            says: scene.question.answer.clone(),
        })
    }

    /// As a fake camera takes it.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut file = BufWriter::new(std::fs::File::create(path)?);
        writeln!(file, "YUV4MPEG2 W{} H{} F{FPS}:1 Ip A1:1 C420jpeg", SIZE.0, SIZE.1)?;
        for picture in &self.pictures {
            file.write_all(b"FRAME\n")?;
            file.write_all(&raw(picture))?;
        }
        Ok(file.flush()?)
    }

    /// What the camera saw of the place, and under it what was decoded last, as a portable grey map.
    pub(crate) fn beside(&self, places: &[u8]) -> Vec<u8> {
        let [_, _, width, height] = self.place;
        let seen = self.seen();
        let last = places.chunks_exact(seen.len().max(1)).last().unwrap_or_default();
        let head = format!("P5\n{width} {}\n255\n", 2 * height);
        [head.as_bytes(), &seen, last].concat()
    }

    /// The luma of the place, as the camera saw it.
    fn seen(&self) -> Vec<u8> {
        let [left, top, width, height] = self.place;
        let luma = &self.pictures[0].pixels.y;
        let bytes = (*luma.bytes).as_ref();
        let rows = top..top + height;
        rows.flat_map(|row| bytes[row * luma.stride + left..][..width].to_vec())
            .collect()
    }

    /// How close the places of pictures, one after the other, are to what the camera saw there: the mean over pictures, in
    /// decibels. None where there is no whole one.
    pub(crate) fn psnr(&self, places: &[u8]) -> Option<f64> {
        let seen = self.seen();
        let one = |place: &[u8]| {
            let squares: f64 = place
                .iter()
                .zip(&seen)
                .map(|(one, other)| (f64::from(*one) - f64::from(*other)).powi(2))
                .sum();
            let error = (squares / seen.len() as f64).max(1e-3);
            10.0 * (255.0_f64.powi(2) / error).log10()
        };
        let all: Vec<f64> = places.chunks_exact(seen.len().max(1)).map(one).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    }
}
