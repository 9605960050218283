//! What is flown: scenes that ask about what is written in them, and recorded uplinks.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use hearsight::laboratory::trace;
use hearsight_core::media::{Picture, Planes};
use hearsight_core::network::uplink::Trace;
use hearsight_tests::rig::root;
use hearsight_tests::scenes::{Family, Foliage, Fonts, SECONDS, Scene, Split};

/// Pictures a second.
pub(crate) const FPS: u32 = 30;
/// Recordings: whether they are of mobile links, and where they lie. Few of them carry more than 400 kbit/s for long.
const TRACES: [(bool, &str); 6] = [
    (true, "mahimahi/Verizon-EVDO-driving.up"),
    (false, "opennetlab/WIRED_200kbps.json"),
    (false, "opennetlab/trace_300k.json"),
    (true, "mahimahi/ATT-LTE-driving-2016.up"),
    (true, "mahimahi/TMobile-UMTS-driving.up"),
    (false, "opennetlab/4G_500kbps.json"),
];
/// Letters of these heights, in pixels, are what is asked about: smaller ones can't be read in the scene itself, larger ones at
/// any rate.
const LETTERS: std::ops::Range<f32> = 10.0..17.0;
/// The first seed that is looked at for such a scene.
const FIRST: u64 = 70_000;
/// Pixels that the ground goes by in a second, across and down: whoever films walks.
const WALK: (f32, f32) = (90.0, 24.0);

/// A recorded uplink with its name.
pub(crate) struct Recording {
    /// The file's.
    pub name: String,
    /// It was recorded on a mobile link.
    pub cellular: bool,
    /// Itself.
    pub trace: Trace,
}

/// A scene, drawn.
pub(crate) struct Shown {
    /// What is asked, and the answer.
    pub scene: Scene,
    /// Its pictures.
    pub pictures: Vec<Picture<Planes>>,
}

/// Everything that is flown.
pub(crate) struct Material {
    /// One after the other.
    pub scenes: Vec<Shown>,
    /// Each scheme flies over each.
    pub traces: Vec<Recording>,
}

/// The folder that set-up filled.
pub(crate) fn deps() -> PathBuf {
    std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| root().join(".deps"), PathBuf::from)
}

/// Where the recordings lie.
pub(crate) fn traces() -> PathBuf {
    let shared = std::env::var_os("HEARSIGHT_EVAL").map_or_else(|| root().join("../shared/eval"), PathBuf::from);
    shared.join("traces")
}

impl Material {
    /// Draws so many scenes and reads so many recordings.
    pub(crate) fn make(scenes: usize, count: usize) -> Result<Material> {
        let fonts = Fonts::load()?;
        let families: Vec<Family> = Family::ALL.into_iter().filter(|family| family.is_text()).collect();
        let foliage = Foliage::grown();
        let mut seeds = FIRST..;
        let scenes = (0..scenes.max(1)).map(|number| {
            let family = families[number % families.len()];
            let scene = seeds
                .by_ref()
                .map(|seed| Scene::new(family, Split::Unseen, seed, &fonts))
                .find(|scene| scene.question.letters.is_some_and(|letters| LETTERS.contains(&letters)))
                .expect("seeds have no end");
            let pictures = (0..(SECONDS * FPS as f32) as u32).map(|n| {
                let seconds = n as f32 / FPS as f32;
                scene.render_before(&foliage.at(WALK.0 * seconds, WALK.1 * seconds), seconds)
            });
            Shown {
                pictures: pictures.collect(),
                scene,
            }
        });
        let folder = traces();
        ensure!(
            folder.is_dir(),
            "no recorded uplinks in {}: set HEARSIGHT_EVAL to the folder that has `traces`",
            folder.display()
        );
        let traces = TRACES.iter().take(count.max(1)).map(|(cellular, file)| {
            let path = folder.join(file);
            let trace = trace::read(&path).with_context(|| format!("{}", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok(Recording {
                name,
                cellular: *cellular,
                trace,
            })
        });
        Ok(Material {
            scenes: scenes.collect(),
            traces: traces.collect::<Result<_>>()?,
        })
    }
}
