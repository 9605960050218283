//! The steps that find motion between two pictures, in the order in which the device runs them.

use super::scene::{Scene, Size};
use crate::kernel::Pass;
use crate::seek::{COARSE, FINE};
use crate::warp::Side;

/// Samples on every side of a plane, beyond its edges, as pyramid.wgsl lays them.
const MARGIN: u32 = 16;

/// Both pictures' luma as pyramid.wgsl makes it, the earlier one's first.
struct Level {
    samples: wgpu::Buffer,
    size: (u32, u32),
}

impl Level {
    fn new(pass: &Pass<'_>, size: (u32, u32)) -> Self {
        let level = |samples| Self { samples, size };
        let (across, down) = padded(size);
        level(pass.room(u64::from(2 * across * down) * 4))
    }

    /// Words from row to row.
    fn stride(&self) -> u32 {
        padded(self.size).0
    }

    /// Where a picture's plane begins, in words.
    fn begin(&self, side: Side) -> u32 {
        let (across, down) = padded(self.size);
        match side {
            Side::Earlier => 0,
            Side::Later => across * down,
        }
    }
}

/// Words in a row and rows of a plane of so many samples, with its margin.
fn padded((columns, rows): (u32, u32)) -> Size {
    ((columns + 2 * MARGIN).div_ceil(4), rows + 2 * MARGIN)
}

fn halved((columns, rows): (u32, u32)) -> (u32, u32) {
    (columns.div_ceil(2), rows.div_ceil(2))
}

/// One pass of seek.wgsl: by so many blocks, from what is known by blocks of so many times the side.
struct Pace<'a> {
    level: u32,
    blocks: Size,
    soft: &'a wgpu::Buffer,
    known: (&'a wgpu::Buffer, Size, u32),
    apart: i32,
}

