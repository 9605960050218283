//! Whether packets wait ever longer: bursts, the line through their delays, and a threshold that adapts (draft-ietf-rmcat-gcc-02,
//! sections 4.1 to 4.3, with the line of libwebrtc's trendline estimator in place of the Kalman filter).

use std::collections::VecDeque;

use crate::time::{Moment, Span};

/// Packets that left within this time of the first are one burst.
const BURST: Span = Span::from_millis(5);
/// Bursts that the line goes through.
const POINTS: usize = 20;
/// How much of the delay before stays in the smoothed one.
const SMOOTH: f64 = 0.9;
/// The slope is stretched to the scale of the threshold: bursts so far, at most [`MOST_BURSTS`], times this.
const GAIN: f64 = 4.0;
const MOST_BURSTS: u32 = 60;
/// Milliseconds that the slope must stay above the threshold.
const PERSISTS: f64 = 10.0;
/// The threshold's first value, its bounds, and how fast it follows up and down.
const THRESHOLD: f64 = 12.5;
const BOUNDS: (f64, f64) = (6.0, 600.0);
const FOLLOW: (f64, f64) = (0.0087, 0.039);

/// What the queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Usage {
    /// It grows.
    Over,
    /// Nothing that matters.
    #[default]
    Normal,
    /// It drains.
    Under,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    first: Moment,
    last: Moment,
    arrived: Span,
}

/// The delays of one path.
#[derive(Clone, Debug)]
pub(super) struct Trend {
    open: Option<Burst>,
    closed: Option<Burst>,
    began: Option<Span>,
    delay: f64,
    smooth: f64,
    points: VecDeque<(f64, f64)>,
    bursts: u32,
    threshold: f64,
    over: f64,
    before: f64,
    usage: Usage,
}

impl Default for Trend {
    fn default() -> Trend {
        Trend {
            open: None,
            closed: None,
            began: None,
            delay: 0.0,
            smooth: 0.0,
            points: VecDeque::new(),
            bursts: 0,
            threshold: THRESHOLD,
            over: 0.0,
            before: 0.0,
            usage: Usage::default(),
        }
    }
}

impl Trend {
    /// What was made of it last.
    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// Takes a packet that arrived; what the queue does, where a burst was completed by it.
    pub(super) fn take(&mut self, sent: Moment, arrived: Span) -> Option<Usage> {
        let Some(open) = &mut self.open else {
            self.open = Some(Burst {
                first: sent,
                last: sent,
                arrived,
            });
            return None;
        };
        if sent < open.first {
            // A straggler tells of a queue that was.
            return None;
        }
        if sent - open.first <= BURST {
            open.last = open.last.max(sent);
            open.arrived = open.arrived.max(arrived);
            return None;
        }
        let whole = *open;
        self.open = Some(Burst {
            first: sent,
            last: sent,
            arrived,
        });
        let before = self.closed.replace(whole)?;
        Some(self.step(before, whole))
    }

    fn step(&mut self, before: Burst, burst: Burst) -> Usage {
        let sent = (burst.last - before.last).millis_f64();
        let arrived = (burst.arrived - before.arrived).millis_f64();
        self.bursts = (self.bursts + 1).min(MOST_BURSTS);
        self.delay += arrived - sent;
        self.smooth = SMOOTH * self.smooth + (1.0 - SMOOTH) * self.delay;
        let began = *self.began.get_or_insert(burst.arrived);
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points
            .push_back(((burst.arrived - began).millis_f64(), self.smooth));
        let slope = if self.points.len() == POINTS {
            slope(&self.points)
        } else {
            0.0
        };
        let trend = f64::from(self.bursts) * slope * GAIN;
        self.usage = self.detect(trend, sent);
        self.adapt(trend, arrived.clamp(0.0, 100.0));
        self.before = trend;
        self.usage
    }

    fn detect(&mut self, trend: f64, sent: f64) -> Usage {
        if trend > self.threshold {
            self.over += sent.max(0.0);
            if self.over > PERSISTS && trend >= self.before {
                self.over = 0.0;
                return Usage::Over;
            }
            return if self.usage == Usage::Over {
                Usage::Normal
            } else {
                self.usage
            };
        }
        self.over = 0.0;
        if trend < -self.threshold {
            Usage::Under
        } else {
            Usage::Normal
        }
    }

    /// Far beyond is no measure of what is usual.
    fn adapt(&mut self, trend: f64, millis: f64) {
        let size = trend.abs();
        if size > self.threshold + 15.0 {
            return;
        }
        let follow = if size > self.threshold { FOLLOW.0 } else { FOLLOW.1 };
        self.threshold += follow * (size - self.threshold) * millis;
        self.threshold = self.threshold.clamp(BOUNDS.0, BOUNDS.1);
    }
}

/// The slope of the line of least squares.
fn slope(points: &VecDeque<(f64, f64)>) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points
        .iter()
        .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    let (x, y) = (x / count, y / count);
    let (mut over, mut under) = (0.0, 0.0);
    for point in points {
        over += (point.0 - x) * (point.1 - y);
        under += (point.0 - x).powi(2);
    }
    if under > 0.0 { over / under } else { 0.0 }
}
