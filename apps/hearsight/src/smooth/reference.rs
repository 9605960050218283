//! How near the made pictures come to the true ones, where somebody has them.

use std::collections::VecDeque;
use std::path::Path;

use hearsight_codecs::container::{ContainerError, Reader, Unit};
use hearsight_codecs::h264::Decoder;
use hearsight_codecs::quality;
use hearsight_core::media::{Decoded, Picture, Planes};
use hearsight_core::stage::{Engine, Outbox, Signal};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};

use super::{SmoothError, film_decoder};

/// Mean likeness to the true pictures, luma only.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Likeness {
    /// Pictures that were compared.
    pub pictures: u64,
    psnr: f64,
    ssim: f64,
}

impl Likeness {
    /// Mean peak signal-to-noise ratio in dB.
    pub fn psnr(&self) -> f64 {
        self.psnr / self.pictures.max(1) as f64
    }

    /// Mean structural similarity.
    pub fn ssim(&self) -> f64 {
        self.ssim / self.pictures.max(1) as f64
    }
}

/// The true pictures, read along.
pub struct Truth {
    reader: Reader,
    decoder: Decoder,
    /// Decoded, in the order in which they are shown.
    ahead: VecDeque<Stamped<Decoded>>,
    out: Outbox<Decoded>,
    over: bool,
    first: Option<MediaTime>,
    near: Span,
    likeness: Likeness,
}

impl Truth {
    /// Opens them. Errors: as for any film.
    pub fn open(path: &Path) -> Result<Truth, SmoothError> {
        let refused = |why: ContainerError| SmoothError::Film {
            path: path.display().to_string(),
            why,
        };
        let reader = Reader::open(path).map_err(refused)?;
        // Nearer to it than to any other.
        let near = Span::from_nanos(reader.pictures().rate.place(1).nanos() * 2 / 5);
        Ok(Truth {
            decoder: film_decoder()?,
            reader,
            ahead: VecDeque::new(),
            out: Outbox::default(),
            over: false,
            first: None,
            near,
            likeness: Likeness::default(),
        })
    }

    /// Compares a made picture with the true one of its time, where there is one of its size. Both films' times are counted
    /// from their first pictures, `after` is the made one's; it must go on.
    pub fn compare(&mut self, after: Span, made: &Picture<Planes>) {
        while self.ahead.len() < 2 && !self.over {
            self.read_on();
        }
        let Some(first) = self.first.or(self.ahead.front().map(|truth| truth.at)) else {
            return;
        };
        self.first = Some(first);
        let at = first + after;
        while let Some(first) = self.ahead.front() {
            if first.at + self.near < at {
                self.ahead.pop_front();
                self.read_on();
            } else {
                break;
            }
        }
        let Some(truth) = self.ahead.front().filter(|truth| truth.at - self.near <= at) else {
            return;
        };
        let truth = &truth.item.picture;
        if (truth.width, truth.height) != (made.width, made.height) {
            return;
        }
        let [true_luma, made_luma] = [truth, made].map(luma);
        self.likeness.pictures += 1;
        self.likeness.psnr += quality::psnr(&made_luma, &true_luma);
        self.likeness.ssim += quality::ssim(&made_luma, &true_luma, made.width as usize, made.height as usize);
    }

    /// All comparisons so far.
    pub fn likeness(&self) -> Likeness {
        self.likeness
    }

    /// Decodes until another picture is there, or all are.
    fn read_on(&mut self) {
        let had = self.ahead.len();
        while self.ahead.len() == had && !self.over {
            let signal = match self.reader.next() {
                Some(Unit::Picture(unit)) => Signal::Item(unit),
                Some(Unit::Passenger(_)) => continue,
                None => {
                    self.over = true;
                    Signal::End
                }
            };
            if self.decoder.run(Moment::ZERO, signal, &mut self.out).is_err() {
                self.over = true;
            }
            let pictures = self.out.drain().filter_map(|signal| match signal {
                Signal::Item(picture) => Some(picture),
                _ => None,
            });
            self.ahead.extend(pictures);
        }
    }
}

fn luma(picture: &Picture<Planes>) -> Vec<u8> {
    let rows = (0..picture.height as usize).filter_map(|y| picture.pixels.y.row(y, picture.width as usize));
    rows.flatten().copied().collect()
}
