use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearsight_models::vlm::local::{BadModel, Config, Model};

use super::{NOW, ask, fixtures, json, runtime};

const FILES: [&str; 7] = [
    "onnx/vision_encoder.onnx",
    "onnx/embed_tokens.onnx",
    "onnx/decoder_model_merged.onnx",
    "tokenizer.json",
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
];

/// A copy of a tiny model, to be spoilt.
pub(super) fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("onnx")).expect("a folder in it");
    for file in FILES.iter().chain(&["processor_config.json", "chat_template.jinja"]) {
        fs::copy(fixtures().join(name).join(file), folder.path().join(file)).expect("copied");
    }
    folder
}

fn open(folder: &Path) -> Result<Model, BadModel> {
    Model::open(&runtime(), folder, Config::default())
}

fn refusal(folder: &Path) -> String {
    match open(folder) {
        Ok(_) => panic!("it must not open"),
        Err(bad) => bad.to_string(),
    }
}

#[test]
fn a_missing_file_is_named_with_its_repair() {
    for file in FILES {
        let folder = copy("small");
        fs::remove_file(folder.path().join(file)).expect("it was there");
        let why = refusal(folder.path());
        // Settings of the processor may lie in another file, which then is the one that lacks them.
        let named = if file == "preprocessor_config.json" {
            "processor_config.json"
        } else {
            file
        };
        assert!(
            why.contains(named) && why.contains("hearsight models pull") || why.contains("it lacks"),
            "{why}"
        );
        assert_eq!(why.lines().count(), 1, "{why}");
    }
    let variant = Config {
        variant: "q4".into(),
        ..Config::default()
    };
    let bad = Model::open(&runtime(), &fixtures().join("small"), variant)
        .err()
        .expect("not there")
        .to_string();
    assert!(bad.contains("vision_encoder_q4.onnx"), "{bad}");
    assert!(refusal(&PathBuf::from("/nowhere")).contains("/nowhere"));
}

#[test]
fn damaged_files_never_do_more_than_not_open() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut refused = 0;
    for round in 0..42 {
        let file = FILES[round % FILES.len()];
        let folder = copy("small");
        let path = folder.path().join(file);
        let mut bytes = fs::read(&path).expect("it is there");
        match random.u8(0..3) {
            0 => bytes.truncate(random.usize(..bytes.len())),
            1 => (0..8).for_each(|_| {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }),
            _ => {
                let until = random.usize(1..bytes.len()).min(64);
                bytes[..until].fill_with(|| random.u8(..));
            }
        }
        fs::write(&path, bytes).expect("written");
        match open(folder.path()) {
            Err(bad) => {
                refused += 1;
                assert_eq!(bad.to_string().lines().count(), 1, "round {round}: {bad}");
            }
            // A weight may be another number: the answer is, too.
            Ok(model) => {
                let mut local = Arc::new(model).conversation(None);
                let asked = hearsight_models::vlm::Answerer::ask(&mut local, NOW, ask("Well?", &[(64, 64)]));
                let steps = if asked.is_ok() { 100 } else { 0 };
                for _ in 0..steps {
                    if hearsight_models::vlm::Answerer::step(&mut local, NOW).is_err() {
                        break;
                    }
                }
            }
        }
    }
    assert!(refused > 20, "{refused} of 42 were refused");
}

#[test]
fn files_that_do_not_belong_together_say_so() {
    let swap = |file: &str| {
        let folder = copy("small");
        fs::copy(fixtures().join("large").join(file), folder.path().join(file)).expect("copied");
        refusal(folder.path())
    };
    assert!(swap("onnx/decoder_model_merged.onnx").contains("where config.json says"));
    assert!(swap("config.json").contains("decoder_model_merged.onnx"));
    assert!(swap("onnx/vision_encoder.onnx").contains("a tile became"));
    assert!(swap("onnx/embed_tokens.onnx").contains("embeddings of another size"));
}

#[test]
fn settings_out_of_reason_are_named() {
    let edit = |file: &str, field: &str, value: serde_json::Value| {
        let folder = copy("small");
        let mut settings = json(&format!("small/{file}"));
        let mut at = &mut settings;
        for name in field.split('.') {
            at = &mut at[name];
        }
        *at = value;
        fs::write(folder.path().join(file), settings.to_string()).expect("written");
        refusal(folder.path())
    };
    for (file, field, value) in [
        ("config.json", "text_config.num_hidden_layers", 0.into()),
        ("config.json", "text_config.num_hidden_layers", 2_000_000_000u64.into()),
        ("config.json", "text_config.vocab_size", (-3).into()),
        ("config.json", "image_token_id", 5_000.into()),
        ("generation_config.json", "eos_token_id", "yes".into()),
        ("generation_config.json", "eos_token_id", 99_999.into()),
        (
            "preprocessor_config.json",
            "max_image_size.longest_edge",
            100_000.into(),
        ),
        ("preprocessor_config.json", "size.longest_edge", 0.into()),
        ("preprocessor_config.json", "image_std", serde_json::json!([0.5, 0.5])),
        (
            "preprocessor_config.json",
            "image_std",
            serde_json::json!([0.0, 0.5, 0.5]),
        ),
        ("preprocessor_config.json", "resample", 5.into()),
        ("processor_config.json", "image_seq_len", 17.into()),
    ] {
        let why = edit(file, field, value);
        let named = field.rsplit('.').next().expect("a name");
        assert!(why.contains(named) || why.contains("17 tokens"), "{field}: {why}");
    }
    let folder = copy("small");
    fs::write(folder.path().join("chat_template.jinja"), "[INST]{{ message }}[/INST]").expect("written");
    assert!(refusal(folder.path()).contains("it is not SmolVLM's"));
}
