//! Fonts of the system, and words as outlines.

use std::fs;
use std::path::Path as FilePath;

use ab_glyph::{Font, FontVec, OutlineCurve, PxScale, ScaleFont};
use tiny_skia::{Path, PathBuilder};

use super::Split;

/// Under Debian's folder of fonts: file, and the package that has it. All are under the OFL, the Apache licence or as free.
const TRAIN: [(&str, &str); 18] = [
    ("truetype/dejavu/DejaVuSans.ttf", "fonts-dejavu-core"),
    ("truetype/dejavu/DejaVuSans-Bold.ttf", "fonts-dejavu-core"),
    ("truetype/dejavu/DejaVuSansMono.ttf", "fonts-dejavu-core"),
    ("truetype/dejavu/DejaVuSerif.ttf", "fonts-dejavu-core"),
    ("truetype/liberation/LiberationSans-Regular.ttf", "fonts-liberation"),
    ("truetype/liberation/LiberationSans-Bold.ttf", "fonts-liberation"),
    ("truetype/liberation/LiberationSerif-Bold.ttf", "fonts-liberation"),
    ("truetype/liberation/LiberationMono-Regular.ttf", "fonts-liberation"),
    (
        "truetype/roboto/unhinted/RobotoTTF/Roboto-Regular.ttf",
        "fonts-roboto-unhinted",
    ),
    (
        "truetype/roboto/unhinted/RobotoTTF/Roboto-Bold.ttf",
        "fonts-roboto-unhinted",
    ),
    ("truetype/lato/Lato-Regular.ttf", "fonts-lato"),
    ("truetype/lato/Lato-Black.ttf", "fonts-lato"),
    ("opentype/comic-neue/ComicNeue-Bold.otf", "fonts-comic-neue"),
    ("truetype/crosextra/Caladea-Regular.ttf", "fonts-crosextra-caladea"),
    ("truetype/hack/Hack-Regular.ttf", "fonts-hack"),
    ("opentype/dosis/Dosis-SemiBold.otf", "fonts-dosis"),
    ("truetype/quicksand/Quicksand-Bold.ttf", "fonts-quicksand"),
    ("opentype/linux-libertine/LinLibertine_R.otf", "fonts-linuxlibertine"),
];
const UNSEEN: [(&str, &str); 7] = [
    ("truetype/open-sans/OpenSans-Regular.ttf", "fonts-open-sans"),
    ("truetype/open-sans/OpenSans-Bold.ttf", "fonts-open-sans"),
    ("opentype/cabin/Cabin-Medium.otf", "fonts-cabin"),
    ("opentype/cantarell/Cantarell-Bold.otf", "fonts-cantarell"),
    ("truetype/crosextra/Carlito-Regular.ttf", "fonts-crosextra-carlito"),
    ("opentype/ebgaramond/EBGaramond12-Bold.otf", "fonts-ebgaramond"),
    ("truetype/freefont/FreeSansBold.ttf", "fonts-freefont-ttf"),
];

const FOLDER: &str = "/usr/share/fonts";

