//! `make soak`: sessions that connect, speak and leave, 1,000 times, and two that go on for an hour, on the real server.
//! Memory must stay within 5 %, and no thread, descriptor or worker process be left behind. `--cycles N`, `--minutes N`.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use hearsight_tests::rig::callers::Callers;
use hearsight_tests::rig::process::{self, Held};
use hearsight_tests::rig::server::Server;
use hearsight_tests::rig::soak::{self, Cycle};
use hearsight_tests::rig::{material, whip};

/// Share by which memory may grow.
const MOST_GROWTH: f64 = 0.05;

/// Cycles between two readings, and those before the first: allocators and pools find their size.
const ROUND: usize = 100;

/// Sessions of the long run.
const LONG: usize = 2;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("soak: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (mut cycles, mut minutes) = (1_000, 60);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number: usize = arguments
            .next()
            .and_then(|number| number.parse().ok())
            .with_context(|| format!("{argument} wants a number"))?;
        match argument.as_str() {
            "--cycles" => cycles = number,
            "--minutes" => minutes = number,
            other => anyhow::bail!("can't use {other}; there are --cycles N and --minutes N"),
        }
    }
    if cycles > 0 {
        come_and_go(cycles)?;
    }
    if minutes > 0 {
        stay(Span::from_secs(60) * minutes as i64)?;
    }
    Ok(())
}

/// Room for those who have left as well: their last words are waited for, some seconds at most.
fn server() -> Result<Server> {
    Server::for_a_crowd(&[
        "--log-level",
        "error",
        "--recognise-workers",
        "48",
        "--limits-sessions",
        "64",
        "--recognise-warm",
        "2",
    ])
}

fn come_and_go(cycles: usize) -> Result<()> {
    let server = server()?;
    let cycle = Cycle {
        at_once: 8,
        speaks: Span::from_millis(1_200),
        talk: material::talk()?,
    };
    let clock = Clock::new();
    let began = clock.now();
    let first = soak::at_rest(&server, None)?;
    tell("before anyone came", first);
    soak::cycles(&server, &cycle, ROUND.min(cycles))?;
    let before = soak::at_rest(&server, Some(first))?;
    tell("warm", before);
    let mut done = 0;
    while done < cycles {
        let round = ROUND.min(cycles - done);
        soak::cycles(&server, &cycle, round)?;
        done += round;
        let held = soak::at_rest(&server, Some(first))?;
        tell(
            &format!("{done} cycles, {:.0} s", (clock.now() - began).secs_f64()),
            held,
        );
    }
    let after = soak::at_rest(&server, Some(first))?;
    judge("coming and going", before, after)
}

/// Sessions that speak and show all the time.
fn stay(span: Span) -> Result<()> {
    let server = server()?;
    let (talk, scene) = (material::talk()?, material::scene(5)?);
    let clock = Clock::new();
    let mut callers = Callers::new(clock)?;
    let mut numbers = Vec::new();
    for _ in 0..LONG {
        let (number, offer) = callers.dial()?;
        let created = whip::post(&server.page, "soak", &offer)?;
        callers.accept(number, &created.sdp)?;
        callers.until(Span::from_secs(30), |callers| Ok(callers.caller(number)?.open))?;
        numbers.push(number);
    }
    let start = clock.now();
    let warm = (span / 10).min(Span::from_secs(120));
    let (mut said, mut shown, mut minute) = (0, 0, 0);
    let mut before: Option<Held> = None;
    let mut held = process::held(server.pid())?;
    while clock.now() - start < span {
        let into = clock.now() - start;
        while said < talk.count(into) {
            for number in &numbers {
                callers.say(*number, talk.due(said), talk.unit(said))?;
            }
            said += 1;
        }
        while shown < scene.count(into) {
            for number in &numbers {
                callers.show(*number, scene.due(shown), scene.unit(shown))?;
            }
            shown += 1;
        }
        for number in &numbers {
            callers.caller(*number)?.messages.clear();
        }
        callers.turn(clock.now() + Span::from_millis(5))?;
        if before.is_none() && into >= warm {
            before = Some(process::held(server.pid())?);
        }
        let now = into.nanos() / 60_000_000_000;
        if now > minute {
            minute = now;
            held = process::held(server.pid())?;
            tell(&format!("{LONG} sessions for {minute} minutes"), held);
        }
    }
    judge("staying", before.unwrap_or(held), process::held(server.pid())?)
}

fn tell(when: &str, held: Held) {
    println!(
        "{when}: {:.1} MB resident ({:.1} its own), {} threads, {} descriptors, {} workers",
        held.resident_kb as f64 / 1024.0,
        held.anonymous_kb as f64 / 1024.0,
        held.threads,
        held.descriptors,
        held.children
    );
}

fn judge(what: &str, before: Held, after: Held) -> Result<()> {
    let growth = soak::growth(before, after);
    println!("{what}: memory grew by {:.1} %", growth * 100.0);
    ensure!(
        growth <= MOST_GROWTH,
        "{what}: memory grew by {:.1} %, more than 5 %",
        growth * 100.0
    );
    Ok(())
}
