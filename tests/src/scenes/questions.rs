//! What is asked, and what must be in the picture so that there is one answer.

use super::fonts::Fonts;
use super::paint::{COLOURS, Colour, Shape};
use super::things::{self, Kind, Place, Style, Thing};
use super::{SECONDS, SIZE, Split};

/// Questions of one kind.
#[allow(missing_docs, reason = "their names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    Word,
    Price,
    Code,
    Display,
    SignByColour,
    ColourOfShape,
    ShapeByColour,
    Count,
    Place,
    Clock,
    Gauge,
    Lamps,
    Motion,
    Change,
    Largest,
    Neighbour,
}

impl Family {
    /// Every family.
    pub const ALL: [Family; 16] = [
        Family::Word,
        Family::Price,
        Family::Code,
        Family::Display,
        Family::SignByColour,
        Family::ColourOfShape,
        Family::ShapeByColour,
        Family::Count,
        Family::Place,
        Family::Clock,
        Family::Gauge,
        Family::Lamps,
        Family::Motion,
        Family::Change,
        Family::Largest,
        Family::Neighbour,
    ];

    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Word => "word",
            Family::Price => "price",
            Family::Code => "code",
            Family::Display => "display",
            Family::SignByColour => "sign_by_colour",
            Family::ColourOfShape => "colour_of_shape",
            Family::ShapeByColour => "shape_by_colour",
            Family::Count => "count",
            Family::Place => "place",
            Family::Clock => "clock",
            Family::Gauge => "gauge",
            Family::Lamps => "lamps",
            Family::Motion => "motion",
            Family::Change => "change",
            Family::Largest => "largest",
            Family::Neighbour => "neighbour",
        }
    }

    /// Whether the answer is written in the picture, letter for letter.
    pub const fn is_text(self) -> bool {
        matches!(
            self,
            Family::Word | Family::Price | Family::Code | Family::Display | Family::SignByColour
        )
    }
}

/// One question and its answer.
#[derive(Debug)]
pub struct Question {
    /// Which kind.
    pub family: Family,
    /// What is asked.
    pub text: String,
    /// The answer, in small letters.
    pub answer: String,
    /// Of the letters that are to be read, in pixels from ascender to descender.
    pub letters: Option<f32>,
    /// Where the answer is seen.
    pub(super) place: Place,
}

impl Question {
    /// Whether something that was said is the answer: letters and digits count, their case and what is between them don't.
    pub fn is_answered_by(&self, said: &str) -> bool {
        plain(said) == plain(&self.answer)
    }

    /// Whether the answer stands somewhere in what was said.
    pub fn is_answered_within(&self, said: &str) -> bool {
        plain(said).contains(&plain(&self.answer))
    }
}

fn plain(text: &str) -> String {
    text.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Places in a view, so that nothing hides anything: four in each of three rows.
const COLUMNS: usize = 4;
const ROWS: usize = 3;
const SIDE: (f32, f32) = (SIZE.0 as f32 / COLUMNS as f32, SIZE.1 as f32 / ROWS as f32);

const WORDS: &str = include_str!("words.txt");

/// Makes the things of a scene and asks about them.
pub(super) fn compose(
    family: Family,
    split: Split,
    fonts: &Fonts,
    random: &mut fastrand::Rng,
) -> (Vec<Thing>, Question) {
    let mut composer = Composer {
        family,
        split,
        fonts,
        random,
        things: Vec::new(),
        free: [[true; COLUMNS]; ROWS],
    };
    let question = composer.ask();
    (composer.things, question)
}

struct Composer<'a> {
    family: Family,
    split: Split,
    fonts: &'a Fonts,
    random: &'a mut fastrand::Rng,
    things: Vec<Thing>,
    free: [[bool; COLUMNS]; ROWS],
}

