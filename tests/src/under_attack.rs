//! The real server under attack: a witness goes on speaking, and must be understood as before.
//!
//! A test binary of its own: cargo runs it by itself, so that nothing but the attack disturbs the witness.

use hearsight_tests::attack::Attack;
use hearsight_tests::attack::campaign::{self, Outcome};
use hearsight_tests::rig::talk;

/// Each for one round of the talk. Those that take connections, those that take places, and those who came in.
const ROUNDS: [&[Attack]; 4] = [
    &[],
    &[
        Attack::SlowHeaders,
        Attack::SlowBodies,
        Attack::OddRequests,
        Attack::Noise,
        Attack::SpoofedStun,
    ],
    &[Attack::BrokenOffers, Attack::HalfOpen, Attack::Replays],
    &[
        Attack::Channel,
        Attack::Pictures,
        Attack::Sound,
        Attack::Packets,
        Attack::DamagedPath,
    ],
];

#[test]
fn the_witness_is_heard_through_every_attack_and_nothing_is_left_behind() {
    let talk = talk::first_sentences(3).unwrap();
    let verdict = campaign::run(talk, &ROUNDS.map(<[Attack]>::to_vec), 1).unwrap();
    for round in &verdict.rounds {
        println!("{}", line(round));
    }
    println!(
        "panics {}, refused after {:?}, {:?}",
        verdict.panics, verdict.refused_after, verdict.after
    );

    let (undisturbed, disturbed) = verdict.rounds.split_first().unwrap();
    let (calm, said) = undisturbed.errors;
    assert!(
        calm * 3 <= said,
        "the witness is not even understood in peace: {calm} of {said}"
    );
    for round in disturbed {
        for (attack, toll) in &round.attacks {
            assert!(toll.total() > 0, "{attack:?} did not take place");
        }
        assert!(round.healthy, "the server did not answer meanwhile: {}", line(round));
        // Every word counts a twentieth and more here, and on a machine shared with its attackers some sound comes late:
        // half must be right. `make hostile` gives the whole talk under each attack and compares closely.
        assert!(
            2 * round.errors.0 <= said,
            "the witness is no longer understood: {}",
            line(round)
        );
    }
    assert_eq!(verdict.panics, 0, "a panic, caught or not");
    assert_eq!(verdict.refused_after, None, "places are not given back");
}

fn line(round: &Outcome) -> String {
    let (wrong, of) = round.errors;
    let attacks: Vec<String> = round
        .attacks
        .iter()
        .map(|(attack, toll)| format!("{attack:?} ({toll})"))
        .collect();
    format!(
        "{wrong} of {of} words wrong, lost {:?}, {:.0} MiB, {:.2} cores, healthy {}: {}",
        round.witness.lost,
        round.vitals.rss_mib,
        round.cores,
        round.healthy,
        attacks.join(", ")
    )
}
