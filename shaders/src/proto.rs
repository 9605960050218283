#![allow(missing_docs, clippy::all)]
use hearsight_core::media::{MotionField, Picture, Planes};
use crate::fill::{self, Field};
use crate::planes::{Sheet, sheets};

fn tune(name: &str, default: f32) -> f32 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

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
    let (f, _) = fill::reference(motion, (before.width, before.height), 1e9);
    let f = fill::smooth(&fill::median(&f, 2), 2.0);
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

const M: i64 = 48;
pub struct Padded { w: i64, h: i64, stride: usize, bytes: Vec<u8> }
impl Padded {
    fn new(s: &Sheet<'_>) -> Self {
        let (w, h) = (s.columns as i64, s.rows as i64);
        let stride = (w + 2 * M) as usize;
        let mut bytes = Vec::with_capacity(stride * (h + 2 * M) as usize);
        for y in -M..h + M { for x in -M..w + M { bytes.push(s.at(x, y)); } }
        Self { w, h, stride, bytes }
    }
    fn off(&self, x: i64, y: i64, size: i64) -> usize {
        let x = x.clamp(-M, self.w + M - size - 1) + M;
        let y = y.clamp(-M, self.h + M - size - 1) + M;
        y as usize * self.stride + x as usize
    }
    fn s(&self, x: f32, y: f32) -> f32 {
        let (fx, fy) = (x.floor(), y.floor());
        let (a, b) = (x - fx, y - fy);
        let o = self.off(fx as i64, fy as i64, 1);
        let g = |o: usize| f32::from(self.bytes[o]);
        (g(o) * (1.0 - a) + g(o+1) * a) * (1.0 - b) + (g(o+self.stride) * (1.0 - a) + g(o+self.stride+1) * a) * b
    }
}

const WIN: usize = 16;
fn sad(a: &Padded, oa: usize, b: &Padded, ob: usize) -> u32 {
    let mut sum = 0u32;
    for r in (0..WIN).step_by(2) {
        let p = &a.bytes[oa + r * a.stride..][..WIN];
        let q = &b.bytes[ob + r * b.stride..][..WIN];
        let mut s = 0u32;
        for i in 0..WIN { s += u32::from(p[i].abs_diff(q[i])); }
        sum += s;
    }
    sum * 2
}

fn bil_row(p: &Padded, o: usize, wx: u16, wy: u16, out: &mut [u8; WIN]) {
    let u = &p.bytes[o..][..WIN + 1];
    let d = &p.bytes[o + p.stride..][..WIN + 1];
    for i in 0..WIN {
        let t = u16::from(u[i]) * (16 - wx) + u16::from(u[i + 1]) * wx;
        let s = u16::from(d[i]) * (16 - wx) + u16::from(d[i + 1]) * wx;
        out[i] = ((u32::from(t) * u32::from(16 - wy) + u32::from(s) * u32::from(wy) + 128) >> 8) as u8;
    }
}

struct Search<'a> { a: &'a Padded, b: &'a Padded, t: f32 }
impl Search<'_> {
    fn whole(&self, x: i64, y: i64, m: [f32; 2]) -> u32 {
        let m = [m[0].round(), m[1].round()];
        let d0 = [(m[0] * self.t).round(), (m[1] * self.t).round()];
        let oa = self.a.off(x - d0[0] as i64, y - d0[1] as i64, WIN as i64);
        let ob = self.b.off(x + (m[0] - d0[0]) as i64, y + (m[1] - d0[1]) as i64, WIN as i64);
        sad(self.a, oa, self.b, ob)
    }
    fn fine(&self, x: i64, y: i64, m: [f32; 2]) -> u32 {
        let split = |base: i64, d: f32| { let s = base as f32 + d; let f = s.floor(); (f as i64, ((s - f) * 16.0) as u16) };
        let (ax, awx) = split(x, -m[0] * self.t);
        let (ay, awy) = split(y, -m[1] * self.t);
        let (bx, bwx) = split(x, m[0] * (1.0 - self.t));
        let (by, bwy) = split(y, m[1] * (1.0 - self.t));
        let (oa, ob) = (self.a.off(ax, ay, WIN as i64), self.b.off(bx, by, WIN as i64));
        let (mut p, mut q) = ([0; WIN], [0; WIN]);
        let mut sum = 0;
        for r in (0..WIN).step_by(2) {
            bil_row(self.a, oa + r * self.a.stride, awx, awy, &mut p);
            bil_row(self.b, ob + r * self.b.stride, bwx, bwy, &mut q);
            let mut s = 0u32;
            for i in 0..WIN { s += u32::from(p[i].abs_diff(q[i])); }
            sum += s;
        }
        sum * 2
    }
}

