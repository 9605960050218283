//! What does the picture say: from decoded pictures to lines of text, with where they stand and how well they can be read.
//!
//! ```text
//! decoded ─▸ Chooser ─▸ chosen ─▸ Reader ─▸ reading
//! ```

mod canvas;
mod choose;
mod evidence;
mod letters;
mod order;
mod paddle;
mod reader;
mod shape;
mod spots;

pub use choose::{Choice, Chooser, Chosen};
pub use paddle::{Model, PaddleOcr};
pub use reader::{Config, Reader};
pub use shape::Slant;

use hearsight_core::media::{Certainty, Picture, Planes};
use hearsight_core::stage::Fault;
use hearsight_core::time::MediaTime;

/// A place that looks like a line of text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// Where, in pixels of the picture.
    pub slant: Slant,
    /// How much it looks like text, 0..1.
    pub strength: f32,
}

/// What a model made of one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// What it says; empty where nothing was made out.
    pub text: String,
    /// The chance that it says that.
    pub certainty: Certainty,
    /// It stands on its head: it begins at the opposite corner.
    pub turned: bool,
}

/// A model that finds lines of text in a picture and reads them. Each call is one slice.
pub trait Eyes: Send {
    /// Where text may be, in the picture shown at `at`, scaled so that its longer side is no longer than `side` pixels.
    fn look(&mut self, at: MediaTime, picture: &Picture<Planes>, side: u32) -> Result<Vec<Spot>, Fault>;
    /// What one place says.
    fn read(&mut self, at: MediaTime, picture: &Picture<Planes>, slant: &Slant) -> Result<Text, Fault>;
}
