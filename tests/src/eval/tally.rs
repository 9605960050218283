//! The figures of one set.

use std::collections::BTreeMap;

use hearsight_core::media::{Word, Words};
use hearsight_core::time::{MediaTime, Moment, Span};
use serde_json::{Value, json};

use super::chain::Run;
use super::material::Recording;
use super::score::{errors, quantile, revisions, words};
use super::sound::{BEFORE, RATE};

/// What was counted so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    recordings: usize,
    said: usize,
    wrong: usize,
    heard: usize,
    revised: usize,
    false_ends: usize,
    early: usize,
    lost: u32,
    sound: Span,
    work: Span,
    detector: Span,
    partial: Vec<f64>,
    stable: Vec<f64>,
    settled: Vec<f64>,
    from_speech: Vec<f64>,
    over: Vec<f64>,
    slices: Vec<f64>,
    /// Provisional words by their stability in percent: how many, and how many of them the final words kept.
    kept: BTreeMap<u32, (usize, usize)>,
}

/// A provisional word and a settled one are the same when they end this near to each other.
const NEAR: Span = Span::from_millis(300);

impl Tally {
    /// Counts one recording.
    pub(crate) fn add(&mut self, recording: &Recording, samples: &[f32], run: Run) {
        let end = MediaTime::ZERO + Span::from_samples((BEFORE + end_of_speech(samples)) as i64, RATE as u32);
        self.recordings += 1;
        self.lost += run.lost;
        self.sound += Span::from_samples(samples.len() as i64, RATE as u32);
        self.work += run.work.0 + run.work.1;
        self.detector += run.work.0;
        self.slices.extend(run.slices.iter().map(|slice| slice.millis_f64()));
        let text: Vec<String> = run
            .words
            .iter()
            .filter(|unit| unit.1.item.settled)
            .map(|unit| unit.1.item.text())
            .collect();
        let (said, heard) = (words(&recording.reference), words(&text.join(" ")));
        self.said += said.len();
        self.heard += heard.len();
        self.wrong += errors(&said, &heard);
        self.settle(&run, end);
        let mut segments: BTreeMap<u32, Vec<(Moment, &Words)>> = BTreeMap::new();
        for (moment, unit) in &run.words {
            segments
                .entry(unit.item.segment)
                .or_default()
                .push((*moment, &unit.item));
        }
        segments.values().for_each(|segment| self.segment(segment));
    }

    /// Ends: those of segments inside the speech are false, those of phrases early; the final words of each come so long after it.
    fn settle(&mut self, run: &Run, end: MediaTime) {
        let inside = |ends: &[(Moment, MediaTime)]| ends.iter().filter(|(_, at)| *at + NEAR < end).count();
        self.false_ends += inside(&run.ends);
        self.early += inside(&run.rests);
        for (told, _) in &run.rests {
            let settled = run
                .words
                .iter()
                .find(|(moment, unit)| unit.item.settled && moment >= told);
            self.settled
                .extend(settled.map(|(moment, _)| (*moment - *told).millis_f64()));
        }
        let last = run.words.iter().rfind(|(_, unit)| unit.item.settled);
        let spoken = Moment::ZERO + (end - MediaTime::ZERO);
        let over = run.ends.last().filter(|(_, at)| *at + NEAR >= end);
        self.over.extend(over.map(|(told, _)| (*told - spoken).millis_f64()));
        self.from_speech
            .extend(last.map(|(moment, _)| (*moment - spoken).millis_f64()));
    }

    /// The words of one segment, as they came and as they stayed.
    fn segment(&mut self, units: &[(Moment, &Words)]) {
        let Some((settled_at, settled)) = units.iter().rfind(|(_, words)| words.settled) else {
            return;
        };
        for pair in units.windows(2) {
            let [before, after] = [pair[0].1.text(), pair[1].1.text()].map(|text| words(&text));
            self.revised += revisions(&before, &after);
        }
        for word in units
            .iter()
            .filter(|(_, words)| !words.settled)
            .flat_map(|(_, words)| words.words.iter())
        {
            let kept = settled.words.iter().any(|last| same(last, word));
            let count = self.kept.entry((word.stability * 100.0).round() as u32).or_default();
            *count = (count.0 + 1, count.1 + usize::from(kept));
        }
        for word in settled.words.iter() {
            let spoken = Moment::ZERO + (word.end - MediaTime::ZERO);
            let first = |least: f32| {
                let shows = |words: &Words| {
                    words
                        .words
                        .iter()
                        .any(|shown| same(shown, word) && shown.stability >= least)
                };
                let unit = units.iter().find(|(_, words)| shows(words));
                (unit.map_or(*settled_at, |(moment, _)| *moment) - spoken).millis_f64()
            };
            self.partial.push(first(0.0));
            self.stable.push(first(0.9));
        }
    }

