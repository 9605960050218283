//! What hubs, and those who pretend to be one, may try.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn wherever_it_breaks_off_and_however_it_answers_the_file_is_right_in_the_end() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::new().await;
        let cut = |random: &mut fastrand::Rng| random.usize(0..300_000);
        let acts: Vec<_> = (0..random.usize(1..6))
            .map(|_| match random.u8(0..9) {
                0 | 1 => Act::Break(cut(&mut random)),
                2 | 3 => Act::End(cut(&mut random)),
                4 => Act::Whole,
                5 => Act::Refuse,
                6 => Act::Astray,
                7 => Act::Status(503, Some(0)),
                _ => Act::Corrupt(cut(&mut random)),
            })
            .collect();
        world.fake.script(acts.clone());
        // Two wholes that are wrong are no accident, and told; the next pull begins anew.
        let context = format!("seed {seed}: {acts:?}");
        match world.pull().await {
            Ok(pulled) => assert_eq!(pulled, Pulled::Came(2), "{context}"),
            Err(error) => {
                assert!(matches!(error, StoreError::Wrong { .. }), "{context}: {error}");
                assert!(!world.at(SMALL).exists() && !world.at(LARGE).exists(), "{context}");
                world.pull().await.unwrap();
            }
        }
        world.assert_whole(&context);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_is_wrong_each_time_is_never_installed() {
    let world = World::new().await;
    world.fake.always(Act::Corrupt(77));
    let told = world.refused().await;
    assert!(told.contains("config.json whose digest is wrong"), "{told}");
    world.fake.always(Act::Serve);
    world.pull().await.unwrap();
    world.assert_whole("when the hub is honest again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_meanwhile_is_begun_anew() {
    let mut world = World::new().await;
    world.manner.retries = 0;
    world.fake.script([Act::Serve, Act::End(100_000)]);
    world.refused().await;
    // The same bytes under another tag: all of it comes again, and is right.
    world.fake.change(LARGE, |_| {});
    assert_eq!(world.pull().await.unwrap(), Pulled::Came(2));
    world.assert_whole("under another tag");
    // Other bytes: the lock tells.
    std::fs::remove_file(world.at(LARGE)).unwrap();
    world.fake.change(LARGE, |bytes| bytes[9] ^= 1);
    world.manner.retries = 6;
    assert!(world.refused().await.contains("digest is wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_falls_silent_is_asked_again() {
    let mut world = World::new().await;
    world.manner.idle = Duration::from_millis(300);
    // On a busy machine silence is heard where there is none.
    world.manner.retries = 60;
    world.fake.script([Act::Serve, Act::Stall(50_000), Act::Stall(0)]);
    let mut told = Told::default();
    world
        .store()
        .pull(&world.hub().unwrap(), "tiny", &mut told)
        .await
        .unwrap();
    world.assert_whole("after silence");
    assert!(
        told.waits.iter().any(|(why, _)| why.contains("in time")),
        "{:?}",
        told.waits
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_was_announced_is_not_taken() {
    let world = World::new().await;
    world.fake.script([Act::Serve, Act::Excess(1)]);
    let told = world.refused().await;
    assert!(told.contains("more than the 300000 bytes"), "{told}");
    world.fake.claim(SMALL, 3_000);
    let told = world.refused().await;
    assert!(
        told.contains("can't be true"),
        "a listing is held to what is known: {told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_not_begun() {
    let mut world = World::new().await;
    world.fake.claim(LARGE, u64::MAX);
    let told = world.refused().await;
    assert!(told.contains("more than any file of a model"), "{told}");
    // A thousand files of 31 GiB, which is more than any disk that tests run on.
    let large: Vec<_> = (0..1000).map(|number| format!("part-{number}")).collect();
    let files: Vec<_> = large.iter().map(|name| (name.as_str(), &b"x"[..], true)).collect();
    world.fake = Fake::start(&files).await;
    large.iter().for_each(|name| world.fake.claim(name, 31 << 30));
    world.model.files = large.iter().map(|name| Wanted::new(name, None)).collect();
    let told = world.refused().await;
    assert!(told.contains("make room") && told.contains("models.folder"), "{told}");
    let (_, store) = world.fake.seen();
    assert!(store.is_empty(), "nothing was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_says_what_to_do() {
    let mut world = World::new().await;
    world.manner.retries = 1;
    for (status, remedy) in [
        (401, "models.token_file"),
        (403, "models.token_file"),
        (404, "does not have tiny at the revision"),
        (410, "does not have tiny"),
        (418, "answers 418"),
        (500, "name a mirror with models.hub"),
        (429, "name a mirror with models.hub"),
    ] {
        world.fake.always(Act::Status(status, Some(0)));
        let told = world.refused().await;
        assert!(told.contains(remedy) && told.contains("127.0.0.1"), "{status}: {told}");
        world.fake.always(Act::Serve);
        world
            .fake
            .listings([Act::Status(status, Some(0)), Act::Status(status, Some(0))]);
        let told = world.refused().await;
        assert!(told.contains(remedy), "{status} for a listing: {told}");
        world.fake.listings([]);
    }
    world.fake.listings([Act::Status(429, Some(0))]);
    world.pull().await.unwrap();
    world.assert_whole("after a refusal that passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_says_when_to_come_back() {
    let world = World::new().await;
    world.fake.script([Act::Status(429, Some(1))]);
    let mut told = Told::default();
    world
        .store()
        .pull(&world.hub().unwrap(), "tiny", &mut told)
        .await
        .unwrap();
    assert_eq!(told.waits.len(), 1);
    assert!(told.waits[0].1 >= Span::from_secs(1), "{:?}", told.waits);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_to_the_hub_alone_and_into_no_message() {
    const TOKEN: &str = "hf_aVerySecretToken";
    let mut world = World::new().await;
    let file = world.folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    world.token = Some(file.clone());
    world.pull().await.unwrap();
    let (hub, store) = world.fake.seen();
    let authorised = |seen: &hub::Seen| seen.headers.get("authorization").is_some();
    assert!(!hub.is_empty() && hub.iter().all(authorised));
    assert!(
        !store.is_empty() && !store.iter().any(authorised),
        "where it redirects to gets none"
    );
    for bad in ["", "two words", "ünïcode"] {
        std::fs::write(&file, bad).unwrap();
        let told = world.hub().err().expect("it is no token").to_string();
        assert!(
            told.contains("models.token_file") && !told.contains("two words"),
            "{told}"
        );
    }
    std::fs::write(&file, TOKEN).unwrap();
    world.fake.always(Act::Status(403, None));
    std::fs::remove_dir_all(world.folder.path().join("models")).unwrap();
    assert!(!world.refused().await.contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_end_and_lead_only_where_nobody_listens_in() {
    let world = World::new().await;
    for to in [
        "http://192.0.2.1/file",
        "ftp://127.0.0.1/file",
        "http://hub.example/file",
        "file:///etc/passwd",
    ] {
        world.fake.script([Act::Redirect(to.into())]);
        let told = world.refused().await;
        assert!(told.contains("exchanged on its way"), "{to}: {told}");
    }
    world.fake.always(Act::Redirect("?again".into()));
    let told = world.refused().await;
    assert!(
        told.contains("redirects don't end") && !told.contains("signature"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_in_pages_is_read_to_its_end() {
    let world = World::new().await;
    world.fake.page(1);
    world.pull().await.unwrap();
    world.assert_whole("with a listing in pages");
    let (hub, _) = world.fake.seen();
    assert!(hub.iter().filter(|seen| seen.path.starts_with("/api/")).count() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_people_are_told_what_else_they_can_do() {
    let mut world = World::new().await;
    world.manner.retries = 1;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.fake.hub = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let told = world.refused().await;
    for part in [
        "can't be reached",
        "models.hub",
        "copy the files",
        "hearsight models verify tiny",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
