use super::*;
use crate::wire::{Recogniser, VERSION};

fn words(text: &str) -> Vec<Word> {
    let word = |text: &str| Word {
        text: text.into(),
        start_us: 0,
        end_us: 0,
        stability: 1.0,
        certainty: None,
    };
    text.split_whitespace().map(word).collect()
}

fn latency(of: u64, outlet: &str, segments: &[(&str, i64)]) -> ToClient {
    let segments: Vec<_> = segments
        .iter()
        .map(|(name, us)| Segment {
            name: (*name).into(),
            us: Some(*us),
        })
        .collect();
    let sent_us = 1_000_000 + segments.iter().filter_map(|segment| segment.us).sum::<i64>();
    ToClient::Latency {
        of,
        outlet: outlet.into(),
        born_us: 1_000_000,
        measured: true,
        segments,
        sent_us,
    }
}

fn picture(id: u64, cut: bool) -> ToClient {
    let (width, height, decoded, keyframes) = (1280, 720, 30, 1);
    let (fps, kbps, vectors, motion, brightness) = (29.97, 2_104.0, 3_600.4, 2.0, 90.0);
    let at_us = 0;
    ToClient::PictureStats(Picture {
        id,
        at_us,
        width,
        height,
        fps,
        kbps,
        decoded,
        keyframes,
        vectors,
        motion,
        brightness,
        cut,
    })
}

/// Milliseconds, an event and, where it matters, its number and when it was received and shown.
type Line = (i64, ToClient, Option<(u64, i64, i64)>);

/// A short session.
fn script() -> Vec<Line> {
    let recogniser = Recogniser {
        name: "Sphinx".into(),
        note: "Expect \x1b[2Jwrong words.".into(),
    };
    let hello = ToClient::Session {
        version: VERSION,
        session: "s".into(),
        recogniser,
        answerer: None,
    };
    let partial = |id, text| ToClient::WordsPartial {
        id,
        segment: 0,
        at_us: 0,
        words: words(text),
    };
    let last = ToClient::WordsFinal {
        id: 7,
        segment: 0,
        at_us: 3_536_125,
        words: words("good morning and"),
    };
    let lost = ToClient::Lost {
        stage: "vad".into(),
        why: "too_old".into(),
        count: 3,
        at_us: Some(2_340_000),
    };
    let early = [("network", 1_400), ("jitter", 8_000), ("decode", 600)];
    let way = [&early[..], &[("vad", 212_000), ("recognise", 31_000), ("send", 0)]].concat();
    vec![
        (0, hello, None),
        (
            10,
            ToClient::SpeechStarted { id: 1, at_us: 800_000 },
            Some((1, 1_100_000, 1_100_100)),
        ),
        (11, latency(1, "turn", &[("network", 1_000), ("vad", 80_000)]), None),
        (500, partial(2, "good"), None),
        (700, partial(3, "good morning"), None),
        (1_300, partial(4, "good morning and"), None),
        (1_310, picture(5, false), None),
        (1_320, picture(6, false), None),
        (1_400, lost, None),
        (2_000, last, Some((7, 1_255_000, 1_255_300))),
        (2_001, latency(7, "words.final", &way), None),
        (2_100, picture(8, true), None),
        (2_200, ToClient::Unknown, None),
    ]
}

fn play(display: Display) -> (String, Vec<bool>) {
    let mut terminal = Terminal::new(Vec::new(), display);
    let mut printed = Vec::new();
    for (millis, event, reached) in script() {
        printed.push(terminal.take(&event, Moment::from_millis(millis)).unwrap());
        if let Some((id, received_us, shown_us)) = reached {
            terminal.reached(
                id,
                Reached {
                    received_us,
                    shown_us: Some(shown_us),
                },
            );
        }
    }
    assert!(!terminal.waiting());
    terminal.finish(&["That was it.".into()]).unwrap();
    (String::from_utf8(terminal.out).unwrap(), printed)
}

#[test]
fn a_log_reads_well() {
    let (text, printed) = play(Display::Log);
    let golden = "\
Sphinx: Expect [2Jwrong words.
         … good
         … good morning and
         1280×720 · 30 fps · 2.1 Mbit/s · 3,600 vectors a picture
00:02.3  [gap: 3 lost before vad, too old]
00:03.5  good morning and
         felt 255 ms = network 1 · jitter 8 · decode 1 · vad 212 · recognise 31 · send 0 · deliver 2 · show 0
         cut: 1280×720 · 30 fps · 2.1 Mbit/s · 3,600 vectors a picture

ms, p50 / p95                turn      words.final
events                          1                1
network                     1 / 1            1 / 1
jitter                                       8 / 8
decode                                       1 / 1
vad                       80 / 80        212 / 212
recognise                                  31 / 31
send                                         0 / 0
deliver                   19 / 19            2 / 2
show                        0 / 0            0 / 0
felt, in all            100 / 100        255 / 255
That was it.
";
    assert_eq!(text, golden);
    let shown = [
        true, false, false, true, false, true, false, true, true, true, false, true, false,
    ];
    assert_eq!(printed, shown);
}