    fn figures(&self) -> Figures {
        let of = |values: &Vec<f64>, part| quantile(&mut values.clone(), part);
        let share = |count: usize, all: f64| (all > 0.0).then_some(count as f64 / all);
        let minutes = self.sound.secs_f64() / 60.0;
        Figures {
            wer: share(self.wrong, self.said as f64),
            partial: of(&self.partial, 0.5),
            stable: of(&self.stable, 0.5),
            final_p50: of(&self.settled, 0.5),
            final_p95: of(&self.settled, 0.95),
            from_speech: of(&self.from_speech, 0.95),
            over: of(&self.over, 0.95),
            early: share(self.early, minutes),
            false_ends: share(self.false_ends, minutes),
            revisions: share(self.revised, self.heard as f64),
            rtf: share(1, self.sound.secs_f64()).map(|part| part * self.work.secs_f64()),
            slice: of(&self.slices, 0.999),
            false_words: share(self.heard, minutes).filter(|_| self.said == 0),
        }
    }

    /// The names of the columns.
    pub(crate) fn heading() -> String {
        format!(
            "{:<18} {:>5} {:>6} {:>6} {:>8} {:>8} {:>9} {:>9} {:>10} {:>8} {:>9} {:>8} {:>8} {:>6} {:>9} {:>9}",
            "set",
            "n",
            "min",
            "WER",
            "partial",
            "stable",
            "final p50",
            "final p95",
            "speech p95",
            "over p95",
            "early/min",
            "ends/min",
            "rev/word",
            "RTF",
            "slice p99.9",
            "noise w/min"
        )
    }
    /// The figures for people.
    pub(crate) fn row(&self, name: &str) -> String {
        let figures = self.figures();
        let show =
            |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
        format!(
            "{:<18} {:>5} {:>6.1} {:>6} {:>8} {:>8} {:>9} {:>9} {:>10} {:>8} {:>9} {:>8} {:>8} {:>6} {:>11} {:>11}",
            name,
            self.recordings,
            self.sound.secs_f64() / 60.0,
            show(figures.wer.filter(|_| self.said > 0), 3),
            show(figures.partial, 0),
            show(figures.stable, 0),
            show(figures.final_p50, 0),
            show(figures.final_p95, 0),
            show(figures.from_speech.filter(|_| self.said > 0), 0),
            show(figures.over.filter(|_| self.said > 0), 0),
            show(figures.early.filter(|_| self.said > 0), 2),
            show(figures.false_ends.filter(|_| self.said > 0), 2),
            show(figures.revisions, 2),
            show(figures.rtf, 3),
            show(figures.slice, 0),
            show(figures.false_words, 2),
        )
    }
    /// The figures for machines.
    pub(crate) fn json(&self) -> Value {
        let figures = self.figures();
        if let Some(false_words) = figures.false_words {
            return json!({ "false_words_per_minute": false_words, "rtf": figures.rtf, "lost": self.lost });
        }
        json!({
            "wer": figures.wer,
            "first_partial_ms": figures.partial,
            "stable_word_ms": figures.stable,
            "final_ms_p50": figures.final_p50,
            "final_ms_p95": figures.final_p95,
            "final_from_speech_ms_p95": figures.from_speech,
            "segment_over_from_speech_ms_p95": figures.over,
            "early_finals_per_minute": figures.early,
            "false_ends_per_minute": figures.false_ends,
            "revisions_per_word": figures.revisions,
            "rtf": figures.rtf,
            "vad_rtf": self.detector.secs_f64() / self.sound.secs_f64().max(1e-9),
            "slice_ms_p99_9": figures.slice,
            "kept_by_stability": self.kept.iter().map(|(percent, (all, kept))| {
                (format!("0.{percent:02}"), json!(*kept as f64 / *all as f64))
            }).collect::<serde_json::Map<_, _>>(),
            "words": self.said,
            "recordings": self.recordings,
            "lost": self.lost,
        })
    }
}

/// Whether two words of different hypotheses are the same one.
fn same(one: &Word, other: &Word) -> bool {
    let apart = one.end - other.end;
    one.text == other.text && apart < NEAR && -apart < NEAR
}

struct Figures {
    wer: Option<f64>,
    partial: Option<f64>,
    stable: Option<f64>,
    final_p50: Option<f64>,
    final_p95: Option<f64>,
    from_speech: Option<f64>,
    over: Option<f64>,
    early: Option<f64>,
    false_ends: Option<f64>,
    revisions: Option<f64>,
    rtf: Option<f64>,
    slice: Option<f64>,
    false_words: Option<f64>,
}

/// Where speech ends, in samples: the end of the last 20 ms frame that is within 30 dB of the loudest and at least
/// 6 dB above the quietest tenth of frames. Stands for a label where there is none.
fn end_of_speech(samples: &[f32]) -> usize {
    const FRAME: usize = RATE / 50;
    let level = |frame: &[f32]| {
        let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / FRAME as f32;
        10.0 * (power + 1e-10).log10()
    };
    let levels: Vec<f32> = samples.chunks_exact(FRAME).map(level).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let Some(loudest) = sorted.last() else { return 0 };
    let least = (loudest - 30.0).max(sorted[sorted.len() / 10] + 6.0).min(loudest - 3.0);
    levels
        .iter()
        .rposition(|level| *level >= least)
        .map_or(samples.len(), |last| (last + 1) * FRAME)
}
