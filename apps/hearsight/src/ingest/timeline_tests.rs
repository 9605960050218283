use super::*;

const VIDEO_RATE: u32 = 90_000;
const UNIX: Span = Span::from_secs(1_790_000_000);

/// A sender with two RTP clocks started at random points, a wall clock, and a network of random delay.
struct Sender {
    random: fastrand::Rng,
    sound_base: u32,
    picture_base: u32,
    /// Capture of media time zero on our clock.
    start: Moment,
    /// Server moment minus the sender's unix time.
    offset: Span,
}

impl Sender {
    fn new(seed: u64) -> Sender {
        let mut random = fastrand::Rng::with_seed(seed);
        // Near the wrap in half of the cases.
        let base = |random: &mut fastrand::Rng| {
            if random.bool() {
                u32::MAX - random.u32(0..200_000)
            } else {
                random.u32(..)
            }
        };
        let (sound_base, picture_base) = (base(&mut random), base(&mut random));
        let start = Moment::from_millis(random.i64(0..1_000_000));
        Sender {
            sound_base,
            picture_base,
            start,
            offset: Moment::ZERO - (Moment::ZERO + UNIX),
            random,
        }
    }
    fn base(&self, track: Track) -> (u32, u32) {
        match track {
            Track::Sound => (self.sound_base, SOUND_RATE),
            Track::Picture => (self.picture_base, VIDEO_RATE),
        }
    }
    fn rtp(&self, track: Track, captured: Span) -> (u32, u32) {
        let (base, rate) = self.base(track);
        (base.wrapping_add(captured.samples(rate) as u32), rate)
    }
    fn unix(&self, captured: Span) -> Span {
        (self.start + captured) - Moment::ZERO - self.offset
    }
    fn arrival(&mut self, captured: Span) -> Moment {
        self.start + captured + Span::from_micros(self.random.i64(1_000..60_000))
    }
}

fn close(span: Span, limit: Span) -> bool {
    within(span, limit)
}

#[test]
fn sound_never_jumps_whatever_the_wraps_and_the_delays() {
    for seed in 0..64 {
        let mut sender = Sender::new(seed);
        let mut timeline = Timeline::default();
        let mut last: Option<MediaTime> = None;
        for i in 0..20_000i64 {
            let captured = Span::from_millis(20) * i;
            if sender.random.u32(0..200) == 0 {
                let (rtp, _) = sender.rtp(Track::Sound, captured);
                let wrong = Span::from_millis(sender.random.i64(-9_000..9_000));
                timeline.report(Track::Sound, sender.unix(captured) + wrong, rtp);
                timeline.clock_offset(sender.offset);
            }
            let (rtp, rate) = sender.rtp(Track::Sound, captured);
            let arrived = sender.arrival(captured);
            let at = timeline.place(Track::Sound, rtp, rate, arrived).at;
            if let Some(last) = last {
                assert_eq!(at - last, Span::from_millis(20), "seed {seed}, packet {i}");
            }
            last = Some(at);
        }
    }
}

#[test]
fn pictures_move_onto_the_sound_once_both_have_reported_and_captures_are_exact() {
    for seed in 0..64 {
        let mut sender = Sender::new(seed);
        let mut timeline = Timeline::default();
        let mut sound_zero = None;
        let report_at = Span::from_millis(sender.random.i64(0..3_000));
        let early = sender.random.bool();
        if early {
            for track in [Track::Sound, Track::Picture] {
                let (rtp, _) = sender.rtp(track, Span::ZERO);
                timeline.report(track, sender.unix(Span::ZERO), rtp);
            }
        }
        timeline.clock_offset(sender.offset);
        let mut reported = early;
        for i in 0..500i64 {
            let captured = Span::from_millis(20) * i;
            let arrived = sender.arrival(captured);
            let (rtp, rate) = sender.rtp(Track::Sound, captured);
            let sound = timeline.place(Track::Sound, rtp, rate, arrived);
            let zero = *sound_zero.get_or_insert(sound.at - captured);
            if !reported && captured >= report_at {
                for track in [Track::Sound, Track::Picture] {
                    let (rtp, _) = sender.rtp(track, captured);
                    timeline.report(track, sender.unix(captured), rtp);
                }
                reported = true;
            }
            let arrived = sender.arrival(captured);
            let (rtp, rate) = sender.rtp(Track::Picture, captured);
            let picture = timeline.place(Track::Picture, rtp, rate, arrived);
            if reported {
                assert!(
                    close(picture.at - zero - captured, Span::from_micros(50)),
                    "seed {seed}, picture {i}"
                );
                assert!(picture.measured);
                assert!(close(picture.born - (sender.start + captured), Span::from_micros(50)));
            } else {
                assert!(!picture.measured && !sound.measured);
                assert_eq!(picture.born, arrived);
                assert!(close(picture.at - zero - captured, Span::from_millis(120)));
            }
            assert!(picture.born <= arrived);
        }
    }
}

