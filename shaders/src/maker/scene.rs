//! One picture's steps, in the order in which the device runs them.

use hearsight_core::media::Picture;

use super::{Finding, Maker, Motion, Verdict};
use crate::features::CHANNELS;
use crate::grid::{CELL, cells};
use crate::interpolate::{CUT, Rung};
use crate::kernel::{Pass, storage};
use crate::texture::{self, Texture};

/// Slices of four channels in what the network looks at.
const SLICES: u64 = CHANNELS as u64 / 4;

/// Cells in a row and rows of them, for a kernel.
type Size = (u32, u32);

/// What a pair's steps look at.
pub(super) struct Scene<'a> {
    pub(super) maker: &'a Maker,
    pub(super) gpu: &'a wgpu::Device,
    pub(super) rung: Rung,
    pub(super) pair: [&'a Texture; 2],
    pub(super) size: (u32, u32),
    pub(super) split: u32,
}

/// Motion on its grids: by blocks for chroma, whose vectors are half as long, and by cells for luma.
struct Grids {
    /// Chosen and smoothed, by cells.
    luma: [wgpu::Buffer; 2],
    /// Chosen and smoothed, by blocks.
    chroma: [wgpu::Buffer; 2],
}

/// How planes are mixed.
struct Mixing {
    weights: wgpu::Buffer,
    verdict: wgpu::Buffer,
}

/// One plane on its way.
struct Plane<'a> {
    pair: [&'a wgpu::Texture; 2],
    /// Cells of 4 × 4 of its samples.
    cells: Size,
    /// Along the chosen and the smoothed vectors.
    ways: wgpu::Buffer,
    /// Whole cells of samples, in rows that begin `stride` words apart.
    made: wgpu::Buffer,
    stride: u32,
}

impl<'a> Scene<'a> {
    pub(super) fn record(
        &self,
        pass: &mut Pass<'_>,
        motion: Option<&Motion>,
        before: Option<&Motion>,
    ) -> (Picture<Texture>, Verdict) {
        // Without vectors everything stands still, which is a blend.
        let rest = pass.zeros(self.bytes(self.cells(), 4));
        let [raw, soft] = motion.map_or([&rest, &rest], |motion| [&motion.raw, &motion.soft]);
        let grids = self.choose(pass, raw, soft);
        let planes = self.planes(pass);
        for plane in &planes {
            let along = if plane.cells == self.cells() {
                &grids.luma
            } else {
                &grids.chroma
            };
            self.warp(pass, along, plane);
        }
        let past = before.map_or(&rest, |before| &before.soft);
        let mixing = self.weigh(pass, &planes[0], &grids, past, before.is_some());
        for plane in &planes {
            self.mix(pass, &mixing, plane);
        }
        if self.rung == Rung::Full {
            self.correct(pass, &planes, &grids, &mixing);
        }
        let [y, u, v] = planes.map(|plane| self.finish(pass, plane));
        let home = self.maker.home;
        let pixels = Texture { y, u, v, home };
        let (width, height) = self.size;
        for room in [rest, mixing.weights].into_iter().chain(grids.luma).chain(grids.chroma) {
            // The smoothed motion is the caller's.
            if motion.is_none_or(|motion| room != motion.soft) {
                pass.give_back(room);
            }
        }
        let verdict = Verdict(Finding::Pending {
            sums: mixing.verdict,
            cut: self.cut(),
            home,
        });
        (Picture { width, height, pixels }, verdict)
    }

