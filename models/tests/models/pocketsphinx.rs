use std::path::{Path, PathBuf};
use std::process::Command;

use hearsight_core::media::Words;
use hearsight_core::stage::{Engine, Fault, Outbox, Signal};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::asr::pocketsphinx::own::{self, Own};
use hearsight_models::asr::pocketsphinx::{Config, Pool, Refused, verify_model};
use hearsight_models::asr::{Hearing, Hypothesis, Recogniser};
use hearsight_models::runtime::Runtime;
use hearsight_models::vad::{self, Listener, Silero};

use crate::speech::{files, packets, run, speak};

fn command(model: PathBuf) -> impl Fn() -> Command + Send + Sync + 'static {
    move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recognise_worker"));
        command.arg(&model);
        command
    }
}

fn pool(most: usize) -> Pool {
    Pool::new(
        command(files().pocketsphinx),
        Config {
            most,
            // Sound is given all at once: its words are waited for.
            patience: Span::from_secs(3),
            ..Config::default()
        },
    )
}

fn script(text: &'static str) -> impl Fn() -> Command + Send + Sync + 'static {
    move || {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }
}

/// Word errors: substitutions, insertions and deletions.
fn errors(reference: &str, heard: &str) -> usize {
    let heard: Vec<_> = heard.split_whitespace().collect();
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, word) in reference.split_whitespace().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in heard.iter().enumerate() {
            let least = (diagonal + usize::from(word != *other))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], least);
        }
    }
    row[heard.len()]
}

#[test]
fn it_recognises_easy_sentences_through_the_whole_chain() {
    let files = files();
    let runtime = Runtime::open(&files.onnxruntime).expect("installed");
    let pool = pool(1);
    let sentences = [
        "good morning everybody and welcome to the meeting",
        "the weather will be fine in the afternoon",
        "please open the window and close the door",
    ];
    let (mut wrong, mut all) = (0, 0);
    for sentence in sentences {
        // Each is a cold start: another session, with nothing learnt.
        let silero = Silero::open(&runtime, &files.silero).expect("installed");
        let mut listener = Listener::new(silero, vad::Config::default());
        let samples = speak(sentence, 12_000);
        let voices = run(&mut listener, packets(&samples, 320)).into_iter();
        let voices = voices.filter_map(|signal| {
            if let Signal::Item(unit) = signal {
                Some(unit)
            } else {
                None
            }
        });
        let mut hearing = Hearing::new(pool.take().expect("a worker"));
        let words: Vec<Stamped<Words>> = run(&mut hearing, voices)
            .into_iter()
            .filter_map(|signal| {
                if let Signal::Item(unit) = signal {
                    Some(unit)
                } else {
                    None
                }
            })
            .collect();
        let settled: Vec<_> = words.iter().filter(|unit| unit.item.settled).collect();
        let text: Vec<_> = settled.iter().map(|unit| unit.item.text()).collect();
        wrong += errors(sentence, &text.join(" "));
        all += sentence.split_whitespace().count();
        assert!(
            words.iter().any(|unit| !unit.item.settled),
            "words come while they are spoken"
        );
        let speech = MediaTime::from_millis(500)..MediaTime::ZERO + Span::from_samples(samples.len() as i64, 16_000);
        for word in settled.iter().flat_map(|unit| unit.item.words.iter()) {
            assert!(speech.contains(&word.start) && speech.contains(&word.end) && word.start < word.end);
        }
    }
    assert!(wrong as f64 <= 0.3 * all as f64, "{wrong} of {all} words are wrong");
}