fn fill_holes(f: &mut Field, known: &mut Vec<bool>) {
    for _ in 0..64 {
        if known.iter().all(|k| *k) || !known.iter().any(|k| *k) { break; }
        let (of, ok) = (f.clone(), known.clone());
        for r in 0..f.rows { for c in 0..f.columns {
            let at = r * f.columns + c;
            if ok[at] { continue; }
            let mut s = [0.0; 2]; let mut n = 0.0;
            for (dx, dy) in [(-1i64, 0i64), (1, 0), (0, -1), (0, 1)] {
                let (x, y) = (c as i64 + dx, r as i64 + dy);
                if x < 0 || y < 0 || x >= f.columns as i64 || y >= f.rows as i64 { continue; }
                let o = y as usize * f.columns + x as usize;
                if ok[o] { s[0] += of.vectors[o][0]; s[1] += of.vectors[o][1]; n += 1.0; }
            }
            if n > 0.0 { f.vectors[at] = [s[0] / n, s[1] / n]; known[at] = true; }
        }}
    }
}

pub fn ours(before: &Picture<Planes>, after: &Picture<Planes>, motion: &MotionField, t: f32) -> Vec<u8> {
    let (w, h) = (before.width as i64, before.height as i64);
    let [a, ..] = sheets(before).unwrap();
    let [b, ..] = sheets(after).unwrap();
    let (a, b) = (Padded::new(&a), Padded::new(&b));
    let (mut f, mut known) = fill::reference(motion, (before.width, before.height), 512.0);
    if tune("HOLES", 1.0) > 0.0 { fill_holes(&mut f, &mut known); }
    let soft = fill::smooth(&fill::median(&f, 2), tune("SIGMA", 2.0));
    let (bw, bh) = ((w as usize).div_ceil(8), (h as usize).div_ceil(8));
    let s = Search { a: &a, b: &b, t };
    let lambda = tune("LAMBDA", 4.0);
    let zero_bonus = tune("ZERO", 0.0);
    let mut g = Field { columns: bw, rows: bh, vectors: vec![[0.0; 2]; bw * bh] };
    let soft_at = |c: i64, r: i64| bilinear_field(&soft, c as f32 * 8.0 + 3.5, r as f32 * 8.0 + 3.5);
    let origin = |c: usize, r: usize| (c as i64 * 8 - 4, r as i64 * 8 - 4);
    if tune("REFINE", 1.0) > 0.0 {
        for r in 0..bh { for c in 0..bw {
            let (x, y) = origin(c, r);
            let pred = soft_at(c as i64, r as i64);
            let mut best = (f32::MAX, [0.0; 2]);
            let mut seen: Vec<[f32; 2]> = Vec::new();
            let mut try_it = |m: [f32; 2], seen: &mut Vec<[f32; 2]>| {
                let k = [m[0].round(), m[1].round()];
                if seen.contains(&k) { return; }
                seen.push(k);
                let far = (m[0] - pred[0]).abs() + (m[1] - pred[1]).abs();
                let mut j = s.whole(x, y, m) as f32 + lambda * far.min(32.0) * 4.0;
                if m == [0.0; 2] { j -= zero_bonus; }
                if j < best.0 { best = (j, m); }
            };
            try_it(pred, &mut seen);
            try_it([0.0; 2], &mut seen);
            let (cc, cr) = (c as i64 * 2, r as i64 * 2);
            for (dx, dy) in [(0, 0), (-2, 0), (3, 0), (0, -2), (0, 3), (-4, -4), (5, -4), (-4, 5), (5, 5),(-6,0),(7,0),(0,-6),(0,7)] {
                try_it(f.at(cc + dx, cr + dy), &mut seen);
            }
            // projections: the field lies on the later picture
            let m = pred;
            try_it(f.at(cc + (m[0] * (1.0 - t) / 4.0).round() as i64, cr + (m[1] * (1.0 - t) / 4.0).round() as i64), &mut seen);
            let m = f.at(cc, cr);
            try_it(f.at(cc + (m[0] * (1.0 - t) / 4.0).round() as i64, cr + (m[1] * (1.0 - t) / 4.0).round() as i64), &mut seen);
            g.vectors[r * bw + c] = best.1;
        }}
        let passes = tune("PASSES", 3.0) as usize;
        for pass in 0..passes {
            let old = g.clone();
            for r in 0..bh { for c in 0..bw {
                let (x, y) = origin(c, r);
                let (ci, ri) = (c as i64, r as i64);
                let near: Vec<[f32; 2]> = [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)].iter().map(|(dx, dy)| old.at(ci + dx, ri + dy)).collect();
                let mid: [f32; 2] = std::array::from_fn(|i| { let mut v: Vec<f32> = near.iter().map(|n| n[i]).collect(); v.sort_by(f32::total_cmp); (v[3] + v[4]) / 2.0 });
                let mut best = (f32::MAX, [0.0; 2]);
                let mut seen: Vec<[f32; 2]> = Vec::new();
                let mut try_it = |m: [f32; 2], seen: &mut Vec<[f32; 2]>| {
                    let k = [m[0].round(), m[1].round()];
                    if seen.contains(&k) { return; }
                    seen.push(k);
                    let far: f32 = near.iter().map(|n| ((m[0] - n[0]).abs() + (m[1] - n[1]).abs()).min(8.0)).sum::<f32>() / 8.0;
                    let mut j = s.whole(x, y, m) as f32 + lambda * far * 8.0;
                    if m == [0.0; 2] { j -= zero_bonus; }
                    if j < best.0 { best = (j, m); }
                };
                let own = old.at(ci, ri);
                try_it(own, &mut seen);
                try_it(mid, &mut seen);
                for n in &near { try_it(*n, &mut seen); }
                let step = if pass == 0 { tune("STEP", 2.0) } else { 1.0 };
                for (dx, dy) in [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0f32)] {
                    try_it([own[0] + dx * step, own[1] + dy * step], &mut seen);
                }
                g.vectors[r * bw + c] = best.1;
            }}
        }
        for step in [0.5f32, 0.25] {
            if tune("SUBPEL", 1.0) == 0.0 { break; }
            let old = g.clone();
            for r in 0..bh { for c in 0..bw {
                let (x, y) = origin(c, r);
                let (ci, ri) = (c as i64, r as i64);
                let near: Vec<[f32; 2]> = [(-1, 0), (1, 0), (0, -1), (0, 1)].iter().map(|(dx, dy)| old.at(ci + dx, ri + dy)).collect();
                let own = old.at(ci, ri);
                let mut best = (f32::MAX, own);
                for (dx, dy) in [(0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0f32)] {
                    let m = [own[0] + dx * step, own[1] + dy * step];
                    let far: f32 = near.iter().map(|n| ((m[0] - n[0]).abs() + (m[1] - n[1]).abs()).min(8.0)).sum::<f32>() / 4.0;
                    let j = s.fine(x, y, m) as f32 + lambda * far * 8.0;
                    if j < best.0 { best = (j, m); }
                }
                g.vectors[r * bw + c] = best.1;
            }}
        }
    } else {
        for r in 0..bh { for c in 0..bw { g.vectors[r * bw + c] = soft_at(c as i64, r as i64); } }
    }
    let gm = if tune("GMED", 1.0) > 0.0 { fill::median(&g, tune("GMED", 1.0) as i64) } else { g.clone() };
    let gs = if tune("GSIG", 0.0) > 0.0 { fill::smooth(&gm, tune("GSIG", 0.0)) } else { gm };
    // warp, per pixel field
    let n = (w * h) as usize;
    let (mut wa, mut wb) = (vec![0.0f32; n], vec![0.0f32; n]);
    for y in 0..h { for x in 0..w {
        let m = bilinear_field(&gs, x as f32 / 2.0 - 0.25, y as f32 / 2.0 - 0.25);
        let o = (y * w + x) as usize;
        wa[o] = a.s(x as f32 - m[0] * t, y as f32 - m[1] * t);
        wb[o] = b.s(x as f32 + m[0] * (1.0 - t), y as f32 + m[1] * (1.0 - t));
    }}
    // hypotheses: refined warp, soft field warp, still
    let hyp = tune("HYP", 1.0);
    let diff = |p: &[f32], q: &[f32]| -> Vec<f32> { let d: Vec<f32> = p.iter().zip(q).map(|(p, q)| (p - q).abs()).collect(); boxed(&d, w as usize, h as usize, tune("BOX", 3.0) as i64) };
    let mut out = Vec::with_capacity(n);
    if hyp == 0.0 {
        for i in 0..n { out.push((wa[i] * (1.0 - t) + wb[i] * t).round() as u8); }
        return out;
    }
    let (mut za, mut zb, mut sa, mut sb) = (vec![0.0f32; n], vec![0.0f32; n], vec![0.0f32; n], vec![0.0f32; n]);
    for y in 0..h { for x in 0..w {
        let o = (y * w + x) as usize;
        za[o] = a.s(x as f32, y as f32);
        zb[o] = b.s(x as f32, y as f32);
        let m = bilinear_field(&soft, x as f32, y as f32);
        sa[o] = a.s(x as f32 - m[0] * t, y as f32 - m[1] * t);
        sb[o] = b.s(x as f32 + m[0] * (1.0 - t), y as f32 + m[1] * (1.0 - t));
    }}
    let (ew, ez, es) = (diff(&wa, &wb), diff(&za, &zb), diff(&sa, &sb));
    let (eps, pow) = (tune("EPS", 1.0), tune("POW", 3.0));
    let (pz, ps) = (tune("PZ", 0.5), tune("PS", 1.0));
    for i in 0..n {
        let k = |e: f32| 1.0 / (e + eps).powf(pow);
        let (kw, kz, ks) = (k(ew[i]), k(ez[i]) * pz, k(es[i]) * ps);
        let v = |p: f32, q: f32| p * (1.0 - t) + q * t;
        let s = kw * v(wa[i], wb[i]) + kz * v(za[i], zb[i]) + ks * v(sa[i], sb[i]);
        out.push((s / (kw + kz + ks)).round() as u8);
    }
    out
}

fn boxed(d: &[f32], w: usize, h: usize, r: i64) -> Vec<f32> {
    let pass = |d: &[f32], sx: i64, sy: i64| { let mut o = vec![0.0; d.len()]; for y in 0..h as i64 { for x in 0..w as i64 { let mut s = 0.0; for k in -r..=r { let (xx, yy) = ((x + k * sx).clamp(0, w as i64 - 1), (y + k * sy).clamp(0, h as i64 - 1)); s += d[yy as usize * w + xx as usize]; } o[y as usize * w + x as usize] = s / (2 * r + 1) as f32; } } o };
    pass(&pass(d, 1, 0), 0, 1)
}
