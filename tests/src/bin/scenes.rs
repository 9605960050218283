//! Shows what the scenes look like: one picture of each family and split, as PPM files in a folder, and what is asked.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use hearsight_core::media::{Picture, Planes};
use hearsight_tests::scenes::{Family, Fonts, Scene, Split};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(
        arguments
            .next()
            .context("say into which folder, and perhaps the first seed")?,
    );
    let first = arguments
        .next()
        .and_then(|seed| seed.to_str()?.parse().ok())
        .unwrap_or(0_u64);
    fs::create_dir_all(&folder)?;
    let fonts = Fonts::load()?;
    for family in Family::ALL {
        for split in [Split::Train, Split::Unseen] {
            for seed in first..first + 3 {
                let scene = Scene::new(family, split, seed, &fonts);
                let stem = format!("{}-{split:?}-{seed}", family.name());
                fs::write(folder.join(format!("{stem}.ppm")), ppm(&scene.render(2.0)))?;
                println!(
                    "{stem}: {} {} {:?}",
                    scene.question.text, scene.question.answer, scene.question.letters
                );
            }
        }
    }
    Ok(())
}

fn ppm(picture: &Picture<Planes>) -> Vec<u8> {
    let mut bytes = format!("P6 {} {} 255\n", picture.width, picture.height).into_bytes();
    let columns = picture.width as usize;
    for row in 0..picture.height as usize {
        let lines = [&picture.pixels.y, &picture.pixels.u, &picture.pixels.v];
        let [y, u, v] = [0, 1, 2].map(|plane| {
            let half = if plane == 0 { 1 } else { 2 };
            lines[plane].row(row / half, columns.div_ceil(half)).unwrap_or_default()
        });
        for column in 0..columns {
            let (y, u, v) = (
                f32::from(y[column]) - 16.0,
                f32::from(u[column / 2]) - 128.0,
                f32::from(v[column / 2]) - 128.0,
            );
            let rgb = [
                1.164 * y + 1.596 * v,
                1.164 * y - 0.392 * u - 0.813 * v,
                1.164 * y + 2.017 * u,
            ];
            bytes.extend(rgb.map(|part| part.clamp(0.0, 255.0) as u8));
        }
    }
    bytes
}
