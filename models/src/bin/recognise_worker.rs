//! A recogniser's worker process by itself: `recognise_worker MODEL_FOLDER`. `hearsight recognise-worker` is the same.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(model) => hearsight_models::asr::pocketsphinx::worker::main(Path::new(&model)),
        None => ExitCode::FAILURE,
    }
}
