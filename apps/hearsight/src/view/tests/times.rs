//! Which moment is shown when.

use super::*;

/// A sender, and the way from it.
struct Sender {
    fps: f64,
    /// Its clock runs faster than ours by so much.
    drift: f64,
    jitter: Span,
    loss: f64,
}

impl Sender {
    fn steady(fps: f64) -> Sender {
        Sender {
            fps,
            drift: 0.0,
            jitter: Span::ZERO,
            loss: 0.0,
        }
    }

    /// What comes of it in so many seconds: pictures in order, and a gap for what was lost.
    fn pictures(&self, random: &mut fastrand::Rng, seconds: f64) -> Vec<Event> {
        let (mut events, mut before, mut lost) = (Vec::new(), Moment::ZERO, false);
        for n in 0..(seconds * self.fps) as i64 {
            let sent = Span::from_nanos((n as f64 / self.fps * 1e9) as i64);
            let at = MediaTime::ZERO + Span::from_nanos((sent.nanos() as f64 * (1.0 + self.drift)) as i64);
            let late = Span::from_nanos(random.i64(0..=self.jitter.nanos()));
            if random.f64() < self.loss {
                lost = true;
                continue;
            }
            let came = (Moment::from_millis(40) + sent + late).max(before);
            before = came;
            if std::mem::take(&mut lost) {
                events.push((came, gap()));
            }
            events.push((came, Signal::Item(unit(came, at, moving(n)))));
        }
        events
    }
}

fn steps(seen: &[(Moment, Stamped<Shown>)]) -> impl Iterator<Item = Span> {
    seen.windows(2).map(|pair| pair[1].1.at - pair[0].1.at)
}

#[test]
fn a_steady_sender_is_shown_at_twice_its_rate_evenly() {
    for (fps, shown) in [
        (10.0, 20.0),
        (15.0, 30.0),
        (24.0, 48.0),
        (25.0, 50.0),
        (30.0, 60.0),
        (29.97, 59.94),
        (50.0, 50.0),
        (60.0, 60.0),
    ] {
        let mut view = Watched::new(STYLE);
        let mut random = fastrand::Rng::with_seed(0);
        let events = Sender::steady(fps).pictures(&mut random, 4.0);
        let (came, last) = (events.len(), events[events.len() - 1].0);
        let mut seen = view.play(events, nothing);
        // What follows the last picture is led on and held.
        seen.retain(|(when, _)| *when <= last);
        assert!(count(&seen, Origin::Received) >= came - 2, "{fps}");
        assert_eq!(
            count(&seen, Origin::Extrapolated) + count(&seen, Origin::Held),
            0,
            "{fps}"
        );
        // Until two pictures came nobody knows the rate.
        let settled = &seen[8..];
        let period = 1e9 / shown;
        for step in steps(settled) {
            assert!(
                (step.nanos() as f64 - period).abs() < 2_000.0,
                "{fps}: a step of {step}"
            );
        }
        let made = count(settled, Origin::Made) as f64 / settled.len() as f64;
        let expected = 1.0 - fps / shown;
        assert!((made - expected).abs() < 0.02, "{fps}: {made} made");
    }
}

#[test]
fn every_display_moment_is_one_thing_whatever_the_network_does() {
    for seed in 0..24 {
        let mut random = fastrand::Rng::with_seed(seed);
        let sender = Sender {
            fps: *random.choice(&[24.0, 25.0, 30.0, 60.0, 12.5]).expect("some"),
            drift: random.f64() * 2e-3 - 1e-3,
            jitter: Span::from_millis(random.i64(0..30)),
            loss: random.f64() * 0.2,
        };
        let mut view = Watched::new(STYLE);
        let events = sender.pictures(&mut random, 8.0);
        let came = events
            .iter()
            .filter(|(_, signal)| matches!(signal, Signal::Item(_)))
            .count();
        let last = events[events.len() - 1].0;
        let mut seen = view.play(events, nothing);
        seen.retain(|(when, _)| *when <= last);
        let replaced: u32 = view
            .lost
            .iter()
            .filter(|gap| gap.stage.is_empty())
            .map(|gap| gap.count)
            .sum();
        let received = count(&seen, Origin::Received);
        assert!(
            received + replaced as usize + MOST_WAITING >= came && received + replaced as usize <= came,
            "seed {seed}: {came} came, {received} were shown, {replaced} were not"
        );
        let period = 1.0 / sender.fps;
        for step in steps(&seen[8..]) {
            assert!(
                step > Span::ZERO && step.secs_f64() < 1.5 * period,
                "seed {seed}: a step of {step}"
            );
        }
        let mut led_on = Span::ZERO;
        for (_, unit) in &seen {
            let held = unit.item.origin == Origin::Held;
            assert_eq!(unit.item.picture.is_none(), held);
            led_on = match unit.item.origin {
                Origin::Extrapolated => led_on + unit.item.state.period,
                Origin::Received | Origin::Made => Span::ZERO,
                Origin::Held => led_on,
            };
            assert!(led_on.secs_f64() <= 1.2 * period, "seed {seed}: led on for {led_on}");
        }
    }
}

