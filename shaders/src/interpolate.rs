//! Pictures between two others, and the one that is likely to follow them, made from the vectors that the decoder met on
//! its way.
//!
//! The steps, each a kernel of its own: the decoder's blocks are laid out by cells ([`crate::fill`]), single ones outvoted
//! ([`crate::median`]), the rest evened out ([`crate::smooth`]). From there blocks of each of both pictures are looked for in
//! the other ([`crate::pyramid`], [`crate::seek`], [`crate::agree`]), which gives motion forward and backward, and both are
//! brought to the new picture's time ([`crate::project`]). The pictures are moved along them ([`crate::warp`]); what does
//! not match is trusted less ([`crate::compare`]), and what remains is mixed ([`crate::blend`]). A small network
//! ([`crate::network`]) looks at all of this ([`crate::features`]), and what it finds is added ([`crate::residual`]). After
//! ANVIL (arXiv 2603.26835), whose own recipe is [`crate::recipe`].

use std::sync::Arc;

use hearsight_core::media::{MotionField, Picture, Plane, Planes};

use crate::compare::{self, Sides, Ways, Weights};
use crate::conv::Tensor;
use crate::features::{self, Features};
use crate::grid::{BLOCK, CELL, Grid, cells, tells};
use crate::network::Ready;
use crate::padded::Padded;
use crate::planes::{PlanesError, sheets};
use crate::resize::Change;
use crate::split::Split;
use crate::warp::{self, Side};
use crate::{blend, fill, median, project, pyramid, residual, resize, seek, smooth};

/// The decoder's motion on one picture, laid out. Made once for each picture: it is the later one's of one pair, then the
/// earlier one's of the next.
#[derive(Clone, Debug)]
pub struct Motion {
    size: (u32, u32),
    /// By blocks.
    pub(crate) soft: Grid,
    tells: bool,
}

impl Motion {
    /// Lays out the vectors of a picture of so many pixels. Takes any field.
    pub fn new(field: &MotionField, size: (u32, u32)) -> Self {
        let soft = smooth::reference(&median::reference(&fill::reference(field, size, BLOCK))).or_zero();
        let tells = tells(field);
        Self { size, soft, tells }
    }
}

/// Two neighbouring pictures and what is known of motion on each: in the CPU's memory, or in a device's
/// ([`crate::maker::Pair`]).
#[derive(Debug)]
pub struct Pair<'a, S = Planes, M = Motion> {
    /// The picture before.
    pub earlier: &'a Picture<S>,
    /// The picture after.
    pub later: &'a Picture<S>,
    /// Motion that led to the earlier picture; none at the start, or after a loss.
    pub before: Option<&'a M>,
    /// Motion that led from the earlier picture to the later one.
    pub motion: &'a M,
}

impl<S, M> Clone for Pair<'_, S, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, M> Copy for Pair<'_, S, M> {}

impl<'a, S, M> Pair<'a, S, M> {
    pub(crate) fn nearer(&self, split: Split) -> &'a Picture<S> {
        if split.later() * 2 > Split::WHOLE {
            self.later
        } else {
            self.earlier
        }
    }

    /// What is to be done before anyone has looked at a sample. `fits`: motion that says something about pictures of this
    /// size, which both have where `sizes` are equal.
    pub(crate) fn plan(
        &self,
        sizes: [(u32, u32); 2],
        split: Split,
        rung: Rung,
        fits: impl Fn(&M) -> bool,
    ) -> Plan<'a, M> {
        let beyond = split.later() > Split::WHOLE;
        let asked = rung == Rung::Hold || (beyond && rung == Rung::Blend);
        if asked || split.later() == 0 || split.later() == Split::WHOLE {
            return Plan::Hold(None);
        }
        if sizes[0] != sizes[1] {
            return Plan::Hold(Some(Held::Resized));
        }
        // A picture without vectors (a key picture) is likely to go on as the one before it did.
        let before = self.before.filter(|motion| fits(motion));
        let motion = Some(self.motion).filter(|motion| fits(motion)).or(before);
        match motion {
            Some(motion) if rung <= Rung::Vectors => {
                // The network learnt from pictures that have a later one.
                let rung = if beyond { Rung::Vectors } else { rung };
                Plan::Along { before, motion, rung }
            }
            _ if beyond => Plan::Hold(Some(Held::Unled)),
            _ => Plan::Blend,
        }
    }
}

/// How a pair is gone about.
pub(crate) enum Plan<'a, M> {
    Hold(Option<Held>),
    Blend,
    Along {
        before: Option<&'a M>,
        motion: &'a M,
        /// With or without the network.
        rung: Rung,
    },
}

/// How a picture is made, best first: the steps of the ladder down which a late one goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// Along the vectors, and with what the residual network makes of that.
    Full,
    /// Along the vectors.
    Vectors,
    /// The mean of both, by their distance.
    Blend,
    /// The nearer of both as it is.
    Hold,
}

/// Why a picture was held although a better way was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// Nothing moved: both pictures are the same.
    Repeated,
    /// The scene changed between the two: there is nothing in between.
    Cut,
    /// The pictures differ in size.
    Resized,
    /// No motion is known that would lead on from the last picture.
    Unled,
}