impl Scene<'_> {
    /// By cells: where the earlier picture's content goes, and where the later one's comes from.
    pub(super) fn search(&self, pass: &mut Pass<'_>, soft: &wgpu::Buffer) -> [wgpu::Buffer; 2] {
        let levels = self.pyramid(pass);
        let blocks = self.blocks();
        let by_groups = self.halve(pass, soft, blocks, halved(blocks));
        let made = [Side::Earlier, Side::Later].map(|anchor| {
            let found = self.seek(pass, &levels, anchor, [soft, &by_groups]);
            let made = self.project(pass, &found, anchor);
            pass.give_back(found);
            made
        });
        let planes = levels.into_iter().map(|level| level.samples);
        planes.chain([by_groups]).for_each(|room| pass.give_back(room));
        made
    }

    /// Motion by cells, by blocks and half as long: for planes of half the size.
    pub(super) fn shrunk(&self, pass: &mut Pass<'_>, motion: &wgpu::Buffer) -> wgpu::Buffer {
        let blocks @ (wide, high) = self.blocks();
        let by_blocks = self.halve(pass, motion, self.cells(), blocks);
        let made = pass.room(self.bytes(blocks, 4));
        let shape = pass.uniform(&[wide, high, wide, high]);
        let buffers = [(0, &shape), (1, &by_blocks), (2, &made)];
        pass.run(&self.maker.shrink, &buffers, &[], blocks);
        pass.give_back(by_blocks);
        made
    }

    fn halve(&self, pass: &mut Pass<'_>, grid: &wgpu::Buffer, from: Size, to: Size) -> wgpu::Buffer {
        let made = pass.room(self.bytes(to, 4));
        let shape = pass.uniform(&[to.0, to.1, from.0, from.1]);
        pass.run(&self.maker.halve, &[(0, &shape), (1, grid), (2, &made)], &[], to);
        made
    }

    /// Luma of half and of a quarter of the size.
    fn pyramid(&self, pass: &mut Pass<'_>) -> [Level; 2] {
        let half = Level::new(pass, halved(self.size));
        let quarter = Level::new(pass, halved(half.size));
        for (side, picture) in [Side::Earlier, Side::Later].into_iter().zip(self.pair) {
            let shape = |level: &Level, (wide, high): (u32, u32)| {
                let (columns, rows) = level.size;
                let (begin, finer) = (level.begin(side), half.begin(side));
                [columns, rows, level.stride(), half.stride(), wide, high, begin, finer]
            };
            let numbers = pass.uniform(&shape(&half, self.size));
            let buffers = [(0, &numbers), (1, &half.samples)];
            pass.run(&self.maker.first, &buffers, &[(2, &picture.y)], padded(half.size));
            let numbers = pass.uniform(&shape(&quarter, half.size));
            let buffers = [(0, &numbers), (1, &quarter.samples), (3, &half.samples)];
            pass.run(&self.maker.next, &buffers, &[], padded(quarter.size));
        }
        [half, quarter]
    }

    /// One vector per block of the picture on that side.
    fn seek(
        &self,
        pass: &mut Pass<'_>,
        [half, quarter]: &[Level; 2],
        anchor: Side,
        [by_blocks, by_groups]: [&wgpu::Buffer; 2],
    ) -> wgpu::Buffer {
        let (blocks, groups) = (self.blocks(), halved(self.blocks()));
        let mut coarse = None;
        for apart in COARSE {
            let known = coarse.as_ref().unwrap_or(by_groups);
            let pace = Pace {
                level: 1,
                blocks: groups,
                soft: by_groups,
                known: (known, groups, 1),
                apart,
            };
            let found = self.pass(pass, quarter, anchor, &pace);
            coarse.replace(found).into_iter().for_each(|room| pass.give_back(room));
        }
        let known = coarse.as_ref().unwrap_or(by_groups);
        let pace = Pace {
            level: 0,
            blocks,
            soft: by_blocks,
            known: (known, groups, 2),
            apart: FINE,
        };
        let found = self.pass(pass, half, anchor, &pace);
        let made = self.agree(pass, half, anchor, &found);
        coarse.into_iter().chain([found]).for_each(|room| pass.give_back(room));
        made
    }

    fn pass(&self, pass: &mut Pass<'_>, level: &Level, anchor: Side, pace: &Pace<'_>) -> wgpu::Buffer {
        let (columns, rows) = pace.blocks;
        let (known, (known_columns, known_rows), side) = pace.known;
        let made = pass.room(self.bytes(pace.blocks, 4));
        let (wide, high) = level.size;
        let apart = pace.apart.cast_unsigned();
        let shape = pass.uniform(&[
            columns,
            rows,
            level.stride(),
            wide,
            high,
            pace.level,
            apart,
            side,
            known_columns,
            known_rows,
            ahead(anchor),
            level.begin(anchor),
            level.begin(anchor.other()),
        ]);
        let buffers = [(0, &shape), (1, &level.samples), (2, known), (3, pace.soft), (4, &made)];
        pass.run(&self.maker.seek, &buffers, &[], pace.blocks);
        made
    }

    fn agree(&self, pass: &mut Pass<'_>, level: &Level, anchor: Side, found: &wgpu::Buffer) -> wgpu::Buffer {
        let blocks @ (columns, rows) = self.blocks();
        let made = pass.room(self.bytes(blocks, 4));
        let (wide, high) = level.size;
        let (here, there) = (level.begin(anchor), level.begin(anchor.other()));
        let shape = pass.uniform(&[columns, rows, level.stride(), wide, high, ahead(anchor), here, there]);
        let buffers = [(0, &shape), (1, &level.samples), (2, found), (3, &made)];
        pass.run(&self.maker.agree, &buffers, &[], blocks);
        made
    }

    /// Found motion, by cells of the picture in between.
    fn project(&self, pass: &mut Pass<'_>, found: &wgpu::Buffer, anchor: Side) -> wgpu::Buffer {
        let cells @ (columns, rows) = self.cells();
        let (wide, high) = self.blocks();
        let made = pass.room(self.bytes(cells, 4));
        let shape = pass.uniform(&[columns, rows, wide, high, self.split, ahead(anchor), 0, 0]);
        let buffers = [(0, &shape), (1, found), (2, &made)];
        pass.run(&self.maker.project, &buffers, &[], cells);
        made
    }
}

/// Which way an anchor's vectors lead from it, for kernels.
fn ahead(anchor: Side) -> u32 {
    match anchor {
        Side::Earlier => 1,
        Side::Later => (-1_i32).cast_unsigned(),
    }
}
