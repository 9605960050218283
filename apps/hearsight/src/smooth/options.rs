//! What `hearsight smooth` is asked to do: its arguments, read and checked.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use hearsight_codecs::container::Rate;
use hearsight_shaders::interpolate::Rung;

use super::pace::Pace;

/// x264's presets (x264 --help), from quick to thorough.
const PRESETS: [&str; 9] = [
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
];

const HOW: &str =
    "How pictures are made, at best: full adds to vectors what a small network finds, and takes far longer on a CPU";

/// What to read, what to make of it, and how to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The film.
    pub input: PathBuf,
    /// Where the smooth one goes.
    pub output: PathBuf,
    /// How often pictures are shown.
    pub pace: Pace,
    /// How they are made, at best.
    pub quality: Quality,
    /// Where they are made.
    pub place: Place,
    /// x264's constant rate factor.
    pub crf: u8,
    /// x264's preset.
    pub preset: String,
    /// What if there is a file already.
    pub existing: Existing,
    /// What is told while it works.
    pub progress: Progress,
    /// How the summary is told.
    pub summary: Telling,
    /// A film that has the true pictures.
    pub reference: Option<PathBuf>,
}

/// How pictures are made, at best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Along the vectors, and with what the residual network adds.
    Full,
    /// Along the vectors.
    Vectors,
    /// The mean of both neighbours.
    Blend,
}

impl Quality {
    /// The rung of the ladder that it begins at.
    pub fn rung(self) -> Rung {
        match self {
            Quality::Full => Rung::Full,
            Quality::Vectors => Rung::Vectors,
            Quality::Blend => Rung::Blend,
        }
    }
}

/// Where pictures are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a graphics processor where there is one: a driver that computes on the CPU is slower than the CPU's own way.
    Best,
    /// On the CPU.
    Cpu,
    /// On a Vulkan device, whatever it is.
    Device,
}

/// What happens to a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays; nothing is done.
    Kept,
    /// It is replaced when the new one is whole.
    Replaced,
}

/// What is told while it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// How far it is.
    Shown,
    /// Nothing.
    Quiet,
}

/// How the summary is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// For people.
    Lines,
    /// One JSON object.
    Json,
}

/// The arguments.
pub fn arguments() -> Vec<Arg> {
    files().into_iter().chain(making()).chain(telling()).collect()
}

fn files() -> [Arg; 4] {
    let path =
        |name: &'static str, value: &'static str| Arg::new(name).value_name(value).value_parser(value_parser!(PathBuf));
    let output = "The smooth film; its name says of which kind: .mp4, .m4v, .mov, .mkv or .ts";
    let reference = "A film with the true pictures (H.264): how near the made ones come is measured";
    [
        path("input", "IN")
            .required(true)
            .help("A film whose pictures are H.264"),
        path("output", "OUT").required(true).help(output),
        path("reference", "FILE").long("reference").help(reference),
        switch("force", "Replace OUT if it is there"),
    ]
}

fn making() -> [Arg; 6] {
    let flag = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let rate = "So many pictures a second, evenly: 60, 59.94, 60000/1001, … [default: twice as many as IN]";
    let device = "Where pictures are made; auto: on a graphics processor where there is one";
    let crf = "x264's constant rate factor: 0 is lossless, 18 hard to tell from the original, 51 the worst";
    [
        flag("times", "N", "So many times as many pictures [default: 2]")
            .value_parser(value_parser!(u32).range(2..=16))
            .conflicts_with("rate"),
        flag("rate", "R", rate).value_parser(rate_from_text),
        flag("quality", "HOW", HOW)
            .value_parser(["full", "vectors", "blend"])
            .default_value("vectors"),
        flag("device", "WHERE", device)
            .value_parser(["auto", "cpu", "gpu"])
            .default_value("auto"),
        flag("crf", "N", crf)
            .value_parser(value_parser!(u8).range(0..=51))
            .default_value("18"),
        flag(
            "preset",
            "NAME",
            "How thoroughly x264 works; thorough is slow and small",
        )
        .value_parser(PRESETS)
        .default_value("fast"),
    ]
}

