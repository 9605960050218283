//! The small model that is part of the program: how it was made is told in `models/training/glance/`.

use super::folder::Carried;

macro_rules! carried {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../weights/glance/", $name)))),+]
    };
}

/// All that [`super::Model::glance`] opens.
pub(super) const FILES: Carried = carried![
    "calibration.json",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "onnx/decoder_model_merged.onnx",
    "onnx/embed_tokens.onnx",
    "onnx/vision_encoder.onnx",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
];
