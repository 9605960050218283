//! Every reader of bytes of ours, as a function from any bytes to nothing that must not panic, hang or grow without bound.
//!
//! The same functions run in two ways. `make test` feeds them seeded mutations of the seeds under `tests/fuzz/seeds`: no
//! instrumented build, the same inputs each time. `make fuzz` feeds them to libFuzzer, which looks for new paths: that
//! takes minutes to build and as long as one likes to run, and what it finds becomes a seed.

pub mod mutate;
pub mod seeds;
pub mod targets;

/// One reader.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name: the folder of its seeds, and the binary that libFuzzer drives.
    pub name: &'static str,
    /// Reads any bytes; panics when it breaks its word.
    pub run: fn(&[u8]),
    /// How many mutations `make test` tries: a second or two for the slow ones.
    pub tries: u32,
    /// A folder of further seeds, where there are recordings beside the checkout.
    pub beside: Option<&'static str>,
}

const fn target(name: &'static str, run: fn(&[u8]), tries: u32) -> Target {
    let beside = None;
    Target {
        name,
        run,
        tries,
        beside,
    }
}

/// All of them.
pub const TARGETS: [Target; 12] = [
    Target {
        beside: Some("fuzz-seeds/sdp-corpus"),
        ..target("offer", targets::offer, 600)
    },
    Target {
        beside: Some("fuzz-seeds/stun-corpus"),
        ..target("stun", targets::stun, 50_000)
    },
    Target {
        beside: Some("h264"),
        ..target("h264", targets::h264, 300)
    },
    target("fragment", targets::fragment, 20_000),
    target("opus", targets::opus, 1_500),
    target("messages", targets::messages, 50_000),
    target("terminal", targets::terminal, 10_000),
    target("timeline", targets::timeline, 20_000),
    target("tape", targets::tape, 10_000),
    target("settings", targets::settings, 600),
    target("talk", targets::talk, 2_000),
    target("worker", targets::worker, 50_000),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Mutations of the seeds, and the seeds as they are.
    fn feed(target: &Target) {
        let mut seeds = seeds::of(target.name);
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        seeds.extend(target.beside.map(seeds::beside).unwrap_or_default());
        for seed in &seeds {
            (target.run)(seed);
        }
        for number in 0..target.tries {
            let mut random = fastrand::Rng::with_seed(u64::from(number));
            let bytes = mutate::any(&mut random, &seeds);
            // A panic's message does not say which input it was.
            let survived = std::panic::catch_unwind(|| (target.run)(&bytes));
            assert!(survived.is_ok(), "{}: mutation {number}", target.name);
        }
    }

    macro_rules! fed {
        ($($test:ident: $name:literal,)*) => {
            $(#[test]
            fn $test() {
                feed(TARGETS.iter().find(|target| target.name == $name).expect("a target"));
            })*
            #[test]
            fn every_target_is_fed_and_has_its_fuzzer() {
                let fed = BTreeSet::from([$($name),*]);
                let known: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
                assert_eq!(fed, known);
                let fuzzers = crate::rig::root().join("tests/fuzz/fuzz_targets");
                for name in known {
                    assert!(fuzzers.join(format!("{name}.rs")).is_file(), "make fuzz does not know {name}");
                }
            }
        };
    }

    fed! {
        offers_of_strangers_are_answered_or_refused: "offer",
        fragments_are_bounded_and_keep_passwords_to_themselves: "fragment",
        stun_requests_name_a_session_or_none: "stun",
        messages_mean_something_or_nothing: "messages",
        a_hostile_server_does_not_reach_the_terminal: "terminal",
        reports_never_bend_the_timeline: "timeline",
        pictures_are_whole_or_counted_as_lost: "h264",
        sound_is_bounded_by_what_was_sent: "opus",
        tapes_are_read_or_refused: "tape",
        settings_are_read_or_refused: "settings",
        talks_are_read_or_refused: "talk",
        a_worker_gone_mad_is_not_believed: "worker",
    }
}