impl Composer<'_> {
    fn ask(&mut self) -> Question {
        match self.family {
            Family::Word | Family::Price | Family::Code | Family::Display => self.ask_what_is_written(),
            Family::SignByColour => self.ask_of_signs(),
            Family::ColourOfShape | Family::ShapeByColour => self.ask_of_one_shape(),
            Family::Count => self.ask_how_many(),
            Family::Place => self.ask_where(),
            Family::Clock | Family::Gauge | Family::Lamps => self.ask_of_an_instrument(),
            Family::Motion => self.ask_where_to(),
            Family::Change => self.ask_what_became(),
            Family::Largest => self.ask_of_sizes(),
            Family::Neighbour => self.ask_of_neighbours(),
        }
    }

    /// One phrasing of several; the last of each is kept for [`Split::Unseen`].
    fn phrase(&mut self, phrasings: &[&str]) -> String {
        let (last, learnt) = phrasings.split_last().expect("there is one");
        match self.split {
            Split::Unseen => (*last).to_owned(),
            Split::Train => learnt[self.random.usize(..learnt.len())].to_owned(),
        }
    }

    fn question(&self, text: String, answer: impl Into<String>, letters: Option<f32>, thing: usize) -> Question {
        Question {
            family: self.family,
            text,
            answer: answer.into().to_lowercase(),
            letters,
            place: self.things[thing].place,
        }
    }

    /// Log-uniform between 8 and 64 pixels.
    fn letter_size(&mut self) -> f32 {
        8.0 * 8.0_f32.powf(self.random.f32())
    }

    fn word(&mut self) -> String {
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

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.random.u8(..10))).collect()
    }

    fn colour(&mut self, but: &[Colour]) -> Colour {
        loop {
            let colour = COLOURS[self.random.usize(..COLOURS.len())];
            if !but.contains(&colour) {
                return colour;
            }
        }
    }

    fn shape(&mut self, but: &[Shape]) -> Shape {
        loop {
            let shape = Shape::ALL[self.random.usize(..Shape::ALL.len())];
            if !but.contains(&shape) {
                return shape;
            }
        }
    }

    /// Finds room for a thing, somewhere in its cells. Answers with its number; none where there is no room.
    fn stand(&mut self, mut thing: Thing) -> Option<usize> {
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
    fn figure(&mut self, shape: Shape, colour: Colour, radius: f32) -> Thing {
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

    fn radius(&mut self) -> f32 {
        22.0 + self.random.f32() * 38.0
    }

    /// Shapes that are not asked about, of none of these colours and shapes.
    fn clutter(&mut self, most: usize, shapes: &[Shape], colours: &[Colour]) {
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
    fn sign(&mut self, text: &str, colour: Colour) -> (usize, f32) {
        let mut size = self.letter_size();
        loop {
            let style = Style::any(self.split, self.random);
            let written = self.fonts.any(self.split, self.random).write(text, size);
            let sign = things::sign(written, style, colour, self.random);
            if let Some(at) = self.stand(sign) {
                return (at, size);
            }
            size *= 0.85;
        }
    }

    fn ask_what_is_written(&mut self) -> Question {
        let (text, phrasings): (String, &[&str]) = match self.family {
            Family::Price => {
                let (whole, part) = (self.random.usize(1..=3), 2);
                let text = format!("${}.{}", self.digits(whole), self.digits(part));
                (
                    text,
                    &["What is the price?", "How much does it cost?", "What price is shown?"],
                )
            }
            Family::Code => {
                let letters = |random: &mut fastrand::Rng| (0..3).map(|_| random.uppercase()).collect::<String>();
                let text = format!("{}-{}", letters(self.random), self.digits(3));
                (
                    text,
                    &["What is the code?", "Which code is on the label?", "Read the code."],
                )
            }
            Family::Display => {
                let (hour, minute) = (self.random.u32(..24), self.random.u32(..60));
                let text = format!("{hour:02}:{minute:02}");
                (
                    text,
                    &[
                        "What time does the display show?",
                        "What does the display say?",
                        "Which time is displayed?",
                    ],
                )
            }
            _ => {
                let word = self.word();
                let text = if self.random.bool() { word.to_uppercase() } else { word };
                (
                    text,
                    &[
                        "What does the sign say?",
                        "Which word is on the sign?",
                        "Read the sign.",
                    ],
                )
            }
        };
        let colour = self.colour(&[]);
        let (sign, letters) = self.sign(&text, colour);
        self.clutter(4, &[], &[]);
        let asked = self.phrase(phrasings);
        self.question(asked, text, Some(letters), sign)
    }

    fn ask_of_signs(&mut self) -> Question {
        let (mut colours, mut words, mut signs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..3 {
            let colour = self.colour(&colours);
            let word = loop {
                let word = self.word();
                if !words.contains(&word) {
                    break word;
                }
            };
            let text = if self.random.bool() {
                word.to_uppercase()
            } else {
                word.clone()
            };
            signs.push(self.sign(&text, colour));
            colours.push(colour);
            words.push(word);
        }
        let asked = self.random.usize(..3);
        let text = self
            .phrase(&[
                "What does the {} sign say?",
                "What is written on the {} sign?",
                "Read the {} sign.",
            ])
            .replace("{}", colours[asked].name);
        let (sign, letters) = signs[asked];
        self.question(text, words[asked].clone(), Some(letters), sign)
    }

    fn ask_of_one_shape(&mut self) -> Question {
        let (shape, colour) = (self.shape(&[]), self.colour(&[]));
        let radius = self.radius();
        let thing = self.figure(shape, colour, radius);
        let asked = self.stand(thing).expect("the first finds room");
        self.clutter(5, &[shape], &[colour]);
        if self.family == Family::ColourOfShape {
            let text = self.phrase(&[
                "What colour is the {}?",
                "Which colour does the {} have?",
                "Name the colour of the {}.",
            ]);
            self.question(text.replace("{}", shape.name()), colour.name, None, asked)
        } else {
            let text = self.phrase(&["Which shape is {}?", "What is the {} shape?", "Name the {} shape."]);
            self.question(text.replace("{}", colour.name), shape.name(), None, asked)
        }
    }

    fn ask_how_many(&mut self) -> Question {
        let shape = self.shape(&[]);
        let wanted = self.random.usize(1..=10);
        for _ in 0..wanted {
            let colour = self.colour(&[]);
            let radius = self.radius();
            let thing = self.figure(shape, colour, radius);
            self.stand(thing).expect("twelve find room");
        }
        self.clutter(COLUMNS * ROWS - wanted, &[shape], &[]);
        let text = self.phrase(&["How many {} are there?", "What is the number of {}?", "Count the {}."]);
        let mut question = self.question(text.replace("{}", &shape.plural()), wanted.to_string(), None, 0);
        question.place = everywhere();
        question
    }

    fn ask_where(&mut self) -> Question {
        let shape = self.shape(&[]);
        let colour = self.colour(&[]);
        let radius = self.radius();
        let thing = self.figure(shape, colour, radius);
        let asked = self.stand(thing).expect("the first finds room");
        self.clutter(6, &[shape], &[]);
        let place = self.things[asked].place;
        let (row, column) = ((place.y / SIDE.1) as usize, (place.x / SIDE.0) as usize);
        let answer = format!("{} {}", ["top", "middle", "bottom"][row], column + 1);
        let text = self.phrase(&[
            "In which row and column of a 3 by 4 grid is the {}?",
            "Where is the {}, by row and column?",
            "Give the row and the column of the {}.",
        ]);
        self.question(text.replace("{}", shape.name()), answer, None, asked)
    }

    fn ask_of_an_instrument(&mut self) -> Question {
        let colour = self.colour(&[COLOURS[9], COLOURS[10]]);
        let shade = colour.shade(self.random);
        let (kind, half, answer, phrasings): (_, _, _, &[&str]) = match self.family {
            Family::Clock => {
                let (hour, minute) = (self.random.u32(..12), self.random.u32(..12) * 5);
                let face = if self.random.bool() { COLOURS[11] } else { COLOURS[2] };
                let kind = Kind::Clock {
                    hour,
                    minute,
                    ink: face.ink(),
                    face: face.shade(self.random),
                };
                let radius = 30.0 + self.random.f32() * 40.0;
                let shown = if hour == 0 { 12 } else { hour };
                let asked = &[
                    "What time is it on the clock?",
                    "What does the clock show?",
                    "Read the clock.",
                ];
                (kind, (radius, radius), format!("{shown}:{minute:02}"), asked)
            }
            Family::Gauge => {
                let tenths = self.random.u32(..=10);
                let high = 40.0 + self.random.f32() * 34.0;
                let asked = &[
                    "How full is the gauge, in per cent?",
                    "What does the gauge show?",
                    "Read the gauge.",
                ];
                (
                    Kind::Gauge { tenths, colour: shade },
                    (high * 0.32, high),
                    (tenths * 10).to_string(),
                    asked,
                )
            }
            _ => {
                let lit: Vec<bool> = loop {
                    let lit: Vec<bool> = (0..5).map(|_| self.random.bool()).collect();
                    if lit.contains(&true) {
                        break lit;
                    }
                };
                let numbers = lit
                    .iter()
                    .enumerate()
                    .filter(|(_, lit)| **lit)
                    .map(|(at, _)| (at + 1).to_string());
                let answer = numbers.collect::<Vec<_>>().join(" ");
                let wide = 60.0 + self.random.f32() * 80.0;
                let asked = &[
                    "Which lamps are lit, from the left?",
                    "Which of the five lamps are on?",
                    "Name the lamps that shine.",
                ];
                (Kind::Lamps { lit, colour: shade }, (wide, wide * 0.26), answer, asked)
            }
        };
        let place = Place {
            x: 0.0,
            y: 0.0,
            half,
            speed: (0.0, 0.0),
            turn: self.random.f32() * 8.0 - 4.0,
        };
        let asked = self.stand(Thing { kind, place }).expect("the first finds room");
        self.clutter(4, &[], &[]);
        let text = self.phrase(phrasings);
        self.question(text, answer, None, asked)
    }

    fn ask_where_to(&mut self) -> Question {
        let shape = self.shape(&[Shape::Arrow]);
        let colour = self.colour(&[]);
        let hour = self.random.u32(1..=12);
        let (sin, cos) = (f32::from(hour as u8) * 30.0).to_radians().sin_cos();
        let pace = 25.0 + self.random.f32() * 25.0;
        let radius = 18.0 + self.random.f32() * 14.0;
        let mut thing = self.figure(shape, colour, radius);
        // Half way at half time, in the middle of the view: it needs room on all sides.
        let way = (pace * SECONDS * sin, -pace * SECONDS * cos);
        thing.place.speed = (way.0 / SECONDS, way.1 / SECONDS);
        thing.place.x = SIZE.0 as f32 / 2.0 - way.0 / 2.0;
        thing.place.y = SIZE.1 as f32 / 2.0 - way.1 / 2.0;
        self.things.push(thing);
        for row in &mut self.free {
            row[1..3].fill(false);
        }
        self.clutter(4, &[shape], &[]);
        let text = self.phrase(&[
            "In which direction does the {} move, by the clock?",
            "Towards which hour is the {} moving?",
            "Give the heading of the {} as on a clock.",
        ]);
        self.question(text.replace("{}", shape.name()), format!("{hour} o'clock"), None, 0)
    }

    fn ask_what_became(&mut self) -> Question {
        let (shape, before) = (self.shape(&[]), self.colour(&[]));
        let after = self.colour(&[before]);
        let radius = self.radius();
        let mut thing = self.figure(shape, before, radius);
        let when = SECONDS * (0.35 + 0.3 * self.random.f32());
        if let Kind::Figure { change, .. } = &mut thing.kind {
            *change = Some((after.shade(self.random), when));
        }
        let asked = self.stand(thing).expect("the first finds room");
        self.clutter(5, &[shape], &[]);
        let text = self.phrase(&[
            "Which colour did the {} turn to?",
            "What colour does the {} have after its change?",
            "Name the new colour of the {}.",
        ]);
        self.question(text.replace("{}", shape.name()), after.name, None, asked)
    }

    fn ask_of_sizes(&mut self) -> Question {
        let mut colours = Vec::new();
        let count = self.random.usize(3..=6);
        let shape = self.shape(&[]);
        for at in 0..count {
            let colour = self.colour(&colours);
            colours.push(colour);
            let radius = match at {
                0 => 52.0 + self.random.f32() * 12.0,
                _ => 18.0 + self.random.f32() * 22.0,
            };
            let thing = self.figure(shape, colour, radius);
            self.stand(thing).expect("six find room");
        }
        let text = self.phrase(&[
            "Which colour is the largest {}?",
            "What is the colour of the biggest {}?",
            "Name the colour of the {} that is larger than the others.",
        ]);
        self.question(text.replace("{}", shape.name()), colours[0].name, None, 0)
    }

    fn ask_of_neighbours(&mut self) -> Question {
        let colours = [self.colour(&[])];
        let first = self.shape(&[]);
        let second = self.shape(&[first]);
        let third = self.shape(&[first, second]);
        let row = self.random.usize(..ROWS);
        let start = self.random.usize(..=COLUMNS - 3);
        let middle = self.random.u32(..2);
        // Three in a row; the middle one is named by its colour, and asked for is what stands beside it.
        for (at, shape) in [first, second, third].into_iter().enumerate() {
            let colour = if at == 1 { colours[0] } else { self.colour(&colours) };
            let radius = self.radius();
            let mut thing = self.figure(shape, colour, radius);
            let jitter = |random: &mut fastrand::Rng| (random.f32() - 0.5) * 20.0;
            thing.place.x = (start + at) as f32 * SIDE.0 + SIDE.0 / 2.0 + jitter(self.random);
            thing.place.y = row as f32 * SIDE.1 + SIDE.1 / 2.0 + jitter(self.random);
            self.free[row][start + at] = false;
            self.things.push(thing);
        }
        let (side, asked, answer) = match middle {
            0 => ("left", 0, first),
            _ => ("right", 2, third),
        };
        self.clutter(4, &[], &colours);
        let text = self
            .phrase(&[
                "Which shape is directly {side} of the {} one?",
                "What stands next to the {} shape, on its {side}?",
                "Name the {side} neighbour of the {} shape.",
            ])
            .replace("{side}", side)
            .replace("{}", colours[0].name);
        self.question(text, answer.name(), None, asked)
    }
}

/// The whole view.
fn everywhere() -> Place {
    let (wide, high) = (SIZE.0 as f32 / 2.0, SIZE.1 as f32 / 2.0);
    Place {
        x: wide,
        y: high,
        half: (wide, high),
        speed: (0.0, 0.0),
        turn: 0.0,
    }
}
