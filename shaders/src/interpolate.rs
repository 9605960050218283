//! Pictures between two others, from the vectors that the later one was decoded with.
use std::sync::Arc;
use hearsight_core::media::{MotionField, Picture, Plane, Planes};
use crate::compare::{self, Sides, Weights};
use crate::grid::Grid;
use crate::padded::Padded;
use crate::planes::{PlanesError, sheets};
use crate::split::Split;
use crate::{blend, choose, fill, median, resize, smooth};

fn plane(bytes: Vec<u8>, stride: usize) -> Plane { Plane { bytes: Arc::new(bytes), stride } }

pub fn soft(motion: &MotionField, size: (u32, u32)) -> (Grid, Grid) {
    let raw = fill::reference(motion, size);
    let soft = smooth::reference(&median::reference(&raw)).or_zero();
    (raw, soft)
}

pub fn make(before: &Picture<Planes>, after: &Picture<Planes>, earlier: Option<&MotionField>, motion: &MotionField, at: f32) -> Result<Picture<Planes>, PlanesError> {
    let size = (before.width, before.height);
    let split = Split::new(at);
    let (a, b) = (sheets(before)?, sheets(after)?);
    let pad = |sheet: &crate::planes::Sheet<'_>| { let mut p = Padded::default(); p.fill(sheet); p };
    let (a, b) = (a.each_ref().map(pad), b.each_ref().map(pad));
    let (raw, soft) = soft(motion, size);
    let soft0 = earlier.filter(|m| crate::grid::tells(m)).map(|m| self::soft(m, size).1);
    let soft8 = resize::halved(&soft);
    let chosen = choose::reference(&a[0], &b[0], &raw, &soft8, split);
    let chosen = median::reference(&chosen);
    let fine = resize::doubled(&chosen, (raw.columns, raw.rows));
    let d = compare::differences(&a[0], &b[0], &fine, &soft, split);
    let sides = Sides { earlier: soft0.as_ref(), later: &soft };
    let weights = compare::reference(&d, &fine, sides, split);
    let y = blend::reference(&a[0], &b[0], [&fine, &soft], &weights, (size.0 as usize, size.1 as usize), split);
    let half = |g: &Grid| Grid { vectors: g.vectors.iter().map(|v| v.map(|p| (p + 1) >> 1)).collect(), ..*g };
    let (f8, s8) = (half(&chosen), half(&soft8));
    let w8: Vec<Weights> = (0..chosen.rows).flat_map(|r| (0..chosen.columns).map(move |c| (r, c))).map(|(r, c)| weights[(2 * r).min(raw.rows - 1) * raw.columns + (2 * c).min(raw.columns - 1)]).collect();
    let (cw, ch) = (size.0.div_ceil(2) as usize, size.1.div_ceil(2) as usize);
    let c = |i: usize| blend::reference(&a[i], &b[i], [&f8, &s8], &w8, (cw, ch), split);
    Ok(Picture { width: size.0, height: size.1, pixels: Planes { y: plane(y, size.0 as usize), u: plane(c(1), cw), v: plane(c(2), cw) } })
}
