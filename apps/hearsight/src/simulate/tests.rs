//! Simulations of whole machines: what must hold for whoever is let in, and that the same seed is the same story.

use hearsight_core::schedule::{Policy, Strain};
use hearsight_core::time::Span;

use super::report::Figures;
use super::scenario::Scenario;
use super::*;

fn library() -> Vec<(&'static str, &'static str)> {
    vec![
        ("office", include_str!("../../../../scenarios/office.toml")),
        ("webinar", include_str!("../../../../scenarios/webinar.toml")),
        ("rush", include_str!("../../../../scenarios/rush.toml")),
        (
            "noisy-neighbour",
            include_str!("../../../../scenarios/noisy-neighbour.toml"),
        ),
        ("questions", include_str!("../../../../scenarios/questions.toml")),
        (
            "poor-networks",
            include_str!("../../../../scenarios/poor-networks.toml"),
        ),
    ]
}

fn scenario(text: &str) -> Scenario {
    Scenario::parse(text).expect("a scenario")
}

fn figures(scenario: &Scenario) -> Figures {
    let alone = Alone::default().visits(scenario, Strain::None);
    Figures::new(scenario, &run(scenario), &alone)
}

/// `count` people who talk for ten seconds; some of them show pictures that are read.
fn talkers(seed: u64, count: usize, seen: usize) -> Scenario {
    scenario(&format!(
        "seed = {seed}\nseconds = 10\n[machine]\ncores = 2\n\
         [[sessions]]\ncount = {count}\nevery_s = 0.1\ntalk = 0.6\nfps = 0\n\
         [[sessions]]\ncount = {seen}\nevery_s = 0.1\ntalk = 0.6\nfps = 15\nreads = true\n"
    ))
}

#[test]
fn every_scenario_of_the_library_is_one() {
    for (name, text) in library() {
        let scenario = scenario(text);
        assert!(!scenario.crowds.is_empty() && scenario.name != "unnamed", "{name}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story_and_another_another() {
    let told = |seed| figures(&talkers(seed, 3, 2)).tell();
    assert_eq!(told(1), told(1));
    assert_ne!(told(1), told(2));
}

#[test]
fn a_machine_with_time_for_everybody_delivers_what_each_has_alone() {
    for seed in 0..3 {
        let figures = figures(&talkers(seed, 2, 0));
        assert_eq!((figures.admitted, figures.final_words), (2, Some(1.0)), "seed {seed}");
        assert!(figures.delivered_share() > 0.99, "seed {seed}: {}", figures.tell());
    }
}

#[test]
fn who_is_let_in_keeps_every_final_word_however_many_come() {
    for seed in 0..4 {
        // About ten times what two cores can do.
        let figures = figures(&talkers(seed, 40, 40));
        assert!(
            figures.admitted < 60 && figures.admitted > 4,
            "seed {seed}: {} let in",
            figures.admitted
        );
        assert_eq!(figures.final_words, Some(1.0), "seed {seed}: {}", figures.tell());
    }
}

#[test]
fn no_policy_beats_the_bound() {
    // Where decoding is dear, most can be had by leaving pictures out.
    for (seed, decode) in [(0, 1), (1, 1), (2, 1), (3, 25), (4, 25)] {
        for policy in Policy::ALL {
            let mut scenario = talkers(seed, 6, 4);
            scenario.costs.decode = Span::from_millis(decode);
            scenario.machine.policy = policy;
            let mut alone = Alone::default();
            let figures = Figures::new(&scenario, &run(&scenario), &alone.visits(&scenario, Strain::None));
            let bound = oracle::bound(&scenario, &mut alone, figures.over);
            let had = figures.goodput * figures.over.secs_f64();
            assert!(had <= bound.most * 1.001, "seed {seed}, {policy:?}: {had} of {bound:?}");
            assert!(bound.most <= bound.whole);
        }
    }
}

#[test]
fn a_crowd_in_other_numbers_has_the_same_people() {
    let (few, many) = (talkers(5, 3, 0), capacity::with_sessions(&talkers(5, 3, 0), 9));
    let seeds = |scenario: &Scenario| people(scenario).iter().map(|person| person.seed).collect::<Vec<_>>();
    let (few, many) = (seeds(&few), seeds(&many));
    assert!(few.iter().all(|seed| many.contains(seed)), "{few:?}, {many:?}");
    assert_eq!(many.len(), 9);
}

#[test]
fn the_plot_is_drawn_whole_whatever_the_name() {
    let mut scenario = talkers(1, 1, 0);
    scenario.name = "<less> & more".into();
    scenario.length = Span::from_secs(5);
    scenario
        .crowds
        .iter_mut()
        .for_each(|crowd| crowd.stay = Span::from_secs(4));
    let svg = plot::svg(&scenario, &run(&scenario));
    assert!(svg.contains("&lt;less&gt; &amp; more") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<polyline").count(), 4);
    assert!(!svg.contains("NaN"));
}
