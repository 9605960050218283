//! The `hearsight` command: reads the settings, starts what was asked for, and tells people what to do when it can't.

use std::process::ExitCode;

use anyhow::Context;
use hearsight::config::{self, Command, Config, ConfigError};
use hearsight::publish::options::Options;
use hearsight::serve::create_token;
use hearsight::{app, listen, telemetry};
use hearsight_live::clock::Clock;

fn main() -> ExitCode {
    let (config, command) = match config::load(std::env::args_os()) {
        Ok(asked) => asked,
        Err(ConfigError::Usage(usage)) => usage.exit(),
        Err(problem) => return fail(&problem),
    };
    let done = match command {
        Command::Config(text) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Command::Token { user, streams } => return token(&user, &streams),
        Command::RecogniseWorker(model) => return hearsight_models::asr::pocketsphinx::worker::main(&model),
        Command::Microphones => return microphones(),
        Command::Listen(captions) => listen(&config, captions),
        Command::Serve => run(&config, Show::Page),
        Command::Demo => run(&config, Show::Talk),
        Command::Publish(options) => publish(&config, *options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(&format!("{problem:#}")),
    }
}

fn fail(problem: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("hearsight: {problem}");
    ExitCode::FAILURE
}

/// The token goes to whoever publishes, its entry into the file; it is shown this once.
fn token(user: &str, streams: &[String]) -> ExitCode {
    match create_token(user, streams) {
        Ok(created) => {
            println!("# The token, shown only now: {}\n{}", created.token, created.entry);
            ExitCode::SUCCESS
        }
        Err(problem) => fail(&problem),
    }
}

/// What there is to see besides the page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Page,
    Talk,
}

fn publish(config: &Config, options: Options) -> anyhow::Result<()> {
    telemetry::start(&config.log);
    runtime()?.block_on(hearsight::publish::run(options, Clock::new(), app::asked_to_stop()))?;
    Ok(())
}

fn run(config: &Config, show: Show) -> anyhow::Result<()> {
    telemetry::start(&config.log);
    let stop = async {
        app::asked_to_stop().await;
        eprintln!("hearsight: stopping; sessions get a few seconds");
    };
    runtime()?.block_on(async {
        let server = app::start(config, stop).await?;
        if show == Show::Talk {
            hearsight::demo::run(config, &server.page(), server.clock).await?;
        }
        println!(
            "Hearsight is serving. Open {} and allow microphone and camera; Ctrl-C stops it.",
            server.page()
        );
        server.stopped().await.context("the server stopped badly")
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("floor")
        .build()
        .context("can't start the threads that sessions live on")
}

fn listen(config: &Config, captions: config::Captions) -> anyhow::Result<()> {
    telemetry::start(&config.log);
    Ok(runtime()?.block_on(listen::run(config, captions))?)
}

fn microphones() -> ExitCode {
    match listen::cards::list() {
        Ok(lines) => {
            println!("{}", lines.join("\n"));
            ExitCode::SUCCESS
        }
        Err(problem) => fail(&problem),
    }
}
