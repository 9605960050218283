//! Blocks of motion to a field of cells.
use hearsight_core::media::MotionField;

pub const CELL: usize = 4;

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub columns: usize,
    pub rows: usize,
    pub vectors: Vec<[f32; 2]>,
}

impl Field {
    pub fn at(&self, column: i64, row: i64) -> [f32; 2] {
        let c = column.clamp(0, self.columns as i64 - 1) as usize;
        let r = row.clamp(0, self.rows as i64 - 1) as usize;
        self.vectors[r * self.columns + c]
    }
}

pub fn reference(motion: &MotionField, (width, height): (u32, u32), longest: f32) -> (Field, Vec<bool>) {
    let (columns, rows) = ((width as usize).div_ceil(CELL), (height as usize).div_ceil(CELL));
    let mut vectors = vec![[0.0; 2]; columns * rows];
    let mut known = vec![false; columns * rows];
    for block in motion.blocks.iter().filter(|block| block.reference < 0) {
        let distance = -f32::from(block.reference);
        let vector = [-block.dx / distance, -block.dy / distance];
        if !vector.iter().all(|part| part.abs() <= longest) { continue; }
        let span = |start: i16, length: u8, cells: usize| {
            let end = i32::from(start) + i32::from(length);
            let from = (i32::from(start).max(0) as usize).div_ceil(CELL);
            let to = (end.max(0) as usize).div_ceil(CELL);
            from.min(cells)..to.min(cells)
        };
        for row in span(block.y, block.height, rows) {
            for column in span(block.x, block.width, columns) {
                vectors[row * columns + column] = vector;
                known[row * columns + column] = true;
            }
        }
    }
    (Field { columns, rows, vectors }, known)
}

pub fn median(field: &Field, r: i64) -> Field {
    let mut made = field.clone();
    let n = ((2*r+1)*(2*r+1)) as usize;
    for row in 0..field.rows as i64 {
        for column in 0..field.columns as i64 {
            for part in 0..2 {
                let mut window = Vec::with_capacity(n);
                for y in -r..=r { for x in -r..=r { window.push(field.at(column + x, row + y)[part]); } }
                let (_, m, _) = window.select_nth_unstable_by(n / 2, f32::total_cmp);
                made.vectors[row as usize * field.columns + column as usize][part] = *m;
            }
        }
    }
    made
}

pub fn smooth(field: &Field, sigma: f32) -> Field {
    let radius = (3.0 * sigma).ceil() as i64;
    let weights: Vec<f32> = (-radius..=radius).map(|o| (-(o as f32).powi(2) / (2.0 * sigma * sigma)).exp()).collect();
    let total: f32 = weights.iter().sum();
    let pass = |field: &Field, dx: i64, dy: i64| {
        let mut made = field.clone();
        for row in 0..field.rows as i64 {
            for column in 0..field.columns as i64 {
                let mut sum = [0.0f32; 2];
                for (o, w) in (-radius..=radius).zip(&weights) {
                    let v = field.at(column + o * dx, row + o * dy);
                    sum[0] += v[0] * w; sum[1] += v[1] * w;
                }
                made.vectors[row as usize * field.columns + column as usize] = sum.map(|s| s / total);
            }
        }
        made
    };
    pass(&pass(field, 1, 0), 0, 1)
}
