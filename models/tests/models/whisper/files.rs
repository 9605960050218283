//! Damaged files: none reaches whisper.cpp, which would end the process.

use super::*;
use hearsight_models::asr::BadModel;

fn refused(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    match Model::open(file.path(), Config::default()) {
        Ok(_) => panic!("it was taken"),
        Err(why @ BadModel::Damaged { .. }) => {
            let why = why.to_string();
            assert!(!why.contains('\n') && why.contains("hearsight models"), "{why}");
            why
        }
        Err(why) => panic!("{why}"),
    }
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let whole = std::fs::read(fixture().join("tiny.bin")).expect("the fixture is there");
    let mut random = fastrand::Rng::with_seed(1);
    let mut cuts: Vec<usize> = (0..48).chain([whole.len() - 1]).collect();
    cuts.extend((0..100).map(|_| random.usize(..whole.len())));
    for cut in cuts {
        refused(&whole[..cut]);
    }
    let mut longer = whole;
    longer.push(0);
    refused(&longer);
    let missing = Model::open(&fixture().join("none.bin"), Config::default());
    assert!(matches!(missing, Err(BadModel::Missing { .. })));
    let folder = Model::open(&fixture(), Config::default());
    assert!(matches!(folder, Err(BadModel::Damaged { .. })));
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let whole = std::fs::read(fixture().join("tiny.bin")).expect("the fixture is there");
    // The magic, eleven sizes, the sizes of the mel bank.
    for place in 0..14 {
        let at = 4 * place;
        let old = u32::from_le_bytes(whole[at..at + 4].try_into().expect("four bytes"));
        for new in [
            0,
            old + 1,
            old.wrapping_sub(1),
            7919,
            i32::MAX as u32,
            u32::MAX,
            1 << 31,
        ] {
            let mut bytes = whole.clone();
            bytes[at..at + 4].copy_from_slice(&new.to_le_bytes());
            // One size may be another model's of the same file: the numbers of heads divide the width either way.
            let heads = [4, 8].contains(&place) && new == 1;
            if new != old && !heads {
                refused(&bytes);
            }
        }
    }
}

#[test]
fn random_damage_is_refused_or_harmless() {
    let whole = std::fs::read(fixture().join("tiny.bin")).expect("the fixture is there");
    let (sound, _) = cases().swap_remove(3);
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..20) {
            // Half of it where there is structure, and not only values.
            let range = if random.bool() { 0..70_000 } else { 0..whole.len() };
            let at = random.usize(range);
            bytes[at] = random.u8(..);
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &bytes).expect("written");
        let Ok(model) = Model::open(file.path(), plain()) else {
            continue;
        };
        let mut recogniser = Arc::new(model).recogniser();
        recogniser.hear(&sound).expect("hears something");
        recogniser.finish().expect("finishes");
    }
}

#[test]
fn a_language_that_there_is_not_is_refused() {
    let config = Config {
        language: "klingon".into(),
        ..plain()
    };
    let why = Model::open(&fixture().join("tiny.bin"), config)
        .err()
        .expect("refused")
        .to_string();
    assert!(why.contains("klingon"), "{why}");
}
