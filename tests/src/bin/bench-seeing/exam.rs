//! The frozen set: scenes that nobody learnt from, at every rate, asked about.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hearsight_core::media::{Line, Picture, Planes, Region};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;
use hearsight_models::ocr;
use hearsight_models::vlm::local::{Local, Model};
use hearsight_models::vlm::{Answer, Answerer, Ask, Effort, Step};
use hearsight_tests::rig::coded;
use hearsight_tests::scenes::{Family, Fonts, SECONDS, SIZE, Scene, Split};

use crate::figures::overlap;
use crate::reading;

/// Pictures a second: what browsers send at low rates.
const FPS: u32 = 15;
/// Which pictures are asked about: early, for what moves or changes, and late.
const EARLY: usize = 6;
const LATE: usize = 42;
/// Letters of so many pixels are large.
pub(crate) const LARGE: f32 = 20.0;
/// Scenes of the set begin with this seed: frozen.
const FIRST: u64 = 50_000;

/// What both engines made of one scene at one rate.
pub(crate) struct Marked {
    pub(crate) family: Family,
    /// None: as it was drawn.
    pub(crate) kbps: Option<u32>,
    pub(crate) glance: Given,
    /// Of scenes whose answer is written in them.
    pub(crate) reader: Option<Given>,
    /// Letters of an answer that are [`LARGE`], and how many of them the reader read.
    pub(crate) letters: Option<(usize, usize)>,
    /// How much of where glance looked is where the answer is; none where it told of no place.
    pub(crate) overlap: Option<f64>,
    pub(crate) cost: Cost,
}

/// What one engine gave.
pub(crate) struct Given {
    pub(crate) right: bool,
    pub(crate) certainty: Option<f64>,
    pub(crate) readability: Option<f64>,
}

/// What glance took, in milliseconds.
pub(crate) struct Cost {
    pub(crate) first_text: Option<f64>,
    pub(crate) tokens: u32,
    pub(crate) prepare: f64,
    pub(crate) inference: f64,
    pub(crate) whole: f64,
    /// From the first token on.
    pub(crate) saying: f64,
}

/// Who is asked.
pub(crate) struct Asked<'a> {
    pub(crate) glance: &'a Arc<Model>,
    pub(crate) reader: &'a Arc<ocr::Model>,
    pub(crate) fonts: &'a Fonts,
}

impl Asked<'_> {
    /// Scenes `from` to `to` of a family as they were drawn, by glance alone.
    pub(crate) fn clean(&self, family: Family, scenes: std::ops::Range<u64>) -> Result<Vec<Marked>> {
        let mut marked = Vec::new();
        for at in scenes {
            let scene = Scene::new(family, Split::Unseen, FIRST + at, self.fonts);
            let pictures = shown(family).map(|at| scene.render(at as f32 / FPS as f32)).collect();
            marked.push(self.mark(&scene, None, pictures)?);
        }
        Ok(marked)
    }

    /// One scene of a family at several rates, before its own ground or a film.
    pub(crate) fn coded(
        &self,
        family: Family,
        number: u64,
        rates: &[u32],
        film: Option<&[Vec<u8>]>,
    ) -> Result<Vec<Marked>> {
        let scene = Scene::new(family, Split::Unseen, FIRST + number, self.fonts).in_hand();
        let render = |at: usize| {
            let seconds = at as f32 / FPS as f32;
            match film.and_then(|film| film.get(at % film.len().max(1))) {
                Some(ground) => scene.render_before(ground, seconds),
                None => scene.render(seconds),
            }
        };
        let drawn: Vec<u8> = (0..=LATE).flat_map(|at| coded::raw(&render(at))).collect();
        let mut marked = Vec::new();
        for kbps in rates {
            let stream = coded::as_browsers_do(&drawn, SIZE, FPS, u64::from(*kbps) * 1000)?;
            let decoded = coded::decode(&stream)?;
            let last = decoded
                .len()
                .checked_sub(1)
                .context("nothing of the scene was decoded")?;
            // The encoder leaves pictures out where the rate is too low for them; what came last is what there is.
            let place = |at: usize| at * last / LATE;
            let pictures = shown(family).map(|at| decoded[place(at)].picture.clone()).collect();
            marked.push(self.mark(&scene, Some(*kbps), pictures)?);
        }
        Ok(marked)
    }

    fn mark(&self, scene: &Scene, kbps: Option<u32>, pictures: Vec<Picture<Planes>>) -> Result<Marked> {
        let family = scene.question.family;
        let late = pictures.last().cloned().context("a scene has pictures")?;
        let place = scene.region(LATE as f32 / FPS as f32);
        let last = pictures.len() - 1;
        let clock = Clock::new();
        let mut conversation = self.glance.conversation(None);
        let asked = question(&scene.question.text, pictures, clock.now() + Span::from_secs(60));
        let Some((answer, cost)) = answer(&mut conversation, &clock, asked)? else {
            bail!("glance refused a question with a minute to answer it in");
        };
        let own = answer.evidence.iter().find(|evidence| evidence.picture == last);
        let read = family.is_text().then(|| self.read(&late, place)).transpose()?;
        let large = scene.question.letters.is_some_and(|size| size >= LARGE);
        let letters = read.as_ref().filter(|_| large).map(|(line, _)| {
            let text = line.as_ref().map_or("", |line| &line.text);
            scene.question.letters_within(text)
        });
        Ok(Marked {
            family,
            kbps,
            glance: Given {
                right: scene.question.is_answered_by(&answer.text),
                certainty: answer.certainty.map(|certainty| certainty.get().into()),
                readability: answer.readability.map(|readability| readability.get().into()),
            },
            reader: read.map(|(line, readability)| Given {
                right: line
                    .as_ref()
                    .is_some_and(|line| scene.question.is_answered_within(&line.text)),
                certainty: line.map(|line| line.certainty.get().into()),
                readability,
            }),
            letters,
            overlap: own.map(|evidence| overlap(edges(evidence.region), place)),
            cost,
        })
    }

    /// The line that the reader reads where the sign is, and how readable it takes the picture to be.
    fn read(&self, picture: &Picture<Planes>, place: [f32; 4]) -> Result<(Option<Line>, Option<f64>)> {
        let (_, reading) = reading::read(self.reader, picture)?;
        let over = |line: &Line| overlap(edges(line.region), place);
        let near = reading.lines.iter().filter(|line| over(line) > 0.0);
        let line = near.max_by(|a, b| over(a).total_cmp(&over(b))).cloned();
        Ok((line, reading.readability.map(|readability| readability.get().into())))
    }
}