#[test]
fn as_it_comes_it_hears_phrases_with_their_times_and_forgets_them_between_streams() {
    let mut command = command(files().pocketsphinx)();
    command.arg("own");
    let mut alone = Own::start(command).expect("it starts");
    let phrases = [
        "good morning everybody and welcome to the meeting",
        "please open the window and close the door",
    ];
    // Half a second of hush around each, which is more than its endpointer waits for.
    let sound: Vec<f32> = phrases.iter().flat_map(|phrase| speak(phrase, 8_000)).collect();
    let mut stream = || {
        alone.begin().expect("begun");
        let mut ended: Vec<Hypothesis> = Vec::new();
        for frame in sound.as_chunks::<{ own::FRAME }>().0 {
            ended.extend(alone.hear(frame).expect("heard"));
        }
        ended.extend(alone.finish().expect("finished"));
        ended
    };
    let first = stream();
    let text = |ended: &[Hypothesis]| {
        let words = ended.iter().flat_map(|hypothesis| &hypothesis.words);
        words.map(|word| word.text.to_string()).collect::<Vec<_>>().join(" ")
    };
    let (wrong, all) = (
        errors(&phrases.join(" "), &text(&first)),
        phrases.join(" ").split(' ').count(),
    );
    assert!(
        first.len() >= 2 && wrong as f64 <= 0.4 * all as f64,
        "{wrong} of {all}: {first:?}"
    );
    let spans: Vec<_> = first
        .iter()
        .flat_map(|hypothesis| &hypothesis.words)
        .map(|word| (word.start, word.end))
        .collect();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}");
    assert!(
        spans
            .last()
            .is_some_and(|last| last.1 <= Span::from_samples(sound.len() as i64, 16_000))
    );
    assert_eq!(
        text(&stream()),
        text(&first),
        "another stream begins as cold as the first"
    );
    alone.finish().expect("nothing is under way");
    assert!(alone.hear(&[0.0; own::FRAME]).is_err(), "no stream has begun");
}

#[test]
fn a_worker_killed_mid_segment_is_replaced() {
    let pool = pool(2);
    let mut session = pool.take().expect("a worker");
    let sound = speak("one two three", 1600);
    session.begin(MediaTime::ZERO).expect("begun");
    session.hear(&sound).expect("heard");
    let pid = session.worker_pid().expect("a worker").to_string();
    assert!(
        pool.memory()
            .iter()
            .any(|memory| memory.pid.to_string() == pid && memory.resident > 1 << 20)
    );
    let killed = Command::new("kill").args(["-9", &pid]).status().expect("kill runs");
    assert!(killed.success());
    let fault = session
        .hear(&sound)
        .and_then(|_| session.finish())
        .expect_err("it is dead");
    assert!(matches!(fault, Fault::Reset(_)));
    drop(session);
    // Waiting for the replacement is what `take` does.
    let mut session = pool.take().expect("a replacement");
    session.begin(MediaTime::ZERO).expect("begun");
    assert!(session.hear(&sound).expect("heard").is_some());
    session.finish().expect("finished");
}

#[test]
fn a_session_tells_what_its_worker_took_and_not_what_it_took_for_others() {
    let pool = pool(1);
    let sound = speak("one two three", 1600);
    // The second has the worker of the first.
    for _ in 0..2 {
        let mut session = pool.take().expect("a worker");
        assert_eq!(session.aside(), Span::ZERO);
        session.begin(MediaTime::ZERO).expect("begun");
        session.hear(&sound).expect("heard");
        session.finish().expect("finished");
        assert!(session.aside() > Span::from_millis(1));
        assert!(session.aside() < Span::from_millis(50), "told twice");
    }
}

#[test]
fn a_session_goes_on_with_the_spare_worker() {
    let pool = pool(2);
    let spare = pool.take().expect("one");
    let mut hearing = Hearing::new(pool.take().expect("two"));
    drop(spare);
    let pid = hearing.recogniser().worker_pid().expect("a worker").to_string();
    let sound: Vec<_> = packets(&speak("one two three four", 1600), 512)
        .into_iter()
        .map(|packet| packet.map(hearsight_core::media::Voice::Sound))
        .collect();
    let mut out = Outbox::default();
    assert!(
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .expect("kill runs")
            .success()
    );
    let mut faults = 0;
    for unit in sound.iter().chain(&sound) {
        faults += u32::from(hearing.run(Moment::ZERO, Signal::Item(unit.clone()), &mut out).is_err());
    }
    assert_eq!(faults, 1, "the gap is told once, then the spare one works");
    hearing.run(Moment::ZERO, Signal::End, &mut out).expect("finished");
    assert_ne!(hearing.recogniser().worker_pid().expect("a worker").to_string(), pid);
}

