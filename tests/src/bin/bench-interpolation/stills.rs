//! The worst picture of a clip, to be looked at: as it was, then as each method rebuilt it, side by side.

use anyhow::Result;
use hearsight_tests::rig::artefacts;

use crate::material::{self, Clip};
use crate::methods::{Method, Rebuilt};
use hearsight_codecs::quality::psnr;

/// Pictures in a row.
const ACROSS: usize = 3;

/// Writes `artefacts/interpolation/NAME.png`: the true luma, then that of each method in the order given,
/// three to a row.
pub(crate) fn write(clip: &Clip, rebuilt: &[(Method, Rebuilt)]) -> Result<()> {
    let Some((_, last)) = rebuilt.last() else { return Ok(()) };
    let scored = last.pictures.iter().zip(&clip.dropped).enumerate();
    let scored = scored.filter_map(|(at, (made, truth))| Some((at, psnr(made.as_ref()?, truth))));
    let Some((worst, _)) = scored.min_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Ok(());
    };
    let mut side_by_side = vec![&clip.dropped[worst]];
    side_by_side.extend(rebuilt.iter().filter_map(|(_, made)| made.pictures[worst].as_ref()));
    let (width, height) = (clip.width as usize, clip.height as usize);
    let black = vec![0; width * height];
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
    material::run(command.arg(folder.join(format!("{}.png", clip.name))), Some(&bytes)).map(drop)
}
