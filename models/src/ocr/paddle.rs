//! PP-OCRv4 (PaddleOCR, Apache-2.0 licence, <https://github.com/PaddlePaddle/PaddleOCR>) on ONNX Runtime, as the Python
//! package `rapidocr-onnxruntime` carries it: a detector, a classifier of upside-down lines and a recogniser.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use hearsight_core::media::{Picture, Planes};
use hearsight_core::stage::Fault;
use hearsight_core::time::MediaTime;
use ort::session::Session;
use ort::value::TensorRef;

use super::canvas::{Canvas, Size, check};
use super::letters::Letters;
use super::shape::Slant;
use super::spots::{Map, spots};
use super::{Eyes, Spot, Text};
use crate::files::{BadFile, Magic, verify};
use crate::runtime::Runtime;

/// The detector takes sides of a multiple of this.
const GRAIN: f32 = 32.0;
/// Small pictures are enlarged up to this side, twofold at most: letters of 8 pixels are lost otherwise.
const SMALLEST_SIDE: f32 = 640.0;
/// The recogniser was trained on lines of this height, and of at least this width, grey behind their end.
const LINE: Size = Size {
    height: 48,
    widest: 1280,
};
const LEAST_WIDTH: usize = 320;
/// Lines are padded to a multiple of this, so that the runtime sees few shapes.
const WIDTH_GRAIN: usize = 32;
/// What the classifier takes.
const TURN: Size = Size {
    height: 48,
    widest: 192,
};
/// As sure the classifier must be before a line is turned.
const TURNED: f32 = 0.9;

/// The three networks, loaded once and shared by all sessions. They hold no session's state.
pub struct Model {
    desks: Box<[Mutex<Desk>]>,
    letters: Letters,
}

/// What one picture at a time is read with.
struct Desk {
    detect: Session,
    turn: Session,
    recognise: Session,
    canvas: Canvas,
}

impl Model {
    /// Loads `detect.onnx`, `turn.onnx` and `recognise.onnx` from `folder`, to be run on `threads` threads each, for so many pictures
    /// at a time: networks are loaded `desks` times, at least once.
    pub fn open(runtime: &Runtime, folder: &Path, threads: usize, desks: usize) -> Result<Model, BadFile> {
        let load = |name: &str, classes: &str| {
            let path = folder.join(name);
            verify(&path, Magic::Any, 1 << 16)?;
            let session = runtime.session(&path, threads)?;
            let (inputs, outputs) = (session.inputs().len(), session.outputs().len());
            match (inputs, outputs) {
                (1, 1) => Ok(session),
                _ => Err(BadFile::damaged(
                    &path,
                    format!("{inputs} inputs and {outputs} outputs are not {classes}"),
                )),
            }
        };
        let desk = || {
            Ok(Desk {
                recognise: load("recognise.onnx", "those of a recogniser")?,
                detect: load("detect.onnx", "those of a detector")?,
                turn: load("turn.onnx", "those of a classifier")?,
                canvas: Canvas::default(),
            })
        };
        let first = desk()?;
        let letters = letters(&first.recognise).ok_or_else(|| {
            let why = "its list of characters is missing, or does not fit its classes";
            BadFile::damaged(&folder.join("recognise.onnx"), why)
        })?;
        let more = (1..desks).map(|_| desk());
        let desks: Result<Vec<Desk>, BadFile> = std::iter::once(Ok(first)).chain(more).collect();
        Ok(Model {
            desks: desks?.into_iter().map(Mutex::new).collect(),
            letters,
        })
    }

