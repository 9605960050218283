//! The `hearsight` command: reads the settings, starts what was asked for, and tells people what to do when it can't.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use hearsight::app::{self, Stop};
use hearsight::config::{self, Command, Config, ConfigError, Loaded, ModelsCommand, Report};
use hearsight::operate::check;
use hearsight::operate::reload::{Watch, announce};
use hearsight::publish::options::Options;
use hearsight::serve::create_token;
use hearsight::terminal::{is_unread, say};
use hearsight::{listen, model_store, telemetry};
use hearsight_live::clock::Clock;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long an offer that is being handled may hold up the end.
const LAST_OFFERS: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let loaded = match config::load(std::env::args_os()) {
        Ok(loaded) => loaded,
        Err(ConfigError::Usage(usage)) => usage.exit(),
        Err(problem) => return refuse(&problem),
    };
    let done = match &loaded.command {
        Command::Config(text) => {
            say(text);
            return ExitCode::SUCCESS;
        }
        Command::Check(report) => return check::main(&loaded.config, *report),
        Command::Token { user, streams, watch } => return token(user, streams, watch),
        Command::RecogniseWorker(model) => return hearsight_models::asr::pocketsphinx::worker::main(model),
        Command::Microphones => return microphones(),
        Command::Models(command) => models(&loaded.config, command),
        Command::Listen(captions) => listen(&loaded.config, *captions),
        Command::Publish(options) => publish(&loaded.config, options.as_ref().clone()),
        Command::Smooth(options) => smooth(options.as_ref().clone()),
        Command::Shape(options) => shape(*options.clone()),
        Command::Simulate(options) => hearsight::simulate::command::main(options, &mut std::io::stdout()),
        Command::Serve => run(loaded, Show::Page),
        Command::Demo => run(loaded, Show::Talk),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) if is_unread(&problem) => ExitCode::SUCCESS,
        Err(problem) => fail(&format!("{problem:#}")),
    }
}

/// Whoever asked for a check is told as a check tells.
fn refuse(problem: &ConfigError) -> ExitCode {
    let asked: Vec<_> = std::env::args().skip(1).collect();
    match asked.first().is_some_and(|command| command == "check") {
        true if asked.iter().any(|flag| flag == "--json") => check::refused(problem, Report::Machines),
        true => check::refused(problem, Report::People),
        false => fail(problem),
    }
}

fn fail(problem: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("hearsight: {problem}");
    ExitCode::FAILURE
}

/// The token goes to whoever publishes or watches, its entry into the file; it is shown this once.
fn token(user: &str, streams: &[String], watch: &[String]) -> ExitCode {
    match create_token(user, streams, watch) {
        Ok(created) => {
            say(format_args!(
                "# The token, shown only now: {}\n{}",
                created.token, created.entry
            ));
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

fn shape(options: hearsight::laboratory::options::Options) -> anyhow::Result<()> {
    runtime()?.block_on(hearsight::laboratory::run(options, Clock::new(), app::asked_to_stop()))?;
    Ok(())
}

/// The work is on threads of its own; this one listens for Ctrl-C.
fn smooth(options: hearsight::smooth::Options) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let (telling, stopping) = (options.summary, Arc::clone(&stop));
    let summary = runtime()?.block_on(async move {
        let work = move || hearsight::smooth::run(&options, Clock::new(), &stopping);
        let mut work = tokio::task::spawn_blocking(work);
        let done = tokio::select! {
            done = &mut work => done,
            () = app::asked_to_stop() => {
                stop.store(true, Ordering::Relaxed);
                work.await
            }
        };
        done.context("the work broke down")
    })??;
    hearsight::smooth::tell(&summary, telling);
    Ok(())
}

fn run(loaded: Loaded, show: Show) -> anyhow::Result<()> {
    let telemetry = telemetry::start(&loaded.config.log);
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let stop = asked_to_stop();
        let server = app::start(&loaded.config, stop?).await?;
        if show == Show::Talk {
            hearsight::demo::run(&loaded.config, &server.page(), server.clock).await?;
        }
        let holders = server.holders(telemetry);
        let watch = Watch::start(std::env::args_os().collect(), loaded, holders).context("can't watch the settings")?;
        look_on_hangup(&watch)?;
        if let Some(operations) = server.operations() {
            say(format_args!(
                "Operators find {operations}metrics and {operations}readyz."
            ));
        }
        say(format_args!(
            "Hearsight is serving. Open {} and allow microphone and camera; Ctrl-C stops it.",
            server.page()
        ));
        announce(&[sd_notify::NotifyState::Ready]);
        server.stopped().await.context("the server stopped badly")
    });
    runtime.shutdown_timeout(LAST_OFFERS);
    done
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

fn models(config: &Config, command: &ModelsCommand) -> anyhow::Result<()> {
    telemetry::start(&config.log);
    runtime()?.block_on(model_store::command::run(
        &config.models,
        command,
        &mut std::io::stdout(),
    ))
}

fn microphones() -> ExitCode {
    match listen::cards::list() {
        Ok(lines) => {
            say(lines.join("\n"));
            ExitCode::SUCCESS
        }
        Err(problem) => fail(&problem),
    }
}

/// SIGTERM and Ctrl-C: the first lets sessions finish, the second does not.
fn asked_to_stop() -> anyhow::Result<watch::Receiver<Stop>> {
    let (ask, stop) = watch::channel(Stop::Not);
    let refused = "the system does not let signals be caught";
    let mut interrupted = signal(SignalKind::interrupt()).context(refused)?;
    let mut terminated = signal(SignalKind::terminate()).context(refused)?;
    tokio::spawn(async move {
        for urgency in [Stop::Drained, Stop::Now] {
            tokio::select! { _ = interrupted.recv() => {}, _ = terminated.recv() => {} }
            match urgency {
                Stop::Now => eprintln!("hearsight: stopping now"),
                _ => eprintln!("hearsight: stopping; running sessions may finish, unless asked again"),
            }
            ask.send_replace(urgency);
        }
        // The channel stays open for as long as anybody may look.
        ask.closed().await;
    });
    Ok(stop)
}

/// SIGHUP: the settings are read again.
fn look_on_hangup(watch: &Watch) -> anyhow::Result<()> {
    let asker = watch.asker();
    let mut hung_up = signal(SignalKind::hangup()).context("the system does not let signals be caught")?;
    tokio::spawn(async move {
        while hung_up.recv().await.is_some() {
            asker.ask();
        }
    });
    Ok(())
}
