//! A recogniser's worker process by itself: `recognise_worker MODEL_FOLDER`. `hearsight recognise-worker` is the same. With `own` behind the
//! folder it is PocketSphinx as it comes, beside which ours is measured.

use std::path::Path;
use std::process::ExitCode;

use hearsight_models::asr::pocketsphinx::{own, worker};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(model), None) => worker::main(Path::new(&model)),
        (Some(model), Some(own)) if own == "own" => own::main(Path::new(&model)),
        _ => ExitCode::FAILURE,
    }
}
