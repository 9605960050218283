//! The worst pictures, to be looked at: as they were, then as each method rebuilt them, side by side.

use std::collections::BTreeMap;

use anyhow::Result;
use hearsight_tests::rig::artefacts;

use crate::material::{self, Clip, Kind};
use crate::methods::{Method, Rebuilt};
use hearsight_codecs::quality::psnr;

/// Pictures in a row.
const ACROSS: usize = 3;

/// Who is shown beside the true picture.
const SHOWN: [Method; 4] = [Method::Blend, Method::Minterpolate, Method::Vectors, Method::Full];

/// The worst picture of each kind of clip so far, in dB.
#[derive(Default)]
pub(crate) struct Worst(BTreeMap<Kind, f64>);

impl Worst {
    /// Writes `artefacts/interpolation/worst-KIND.png` if the worst picture of the clip is the worst of its kind: the true
    /// luma, the blend's, minterpolate's, ours without and with the network, three to a row.
    pub(crate) fn look_at(&mut self, clip: &Clip, rebuilt: &[(Method, Rebuilt)]) -> Result<()> {
        let Some((at, quality)) = worst(clip, rebuilt) else {
            return Ok(());
        };
        if self.0.get(&clip.kind).is_some_and(|least| *least <= quality) {
            return Ok(());
        }
        self.0.insert(clip.kind, quality);
        write(clip, rebuilt, at, &format!("worst-{:?}", clip.kind).to_lowercase())
    }
}

/// Writes the worst picture of the clip to `artefacts/interpolation/NAME.png` in the same way.
pub(crate) fn write_worst(clip: &Clip, rebuilt: &[(Method, Rebuilt)]) -> Result<()> {
    match worst(clip, rebuilt) {
        Some((at, _)) => write(clip, rebuilt, at, &clip.name),
        None => Ok(()),
    }
}

/// Where the best of our methods that ran did worst, and how.
fn worst(clip: &Clip, rebuilt: &[(Method, Rebuilt)]) -> Option<(usize, f64)> {
    let (_, last) = rebuilt.iter().rfind(|(method, _)| SHOWN.contains(method))?;
    let scored = last.pictures.iter().zip(&clip.dropped).enumerate();
    let scored = scored.filter_map(|(at, (made, truth))| Some((at, psnr(made.as_ref()?, truth))));
    scored.min_by(|a, b| a.1.total_cmp(&b.1))
}

fn write(clip: &Clip, rebuilt: &[(Method, Rebuilt)], worst: usize, name: &str) -> Result<()> {
    let (width, height) = (clip.width as usize, clip.height as usize);
    let black = vec![0; width * height];
    let mut side_by_side = vec![&clip.dropped[worst]];
    let shown = rebuilt.iter().filter(|(method, _)| SHOWN.contains(method));
    side_by_side.extend(shown.map(|(_, made)| made.pictures[worst].as_ref().unwrap_or(&black)));
    let mut bytes = Vec::new();
    for row_of_three in side_by_side.chunks(ACROSS) {
        for row in 0..height {
            for column in 0..ACROSS {
                let luma = row_of_three.get(column).copied().unwrap_or(&black);
                bytes.extend_from_slice(&luma[row * width..][..width]);
            }
        }
    }
    let folder = artefacts()?.join("interpolation");
    std::fs::create_dir_all(&folder)?;
    let size = format!("{}x{}", width * ACROSS, height * side_by_side.len().div_ceil(ACROSS));
    let mut command = material::ffmpeg();
    command.args([
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-s",
        &size,
        "-i",
        "-",
        "-frames:v",
        "1",
    ]);
    material::run(command.arg(folder.join(format!("{name}.png"))), Some(&bytes)).map(drop)
}