#[test]
fn a_drifting_sender_clock_keeps_the_tracks_together() {
    let mut sender = Sender::new(7);
    let mut timeline = Timeline::default();
    timeline.clock_offset(sender.offset);
    // The camera's RTP clock runs 200 parts per million fast; reports follow it every second, for half an hour.
    let fast = |span: Span| span + Span::from_nanos(span.nanos() / 5_000);
    let mut zero = None;
    for i in 0..90_000i64 {
        let captured = Span::from_millis(20) * i;
        let arrived = sender.arrival(captured);
        let (sound_rtp, rate) = sender.rtp(Track::Sound, captured);
        let at = timeline.place(Track::Sound, sound_rtp, rate, arrived).at;
        let zero = *zero.get_or_insert(at - captured);
        let (picture_rtp, rate) = sender.rtp(Track::Picture, fast(captured));
        if i % 50 == 0 {
            timeline.report(Track::Sound, sender.unix(captured), sound_rtp);
            timeline.report(Track::Picture, sender.unix(captured), picture_rtp);
        }
        let picture = timeline.place(Track::Picture, picture_rtp, rate, arrived);
        if i > 50 {
            assert!(
                close(picture.at - zero - captured, Span::from_millis(1)),
                "after {captured}"
            );
        }
    }
}

#[test]
fn reordered_units_keep_their_own_place() {
    for seed in 0..32 {
        let mut sender = Sender::new(seed);
        let mut timeline = Timeline::default();
        let mut zero = None;
        for i in 0..2_000i64 {
            // Pairs swapped at random: both come out where they belong.
            let swapped = if i > 0 && sender.random.bool() { i - 1 } else { i };
            let captured = Span::from_millis(20) * swapped;
            let arrived = sender.start + Span::from_millis(20) * i + Span::from_millis(30);
            let (rtp, rate) = sender.rtp(Track::Sound, captured);
            let at = timeline.place(Track::Sound, rtp, rate, arrived).at;
            let zero = *zero.get_or_insert(at - captured);
            assert_eq!(at, zero + captured, "seed {seed}");
        }
    }
}

#[test]
fn a_new_source_on_the_track_carries_on_where_the_old_one_was() {
    let mut timeline = Timeline::default();
    let start = Moment::from_millis(5);
    timeline.place(Track::Sound, 1_000, SOUND_RATE, start);
    timeline.report(Track::Sound, UNIX, 1_000);
    timeline.clock_offset(start - Moment::ZERO - UNIX);
    assert!(
        timeline
            .place(Track::Sound, 1_960, SOUND_RATE, start + Span::from_millis(20))
            .measured
    );
    let next = timeline.place(Track::Sound, 3_000_000_000, SOUND_RATE, start + Span::from_millis(40));
    assert_eq!(next.at, MediaTime::from_millis(40));
    assert!(!next.measured, "the old source's report says nothing about the new one");
}

#[test]
fn nonsense_never_panics_and_never_places_a_birth_after_the_arrival() {
    for seed in 0..64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut timeline = Timeline::default();
        for _ in 0..2_000 {
            let track = if random.bool() { Track::Sound } else { Track::Picture };
            match random.u32(0..4) {
                0 => timeline.report(track, Span::from_nanos(random.i64(..)), random.u32(..)),
                1 => timeline.clock_offset(Span::from_nanos(random.i64(..))),
                _ => {
                    let arrived = Moment::from_nanos(random.i64(0..i64::MAX / 2));
                    let rate = [0, 1, 48_000, 90_000][random.usize(0..4)];
                    let placed = timeline.place(track, random.u32(..), rate, arrived);
                    assert!(placed.born <= arrived);
                    assert!(placed.measured || placed.born == arrived);
                }
            }
        }
    }
}