    /// A desk that is free, or the first one when it becomes so.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        let free = self.desks.iter().find_map(|desk| match desk.try_lock() {
            Ok(desk) => Some(desk),
            Err(TryLockError::Poisoned(left)) => Some(left.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        free.unwrap_or_else(|| self.desks[0].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn letters(recognise: &Session) -> Option<Letters> {
    let list = recognise.metadata().ok()?.custom("character")?;
    let shape = recognise.outputs().first()?.dtype().tensor_shape()?.to_vec();
    Letters::parse(&list, usize::try_from(*shape.last()?).ok()?)
}

/// One session's eyes: the model is shared.
#[derive(Clone)]
pub struct PaddleOcr {
    model: Arc<Model>,
}

impl PaddleOcr {
    /// Eyes that see by `model`.
    pub fn new(model: Arc<Model>) -> PaddleOcr {
        PaddleOcr { model }
    }
}

impl Eyes for PaddleOcr {
    fn look(&mut self, _at: MediaTime, picture: &Picture<Planes>, side: u32) -> Result<Vec<Spot>, Fault> {
        check(picture).map_err(reset)?;
        self.model.desk().look(picture, side as f32).map_err(reset)
    }

    fn read(&mut self, _at: MediaTime, picture: &Picture<Planes>, slant: &Slant) -> Result<Text, Fault> {
        check(picture).map_err(reset)?;
        self.model
            .desk()
            .read(picture, slant, &self.model.letters)
            .map_err(reset)
    }
}

fn reset(why: impl std::fmt::Display) -> Fault {
    Fault::Reset(format!("reader: {why}"))
}

impl Desk {
    fn look(&mut self, picture: &Picture<Planes>, side: f32) -> Result<Vec<Spot>, ort::Error> {
        let (width, height) = (picture.width as f32, picture.height as f32);
        let longest = width.max(height);
        let scale = (side / longest).min((SMALLEST_SIDE / longest).clamp(1.0, 2.0));
        let fitted = |length: f32| ((length * scale / GRAIN).round() * GRAIN).clamp(GRAIN, side.max(GRAIN)) as u32;
        let (columns, rows) = (fitted(width), fitted(height));
        let tensor = self.canvas.whole(picture, columns, rows).map_err(bad)?;
        let shape = [1usize, 3, rows as usize, columns as usize];
        let outputs = self
            .detect
            .run(ort::inputs![TensorRef::from_array_view((shape, tensor))?])?;
        let (_, chances) = outputs[0].try_extract_tensor::<f32>()?;
        if chances.len() != rows as usize * columns as usize {
            return Err(ort::Error::new("the detector's map has another size than its picture"));
        }
        let map = Map {
            chances,
            width: columns as usize,
            height: rows as usize,
        };
        let (across, down) = (width / columns as f32, height / rows as f32);
        let found = spots(map).into_iter().map(|spot| Spot {
            slant: spot.slant.scaled(across, down),
            ..spot
        });
        Ok(found.filter(|spot| spot.slant.sound()).collect())
    }

    fn read(&mut self, picture: &Picture<Planes>, slant: &Slant, letters: &Letters) -> Result<Text, ort::Error> {
        let (tensor, width) = self.canvas.line(picture, slant, TURN, |_| TURN.widest);
        let shape = [1usize, 3, TURN.height, width];
        let outputs = self
            .turn
            .run(ort::inputs![TensorRef::from_array_view((shape, tensor))?])?;
        let (_, ways) = outputs[0].try_extract_tensor::<f32>()?;
        let turned = ways.get(1).is_some_and(|chance| *chance > TURNED);
        drop(outputs);

        let slant = if turned { slant.turned() } else { *slant };
        let padded = |width: usize| width.next_multiple_of(WIDTH_GRAIN).max(LEAST_WIDTH);
        let (tensor, width) = self.canvas.line(picture, &slant, LINE, padded);
        let shape = [1usize, 3, LINE.height, width];
        let outputs = self
            .recognise
            .run(ort::inputs![TensorRef::from_array_view((shape, tensor))?])?;
        let (_, columns) = outputs[0].try_extract_tensor::<f32>()?;
        Ok(Text {
            turned,
            ..letters.decode(columns)
        })
    }
}

fn bad(why: impl std::fmt::Display) -> ort::Error {
    ort::Error::new(why.to_string())
}