/// Pictures that wait for their moment when the last one comes.
const MOST_WAITING: usize = 5;

#[test]
fn a_drifting_clock_moves_the_delay_nowhere() {
    for drift in [-1e-3, 1e-3] {
        let sender = Sender {
            drift,
            jitter: Span::from_millis(4),
            ..Sender::steady(30.0)
        };
        let mut view = Watched::new(STYLE);
        let seen = view.play(sender.pictures(&mut fastrand::Rng::with_seed(1), 90.0), nothing);
        for (when, unit) in &seen[..seen.len() - 70] {
            if unit.item.origin == Origin::Received {
                let waited = *when - unit.born;
                assert!(waited <= Span::from_millis(28), "{drift}: a picture waited {waited}");
            }
        }
        let received = count(&seen, Origin::Received);
        assert!(received >= 2_690, "{drift}: {received}");
    }
}

#[test]
fn a_sender_that_changes_its_rate_is_followed() {
    let mut events = Vec::new();
    let (mut came, mut n) = (Moment::from_millis(10), 0);
    for (pictures, interval) in [(60, 33_333), (60, 66_667), (60, 40_000), (3, 900_000), (60, 33_333)] {
        for _ in 0..pictures {
            let at = MediaTime::ZERO + (came - Moment::ZERO);
            events.push((came, Signal::Item(unit(came, at, moving(n)))));
            came += Span::from_micros(interval);
            n += 1;
        }
    }
    let seen = Watched::new(STYLE).play(events, nothing);
    let rate = |from: i64, to: i64| {
        let within = |unit: &Stamped<Shown>| (from..to).contains(&(unit.at.micros() / 1_000));
        seen.iter()
            .filter(|(_, unit)| unit.item.picture.is_some() && within(unit))
            .count()
    };
    assert_eq!(rate(1_000, 2_000), 60);
    assert!((29..=31).contains(&rate(4_000, 5_000)), "{}", rate(4_000, 5_000));
    assert!((49..=51).contains(&rate(7_000, 8_000)), "{}", rate(7_000, 8_000));
    assert_eq!(count(&seen, Origin::Received), n as usize);
}

#[test]
fn a_missing_picture_is_led_on_for_one_interval_and_then_held() {
    let steady = Sender::steady(30.0).pictures(&mut fastrand::Rng::with_seed(0), 4.0);
    // The sender stalls for four pictures, without any sign of loss.
    let events = steady
        .into_iter()
        .enumerate()
        .filter(|(n, _)| !(60..64).contains(n))
        .map(|(_, event)| event);
    let seen = Watched::new(STYLE).play(events, nothing);
    let from = seen
        .iter()
        .position(|(_, unit)| unit.item.origin == Origin::Extrapolated)
        .expect("it is led on");
    let origins: Vec<_> = seen[from..from + 10].iter().map(|(_, unit)| unit.item.origin).collect();
    assert_eq!(origins[..2], [Origin::Extrapolated; 2]);
    // The last of these lies before a picture that came, but too far from the one before it to be known.
    assert_eq!(origins[2..9], [Origin::Held; 7]);
    assert_eq!(origins[9], Origin::Received);
    assert_eq!(
        seen[from + 1].1.born,
        seen[from - 1].1.born,
        "it is born with the last that came"
    );
}

#[test]
fn nothing_is_made_across_a_loss() {
    let steady = Sender::steady(30.0).pictures(&mut fastrand::Rng::with_seed(0), 4.0);
    let mut events = Vec::new();
    for (n, event) in steady.into_iter().enumerate() {
        if n == 60 {
            events.push((event.0, gap()));
        }
        events.push(event);
    }
    let seen = Watched::new(STYLE).play(events, nothing);
    let held: Vec<_> = seen
        .iter()
        .filter(|(_, unit)| unit.item.origin == Origin::Held)
        .collect();
    let at = held[0].1.at;
    assert!((at.micros() - 1_983_333).abs() < 1_000, "held at {at:?}");
}

#[test]
fn what_is_forgotten_is_not_shown() {
    let mut events = Sender::steady(30.0).pictures(&mut fastrand::Rng::with_seed(0), 4.0);
    let flushed = events[60].0 + Span::from_millis(1);
    events.insert(61, (flushed, Signal::Flush(hearsight_core::stage::Why::Seek)));
    let seen = Watched::new(STYLE).play(events, nothing);
    let origins: Vec<_> = seen
        .iter()
        .filter(|(when, _)| *when >= flushed)
        .map(|(_, unit)| unit.item.origin)
        .collect();
    assert_eq!(origins[..2], [Origin::Received; 2], "it begins anew");
}

#[test]
fn nobody_watches_and_nothing_is_done() {
    let screen = Screen::default();
    let mut smooth = Smooth::new(STYLE, Hand::Cpu, screen.clone(), Effort::default());
    let events = Sender::steady(30.0).pictures(&mut fastrand::Rng::with_seed(0), 2.0);
    let mut out = Outbox::default();
    for (now, signal) in events {
        assert_eq!(smooth.run(now, signal, &mut out), Ok(Wake::OnSignal));
    }
    assert!(out.signals().is_empty());
}