/// What a terminal shows of what was written to it: carriage return and "erase line" understood, styles left out.
fn screen(text: &str) -> Vec<String> {
    let text = text.replace("\x1b[2m", "").replace("\x1b[0m", "");
    let line = |line: &str| line.rsplit("\r\x1b[2K").next().unwrap_or_default().to_owned();
    text.split('\n').map(line).collect()
}

#[test]
fn a_terminal_ends_with_the_finals_alone_and_shows_every_partial_on_the_way() {
    let (text, printed) = play(Display::Live(80));
    for partial in ["… good", "… good morning", "… good morning and"] {
        assert!(
            text.contains(&format!("\r\x1b[2K\x1b[2m         {partial}\x1b[0m")),
            "{partial} is not seen"
        );
    }
    let lines = screen(&text);
    assert!(lines.iter().all(|line| !line.contains('…')), "{lines:#?}");
    let (log, _) = play(Display::Log);
    let kept: Vec<&str> = log.split('\n').filter(|line| !line.contains('…')).collect();
    assert_eq!(lines, kept);
    assert!(printed[1] && printed[4], "speech and every partial are shown");
}

#[test]
fn a_partial_stays_on_the_last_line_whatever_is_printed_above_it() {
    let mut terminal = Terminal::new(Vec::new(), Display::Live(30));
    let long = ToClient::WordsPartial {
        id: 1,
        segment: 0,
        at_us: 0,
        words: words("this is much too long for a line"),
    };
    terminal.take(&long, Moment::ZERO).unwrap();
    terminal.take(&picture(2, true), Moment::ZERO).unwrap();
    let text = String::from_utf8(terminal.out).unwrap();
    let lines = screen(&text);
    assert_eq!(lines.last().map(String::as_str), Some("         … oo long for a line"));
    assert_eq!(lines.len(), 2);
}

#[test]
fn finals_are_waited_for_until_their_latency_came() {
    let mut terminal = Terminal::new(Vec::new(), Display::Log);
    let last = |id, text: &str| ToClient::WordsFinal {
        id,
        segment: 0,
        at_us: 0,
        words: words(text),
    };
    assert!(!terminal.waiting());
    terminal
        .take(&ToClient::SpeechStarted { id: 1, at_us: 0 }, Moment::ZERO)
        .unwrap();
    assert!(terminal.waiting());
    assert!(terminal.take(&last(2, "good"), Moment::ZERO).unwrap());
    assert!(terminal.waiting());
    terminal
        .take(&latency(2, "words.final", &[("vad", 1)]), Moment::ZERO)
        .unwrap();
    assert!(!terminal.waiting());
}

#[test]
fn finals_without_words_are_told_only_where_words_were_shown_before() {
    for display in [Display::Log, Display::Live(80)] {
        let mut terminal = Terminal::new(Vec::new(), display);
        let none = |id| ToClient::WordsFinal {
            id,
            segment: 0,
            at_us: 0,
            words: vec![],
        };
        terminal
            .take(&ToClient::SpeechStarted { id: 1, at_us: 0 }, Moment::ZERO)
            .unwrap();
        assert!(!terminal.take(&none(2), Moment::ZERO).unwrap());
        assert!(!terminal.waiting());
        let partial = ToClient::WordsPartial {
            id: 3,
            segment: 1,
            at_us: 0,
            words: words("good"),
        };
        terminal.take(&partial, Moment::ZERO).unwrap();
        assert!(terminal.take(&none(4), Moment::ZERO).unwrap());
    }
}

#[test]
fn a_flood_of_events_is_forgotten_not_kept() {
    let mut terminal = Terminal::new(io::sink(), Display::Log);
    for id in 0..10_000 {
        terminal
            .take(&ToClient::SpeechStopped { id, at_us: i64::MIN }, Moment::ZERO)
            .unwrap();
    }
    assert!(terminal.pending.len() <= PENDING);
}

#[test]
fn the_level_stands_before_the_words_under_way_and_leaves_no_trace() {
    let mut terminal = Terminal::new(Vec::new(), Display::Live(60));
    terminal.level(0.0).unwrap();
    terminal.level(0.0).unwrap();
    let partial = |id, text| ToClient::WordsPartial {
        id,
        segment: 0,
        at_us: 0,
        words: words(text),
    };
    terminal.take(&partial(1, "good"), Moment::ZERO).unwrap();
    terminal.level(0.1).unwrap();
    terminal.level(f32::NAN).unwrap();
    terminal.level(1.0).unwrap();
    terminal.note("the microphone is \x1b[2Jgone").unwrap();
    terminal.finish(&[]).unwrap();
    let text = String::from_utf8(std::mem::take(&mut terminal.out)).unwrap();
    assert_eq!(
        text.matches("▯▯▯▯▯▯▯▯ ").count(),
        3,
        "once alone, once before the words, once for what is no number"
    );
    assert!(
        text.contains("▮▮▮▮▮▮▯▯ … good") && text.contains("▮▮▮▮▮▮▮▮ … good"),
        "{text}"
    );
    let left = screen(&text).join("\n");
    assert!(!left.contains('▮') && !left.contains('▯'), "{left}");
    assert!(left.contains("the microphone is [2Jgone"), "{left}");
}

#[test]
fn a_log_has_no_level() {
    let mut terminal = Terminal::new(Vec::new(), Display::Log);
    terminal.level(0.5).unwrap();
    assert!(terminal.out.is_empty());
}