fn telling() -> [Arg; 2] {
    [
        switch("quiet", "Don't tell how far it is"),
        switch("json", "Print the summary as one JSON object"),
    ]
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// Reads what clap has found.
pub fn from_matches(matches: &ArgMatches) -> Options {
    let required = "clap gives a default or refuses";
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let word = |name: &str| matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    let times = matches.get_one::<u32>("times").copied().unwrap_or(2);
    Options {
        input: path("input").expect(required),
        output: path("output").expect(required),
        pace: matches.get_one("rate").copied().map_or(Pace::Times(times), Pace::Rate),
        quality: match word("quality") {
            "full" => Quality::Full,
            "blend" => Quality::Blend,
            _ => Quality::Vectors,
        },
        place: match word("device") {
            "cpu" => Place::Cpu,
            "gpu" => Place::Device,
            _ => Place::Best,
        },
        crf: matches.get_one("crf").copied().expect(required),
        preset: word("preset").to_owned(),
        existing: if matches.get_flag("force") {
            Existing::Replaced
        } else {
            Existing::Kept
        },
        progress: if matches.get_flag("quiet") {
            Progress::Quiet
        } else {
            Progress::Shown
        },
        summary: if matches.get_flag("json") {
            Telling::Json
        } else {
            Telling::Lines
        },
        reference: path("reference"),
    }
}

/// A whole number, a fraction, or a decimal number; those of television (59.94) mean its fractions (60000/1001).
fn rate_from_text(text: &str) -> Result<Rate, String> {
    let wrong = || {
        format!(
            "write pictures a second, at most {}: 60, 59.94 or 60000/1001",
            Rate::HIGHEST
        )
    };
    let whole = |text: &str| text.trim().parse::<u32>().ok();
    if let Some((pictures, seconds)) = text.split_once('/') {
        let fraction = whole(pictures).zip(whole(seconds));
        return fraction
            .and_then(|(pictures, seconds)| Rate::new(pictures, seconds))
            .ok_or_else(wrong);
    }
    let number: f64 = text.trim().parse().map_err(|_| wrong())?;
    if !(0.001..=f64::from(Rate::HIGHEST)).contains(&number) {
        return Err(wrong());
    }
    let television = Rate::new((number.ceil() * 1000.0) as u32, 1001)
        .filter(|rate| number.fract() > 0.0 && (rate.per_second() - number).abs() < 0.006);
    television
        .or_else(|| Rate::new((number * 1000.0).round() as u32, 1000))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options, String> {
        let program = clap::Command::new("smooth").args(arguments());
        let matches = program
            .try_get_matches_from(["smooth", "in.mp4", "out.mkv"].iter().chain(args))
            .map_err(|error| error.to_string())?;
        Ok(from_matches(&matches))
    }

    #[test]
    fn twice_as_many_pictures_is_what_is_made_unless_said_otherwise() {
        let plain = options(&[]).unwrap();
        assert_eq!(plain.pace, Pace::Times(2));
        assert_eq!(
            (plain.quality, plain.place, plain.crf),
            (Quality::Vectors, Place::Best, 18)
        );
        assert_eq!((plain.existing, plain.progress), (Existing::Kept, Progress::Shown));
        let other = options(&[
            "--times",
            "3",
            "--quality",
            "blend",
            "--device",
            "cpu",
            "--force",
            "--quiet",
        ])
        .unwrap();
        assert_eq!(other.pace, Pace::Times(3));
        assert_eq!((other.quality, other.place), (Quality::Blend, Place::Cpu));
        assert_eq!((other.existing, other.progress), (Existing::Replaced, Progress::Quiet));
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, pictures, seconds) in [
            ("60", 60, 1),
            ("59.94", 60_000, 1001),
            ("23.976", 24_000, 1001),
            ("29.97", 30_000, 1001),
            ("60000/1001", 60_000, 1001),
            ("12.5", 25, 2),
            ("47.952", 48_000, 1001),
        ] {
            assert_eq!(
                options(&["--rate", text]).unwrap().pace,
                Pace::Rate(Rate::new(pictures, seconds).unwrap())
            );
        }
        for odd in ["0", "-3", "1/0", "fast", "NaN", "1e9", "0/5", ""] {
            let told = options(&[&format!("--rate={odd}")]).unwrap_err();
            assert!(told.contains("60000/1001"), "{odd}: {told}");
        }
        assert!(options(&["--rate", "60", "--times", "2"]).is_err());
        assert!(options(&["--times", "1"]).unwrap_err().contains("2..=16"));
        assert!(options(&["--crf", "52"]).unwrap_err().contains("0..=51"));
    }
}
