//! The worst picture of a clip, to be looked at: as it was, then as each method rebuilt it, side by side.

use anyhow::Result;
use hearsight_tests::rig::artefacts;

use crate::material::{self, Clip};
use crate::methods::{Method, Rebuilt};
use crate::quality::psnr;

/// Writes `artefacts/interpolation/NAME.png`: the true luma, then that of each method in the order given.
pub(crate) fn write(clip: &Clip, rebuilt: &[(Method, Rebuilt)]) -> Result<()> {
    let Some((_, last)) = rebuilt.last() else { return Ok(()) };
    let scored = last.pictures.iter().zip(&clip.dropped).enumerate();
    let scored = scored.filter_map(|(at, (made, truth))| Some((at, psnr(made.as_ref()?, truth))));
    let Some((worst, _)) = scored.min_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Ok(());
    };
    let mut side_by_side = vec![&clip.dropped[worst]];
    side_by_side.extend(rebuilt.iter().filter_map(|(_, made)| made.pictures[worst].as_ref()));
    let width = clip.width as usize;
    let rows =
        (0..clip.height as usize).flat_map(|row| side_by_side.iter().map(move |luma| &luma[row * width..][..width]));
    let bytes = rows.collect::<Vec<_>>().concat();
    let folder = artefacts()?.join("interpolation");
    std::fs::create_dir_all(&folder)?;
    let size = format!("{}x{}", width * side_by_side.len(), clip.height);
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
