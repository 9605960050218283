//! What is asked, and what must be in the picture so that there is one answer.

use super::composer::{COLUMNS, Composer, ROWS, SIDE};
use super::fonts::Fonts;
use super::paint::{COLOURS, Shape};
use super::things::{Kind, Place, Thing};
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

    /// How many letters of the answer stand in what was said, in their order, and how many it has: its length less what it takes to
    /// turn it into the likest part of what was said.
    pub fn letters_within(&self, said: &str) -> (usize, usize) {
        let answer: Vec<char> = plain(&self.answer).chars().collect();
        // Sellers' alignment: the part may begin and end anywhere.
        let mut column: Vec<usize> = (0..=answer.len()).collect();
        let mut fewest = answer.len();
        for letter in plain(said).chars() {
            let mut before = column[0];
            for (at, own) in answer.iter().enumerate() {
                let changed = before + usize::from(*own != letter);
                before = column[at + 1];
                column[at + 1] = changed.min(before + 1).min(column[at] + 1);
            }
            fewest = fewest.min(column[answer.len()]);
        }
        (answer.len() - fewest, answer.len())
    }
}

fn plain(text: &str) -> String {
    text.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

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

    fn ask_what_is_written(&mut self) -> Question {
        let text = match self.family {
            Family::Price => {
                let (whole, part) = (self.random.usize(1..=3), 2);
                format!("${}.{}", self.digits(whole), self.digits(part))
            }
            Family::Code => {
                let letters = |random: &mut fastrand::Rng| (0..3).map(|_| random.uppercase()).collect::<String>();
                format!("{}-{}", letters(self.random), self.digits(3))
            }
            Family::Display => {
                let (hour, minute) = (self.random.u32(..24), self.random.u32(..60));
                format!("{hour:02}:{minute:02}")
            }
            _ => {
                let word = self.word();
                if self.random.bool() { word.to_uppercase() } else { word }
            }
        };
        let colour = self.colour(&[]);
        let (sign, letters) = self.sign(&text, colour);
        self.clutter(4, &[], &[]);
        let asked = self.phrase();
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
        let text = self.phrase().replace("{}", colours[asked].name);
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
            let text = self.phrase();
            self.question(text.replace("{}", shape.name()), colour.name, None, asked)
        } else {
            let text = self.phrase();
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
        let text = self.phrase();
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
        let text = self.phrase();
        self.question(text.replace("{}", shape.name()), answer, None, asked)
    }

    fn ask_of_an_instrument(&mut self) -> Question {
        let (thing, answer) = self.instrument(self.family);
        let asked = self.stand(thing).expect("the first finds room");
        self.clutter(4, &[], &[]);
        let text = self.phrase();
        self.question(text, answer, None, asked)
    }

    /// A clock, a gauge or lamps, and what they show.
    pub(super) fn instrument(&mut self, family: Family) -> (Thing, String) {
        let (kind, half) = match family {
            Family::Clock => self.clock(),
            Family::Gauge => self.gauge(),
            _ => self.lamps(),
        };
        let shows = kind.reading().expect("an instrument shows something");
        let place = Place {
            x: 0.0,
            y: 0.0,
            half,
            speed: (0.0, 0.0),
            turn: self.random.f32() * 8.0 - 4.0,
        };
        (Thing { kind, place }, shows)
    }

    fn clock(&mut self) -> Instrument {
        let (hour, minute) = (self.random.u32(..12), self.random.u32(..12) * 5);
        let face = if self.random.bool() { COLOURS[11] } else { COLOURS[2] };
        let kind = Kind::Clock {
            hour,
            minute,
            ink: face.ink(),
            face: face.shade(self.random),
        };
        let radius = 30.0 + self.random.f32() * 40.0;
        (kind, (radius, radius))
    }

    fn gauge(&mut self) -> Instrument {
        let tenths = self.random.u32(..=10);
        let colour = self.colour(&[COLOURS[9], COLOURS[10]]).shade(self.random);
        let high = 40.0 + self.random.f32() * 34.0;
        (Kind::Gauge { tenths, colour }, (high * 0.32, high))
    }

    fn lamps(&mut self) -> Instrument {
        let lit: Vec<bool> = loop {
            let lit: Vec<bool> = (0..5).map(|_| self.random.bool()).collect();
            if lit.contains(&true) {
                break lit;
            }
        };
        let colour = self.colour(&[COLOURS[9], COLOURS[10]]).shade(self.random);
        let wide = 60.0 + self.random.f32() * 80.0;
        (Kind::Lamps { lit, colour }, (wide, wide * 0.26))
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
        let text = self.phrase();
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
        let text = self.phrase();
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
        let text = self.phrase();
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
        let text = self.phrase().replace("{side}", side).replace("{}", colours[0].name);
        self.question(text, answer.name(), None, asked)
    }
}

/// What shows something, and its half size.
type Instrument = (Kind, (f32, f32));

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
