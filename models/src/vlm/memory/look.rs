//! What a picture looks like at a glance: enough to tell whether another shows something else, whether it is sharp, and how much of
//! it looks like writing. The work is the same for every size.

use hearsight_core::media::{Picture, Plane, Planes};

/// Cells that change is judged by.
const COLUMNS: usize = 32;
const ROWS: usize = 18;
/// Samples looked at per side of a cell: of luma, and of each chroma.
const LUMA: usize = 4;
const CHROMA: usize = 2;
/// Change of one cell's mean luma, in steps, that makes a view another one: a letter that comes or goes makes more, noise of a camera
/// less.
const CHANGE: f32 = 6.0;
/// The same of chroma, which is noisier for its fewer samples.
const COLOUR: f32 = 8.0;
/// Mean step between neighbouring samples from which a cell is busy: strokes of letters make more, skies and walls less.
const BUSY: f32 = 10.0;
/// Of a page of writing, so many cells are busy; the margins are not.
const FULL: f32 = 0.25;

type Cells = Box<[f32; COLUMNS * ROWS]>;

/// A picture at a glance.
pub(super) struct Look {
    luma: Cells,
    chroma: [Cells; 2],
    /// Mean step between neighbouring pixels.
    pub(super) sharpness: f32,
    /// How much of it looks like writing, 0..1.
    pub(super) text: f32,
}

impl Look {
    pub(super) fn new(picture: &Picture<Planes>) -> Look {
        let (width, height) = (picture.width as usize, picture.height as usize);
        let half = (width.div_ceil(2), height.div_ceil(2));
        let Planes { y, u, v } = &picture.pixels;
        let (luma, steps) = means(y, (width, height), LUMA);
        let busy = steps.iter().filter(|steps| **steps >= BUSY).count();
        Look {
            luma,
            chroma: [u, v].map(|plane| means(plane, half, CHROMA).0),
            sharpness: steps.iter().sum::<f32>() / steps.len() as f32,
            text: (busy as f32 / steps.len() as f32 / FULL).min(1.0),
        }
    }

    /// Whether both show the same.
    pub(super) fn same(&self, other: &Look) -> bool {
        let near = |a: &Cells, b: &Cells, most: f32| a.iter().zip(b.iter()).all(|(a, b)| (a - b).abs() <= most);
        near(&self.luma, &other.luma, CHANGE)
            && (0..2).all(|plane| near(&self.chroma[plane], &other.chroma[plane], COLOUR))
    }
}

/// Of each cell the mean of its samples, and of the steps from them to their neighbours.
fn means(plane: &Plane, (width, height): (usize, usize), samples: usize) -> (Cells, Cells) {
    let [mut sums, mut steps] = [(); 2].map(|()| Box::new([0.0; COLUMNS * ROWS]));
    let count = (samples * samples) as f32;
    for line in 0..ROWS * samples {
        // The middle of each of equal strips, so that every size is sampled evenly.
        let y = (2 * line + 1) * height / (2 * ROWS * samples);
        let Some(row) = plane.row(y, width) else { continue };
        for place in 0..COLUMNS * samples {
            let x = (2 * place + 1) * width / (2 * COLUMNS * samples);
            let sample = row.get(x).copied().unwrap_or(0);
            let next = row.get(x + 1).copied().unwrap_or(sample);
            let cell = line / samples * COLUMNS + place / samples;
            sums[cell] += f32::from(sample) / count;
            steps[cell] += f32::from(sample.abs_diff(next)) / count;
        }
    }
    (sums, steps)
}
