//! Cepstral means: what the recogniser subtracts from the sound's cepstra to be rid of microphone and room (cepstral mean
//! normalisation, CMN). The library's live estimate moves only between utterances, which loses the first words of a
//! cold start; this one moves with every portion, from what is known at the start towards what is heard.

/// Cepstral coefficients per frame.
pub(super) const COEFFICIENTS: usize = 13;

/// The library counts a mean that it is given as this many frames (`CMN_WIN` in cmn.h).
const LIBRARY_FRAMES: f64 = 500.0;
/// What is known before anything was heard counts as one second.
const COLD_FRAMES: f64 = 100.0;
/// What was learnt counts as three seconds at most, so that a moved microphone is followed.
const MOST_FRAMES: f64 = 300.0;
/// The mean over ten recordings of read speech (LibriSpeech) by different speakers.
const CLEAN: [f64; COEFFICIENTS] = [
    51.28, 2.0, -1.71, 10.54, -3.58, 2.82, -6.17, -2.77, 0.32, -0.09, -0.79, -0.93, 3.3,
];

/// A running estimate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Means {
    mean: [f64; COEFFICIENTS],
    frames: f64,
}

impl Default for Means {
    fn default() -> Means {
        Means {
            mean: CLEAN,
            frames: COLD_FRAMES,
        }
    }
}

impl Means {
    /// From the wire between processes; anything but sensible numbers gives the cold start.
    pub(super) fn from_parts(mean: [f32; COEFFICIENTS], frames: f32) -> Means {
        let sensible = mean.iter().all(|value| value.abs() < 1000.0) && (1.0..=MOST_FRAMES as f32).contains(&frames);
        if !sensible {
            return Means::default();
        }
        Means {
            mean: mean.map(f64::from),
            frames: f64::from(frames),
        }
    }
    /// To the wire between processes.
    pub(super) fn to_parts(&self) -> ([f32; COEFFICIENTS], f32) {
        (self.mean.map(|value| value as f32), self.frames as f32)
    }
    /// As the library reads it.
    pub(super) fn to_text(&self) -> String {
        self.mean.map(|value| format!("{value:.4}")).join(",")
    }
    /// Learns from `text`, the library's estimate after it was given this one and then heard `frames` frames.
    pub(super) fn learn(&mut self, text: &str, frames: f64) {
        let mut library = [0.0; COEFFICIENTS];
        let mut values = text.split(',').map(|value| value.trim().parse::<f64>());
        for place in &mut library {
            match values.next() {
                Some(Ok(value)) if value.abs() < 1000.0 => *place = value,
                _ => return,
            }
        }
        for (mean, library) in self.mean.iter_mut().zip(library) {
            let heard = (LIBRARY_FRAMES + frames) * library - LIBRARY_FRAMES * *mean;
            *mean = (self.frames * *mean + heard) / (self.frames + frames);
        }
        self.frames = (self.frames + frames).min(MOST_FRAMES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_to_what_is_heard_and_survives_nonsense() {
        let mut means = Means::default();
        for _ in 0..200 {
            let frames = 6.0;
            let library = means
                .mean
                .map(|mean| (LIBRARY_FRAMES * mean + frames * 30.0) / (LIBRARY_FRAMES + frames));
            means.learn(&library.map(|value| value.to_string()).join(","), frames);
        }
        assert!(means.mean.iter().all(|mean| (mean - 30.0).abs() < 1.0), "{means:?}");
        let before = means.clone();
        for nonsense in ["", "1,2", "a,b,c", "nan,nan", "1e9,0,0,0,0,0,0,0,0,0,0,0,0"] {
            means.learn(nonsense, 6.0);
            assert_eq!(means, before);
        }
    }

    #[test]
    fn nonsense_from_the_wire_is_a_cold_start() {
        assert_eq!(Means::from_parts([f32::NAN; COEFFICIENTS], 100.0), Means::default());
        assert_eq!(Means::from_parts([0.0; COEFFICIENTS], -1.0), Means::default());
    }
}
