#![allow(missing_docs, clippy::all)]
use hearsight_core::media::{MotionField, Picture, Planes};
use crate::grid::Grid;
#[derive(Clone)] pub struct Field { pub columns: usize, pub rows: usize, pub vectors: Vec<[f32; 2]> }
impl Field { pub fn at(&self, c: i64, r: i64) -> [f32; 2] { self.vectors[r.clamp(0, self.rows as i64 - 1) as usize * self.columns + c.clamp(0, self.columns as i64 - 1) as usize] }
fn of(g: &Grid) -> Self { Self { columns: g.columns, rows: g.rows, vectors: g.vectors.iter().map(|v| v.map(|p| f32::from(p) / 16.0)).collect() } } }
use crate::planes::{Sheet, sheets};


pub fn bilinear_field(f: &Field, x: f32, y: f32) -> [f32; 2] {
    // cell centres
    let (u, v) = (x / 4.0 - 0.375, y / 4.0 - 0.375);
    let (fu, fv) = (u.floor(), v.floor());
    let (a, b) = (u - fu, v - fv);
    let (c, r) = (fu as i64, fv as i64);
    let (p, q, s, t) = (f.at(c, r), f.at(c + 1, r), f.at(c, r + 1), f.at(c + 1, r + 1));
    std::array::from_fn(|i| (p[i] * (1.0 - a) + q[i] * a) * (1.0 - b) + (s[i] * (1.0 - a) + t[i] * a) * b)
}

fn sample(s: &Sheet<'_>, x: f32, y: f32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (a, b) = (x - fx, y - fy);
    let (c, r) = (fx as i64, fy as i64);
    let g = |c, r| f32::from(s.at(c, r));
    (g(c, r) * (1.0 - a) + g(c + 1, r) * a) * (1.0 - b) + (g(c, r + 1) * (1.0 - a) + g(c + 1, r + 1) * a) * b
}

pub fn recipe(before: &Picture<Planes>, after: &Picture<Planes>, motion: &MotionField) -> Vec<u8> {
    let f = crate::fill::reference(motion, (before.width, before.height)).or_zero();
    let f = Field::of(&crate::smooth::reference(&crate::median::reference(&f)));
    let [a, ..] = sheets(before).unwrap();
    let [b, ..] = sheets(after).unwrap();
    let mut out = Vec::new();
    for y in 0..before.height { for x in 0..before.width {
        let m = bilinear_field(&f, x as f32, y as f32);
        let p = sample(&a, x as f32 - m[0] / 2.0, y as f32 - m[1] / 2.0);
        let q = sample(&b, x as f32 + m[0] / 2.0, y as f32 + m[1] / 2.0);
        out.push(((p + q) / 2.0).round() as u8);
    }}
    out
}