/// Why there is nothing to write with.
#[derive(Debug, thiserror::Error)]
pub enum FontError {
    /// It is not installed.
    #[error("the font {file} is not there: install Debian's {package}, or all of them with `make setup-test`")]
    Missing {
        /// Under the system's folder of fonts.
        file: &'static str,
        /// Who has it.
        package: &'static str,
    },
    /// It is no font.
    #[error("the font {0} can't be read: install its package anew")]
    Broken(&'static str),
}

/// Every font that scenes are written in.
pub struct Fonts {
    train: Vec<FontVec>,
    unseen: Vec<FontVec>,
}

impl Fonts {
    /// Reads them. Errors: the first that is missing, by the name of its package.
    pub fn load() -> Result<Fonts, FontError> {
        Ok(Fonts {
            train: TRAIN.iter().map(read).collect::<Result<_, _>>()?,
            unseen: UNSEEN.iter().map(read).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn any(&self, split: Split, random: &mut fastrand::Rng) -> Lettering<'_> {
        let fonts = match split {
            Split::Train => &self.train,
            Split::Unseen => &self.unseen,
        };
        Lettering(&fonts[random.usize(..fonts.len())])
    }
}

fn read(&(file, package): &(&'static str, &'static str)) -> Result<FontVec, FontError> {
    let bytes = fs::read(FilePath::new(FOLDER).join(file)).map_err(|_| FontError::Missing { file, package })?;
    FontVec::try_from_vec(bytes).map_err(|_| FontError::Broken(file))
}

/// How digits stand on their line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figures {
    /// As high as capitals.
    Lining,
    /// As some fonts have them: like small letters, some with a descender. Drawn from a font's own digits.
    OldStyle,
}

impl Figures {
    /// How large a letter is beside its font's own, and how far it is lowered, where a capital has this height.
    fn place(self, letter: char, height: f32) -> (f32, f32) {
        match (self, letter) {
            (Figures::OldStyle, '0' | '1' | '2') => (0.68, 0.0),
            (Figures::OldStyle, '3' | '4' | '5' | '7' | '9') => (1.0, 0.28 * height),
            _ => (1.0, 0.0),
        }
    }
}

/// A font to write with.
#[derive(Clone, Copy)]
pub(super) struct Lettering<'a>(&'a FontVec);

/// A line of text as an outline: it starts at the origin and stands on the line y = 0.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) path: Path,
    /// From its left end to its right.
    pub(super) width: f32,
    /// Of a capital letter.
    pub(super) height: f32,
}

impl Lettering<'_> {
    /// A line with letters of so many pixels (the size of the font: from ascender to descender, about).
    pub(super) fn write(self, text: &str, pixels: f32, figures: Figures) -> Written {
        let scale = PxScale::from(pixels);
        let scaled = self.0.as_scaled(scale);
        let height = self.height(pixels);
        let mut path = PathBuilder::new();
        let mut at = 0.0;
        let mut last = None;
        for letter in text.chars() {
            let glyph = self.0.glyph_id(letter);
            if let Some(last) = last {
                at += scaled.kern(last, glyph);
            }
            last = Some(glyph);
            let (size, drop) = figures.place(letter, height);
            if let Some(outline) = self.0.outline(glyph) {
                let factor = scaled.scale_factor();
                trace(&mut path, &outline.curves, |point| {
                    (
                        at + point.x * factor.horizontal * size,
                        drop - point.y * factor.vertical * size,
                    )
                });
            }
            at += scaled.h_advance(glyph) * size;
        }
        Written {
            text: text.to_owned(),
            path: path
                .finish()
                .expect("texts are not empty, and fonts have their letters"),
            width: at,
            height,
        }
    }

    fn height(self, pixels: f32) -> f32 {
        let outline = self.0.outline(self.0.glyph_id('H'));
        let scaled = self.0.as_scaled(PxScale::from(pixels));
        outline.map_or(pixels * 0.7, |outline| {
            let tops = outline.curves.iter().map(|curve| ends(curve).1.y);
            tops.fold(0.0_f32, f32::max) * scaled.scale_factor().vertical
        })
    }
}

fn ends(curve: &OutlineCurve) -> (ab_glyph::Point, ab_glyph::Point) {
    match curve {
        OutlineCurve::Line(from, to) | OutlineCurve::Quad(from, _, to) | OutlineCurve::Cubic(from, _, _, to) => {
            (*from, *to)
        }
    }
}

fn trace(path: &mut PathBuilder, curves: &[OutlineCurve], place: impl Fn(&ab_glyph::Point) -> (f32, f32)) {
    let mut pen = None;
    for curve in curves {
        let (from, to) = ends(curve);
        if pen != Some(from) {
            let (x, y) = place(&from);
            path.move_to(x, y);
        }
        let (x, y) = place(&to);
        match curve {
            OutlineCurve::Line(..) => path.line_to(x, y),
            OutlineCurve::Quad(_, by, _) => {
                let by = place(by);
                path.quad_to(by.0, by.1, x, y);
            }
            OutlineCurve::Cubic(_, one, other, _) => {
                let (one, other) = (place(one), place(other));
                path.cubic_to(one.0, one.1, other.0, other.1, x, y);
            }
        }
        pen = Some(to);
    }
}
