//! Finds room for things, so that nothing hides anything, and draws lots about them.

use super::fonts::{Figures, Fonts};
use super::paint::{COLOURS, Colour, Shape};
use super::phrasings;
use super::questions::{Family, Question};
use super::things::{self, Kind, Place, Style, Thing};
use super::{SIZE, Split};

/// Places in a view: four in each of three rows.
pub(super) const COLUMNS: usize = 4;
pub(super) const ROWS: usize = 3;
pub(super) const SIDE: (f32, f32) = (SIZE.0 as f32 / COLUMNS as f32, SIZE.1 as f32 / ROWS as f32);

const WORDS: &str = include_str!("words.txt");

pub(super) struct Composer<'a> {
    pub(super) family: Family,
    pub(super) split: Split,
    pub(super) fonts: &'a Fonts,
    pub(super) random: &'a mut fastrand::Rng,
    pub(super) things: Vec<Thing>,
    /// Which places are.
    pub(super) free: [[bool; COLUMNS]; ROWS],
}

impl Composer<'_> {
    /// One phrasing of several.
    pub(super) fn phrase(&mut self) -> String {
        let (kept, learnt) = phrasings::of(self.family);
        match self.split {
            Split::Unseen => kept.to_owned(),
            Split::Train => learnt[self.random.usize(..learnt.len())].to_owned(),
        }
    }

    pub(super) fn question(
        &self,
        text: String,
        answer: impl Into<String>,
        letters: Option<f32>,
        thing: usize,
    ) -> Question {
        Question {
            family: self.family,
            text,
            answer: answer.into().to_lowercase(),
            letters,
            place: self.things[thing].place,
        }
    }

    /// Log-uniform between 8 and 64 pixels.
    pub(super) fn letter_size(&mut self) -> f32 {
        8.0 * 8.0_f32.powf(self.random.f32())
    }

    pub(super) fn word(&mut self) -> String {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        // Every fifth word is kept for those who have not seen it.
        let kept = |at: usize| (at % 5 == 4) == (self.split == Split::Unseen);
        let words: Vec<&str> = words
            .into_iter()
            .enumerate()
            .filter(|(at, _)| kept(*at))
            .map(|(_, word)| word)
            .collect();
        words[self.random.usize(..words.len())].to_owned()
    }

    pub(super) fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.random.u8(..10))).collect()
    }

    pub(super) fn colour(&mut self, but: &[Colour]) -> Colour {
        loop {
            let colour = COLOURS[self.random.usize(..COLOURS.len())];
            if !but.contains(&colour) {
                return colour;
            }
        }
    }

    pub(super) fn shape(&mut self, but: &[Shape]) -> Shape {
        loop {
            let shape = Shape::ALL[self.random.usize(..Shape::ALL.len())];
            if !but.contains(&shape) {
                return shape;
            }
        }
    }

    /// Finds room for a thing, somewhere in its cells. Answers with its number; none where there is no room.
    pub(super) fn stand(&mut self, mut thing: Thing) -> Option<usize> {
        let size = thing.place.at(0.0);
        let wide = (size.width() / SIDE.0).ceil().max(1.0) as usize;
        let high = (size.height() / SIDE.1).ceil().max(1.0) as usize;
        if wide > COLUMNS || high > ROWS {
            return None;
        }
        let mut corners: Vec<(usize, usize)> = (0..=ROWS - high)
            .flat_map(|row| (0..=COLUMNS - wide).map(move |column| (row, column)))
            .collect();
        self.random.shuffle(&mut corners);
        let fits = |(row, column): &(usize, usize)| {
            (*row..row + high).all(|row| (*column..column + wide).all(|column| self.free[row][column]))
        };
        let (row, column) = corners.into_iter().find(fits)?;
        for row in &mut self.free[row..row + high] {
            row[column..column + wide].fill(false);
        }
        let slack = (
            wide as f32 * SIDE.0 - size.width(),
            high as f32 * SIDE.1 - size.height(),
        );
        // Not to the edge: the camera sways.
        let jitter = |random: &mut fastrand::Rng, slack: f32| (random.f32() - 0.5) * (slack - 12.0).max(0.0);
        thing.place.x = (column as f32 + wide as f32 / 2.0) * SIDE.0 + jitter(self.random, slack.0);
        thing.place.y = (row as f32 + high as f32 / 2.0) * SIDE.1 + jitter(self.random, slack.1);
        self.things.push(thing);
        Some(self.things.len() - 1)
    }

    /// A shape within one cell, of a radius in pixels.
    pub(super) fn figure(&mut self, shape: Shape, colour: Colour, radius: f32) -> Thing {
        // An arrow shows where it points, and is not turned.
        let turn = if shape == Shape::Arrow { 0.0 } else { 24.0 };
        Thing {
            kind: Kind::Figure {
                shape,
                border: colour.ink(),
                colour: colour.shade(self.random),
                change: None,
            },
            place: Place {
                x: 0.0,
                y: 0.0,
                half: (radius, radius),
                speed: (0.0, 0.0),
                turn: (self.random.f32() - 0.5) * turn,
            },
        }
    }

    pub(super) fn radius(&mut self) -> f32 {
        22.0 + self.random.f32() * 38.0
    }

    /// Shapes that are not asked about, of none of these colours and shapes.
    pub(super) fn clutter(&mut self, most: usize, shapes: &[Shape], colours: &[Colour]) {
        for _ in 0..self.random.usize(..=most) {
            let (shape, colour) = (self.shape(shapes), self.colour(colours));
            let radius = self.radius();
            let thing = self.figure(shape, colour, radius);
            if self.stand(thing).is_none() {
                return;
            }
        }
    }

    /// A sign that finds room, with letters as large as that allows. Answers with its number and the letters' size.
    pub(super) fn sign(&mut self, text: &str, colour: Colour) -> (usize, f32) {
        let mut size = self.letter_size();
        loop {
            if let Some(at) = self.try_sign(text, colour, size, Figures::Lining) {
                return (at, size);
            }
            size *= 0.85;
        }
    }

    /// A sign with letters of this size. Answers with its number; none where there is no room.
    pub(super) fn try_sign(&mut self, text: &str, colour: Colour, size: f32, figures: Figures) -> Option<usize> {
        let style = Style::any(self.split, self.random);
        let written = self.fonts.any(self.split, self.random).write(text, size, figures);
        let sign = things::sign(written, style, colour, self.random);
        self.stand(sign)
    }
}
