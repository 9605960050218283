//! People come and go, and the server is as it was. `make soak` does the same for longer.

use hearsight_core::time::Span;

use crate::rig::server::Server;
use crate::rig::{material, soak};

/// A leak of one thread, descriptor or process for each session would show ten times over; memory settles only after
/// many more sessions than a test has time for, so here it is only kept from running away.
const CYCLES: usize = 40;
const MOST_GROWTH: f64 = 0.25;

#[test]
fn who_comes_speaks_and_leaves_leaves_nothing_behind() {
    let server = Server::for_a_crowd(&[
        "--log-level",
        "error",
        // Room for those who have left as well: their last words are waited for, some seconds at most.
        "--recognise-workers",
        "24",
        "--limits-sessions",
        "32",
        "--recognise-warm",
        "2",
    ])
    .expect("the server starts");
    let cycle = soak::Cycle {
        at_once: 4,
        speaks: Span::from_millis(600),
        talk: material::talk().expect("the talk"),
    };
    let first = soak::at_rest(&server, None).expect("the server rests");
    soak::cycles(&server, &cycle, 8).expect("the first come and go");
    let before = soak::at_rest(&server, Some(first)).expect("nothing is left behind by a few");
    soak::cycles(&server, &cycle, CYCLES).expect("everyone comes and goes");
    let after = soak::at_rest(&server, Some(first)).expect("nothing is left behind");
    let growth = soak::growth(before, after);
    assert!(
        growth < MOST_GROWTH,
        "memory grew by {growth:.2}: {before:?}, then {after:?}"
    );
}
