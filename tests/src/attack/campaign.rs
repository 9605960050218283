//! A campaign: one server, one witness that gives the talk round after round, and other attacks in each round.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use hearsight::demo::score;
use hearsight::demo::talk::Talk;
use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::relay::{Path, Relay};
use super::vitals::Vitals;
use super::witness::{Round, Witness};
use super::{Attack, PATIENCE, Toll, Victim, http, pace};
use crate::fuzz::seeds;
use crate::rig::server::Server;

/// Where the witness and those who look after it come from.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// From the connection to the first word, so that the clocks are compared.
const LEAD: Span = Span::from_secs(1);

/// Recognisers, and so sessions that speak, at a time; and seconds until a half-open session is forgotten.
const PLACES: usize = 8;
const CONNECT_S: usize = 2;
/// Connections that one address may hold. Less than the usual: there are several attackers to each place.
const CONNECTIONS: usize = 16;

/// After a campaign every place must be free again within this: a peer that vanished is noticed after 15 s.
const FREED: Duration = Duration::from_secs(25);

/// What one round was like.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was going on, and what became of it.
    pub attacks: Vec<(Attack, Toll)>,
    /// What the witness experienced.
    pub witness: Round,
    /// Word errors, and words said.
    pub errors: (usize, usize),
    /// The server at the end of the round.
    pub vitals: Vitals,
    /// Processors that the server took in the round, without its recognisers, 1 being one core.
    pub cores: f64,
    /// Processors that witness and attackers took: on one machine they disturb by that as well.
    pub attackers_cores: f64,
    /// Whether `/healthz` was answered during the attack.
    pub healthy: bool,
}

/// Everything that a campaign brought to light.
#[derive(Debug)]
pub struct Verdict {
    /// Round by round.
    pub rounds: Vec<Outcome>,
    /// Panics that the server wrote to its standard error, caught or not.
    pub panics: usize,
    /// What kept it from letting as many sessions in afterwards as before, if anything did.
    pub refused_after: Option<String>,
    /// When all was over.
    pub after: Vitals,
}

/// Gives the talk once for each of `rounds`, under that round's attacks. Errors: the witness or the server did not survive.
pub fn run(talk: Talk, rounds: &[Vec<Attack>], seed: u64) -> anyhow::Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("campaign")
        .enable_all()
        .build()?;
    let [workers, connect, connections] = [PLACES, CONNECT_S, CONNECTIONS].map(|limit| limit.to_string());
    let server = Server::start(&[
        "--recognise-workers",
        &workers,
        "--limits-connect-s",
        &connect,
        "--limits-connections-per-address",
        &connections,
        // All places are to be taken, by attackers too, whatever this machine has time for.
        "--engine-admission",
        "always",
    ])?;
    runtime.block_on(campaign(&server, talk, rounds, seed))
}

