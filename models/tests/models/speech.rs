//! Real speech, made by flite, as the decoder would hand it over.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use hearsight_core::media::Pcm;
use hearsight_core::stage::{Engine, Outbox, Signal};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::files::Files;

/// What set-up installed.
pub(crate) fn files() -> Files {
    Files::under(&PathBuf::from(
        std::env::var_os("HEARSIGHT_DEPS").expect("HEARSIGHT_DEPS, set by .cargo/config.toml"),
    ))
}

/// `text` spoken at 16 kHz, with `quiet` samples of faint noise before and after.
pub(crate) fn speak(text: &str, quiet: usize) -> Vec<f32> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("hs-{}-{count}.wav", std::process::id()));
    let made = Command::new("flite")
        .args(["-voice", "rms", "-t", text, "-o"])
        .arg(&path)
        .status();
    assert!(made.expect("flite is installed by set-up").success());
    let wav = std::fs::read(&path).expect("flite wrote a file");
    std::fs::remove_file(&path).expect("the file is ours");
    assert_eq!(&wav[24..28], 16_000u32.to_le_bytes(), "flite rms speaks at 16 kHz");
    let speech = wav[44..]
        .chunks_exact(2)
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0);
    let mut random = fastrand::Rng::with_seed(7);
    let mut hush = || (0..quiet).map(|_| (random.f32() - 0.5) * 1e-3).collect::<Vec<_>>();
    let mut samples = hush();
    samples.extend(speech);
    samples.extend(hush());
    samples
}

/// Sound as packets of `size` samples, born when captured.
pub(crate) fn packets(samples: &[f32], size: usize) -> Vec<Stamped<Pcm>> {
    let mut first = 0;
    let pack = |chunk: &[f32]| {
        let at = Span::from_samples(first, 16_000);
        first += chunk.len() as i64;
        let pcm = Pcm {
            rate: 16_000,
            samples: chunk.into(),
        };
        Stamped::new(MediaTime::ZERO + at, Moment::from_millis(1000) + at, pcm)
    };
    samples.chunks(size).map(pack).collect()
}

/// Runs `engine` over `items` and an end; each is taken the moment after it was born. Faults fail the test.
pub(crate) fn run<E: Engine>(engine: &mut E, items: impl IntoIterator<Item = Stamped<E::In>>) -> Vec<Signal<E::Out>> {
    let mut out = Outbox::default();
    let mut now = Moment::ZERO;
    for item in items {
        now = item.born + Span::from_millis(20);
        engine.run(now, Signal::Item(item), &mut out).expect("no fault");
    }
    engine.run(now, Signal::End, &mut out).expect("no fault");
    out.drain().collect()
}
