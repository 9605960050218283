//! The scene as a file, for the fake camera of a browser.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use hearsight_core::media::{Picture, Plane, Planes};
use hearsight_core::time::{MediaTime, Span};

use super::scene::Scene;

/// Ten minutes at 60 pictures a second: at 1280×720 that is 50 GB, more than any test wants.
const MAX_PICTURES: f64 = 36_000.0;

/// Writes about `seconds` of the scene as YUV4MPEG2, 4:2:0, `size` even pixels, `fps` pictures a second. Played over and
/// over, the last picture flows into the first. Errors: an impossible size, length or rate, and the system's own.
pub fn write_y4m(path: &Path, seconds: f64, size: (u32, u32), fps: u32) -> io::Result<()> {
    let pictures = (seconds * f64::from(fps)).round().max(1.0);
    if !seconds.is_finite() || seconds <= 0.0 || fps == 0 || pictures > MAX_PICTURES {
        let problem = format!("{seconds} s at {fps} pictures a second: give 1 to {MAX_PICTURES} pictures");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let pictures = pictures as i64;
    let period = Span::from_samples(pictures, fps);
    let scene = Scene::new(size.0, size.1, period);
    let scene = scene.map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))?;
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "YUV4MPEG2 W{} H{} F{fps}:1 Ip A1:1 C420jpeg", size.0, size.1)?;
    for n in 0..pictures {
        file.write_all(b"FRAME\n")?;
        write_picture(&mut file, &scene.picture(MediaTime::ZERO + Span::from_samples(n, fps)))?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn write_picture(file: &mut impl Write, picture: &Picture<Planes>) -> io::Result<()> {
    let Picture {
        width,
        height,
        pixels: Planes { y, u, v },
    } = picture;
    let (width, height) = (*width as usize, *height as usize);
    write_plane(file, y, width, height)?;
    write_plane(file, u, width / 2, height / 2)?;
    write_plane(file, v, width / 2, height / 2)
}

fn write_plane(file: &mut impl Write, plane: &Plane, width: usize, height: usize) -> io::Result<()> {
    for y in 0..height {
        file.write_all(plane.row(y, width).ok_or(io::ErrorKind::UnexpectedEof)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean difference of two pictures' luma.
    fn difference(one: &[u8], two: &[u8]) -> f64 {
        one.iter().zip(two).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / one.len() as f64
    }

    #[test]
    fn the_file_is_well_formed_and_its_end_flows_into_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("camera.y4m");
        write_y4m(&path, 2.0, (160, 90), 15).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        assert_eq!(&bytes[..end], b"YUV4MPEG2 W160 H90 F15:1 Ip A1:1 C420jpeg");
        let one = 6 + 160 * 90 * 3 / 2;
        let pictures: Vec<&[u8]> = bytes[end + 1..].chunks(one).collect();
        assert_eq!(pictures.len(), 30);
        assert!(
            pictures
                .iter()
                .all(|picture| picture.len() == one && picture.starts_with(b"FRAME\n"))
        );
        let luma = |n: usize| &pictures[n][6..6 + 160 * 90];
        let usual: Vec<f64> = (0..29).map(|n| difference(luma(n), luma(n + 1))).collect();
        let worst = usual.iter().copied().fold(0.0, f64::max);
        let seam = difference(luma(29), luma(0));
        assert!(
            seam <= worst * 1.2,
            "the seam differs by {seam}, others by at most {worst}"
        );
        assert!(usual.iter().all(|step| *step > 0.5), "it stands still: {usual:?}");
    }

    #[test]
    fn what_can_not_be_written_is_refused_before_a_file_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.y4m");
        for (seconds, size, fps) in [
            (f64::NAN, (16, 16), 30),
            (f64::INFINITY, (16, 16), 30),
            (0.0, (16, 16), 30),
            (-1.0, (16, 16), 30),
            (1.0, (15, 16), 30),
            (1.0, (16, 16), 0),
            (1e9, (16, 16), 30),
        ] {
            let refused = write_y4m(&path, seconds, size, fps).expect_err("it can't be written");
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
        assert!(!path.exists());
    }
}
