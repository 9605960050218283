//! Against a hub of this machine that breaks off, corrupts, changes, redirects, stalls and refuses. Whatever it does, a file
//! under its final name is right, or the error says what to do.

mod hostile;
mod hub;

use std::path::PathBuf;
use std::time::Duration;

use hearsight_core::time::Span;
use hearsight_live::clock::Clock;

use super::hub::{Hub, Manner};
use super::manifest::Wanted;
use super::progress::Watch;
use super::*;
use crate::config;
use hub::{Act, Fake};

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";
const NOW: &str = "2026-11-21T08:00:00Z";
const SMALL: &str = "config.json";
const LARGE: &str = "onnx/model.onnx";

/// Quick to try again, and patient with a busy machine.
const QUICK: Manner = Manner {
    connect: Duration::from_secs(20),
    idle: Duration::from_secs(20),
    slowest: 4096,
    first_wait: Span::from_millis(1),
    retries: 6,
};

/// Bytes that differ from place to place.
fn content(seed: u64, size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(size).collect()
}

fn model() -> Model {
    Model {
        name: "tiny".into(),
        purpose: "for tests".into(),
        licence: "MIT".into(),
        repository: "owner/name".into(),
        revision: REVISION.into(),
        within: String::new(),
        checked: true,
        files: vec![Wanted::new(SMALL, Some(700)), Wanted::new(LARGE, None)],
    }
}

/// A hub, a folder and what was told.
struct World {
    fake: Fake,
    folder: tempfile::TempDir,
    small: Vec<u8>,
    large: Vec<u8>,
    manner: Manner,
    token: Option<PathBuf>,
    model: Model,
}

impl World {
    async fn new() -> World {
        let (small, large) = (content(1, 700), content(2, 300_000));
        let fake = Fake::start(&[(SMALL, &small, false), (LARGE, &large, true)]).await;
        World {
            fake,
            folder: tempfile::tempdir().unwrap(),
            small,
            large,
            manner: QUICK,
            token: None,
            model: model(),
        }
    }

    fn store(&self) -> Store {
        Store::new(&self.folder.path().join("models"), vec![self.model.clone()], NOW.into())
    }

    fn hub(&self) -> Result<Hub, StoreError> {
        let models = config::Models {
            folder: self.folder.path().join("models"),
            hub: self.fake.hub.parse().unwrap(),
            token: self.token.clone(),
        };
        Hub::new(&models, self.manner, Clock::new())
    }

    async fn pull(&self) -> Result<Pulled, StoreError> {
        self.store().pull(&self.hub()?, "tiny", &mut Told::default()).await
    }

    async fn refused(&self) -> String {
        let error = self.pull().await.expect_err("it can't be pulled");
        assert!(!self.at(LARGE).exists(), "nothing wrong stands under its final name");
        error.to_string()
    }

    fn at(&self, file: &str) -> PathBuf {
        self.folder.path().join("models/tiny").join(file)
    }

    fn assert_whole(&self, context: &str) {
        assert_eq!(std::fs::read(self.at(SMALL)).unwrap(), self.small, "{context}");
        assert!(
            std::fs::read(self.at(LARGE)).unwrap() == self.large,
            "{context}: the large file is right"
        );
        assert_eq!(self.store().verify("tiny").unwrap(), Verified::Matches, "{context}");
        let incoming = self.folder.path().join("models/.incoming/tiny");
        assert!(!incoming.exists(), "{context}: nothing is left over");
    }
}

/// Remembers what it was told.
#[derive(Default)]
struct Told {
    begun: Vec<String>,
    waits: Vec<(String, Span)>,
}

