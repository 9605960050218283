//! A long session in virtual time: what is said late in it is heard as what was said early, at the time at which it was said, and
//! nothing grows. Pauses, silence, people who speak at once, clipping, and packets that are lost, a third of them.

use super::*;
use crate::tones::{self, WORDS};
use hearsight_core::media::{Pcm, Voice, Words};
use hearsight_core::stage::{Engine, Gap, Lost, Outbox, Signal};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::Moment;
use hearsight_models::asr::{Hearing, moonshine::Moonshine};

/// A packet of sound, in samples: 20 ms.
const PACKET: usize = 320;
/// The longest hole that is concealed; what is longer is a gap.
const CONCEALED: usize = 5 * PACKET;

/// What happens to what is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// Somebody else speaks at the same time.
    Overlap,
    /// It is much too loud for the microphone.
    Clipping,
    /// Three packets in ten don't come.
    Loss,
}

/// In turns.
const TROUBLES: [Trouble; 5] = [
    Trouble::None,
    Trouble::None,
    Trouble::Overlap,
    Trouble::Clipping,
    Trouble::Loss,
];

impl Trouble {
    fn befall(self, sound: &mut [f32], seed: u32) {
        match self {
            Trouble::Overlap => {
                let (other, _) = tones::speak(&WORDS, seed);
                sound.iter_mut().zip(other).for_each(|(sample, other)| *sample += other);
            }
            Trouble::Clipping => sound
                .iter_mut()
                .for_each(|sample| *sample = (*sample * 40.0).clamp(-1.0, 1.0)),
            // What is lost is lost on its way.
            Trouble::None | Trouble::Loss => {}
        }
    }
}

struct Session {
    hearing: Hearing<Moonshine>,
    out: Outbox<Words>,
    /// Samples since the beginning.
    place: usize,
    most_bytes: usize,
}

impl Session {
    fn put(&mut self, signal: Signal<Voice>) {
        let now = Moment::ZERO + Span::from_samples(self.place as i64, 16_000);
        self.hearing.run(now, signal, &mut self.out).expect("no faults");
        self.most_bytes = self.most_bytes.max(self.hearing.recogniser().bytes());
    }

    fn tell(&mut self, voice: Voice) {
        let after = Span::from_samples(self.place as i64, 16_000);
        let unit = Stamped::new(MediaTime::ZERO + after, Moment::ZERO + after, voice);
        self.put(Signal::Item(unit));
    }

    fn sound(&mut self, samples: &[f32]) {
        let pcm = Pcm {
            rate: 16_000,
            samples: samples.into(),
        };
        self.tell(Voice::Sound(pcm));
        self.place += samples.len();
    }

    /// One segment of speech; answers with its final words.
    fn say(&mut self, sound: &[f32], lost: impl Fn(usize) -> bool) -> Vec<Words> {
        self.tell(Voice::Started);
        let mut hole = 0;
        for (at, packet) in sound.chunks(PACKET).enumerate() {
            if lost(at) {
                hole += packet.len();
                continue;
            }
            if hole > CONCEALED {
                self.place += hole;
                let gap = Gap {
                    stage: "ingest",
                    why: Lost::TooLate,
                    count: (hole / PACKET) as u32,
                };
                self.put(Signal::Gap(gap));
            } else if hole > 0 {
                self.sound(&vec![0.0; hole]);
            }
            hole = 0;
            self.sound(packet);
        }
        self.place += hole;
        self.tell(Voice::Ended);
        let items = crate::hearing::items(self.out.signals());
        self.out.drain().for_each(drop);
        items
            .into_iter()
            .map(|unit| unit.item)
            .filter(|words| words.settled)
            .collect()
    }
}

/// By how much each word of a clean segment is told later than it was said, in milliseconds; none where the words are others.
fn late(said: &[&[&str]], places: &[std::ops::Range<usize>], began: usize, heard: &[Words]) -> Option<Vec<f64>> {
    let [words] = heard else { return None };
    let same = words.words.len() == said.len()
        && words
            .words
            .iter()
            .zip(said)
            .all(|(word, said)| *word.text == *said.concat());
    let late = |(word, place): (&hearsight_core::media::Word, &std::ops::Range<usize>)| {
        let middle = Span::from_samples((began + (place.start + place.end) / 2) as i64, 16_000);
        let told = (word.start - MediaTime::ZERO + (word.end - MediaTime::ZERO)) / 2;
        (told - middle).nanos() as f64 / 1e6
    };
    same.then(|| words.words.iter().zip(places).map(late).collect())
}

/// Every word was said in its segment, and none ends before it begins.
fn assert_within(heard: &[Words], began: usize, ended: usize) {
    let [began, ended] = [began, ended].map(|place| MediaTime::ZERO + Span::from_samples(place as i64, 16_000));
    for word in heard.iter().flat_map(|words| words.words.iter()) {
        assert!(
            began <= word.start && word.start <= word.end && word.end <= ended,
            "{word:?}"
        );
    }
}

/// Where the model looks is a guess that is far off for some words; a clock that drifts moves them all.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn an_hour_is_heard_at_its_end_as_at_its_beginning() {
    // Pauses are what makes it long: in silence no recogniser runs.
    let (segments, hour) = (120, 3600 * 16_000);
    let model = model("streaming", patient());
    let mut random = fastrand::Rng::with_seed(60);
    let mut session = Session {
        hearing: Hearing::new(model.recogniser()),
        out: Outbox::default(),
        place: 0,
        most_bytes: 0,
    };
    let mut lateness: Vec<Vec<f64>> = Vec::new();
    let (mut clean, mut wrong) = (0, 0);
    for segment in 0..segments {
        // Each begins where it likes in its part of the hour.
        session.place = hour / segments * segment + random.usize(..16_000 * 20);
        let said: Vec<&[&str]> = (0..random.usize(1..=4)).map(|_| WORDS[random.usize(..8)]).collect();
        let (mut sound, places) = tones::speak(&said, segment as u32);
        let trouble = TROUBLES[segment % TROUBLES.len()];
        trouble.befall(&mut sound, segment as u32 + 1);
        let losses: Vec<bool> = (0..sound.len() / PACKET + 1)
            .map(|_| trouble == Trouble::Loss && random.u32(..10) < 3)
            .collect();
        let began = session.place;
        let heard = session.say(&sound, |at| losses[at]);
        assert!(!heard.is_empty(), "segment {segment}: {trouble:?} settles");
        assert_within(&heard, began, session.place);
        if trouble == Trouble::None {
            clean += 1;
            match late(&said, &places, began, &heard) {
                Some(late) => lateness.push(late),
                None => wrong += 1,
            }
        }
        assert_eq!(
            session.hearing.recogniser().bytes(),
            0,
            "nothing is kept between segments"
        );
    }
    assert!(wrong * 10 <= clean, "{wrong} of {clean} clean segments are heard wrong");
    let third = lateness.len() / 3;
    let early: Vec<f64> = lateness[..third].concat();
    let last: Vec<f64> = lateness[lateness.len() - third..].concat();
    let told = format!("early {early:.0?}, last {last:.0?}");
    let drift = (median(last) - median(early)).abs();
    assert!(drift <= 20.0, "word times drift by {drift:.1} ms: {told}");
    // A segment of this language is three seconds at the most: keys and values of two layers, and what the encoder carries.
    assert!(session.most_bytes < 300_000, "{} bytes", session.most_bytes);
}
