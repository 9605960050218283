//! What runs inside a worker process: one decoder, asked over standard input, answering on standard output.

use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use super::decoder::{Decoder, Refusal};
use super::protocol::{Reply, Request, read};
use crate::files::BadFile;

/// Serves one parent until standard input closes. A failure is told to the parent, in one line, and ends the worker.
pub fn main(model: &Path) -> ExitCode {
    run(Decoder::open(model), |decoder, request| match request {
        Request::Begin(means) => decoder.begin(means).map(|()| Reply::Begun),
        Request::Sound(samples) => decoder.hear(&samples).map(Reply::Heard),
        Request::Finish => decoder
            .finish()
            .map(|(hypothesis, means)| Reply::Final(hypothesis, means)),
    })
}

/// Serves one parent with what was `opened`, asked by `answer`.
pub(super) fn run<D>(
    opened: Result<D, BadFile>,
    answer: impl Fn(&mut D, Request) -> Result<Reply, Refusal>,
) -> ExitCode {
    let (input, mut output) = (BufReader::new(io::stdin().lock()), io::stdout().lock());
    match opened {
        Ok(opened) => serve(opened, answer, input, &mut output),
        Err(why) => fail(&mut output, &why.to_string()),
    }
}

fn serve<D>(
    mut opened: D,
    answer: impl Fn(&mut D, Request) -> Result<Reply, Refusal>,
    mut input: impl Read,
    output: &mut impl Write,
) -> ExitCode {
    if Reply::Ready.write(output).is_err() {
        return ExitCode::FAILURE;
    }
    loop {
        let request = match read(&mut input, Request::parse) {
            Ok(Some(request)) => request,
            Ok(None) => return ExitCode::SUCCESS,
            Err(why) => return fail(output, &format!("the recogniser's worker was sent {why}")),
        };
        let written = match answer(&mut opened, request) {
            Ok(reply) => reply.write(output),
            Err(why) => return fail(output, &why.to_string()),
        };
        // The parent is gone: nothing is left to do.
        if written.is_err() {
            return ExitCode::SUCCESS;
        }
    }
}

fn fail(output: &mut impl Write, why: &str) -> ExitCode {
    // A parent that is gone cannot be told, and that is all right.
    let _ = Reply::Failed(why.to_owned()).write(output);
    ExitCode::FAILURE
}
