use super::*;
use std::collections::BTreeMap;

fn fonts() -> Fonts {
    Fonts::load().unwrap()
}

#[test]
fn every_family_asks_in_every_split_and_the_same_seed_asks_the_same() {
    let fonts = fonts();
    for family in Family::ALL {
        for split in [Split::Train, Split::Unseen] {
            for seed in 0..40 {
                let scene = Scene::new(family, split, seed, &fonts);
                let again = Scene::new(family, split, seed, &fonts);
                assert_eq!(scene.question.text, again.question.text);
                assert_eq!(scene.question.answer, again.question.answer);
                assert!(scene.question.is_answered_by(&scene.question.answer.to_uppercase()));
                assert!(!scene.question.text.contains('{'), "{}", scene.question.text);
                let [left, top, right, bottom] = scene.region(1.0);
                assert!(
                    left < right && top < bottom && right <= 1.0 && bottom <= 1.0,
                    "{family:?} {seed}"
                );
            }
        }
    }
}

#[test]
fn nothing_can_be_guessed_more_often_than_one_time_in_ten() {
    let fonts = fonts();
    for family in Family::ALL {
        let mut answers = BTreeMap::new();
        for seed in 0..1000 {
            let question = Scene::new(family, Split::Train, seed, &fonts).question;
            *answers.entry(question.answer).or_insert(0) += 1;
        }
        let most = answers.values().max().copied().unwrap_or(0);
        // A tenth, and what chance adds to the most frequent of ten in 1,000 draws (three standard deviations).
        assert!(most <= 130, "{family:?}: {most} of 1000 by one answer");
    }
}

#[test]
fn what_has_not_been_seen_shares_no_phrasing_with_what_was_learnt() {
    let fonts = fonts();
    let texts = |split| -> std::collections::BTreeSet<String> {
        let scenes = Family::ALL
            .iter()
            .flat_map(|family| (0..200).map(|seed| (*family, seed)));
        scenes
            .map(|(family, seed)| Scene::new(family, split, seed, &fonts).question.text)
            .collect()
    };
    assert!(texts(Split::Train).is_disjoint(&texts(Split::Unseen)));
}

#[test]
fn letters_of_an_answer_are_counted_wherever_they_stand() {
    let fonts = Fonts::load().unwrap();
    let mut question = Scene::new(Family::Word, Split::Train, 1, &fonts).question;
    question.answer = "harbour".into();
    let cases = [
        ("To the HARBOUR now", 7),
        ("harb0ur", 6),
        ("hrbour", 6),
        ("", 0),
        ("xyz", 0),
    ];
    for (said, right) in cases {
        assert_eq!(question.letters_within(said), (right, 7), "{said}");
    }
}
