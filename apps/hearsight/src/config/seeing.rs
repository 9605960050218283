//! What is made of pictures.

use std::num::NonZeroUsize;

/// What is made of pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Seeing {
    /// Reads text; none: it is not read.
    pub reader: Option<Reader>,
}

/// The reader of text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reader {
    /// That its networks run on.
    pub threads: NonZeroUsize,
    /// That are read at a time; none: one for every four engine threads.
    pub pictures: Option<NonZeroUsize>,
    /// Readings a second of one session while its picture changes, at most.
    pub per_second: u32,
}
