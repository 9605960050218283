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
}

/// All of them.
pub const TARGETS: [Target; 11] = [
    Target { name: "offer", run: targets::offer, tries: 600 },
    Target { name: "stun", run: targets::stun, tries: 50_000 },
    Target { name: "messages", run: targets::messages, tries: 50_000 },
    Target { name: "terminal", run: targets::terminal, tries: 10_000 },
    Target { name: "timeline", run: targets::timeline, tries: 20_000 },
    Target { name: "h264", run: targets::h264, tries: 400 },
    Target { name: "opus", run: targets::opus, tries: 1_500 },
    Target { name: "tape", run: targets::tape, tries: 10_000 },
    Target { name: "settings", run: targets::settings, tries: 600 },
    Target { name: "talk", run: targets::talk, tries: 2_000 },
    Target { name: "worker", run: targets::worker, tries: 50_000 },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Mutations of the seeds, and the seeds as they are.
    fn feed(target: &Target) {
        let seeds = seeds::of(target.name);
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
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