    /// Room for all three.
    fn planes(&self, pass: &Pass<'_>) -> [Plane<'a>; 3] {
        let [earlier, later] = self.pair;
        let pairs = [[&earlier.y, &later.y], [&earlier.u, &later.u], [&earlier.v, &later.v]];
        pairs.map(|pair| {
            let cells = cells((pair[0].width(), pair[0].height()));
            let cells @ (columns, rows) = (cells.0 as u32, cells.1 as u32);
            // Rows of a copy to a texture lie a multiple of 256 bytes apart.
            let stride = columns.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT / CELL as u32);
            Plane {
                pair,
                cells,
                ways: pass.room(self.bytes(cells, 64)),
                made: pass.room(self.bytes((stride, rows), (CELL * CELL) as u64)),
                stride,
            }
        })
    }

    /// The sum of the least differences above which the scene was cut.
    fn cut(&self) -> u32 {
        (CUT * self.size.0 as f32 * self.size.1 as f32) as u32
    }

    fn cells(&self) -> Size {
        let (columns, rows) = cells(self.size);
        (columns as u32, rows as u32)
    }

    fn blocks(&self) -> Size {
        let (columns, rows) = self.cells();
        (columns.div_ceil(2), rows.div_ceil(2))
    }

    /// So many bytes for each cell.
    fn bytes(&self, (columns, rows): Size, bytes: u64) -> u64 {
        u64::from(columns) * u64::from(rows) * bytes
    }

    fn choose(&self, pass: &mut Pass<'_>, raw: &wgpu::Buffer, soft: &wgpu::Buffer) -> Grids {
        let ((columns, rows), (wide, high)) = (self.cells(), self.blocks());
        let maker = self.maker;
        let [by_blocks, taken, chosen, chroma_chosen, chroma_soft] =
            std::array::from_fn(|_| pass.room(self.bytes((wide, high), 4)));
        let fine = pass.room(self.bytes((columns, rows), 4));
        let luma = self.pair.map(|picture| &picture.y);
        let halve = pass.uniform(&[wide, high, columns, rows]);
        let buffers = [(0, &halve), (1, soft), (2, &by_blocks)];
        pass.run(&maker.halve, &buffers, &[], (wide, high));
        let choose = pass.uniform(&[wide, high, self.split, columns, rows, 0, 0, 0]);
        let buffers = [(0, &choose), (1, raw), (2, &by_blocks), (3, &taken)];
        pass.run(&maker.choose, &buffers, &[(4, luma[0]), (5, luma[1])], (wide, high));
        let same = pass.uniform(&[wide, high, wide, high]);
        let buffers = [(0, &same), (1, &taken), (2, &chosen)];
        pass.run(&maker.median, &buffers, &[], (wide, high));
        let double = pass.uniform(&[columns, rows, wide, high]);
        let buffers = [(0, &double), (1, &chosen), (2, &fine)];
        pass.run(&maker.double, &buffers, &[], (columns, rows));
        for (from, to) in [(&chosen, &chroma_chosen), (&by_blocks, &chroma_soft)] {
            pass.run(&maker.shrink, &[(0, &same), (1, from), (2, to)], &[], (wide, high));
        }
        [by_blocks, taken, chosen]
            .into_iter()
            .for_each(|room| pass.give_back(room));
        Grids {
            luma: [fine, soft.clone()],
            chroma: [chroma_chosen, chroma_soft],
        }
    }

    fn weigh(
        &self,
        pass: &mut Pass<'_>,
        plane: &Plane<'_>,
        grids: &Grids,
        past: &wgpu::Buffer,
        past_known: bool,
    ) -> Mixing {
        let cells @ (columns, rows) = self.cells();
        let [fine, soft] = &grids.luma;
        let [sums, weights] = [(); 2].map(|()| pass.room(self.bytes(cells, 16)));
        let verdict = storage(self.gpu, 8);
        let shape = pass.uniform(&[columns, rows, self.split, u32::from(past_known)]);
        let buffers = [(0, &shape), (1, &plane.ways), (2, fine), (3, &sums), (4, &verdict)];
        let textures = [(5, plane.pair[0]), (6, plane.pair[1])];
        pass.run(&self.maker.sum, &buffers, &textures, cells);
        let buffers = [(0, &shape), (3, &sums), (7, soft), (8, past), (9, &weights)];
        pass.run(&self.maker.weigh, &buffers, &[], cells);
        pass.give_back(sums);
        Mixing { weights, verdict }
    }

    /// Moves a plane along the chosen and the smoothed vectors.
    fn warp(&self, pass: &mut Pass<'_>, [chosen, smoothed]: &[wgpu::Buffer; 2], plane: &Plane<'_>) {
        let (columns, rows) = plane.cells;
        let shape = pass.uniform(&[columns, rows, self.split, 0]);
        let buffers = [(0, &shape), (1, chosen), (2, smoothed), (3, &plane.ways)];
        let textures = [(4, plane.pair[0]), (5, plane.pair[1])];
        pass.run(&self.maker.warp, &buffers, &textures, (columns, rows));
    }

    fn mix(&self, pass: &mut Pass<'_>, mixing: &Mixing, plane: &Plane<'_>) {
        let (columns, rows) = plane.cells;
        let weighed = self.cells();
        let covered = if weighed == plane.cells { 1 } else { 2 };
        let numbers = [
            columns,
            rows,
            self.split,
            plane.stride,
            weighed.0,
            weighed.1,
            covered,
            self.cut(),
        ];
        let shape = pass.uniform(&numbers);
        let buffers = [
            (0, &shape),
            (1, &plane.ways),
            (2, &mixing.weights),
            (3, &mixing.verdict),
            (4, &plane.made),
        ];
        let textures = [(5, plane.pair[0]), (6, plane.pair[1])];
        pass.run(&self.maker.blend, &buffers, &textures, (columns, 4 * rows));
    }

    /// Lets the network look at what was made, and adds what it finds.
    fn correct(&self, pass: &mut Pass<'_>, planes: &[Plane<'_>; 3], grids: &Grids, mixing: &Mixing) {
        let (maker, cells @ (columns, rows)) = (self.maker, self.cells());
        let size = (columns as usize, rows as usize);
        let features = pass.room(maker.network.bytes(0, size));
        // Each kernel writes its own slices: of a plane's samples as made and along six ways, four of luma and one of each
        // chroma.
        let slices = [0, 4, 5];
        let others = |written: u64| features.size() * (SLICES - written) / SLICES;
        for (plane, slice) in planes.iter().zip(slices) {
            let shape = pass.uniform(&[columns, rows, plane.stride, slice, self.split, plane.cells.0, 0, 0]);
            let buffers = [(0, &shape), (1, &plane.made), (2, &plane.ways), (3, &features)];
            let textures = [(4, plane.pair[0]), (5, plane.pair[1])];
            match slice {
                0 => pass.run(&maker.look_at_luma, &buffers, &textures, (columns, 4 * rows)),
                _ => pass.run(&maker.look_at_chroma, &buffers, &textures, cells),
            }
            pass.spared(others(if slice == 0 { 28 } else { 7 }));
        }
        let shape = pass.uniform(&[columns, rows, 0, 0, self.split, 0, 0, 0]);
        let [fine, soft] = &grids.luma;
        let buffers = [(0, &shape), (3, &features), (6, &mixing.weights), (7, fine), (8, soft)];
        pass.run(&maker.look_at_motion, &buffers, &[], cells);
        pass.spared(others(4));
        let answer = maker.network.answer(pass, features, size);
        for (plane, slice) in planes.iter().zip(slices) {
            let shape = pass.uniform(&[columns, rows, plane.stride, slice, self.cut(), 0, 0, 0]);
            let buffers = [(0, &shape), (1, &answer), (2, &mixing.verdict), (3, &plane.made)];
            let kernel = if slice == 0 {
                &maker.add_to_luma
            } else {
                &maker.add_to_chroma
            };
            pass.run(kernel, &buffers, &[], (plane.cells.0, 4 * plane.cells.1));
        }
        pass.give_back(answer);
    }

    /// Lays a plane into a texture.
    fn finish(&self, pass: &mut Pass<'_>, plane: Plane<'_>) -> wgpu::Texture {
        let usage =
            wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::COPY_SRC | wgpu::TextureUsages::TEXTURE_BINDING;
        let size = (plane.pair[0].width(), plane.pair[0].height());
        let texture = texture::create(self.gpu, size, wgpu::TextureFormat::R8Unorm, usage);
        pass.copy(&plane.made, plane.stride * CELL as u32, &texture);
        pass.give_back(plane.made);
        pass.give_back(plane.ways);
        texture
    }
}