async fn campaign(server: &Server, talk: Talk, rounds: &[Vec<Attack>], seed: u64) -> anyhow::Result<Verdict> {
    let http = server.address()?;
    let relay = Relay::start(http, "witness", Path::Faithful).await?;
    let clock = Clock::new();
    let witness = Witness::dial(&relay.url, clock).await?;
    let start = clock.now() + LEAD;
    let (span, script) = (talk.span(), score::words_from_text(talk.script().unwrap_or_default()));
    let count = u32::try_from(rounds.len())?;
    let mut testimony = JoinSet::new();
    testimony.spawn(witness.testify(talk, count, start));

    let both = || anyhow::Ok([Vitals::of(server.pid())?, Vitals::of(std::process::id())?]);
    let (mut before, mut seen, mut attackers) = (both()?, Vec::new(), JoinSet::new());
    for (number, attacks) in (0..).zip(rounds) {
        let end = start + span * (number + 1);
        let end = Instant::from_std(clock.instant_from_moment(end));
        let battle = battle(http, &relay, attacks, seed + number as u64, end, &mut attackers);
        let (tolls, healthy) = tokio::select! {
            fought = battle => fought,
            Some(ended) = testimony.join_next() => {
                ended??;
                anyhow::bail!("the witness ended early");
            }
        };
        let now = both().context("the server is gone")?;
        let cores = [0, 1].map(|of| (now[of].cpu_s - before[of].cpu_s) / span.secs_f64());
        before = now;
        seen.push((tolls, healthy, now[0], cores));
    }
    let goodbyes = async { while attackers.join_next().await.is_some() {} };
    timeout(3 * PATIENCE, goodbyes)
        .await
        .context("an attacker does not end")?;
    let told = testimony.join_next().await.context("no witness")???;
    ensure!(told.len() == seen.len(), "a round is missing");
    let outcomes = told.into_iter().zip(seen);
    let rounds = outcomes.map(|(witness, (attacks, healthy, vitals, cores))| Outcome {
        errors: (score::errors(&script, &witness.words), script.len()),
        attacks,
        witness,
        vitals,
        cores: cores[0],
        attackers_cores: cores[1],
        healthy,
    });
    Ok(Verdict {
        rounds: rounds.collect(),
        refused_after: refused_after(server).await,
        panics: server.panics(),
        after: Vitals::of(server.pid()).context("the server is gone")?,
    })
}

/// Runs attacks until `end`; peers among them say goodbye in their own time. Answers with what became of them, and whether the server called itself well meanwhile.
async fn battle(
    http: SocketAddr,
    relay: &Relay,
    attacks: &[Attack],
    seed: u64,
    end: Instant,
    attackers: &mut JoinSet<()>,
) -> (Vec<(Attack, Toll)>, bool) {
    let (stop, over) = watch::channel(false);
    let victim = Victim {
        http,
        from: HERE,
        tap: Arc::clone(&relay.tap),
        over,
    };
    let mut tolls = Vec::new();
    for attack in attacks {
        let toll = Toll::default();
        tolls.push((*attack, toll.clone()));
        attackers.spawn(attack.run(victim.clone(), seed, toll));
    }
    let mut asking = pace(Duration::from_secs(1));
    let mut healthy = true;
    loop {
        tokio::select! {
            _ = asking.tick() => healthy &= http::healthy(&victim).await,
            () = sleep_until(end) => break,
        }
    }
    stop.send_replace(true);
    (tolls, healthy)
}

/// Offers as much as there are places until, soon, all is taken; or the last reason why not.
async fn refused_after(server: &Server) -> Option<String> {
    let mut why = None;
    let _ = timeout(FREED + PATIENCE, async {
        let mut again = pace(Duration::from_secs(1));
        for number in 0..=u8::MAX {
            again.tick().await;
            // Each time another address, which has not offered anything yet.
            match fill(server, Ipv4Addr::new(127, 0, 2, number).into()).await {
                Ok(()) => return why = None,
                Err(problem) => why = Some(format!("{problem:#}")),
            }
        }
    })
    .await;
    why
}

/// Takes every place and gives it back.
async fn fill(server: &Server, from: IpAddr) -> anyhow::Result<()> {
    let http = server.address()?;
    let offer = seeds::of("offer").into_iter().next().context("no offer")?;
    let mut taken = Vec::new();
    let mut refusal = None;
    while taken.len() < PLACES && refusal.is_none() {
        match http::request(from, http, "POST", "/whip/after", &offer).await {
            Ok(answer) if answer.status == 201 => taken.extend(answer.header("location").map(str::to_owned)),
            Ok(answer) => refusal = Some(String::from_utf8_lossy(&answer.body).into_owned()),
            Err(problem) => refusal = Some(format!("{problem:#}")),
        }
    }
    let count = taken.len();
    for session in taken {
        http::request(from, http, "DELETE", &session, &[]).await?;
    }
    match refusal {
        None => Ok(()),
        Some(why) => anyhow::bail!("after {count} of {PLACES}: {why}"),
    }
}