fn shown(family: Family) -> impl Iterator<Item = usize> {
    let early = matches!(family, Family::Motion | Family::Change).then_some(EARLY);
    early.into_iter().chain([LATE])
}

pub(crate) fn question(text: &str, pictures: Vec<Picture<Planes>>, deadline: Moment) -> Ask {
    let stamped = |(at, picture): (i64, _)| {
        let at = 1000 * at;
        Stamped::new(MediaTime::from_millis(at), Moment::from_millis(at), picture)
    };
    Ask {
        question: text.into(),
        pictures: (0..).zip(pictures).map(stamped).collect(),
        deadline,
        effort: Effort::default(),
    }
}

/// Asks, and waits for the answer. None where the question was refused.
pub(crate) fn answer(conversation: &mut Local, clock: &Clock, ask: Ask) -> Result<Option<(Answer, Cost)>> {
    let began = clock.now();
    if conversation.ask(began, ask).is_err() {
        return Ok(None);
    }
    let mut said = None;
    loop {
        let now = clock.now();
        match conversation.step(now)? {
            Step::Idle => bail!("the question was lost"),
            Step::On { text, .. } => {
                conversation.took(clock.now() - now);
                if text.is_some() && said.is_none() {
                    said = Some(clock.now());
                }
                // The model is in another conversation's hands now and then.
                std::thread::yield_now();
            }
            Step::Over(answer) => {
                let over = clock.now();
                let millis = |span: Span| span.secs_f64() * 1e3;
                let spent = answer.spent;
                let whole = over - began;
                let cost = Cost {
                    first_text: spent.first_text.map(millis),
                    tokens: spent.answer_tokens,
                    prepare: millis(spent.prepare),
                    inference: millis(spent.inference),
                    whole: millis(whole),
                    saying: said.map_or(0.0, |said| millis(over - said)),
                };
                return Ok(Some((*answer, cost)));
            }
        }
    }
}

/// The upright box around a region.
fn edges(region: Region) -> [f32; 4] {
    let around = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
    region.corners.iter().fold(around, |all, corner| {
        [
            all[0].min(corner.x),
            all[1].min(corner.y),
            all[2].max(corner.x),
            all[3].max(corner.y),
        ]
    })
}

/// The first seconds of a film in the size of scenes, in RGB.
pub(crate) fn film(path: &Path) -> Result<Vec<Vec<u8>>> {
    let filter = format!(
        "fps={FPS},scale={}:{}:force_original_aspect_ratio=increase,crop={}:{}",
        SIZE.0, SIZE.1, SIZE.0, SIZE.1
    );
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-t", &SECONDS.to_string(), "-i"])
        .arg(path)
        .args(["-vf", &filter, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .stdin(Stdio::null())
        .output()
        .context("ffmpeg is not installed")?;
    let frames = made.stdout.chunks_exact((SIZE.0 * SIZE.1 * 3) as usize);
    Ok(frames.map(<[u8]>::to_vec).collect())
}