impl Watch for Told {
    fn begin(&mut self, file: &str, _: u64) {
        self.begun.push(file.to_owned());
    }
    fn at(&mut self, _: u64) {}
    fn wait(&mut self, why: &str, wait: Span) {
        self.waits.push((why.to_owned(), wait));
    }
    fn end(&mut self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_comes_whole_is_locked_and_comes_but_once() {
    let world = World::new().await;
    assert_eq!(world.store().list().unwrap()[0].1, State::Missing);
    assert_eq!(world.pull().await.unwrap(), Pulled::Came(2));
    world.assert_whole("after a pull");
    assert_eq!(world.store().list().unwrap()[0].1, State::Here(Some(NOW.into())));
    assert_eq!(world.store().size(&world.model), Some(300_700));
    world.fake.seen();
    assert_eq!(world.pull().await.unwrap(), Pulled::Already);
    let (hub, store) = world.fake.seen();
    assert!(
        hub.is_empty() && store.is_empty(),
        "what is here and right needs no network"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_pull_is_gone_on_with_by_the_next() {
    let mut world = World::new().await;
    world.manner.retries = 0;
    world.fake.script([Act::Serve, Act::End(100_000)]);
    let told = world.refused().await;
    assert!(
        told.contains("models.hub") && told.contains("hearsight models verify tiny"),
        "{told}"
    );
    let part = world.folder.path().join("models/.incoming/tiny/onnx/model.onnx.part");
    assert_eq!(std::fs::metadata(&part).unwrap().len(), 100_000);
    world.fake.seen();
    assert_eq!(world.pull().await.unwrap(), Pulled::Came(2));
    world.assert_whole("after the second pull");
    let (_, store) = world.fake.seen();
    assert_eq!(store[0].headers["range"], "bytes=100000-");
    assert_eq!(store[0].headers["if-range"], "\"v0\"");
    assert_eq!(store.len(), 1, "the small file was not asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_named_and_only_that_is_fetched_again() {
    let world = World::new().await;
    world.pull().await.unwrap();
    let mut bytes = world.large.clone();
    bytes[150_000] ^= 1;
    std::fs::write(world.at(LARGE), bytes).unwrap();
    let told = world.store().verify("tiny").unwrap_err().to_string();
    assert!(
        told.contains("onnx/model.onnx is damaged") && told.contains("hearsight models pull tiny"),
        "{told}"
    );
    world.fake.seen();
    let mut watch = Told::default();
    let pulled = world.store().pull(&world.hub().unwrap(), "tiny", &mut watch).await;
    assert_eq!(
        (pulled.unwrap(), watch.begun),
        (Pulled::Came(1), vec![LARGE.to_owned()])
    );
    world.assert_whole("after it was fetched again");
    let (hub, _) = world.fake.seen();
    assert!(
        hub.iter().all(|seen| !seen.path.contains("/api/")),
        "digests are the lock's, not the hub's of today"
    );
    std::fs::remove_file(world.at(SMALL)).unwrap();
    assert_eq!(world.store().list().unwrap()[0].1, State::Partial(1, 2));
    let told = world.store().verify("tiny").unwrap_err().to_string();
    assert!(told.contains("config.json is missing"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_put_here_by_hand_are_locked_when_they_are_verified() {
    let world = World::new().await;
    std::fs::create_dir_all(world.at("onnx")).unwrap();
    std::fs::write(world.at(SMALL), &world.small).unwrap();
    assert!(world.store().verify("tiny").is_err(), "half of it is missing");
    std::fs::write(world.at(LARGE), &world.large).unwrap();
    assert_eq!(world.store().list().unwrap()[0].1, State::Here(None));
    assert_eq!(world.store().verify("tiny").unwrap(), Verified::LockedByHand);
    assert_eq!(world.store().verify("tiny").unwrap(), Verified::MatchesHand);
    assert_eq!(world.store().installed().unwrap(), ["tiny"]);
    std::fs::write(world.at(SMALL), "other").unwrap();
    assert!(world.store().verify("tiny").is_err(), "from then on a change is damage");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_there_unlocked_is_kept_where_the_hub_vouches_for_it() {
    let world = World::new().await;
    std::fs::create_dir_all(world.at("")).unwrap();
    std::fs::write(world.at(SMALL), &world.small).unwrap();
    std::fs::write(world.at("notes.txt"), "mine").unwrap();
    assert_eq!(world.pull().await.unwrap(), Pulled::Came(1));
    world.assert_whole("with a file that was there");
    assert_eq!(std::fs::read_to_string(world.at("notes.txt")).unwrap(), "mine");
    // All of it by hand: the hub is asked once, and nothing comes.
    std::fs::remove_file(world.folder.path().join("models/models.lock")).unwrap();
    assert_eq!(world.pull().await.unwrap(), Pulled::Came(0));
    world.assert_whole("locked on the hub's word");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_revision_left_half_done_is_not_installed() {
    let world = World::new().await;
    let incoming = world.folder.path().join("models/.incoming/tiny");
    for left in [
        "old/weights.bin.part",
        "old/weights.bin.part.from",
        "onnx/other.onnx",
        "old.json",
    ] {
        let path = incoming.join(left);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "left").unwrap();
    }
    world.pull().await.unwrap();
    world.assert_whole("beside leftovers");
    let count = |folder: PathBuf| std::fs::read_dir(folder).unwrap().count();
    assert_eq!((count(world.at("")), count(world.at("onnx"))), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_about_to_be_opened_is_held_against_its_lock_and_nothing_is_written() {
    let world = World::new().await;
    let whole = || world.store().whole("tiny").map_err(|error| error.to_string());
    assert!(whole().unwrap_err().contains("`hearsight models pull tiny` brings it"));
    world.pull().await.unwrap();
    let lock = world.folder.path().join("models/models.lock");
    let locked = std::fs::read(&lock).unwrap();
    let found = whole().unwrap();
    assert_eq!(found.files, [world.at(SMALL), world.at(LARGE)]);
    std::fs::write(world.at(LARGE), &world.large[..world.large.len() - 1]).unwrap();
    assert!(whole().unwrap_err().contains("is damaged"));
    std::fs::write(world.at(LARGE), &world.large).unwrap();
    assert_eq!(std::fs::read(&lock).unwrap(), locked);
    std::fs::remove_file(&lock).unwrap();
    assert!(
        whole().unwrap_err().contains("models verify tiny"),
        "nobody vouches for it"
    );
    assert!(!lock.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_in_a_hurry_tries_once_and_goes_on_the_next_time() {
    let mut world = World::new().await;
    world.manner = Manner::hasty(Duration::from_secs(20));
    world.fake.script([Act::Serve, Act::Break(200_000)]);
    let told = world.refused().await;
    assert!(told.contains("can't be reached"), "{told}");
    let (_, store) = world.fake.seen();
    assert_eq!(store.len(), 1, "the large file was asked for once");
    assert_eq!(world.pull().await.unwrap(), Pulled::Came(2));
    world.assert_whole("the next time");
    // Nobody there: refused at once, and not waited for.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    world.fake.hub = format!("http://{closed}");
    std::fs::remove_dir_all(world.folder.path().join("models")).unwrap();
    let told = world.refused().await;
    assert!(told.contains("can't be reached"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pulls_into_one_folder_exclude_each_other() {
    let world = World::new().await;
    let folder = world.folder.path().join("models");
    std::fs::create_dir_all(&folder).unwrap();
    let held = std::fs::File::create(folder.join(".pull.lock")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(world.refused().await.contains("another pull"));
    drop(held);
    assert_eq!(world.pull().await.unwrap(), Pulled::Came(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_damaged_is_not_passed_over() {
    let world = World::new().await;
    world.pull().await.unwrap();
    let lock = world.folder.path().join("models/models.lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    for damaged in [
        "model = 3",
        &text.replace("sha256 = \"", "sha256 = \"x"),
        &"#".repeat(2 << 20),
    ] {
        std::fs::write(&lock, damaged).unwrap();
        let told = world.pull().await.unwrap_err().to_string();
        assert!(told.contains("models.lock") && told.contains("restore it"), "{told}");
        assert!(world.store().list().is_err() && world.store().verify("tiny").is_err());
    }
    std::fs::write(&lock, text).unwrap();
    assert_eq!(world.pull().await.unwrap(), Pulled::Already);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_revision_in_the_manifest_is_another_model_to_the_lock() {
    let mut world = World::new().await;
    world.pull().await.unwrap();
    world.model.revision = REVISION.replace('0', "f");
    assert_eq!(world.store().list().unwrap()[0].1, State::Here(None));
    let told = world.pull().await.unwrap_err().to_string();
    assert!(told.contains("has no file") || told.contains("does not have"), "{told}");
    assert_eq!(
        std::fs::read(world.at(SMALL)).unwrap(),
        world.small,
        "what is here stays"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_programs_are_told_what_there_is() {
    use crate::config::{ModelsCommand, Report};
    let world = World::new().await;
    let settings = config::Models {
        folder: world.folder.path().join("models"),
        hub: world.fake.hub.parse().unwrap(),
        token: None,
    };
    let told = async |command: ModelsCommand| {
        let mut out = Vec::new();
        command::run(&settings, &command, &mut out)
            .await
            .map(|()| String::from_utf8(out).unwrap())
    };
    let text = told(ModelsCommand::List(Report::People)).await.unwrap();
    assert!(
        text.contains("smolvlm-256m-instruct ") && text.contains("Apache-2.0"),
        "{text}"
    );
    assert!(text.contains("not all have been tried against the hub"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&told(ModelsCommand::List(Report::Machines)).await.unwrap()).unwrap();
    assert_eq!(json["models"].as_array().unwrap().len(), manifest::models().len());
    assert_eq!(json["models"][0]["state"], "missing");
    let text = told(ModelsCommand::Verify(Vec::new())).await.unwrap();
    assert!(text.contains("There are no models"), "{text}");
    let none = told(ModelsCommand::Pull(vec!["smolvlm".into()], None))
        .await
        .unwrap_err()
        .to_string();
    assert!(none.contains("did you mean"), "{none}");
}