/// A picture, and how it came about.
#[derive(Clone, Debug)]
pub struct Made {
    /// The picture.
    pub picture: Picture<Planes>,
    /// How it was made.
    pub rung: Rung,
    /// Why it was held, where that was not asked for.
    pub held: Option<Held>,
}

/// A cell of which every sample differs by no more than this, on average, stands still: what coding it twice makes.
pub(crate) const SAME: u32 = 2 * (CELL * CELL) as u32;

/// Mean difference in codes above which two pictures show different scenes, even along the best of all ways: what moves fast
/// comes to half of it.
pub(crate) const CUT: f32 = 12.0;

/// The same where nothing is known of motion: what moves is different everywhere.
pub(crate) const CUT_AT_REST: f32 = 24.0;

/// Makes the picture at `at`, 0 being the earlier and 1 the later, at most as well as `rung` says. At 0 and 1 it is that
/// picture itself. Errors: planes that do not hold their picture.
pub fn make(pair: Pair<'_>, at: f32, rung: Rung) -> Result<Made, PlanesError> {
    make_at(pair, Split::new(at), rung)
}

/// Makes the picture that is likely to follow the later one after `by` intervals, 0..1: what moved from the earlier to the
/// later one goes on as it did. The same steps, except that all content is the later picture's; vectors are still
/// found between the two pictures that there are. Where there is nothing to go by, the later picture is held. Errors:
/// planes that do not hold their picture.
pub fn extrapolate(pair: Pair<'_>, by: f32, rung: Rung) -> Result<Made, PlanesError> {
    make_at(pair, Split::beyond(by), rung)
}

fn make_at(pair: Pair<'_>, split: Split, rung: Rung) -> Result<Made, PlanesError> {
    let [earlier, later] = [pair.earlier, pair.later];
    let sizes @ [size, _] = [earlier, later].map(|picture| (picture.width, picture.height));
    let (earlier, later) = (sheets(earlier)?, sheets(later)?);
    let plan = pair.plan(sizes, split, rung, |motion| motion.size == size && motion.tells);
    let padded = || [&earlier, &later].map(|sheets| sheets.each_ref().map(Padded::of));
    let made = match plan {
        Plan::Hold(why) => Err(why),
        Plan::Blend => Scene { pair: &padded(), split }.blended(size).map_err(Some),
        Plan::Along { before, motion, rung } => {
            let pair = &padded();
            let scene = Scene { pair, split };
            let along = scene.along_vectors(before, motion, size).map_err(Some);
            along.map(|along| match rung {
                Rung::Full => (along.corrected(size, split), rung),
                _ => (along.made, rung),
            })
        }
    };
    Ok(match made {
        Ok((planes, rung)) => Made {
            picture: picture_from_planes(planes, size),
            rung,
            held: None,
        },
        Err(held) => Made {
            picture: pair.nearer(split).clone(),
            rung: Rung::Hold,
            held,
        },
    })
}

/// The picture along the vectors, and what the residual network looks at in it; nothing where it would be made otherwise, or
/// held. Errors: planes that do not hold their picture.
pub fn examine(pair: Pair<'_>, at: f32) -> Result<Option<(Picture<Planes>, Features)>, PlanesError> {
    let split = Split::new(at);
    let [earlier, later] = [pair.earlier, pair.later];
    let sizes @ [size, _] = [earlier, later].map(|picture| (picture.width, picture.height));
    let planes = [sheets(earlier)?, sheets(later)?].map(|sheets| sheets.each_ref().map(Padded::of));
    let scene = Scene { pair: &planes, split };
    let fits = |motion: &Motion| motion.size == size && motion.tells;
    let Plan::Along { before, motion, .. } = pair.plan(sizes, split, Rung::Vectors, fits) else {
        return Ok(None);
    };
    let Ok(along) = scene.along_vectors(before, motion, size) else {
        return Ok(None);
    };
    let features = features::reference(&along.parts(size, split));
    Ok(Some((picture_from_planes(along.made, size), features)))
}

/// What all steps look at: both pictures' planes, and the time between them.
struct Scene<'a> {
    /// Earlier and later.
    pair: &'a [[Padded; 3]; 2],
    split: Split,
}

/// A picture along the vectors: its planes, and what they were made of.
struct Along<'a> {
    made: [Vec<u8>; 3],
    ways: [Ways<'a>; 3],
    weights: Vec<Weights>,
    /// Forward and backward, by cells.
    motion: [Grid; 2],
}

impl Along<'_> {
    /// The planes with what the network adds to them.
    fn corrected(mut self, size: (u32, u32), split: Split) -> [Vec<u8>; 3] {
        let features = features::reference(&self.parts(size, split));
        let answer = Ready::built_in().answer(Tensor::of(&features));
        residual::reference(&mut self.made, size, &answer);
        self.made
    }

    fn parts(&self, size: (u32, u32), split: Split) -> features::Parts<'_> {
        features::Parts {
            size,
            made: &self.made,
            ways: &self.ways,
            weights: &self.weights,
            motion: self.motion.each_ref(),
            split,
        }
    }
}