#[test]
fn workers_are_bounded_and_come_back() {
    let pool = pool(1);
    let session = pool.take().expect("the only one");
    assert_eq!(pool.take().err(), Some(Refused::Full(1)));
    let pid = session.worker_pid();
    drop(session);
    assert_eq!(pool.take().expect("it came back").worker_pid(), pid);
}

#[test]
fn garbage_silence_and_death_are_clear_errors() {
    let quick = Config {
        most: 1,
        spare: 1,
        start: Span::from_millis(300),
        patience: Span::from_millis(25),
        reply: Span::from_millis(300),
    };
    let ready = r"printf '\001\000\000\000\020'; ";
    for text in [
        "head -c 100000 /dev/zero",
        "echo nonsense that is long enough",
        "exec sleep 20",
        "echo why >&2; exit 3",
    ] {
        let refused = Pool::new(script(text), quick.clone()).take().err().expect("no worker");
        assert!(
            matches!(refused, Refused::Broken(_) | Refused::Starting),
            "{text}: {refused:?}"
        );
        assert!(!refused.to_string().contains('\n'));
    }
    for text in [
        "exec sleep 20",
        "yes",
        r"printf '\377\377\377\377'; exec sleep 20",
        "exit 0",
    ] {
        let line: &'static str = Box::leak(format!("{ready}{text}").into_boxed_str());
        let config = Config {
            start: Span::from_secs(10),
            ..quick.clone()
        };
        let mut session = Pool::new(script(line), config)
            .take()
            .expect("it says that it is ready");
        assert!(matches!(session.begin(MediaTime::ZERO), Err(Fault::Reset(_))), "{text}");
        assert!(session.hear(&[0.0; 512]).is_err() && session.finish().is_err());
    }
}

fn copy_model(to: &Path) {
    let from = files().pocketsphinx;
    std::fs::create_dir_all(to.join("en-us")).expect("made");
    for name in [
        "mdef",
        "means",
        "variances",
        "transition_matrices",
        "sendump",
        "feat.params",
        "noisedict",
    ] {
        std::fs::copy(from.join("en-us").join(name), to.join("en-us").join(name)).expect("copied");
    }
    for name in ["cmudict-en-us.dict", "en-us.lm.bin"] {
        std::fs::copy(from.join(name), to.join(name)).expect("copied");
    }
}

#[test]
fn a_damaged_model_is_a_line_that_names_file_and_repair() {
    let folder = std::env::temp_dir().join(format!("hs-model-{}", std::process::id()));
    copy_model(&folder);
    verify_model(&folder).expect("whole");
    let config = Config {
        most: 1,
        start: Span::from_secs(60),
        ..Config::default()
    };
    let refused = |name: &str| {
        let pool = Pool::new(command(folder.clone()), config.clone());
        let line = pool.take().err().map(|why| why.to_string()).unwrap_or_default();
        assert!(
            line.contains("make setup") && line.contains(folder.to_str().expect("text")),
            "{name}: {line:?}"
        );
        assert!(!line.contains('\n'));
    };
    let means = folder.join("en-us/means");
    let whole = std::fs::read(&means).expect("there");
    std::fs::write(&means, &whole[..whole.len() / 2]).expect("written");
    refused("half of the means");
    std::fs::write(&means, vec![7; whole.len()]).expect("written");
    refused("means of sevens");
    std::fs::remove_file(&means).expect("ours");
    refused("no means");
    std::fs::remove_dir_all(&folder).expect("ours");
}
