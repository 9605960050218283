//! Where between two pictures, or how far after them, a third one lies, in whole numbers.

use crate::grid::Vector;

/// The time between two pictures in 1/256: 0 is the earlier, 256 the later, 512 one interval after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split(i32);

impl Split {
    /// Parts of the way from one picture to the next.
    pub const WHOLE: i32 = 256;

    /// From 0..1; what lies outside, or is no number, is moved to the nearer end (or to the earlier picture).
    pub fn new(at: f32) -> Self {
        Self((at.clamp(0.0, 1.0) * Self::WHOLE as f32).round() as i32)
    }

    /// So many intervals after the later picture, 0..1; what lies outside, or is no number, is moved to the nearer end (or
    /// to the later picture).
    pub fn beyond(by: f32) -> Self {
        Self(Self::WHOLE + Self::new(by).0)
    }

    /// How far from the earlier picture, 0..=512.
    pub fn later(self) -> i32 {
        self.0
    }

    /// The later picture's share by distance, 0..1: after it, everything.
    pub(crate) fn share(self) -> f32 {
        self.0.min(Self::WHOLE) as f32 / Self::WHOLE as f32
    }

    /// The part of a motion that lies behind.
    #[inline(always)]
    pub(crate) fn back(self, vector: Vector) -> Vector {
        vector.map(|part| ((i32::from(part) * self.0 + 128) >> 8) as i16)
    }

    /// The part of a motion that is still to come.
    #[inline(always)]
    pub(crate) fn onward(self, vector: Vector) -> Vector {
        let back = self.back(vector);
        [vector[0] - back[0], vector[1] - back[1]]
    }
}