type Outcome = Result<([Vec<u8>; 3], Rung), Held>;

impl Scene<'_> {
    fn along_vectors(&self, before: Option<&Motion>, motion: &Motion, size: (u32, u32)) -> Result<Along<'_>, Held> {
        let [forward, backward] = self.motion(motion);
        let ways = self.ways(0, &forward, &backward);
        let differences = compare::differences(&ways, (forward.columns, forward.rows));
        judge(&differences, size)?;
        let sides = Sides {
            earlier: before.map(|before| &before.soft),
            later: &motion.soft,
        };
        let weights = compare::reference(&differences, &forward, sides, self.split);
        let wide = (size.0 as usize, size.1 as usize);
        let luma = blend::reference(&ways, &weights, forward.columns, wide, self.split);
        // A cell of chroma covers a block of luma.
        let halved = compare::halved(&weights, forward.columns);
        let by_blocks = |grid: &Grid| resize::reference(&resize::reference(grid, Change::Halve), Change::Shrink);
        let (short_forward, short_backward) = (by_blocks(&forward), by_blocks(&backward));
        let half = (wide.0.div_ceil(2), wide.1.div_ceil(2));
        let [blue, red] = [1, 2].map(|plane| self.ways(plane, &short_forward, &short_backward));
        let [u, v] = [&blue, &red].map(|ways| blend::reference(ways, &halved, short_forward.columns, half, self.split));
        Ok(Along {
            made: [luma, u, v],
            ways: [ways, blue, red],
            weights,
            motion: [forward, backward],
        })
    }

    /// By cells: where the earlier picture's content goes, and where the later one's comes from.
    fn motion(&self, motion: &Motion) -> [Grid; 2] {
        let [earlier, later] = self.pair.each_ref().map(|planes| {
            let half = pyramid::reference(&planes[0]);
            let quarter = pyramid::reference(&half);
            [half, quarter]
        });
        let by_groups = resize::reference(&motion.soft, Change::Halve);
        let soft = [&motion.soft, &by_groups];
        [Side::Earlier, Side::Later].map(|anchor| {
            let found = seek::reference(&earlier, &later, soft, anchor);
            project::reference(&found, cells(motion.size), anchor, self.split)
        })
    }

    /// A plane's samples along both grids.
    fn ways(&self, plane: usize, forward: &Grid, backward: &Grid) -> Ways<'_> {
        let [earlier, later] = self.pair.each_ref().map(|planes| &planes[plane]);
        let along = |grid: &Grid| {
            [
                warp::reference(earlier, grid, Side::Earlier, self.split),
                warp::reference(later, grid, Side::Later, self.split),
            ]
        };
        Ways {
            forward: along(forward),
            backward: along(backward),
            still: [earlier, later],
        }
    }

    fn blended(&self, (width, height): (u32, u32)) -> Outcome {
        let later = self.split.later() as u32;
        let sizes = [(width, height), (width.div_ceil(2), height.div_ceil(2))];
        let mut difference = 0_u64;
        let planes = [0, 1, 2].map(|plane| {
            let (columns, rows) = sizes[plane.min(1)];
            let mut made = Vec::with_capacity(columns as usize * rows as usize);
            for row in 0..rows as usize {
                let [a, b] = self
                    .pair
                    .each_ref()
                    .map(|planes| planes[plane].row(row, columns as usize));
                for (&a, &b) in a.iter().zip(b) {
                    if plane == 0 {
                        difference += u64::from(a.abs_diff(b));
                    }
                    made.push(((u32::from(a) * (256 - later) + u32::from(b) * later + 128) >> 8) as u8);
                }
            }
            made
        });
        let samples = f64::from(width) * f64::from(height);
        if difference == 0 {
            Err(Held::Repeated)
        } else if difference as f64 / samples > f64::from(CUT_AT_REST) {
            Err(Held::Cut)
        } else {
            Ok((planes, Rung::Blend))
        }
    }
}

/// Whether there is anything in between to be made.
fn judge(differences: &[[u32; 3]], (width, height): (u32, u32)) -> Result<(), Held> {
    if differences.iter().all(|[_, _, still]| *still <= SAME) {
        return Err(Held::Repeated);
    }
    let least = |[a, b, c]: &[u32; 3]| u64::from(*a.min(b).min(c));
    let sum: u64 = differences.iter().map(least).sum();
    if sum as f32 / (width as f32 * height as f32) > CUT {
        Err(Held::Cut)
    } else {
        Ok(())
    }
}

fn picture_from_planes([y, u, v]: [Vec<u8>; 3], (width, height): (u32, u32)) -> Picture<Planes> {
    let plane = |bytes, stride: u32| Plane {
        bytes: Arc::new(bytes),
        stride: stride as usize,
    };
    let half = width.div_ceil(2);
    Picture {
        width,
        height,
        pixels: Planes {
            y: plane(y, width),
            u: plane(u, half),
            v: plane(v, half),
        },
    }
}

#[cfg(test)]
mod tests;
