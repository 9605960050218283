//! Which engine runs next: one policy for all sessions of a process, in both hosts.
//!
//! Listening has workers of its own, hearing goes before seeing, and seeing never takes the last of several workers, so that sound
//! always finds one free. What is heard goes in the order in which links would lose it. In the other lanes what can't be shed goes first, then value for what is
//! still to be spent; one turn in eight goes to whoever waits longest, so nobody starves, and first results and continuations have
//! queues of their own. In all of them sessions that had far more than their part go behind the others. `docs/deadlines.md` says
//! why, and what it is worth.

mod cost;
mod queue;
mod share;
mod strain;
#[cfg(test)]
mod tests;

use crate::gate::{Budget, Late};
use crate::time::{Moment, Span};

pub use cost::{Costs, Service};
use queue::{Claim, Order, Queue};
pub use queue::{MORE, OLDEST};
pub use share::Member;
use share::Shares;
use strain::Watch;
pub use strain::{Gauge, Strain};

/// Where a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// On the session's own task: quick stages and sinks.
    Quick,
    /// On threads of its own beside the engine threads: what looks at all sound as it comes, in slices too short to wait for a
    /// recogniser's.
    Listen,
    /// On an engine thread, ahead of everything else.
    Hear,
    /// On an engine thread, behind hearing.
    See,
    /// On threads of its own beside the engine threads: slices so long that they would hold the others up.
    Think,
    /// On threads of its own beside the engine threads: what is made for people's eyes alone. It takes a processor that
    /// nothing else wants.
    Show,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Lane; 6] = [
        Lane::Quick,
        Lane::Listen,
        Lane::Hear,
        Lane::See,
        Lane::Think,
        Lane::Show,
    ];
}

/// Who takes work out of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Crew {
    /// Those that listen.
    Listeners,
    /// The engine threads: what is heard and seen.
    Engines,
    /// Those that think.
    Thinkers,
    /// Those that show.
    Showers,
}

impl Crew {
    /// Every crew.
    pub const ALL: [Crew; 4] = [Crew::Listeners, Crew::Engines, Crew::Thinkers, Crew::Showers];

    /// Who works in a lane under a policy: all in one crew, except under ours.
    pub const fn of(policy: Policy, lane: Lane) -> Crew {
        match (policy, lane) {
            (Policy::Ours, Lane::Listen) => Crew::Listeners,
            (Policy::Ours, Lane::Think) => Crew::Thinkers,
            (Policy::Ours, Lane::Show) => Crew::Showers,
            _ => Crew::Engines,
        }
    }
}

/// By what the next slice is chosen. All but the first are there to be compared with: one queue and one crew for all lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// By lanes, parts, and value for what is still to be spent.
    #[default]
    Ours,
    /// First come, first served.
    Fifo,
    /// The earliest deadline first.
    Edf,
    /// The shortest job first.
    Sjf,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Policy; 4] = [Policy::Ours, Policy::Fifo, Policy::Edf, Policy::Sjf];

    /// The name in tables and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Ours => "ours",
            Policy::Fifo => "fifo",
            Policy::Edf => "edf",
            Policy::Sjf => "sjf",
        }
    }
}

/// Who may come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// Whom the machine has time for without hurting those that are here.
    #[default]
    ByLoad,
    /// Everybody.
    Always,
}

/// Whether what is being worked on has had a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It has not: somebody waits for the first.
    First,
    /// It has, and goes on.
    More,
}

/// What the work of a node may lead to: one of the promises of the drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Prospect {
    /// The outlet's budget and value.
    pub budget: Budget,
    /// How old a unit may be when this node takes it, were there nothing more to spend.
    pub allowance: Span,
    /// The engines that follow on the way.
    pub ahead: Box<[&'static str]>,
}

/// One slice that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Where it runs.
    pub lane: Lane,
    /// Whose it is.
    pub member: Member,
    /// The engine, its configuration, and how far it has come.
    pub service: Service,
    /// When what it works on was captured.
    pub born: Moment,
    /// Until when its link keeps that; [`Moment::MAX`] where no link loses it.
    pub kept: Moment,
    /// What it may lead to.
    pub prospects: &'a [Prospect],
}

/// How a machine stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// What gives way.
    pub strain: Strain,
    /// Processors that hearing takes.
    pub hearing: f64,
    /// Engines that wait.
    pub waiting: usize,
}

/// The engines that have something to do, and the order in which they get a worker.
pub struct Schedule<K> {
    workers: usize,
    policy: Policy,
    seeing: usize,
    /// One for each lane; under the policies that are compared with, the first for all of them.
    queues: [Queue<(Lane, K)>; Lane::ALL.len()],
    costs: Costs,
    shares: Shares,
    expected: usize,
    watch: Watch,
    admission: Admission,
}

impl<K> Schedule<K> {
    /// A schedule for this many workers, at least one.
    pub fn new(workers: usize) -> Schedule<K> {
        Schedule::under(Policy::Ours, workers)
    }
    /// A schedule under a policy.
    pub fn under(policy: Policy, workers: usize) -> Schedule<K> {
        let workers = workers.max(1);
        Schedule {
            workers,
            policy,
            seeing: 0,
            queues: Lane::ALL.map(|lane| Queue::new(Order::of(policy, lane))),
            costs: Costs::default(),
            shares: Shares::new(workers),
            expected: 0,
            watch: Watch::new(workers),
            admission: Admission::ByLoad,
        }
    }
    /// How many workers each crew has for so many engine threads. A quarter listen, because that takes a small part of hearing; as
    /// many think, because what nobody hears and decodes with is theirs; all but one of their number show.
    pub fn hands(&self, crew: Crew) -> usize {
        match crew {
            Crew::Listeners => self.workers.div_ceil(4),
            Crew::Engines | Crew::Thinkers => self.workers,
            Crew::Showers => (self.workers - 1).max(1),
        }
    }
    /// Its policy.
    pub fn policy(&self) -> Policy {
        self.policy
    }
    /// What gives way now, for whoever does the work.
    pub fn gauge(&self) -> &Gauge {
        self.watch.gauge()
    }
    /// How the machine stands.
    pub fn load(&self) -> Load {
        Load {
            strain: self.gauge().read(),
            hearing: self.watch.hearing(),
            waiting: self.queues.iter().map(Queue::len).sum(),
        }
    }

    /// Whether one more session finds room without hurting those that are here; otherwise when to ask again.
    pub fn admit(&mut self, now: Moment) -> Result<(), Span> {
        self.look(now);
        match (self.policy, self.admission) {
            (Policy::Ours, Admission::ByLoad) => self.watch.admit(),
            _ => Ok(()),
        }
    }
    /// Says who may come in from now on.
    pub fn set_admission(&mut self, admission: Admission) {
        self.admission = admission;
    }
    /// Somebody who was let in is on the way, and counts as if they were here, until [`Schedule::arrived`].
    pub fn expect(&mut self) {
        self.expected += 1;
        self.count();
    }
    /// Somebody who was on the way is here, or won't come.
    pub fn arrived(&mut self) {
        self.expected = self.expected.saturating_sub(1);
        self.count();
    }
    /// A session comes; sessions of one `user` share a part, where users are known.
    pub fn enter(&mut self, user: Option<u64>) -> Member {
        let member = self.shares.enter(user);
        self.count();
        member
    }
    /// A session is over.
    pub fn leave(&mut self, member: Member) {
        self.shares.leave(member);
        self.count();
    }
    fn count(&mut self) {
        self.watch.holds(self.shares.present() + self.expected);
    }

    /// Queues an engine. The caller queues each at most once, so the queue is bounded by the number of engines. Answers with the
    /// age beyond which a unit of that engine comes too late for everything that it may lead to; never, where any of that is
    /// delivered however late.
    pub fn push(&mut self, now: Moment, task: Task<'_>, key: K) -> Span {
        self.look(now);
        let own = self.costs.of(now, task.service);
        let known = self.policy == Policy::Ours;
        let mut best = self.bare(now, &task, own);
        // A decoder works for all that is seen of a session, and on whole groups of pictures: what comes of a single one, and what
        // that takes, is for those after it to weigh.
        let decodes = known && task.lane == Lane::See;
        let (mut highest, mut patience) = (-1.0, Span::ZERO);
        for prospect in task.prospects {
            let ahead = match decodes {
                true => Span::ZERO,
                false => self.costs.ahead(now, &prospect.ahead),
            };
            let remaining = own + ahead;
            let deadline = task.born + prospect.allowance;
            let forgives = prospect.budget.late == Late::Deliver;
            let spent_by = if known { remaining } else { Span::ZERO };
            patience = match forgives {
                true => Span::MAX,
                false => patience.max(prospect.allowance - spent_by),
            };
            let in_time = now + spent_by <= deadline;
            let density = match in_time || forgives {
                true => f64::from(prospect.budget.value) / remaining.secs_f64().max(1e-6),
                false => 0.0,
            };
            best.deadline = best.deadline.min(deadline);
            if density > highest {
                highest = density;
                best.remaining = remaining;
                best.value = prospect.budget.value;
            }
        }
        if decodes {
            // All of them take the same.
            best.remaining = Span::from_secs(1);
        }
        best.may_be_shed = patience < Span::MAX && !task.prospects.is_empty();
        let queue = if known { task.lane } else { Lane::Quick };
        self.queues[queue as usize].push(best, (task.lane, key));
        if task.prospects.is_empty() { Span::MAX } else { patience }
    }

    /// A claim before anything is known of what it may lead to.
    fn bare(&self, now: Moment, task: &Task<'_>, own: Span) -> Claim {
        Claim {
            since: now,
            deadline: Moment::MAX,
            kept: task.kept,
            remaining: own,
            value: 0.0,
            band: match self.policy {
                Policy::Ours => self.shares.band(now, task.member, task.lane),
                _ => 0,
            },
            may_be_shed: false,
            // A decoder that loses a picture loses all up to the next that stands alone. So, where not all can be decoded, those who
            // came first are decoded whole, and not everybody in part.
            seniority: match task.lane {
                Lane::See => self.shares.seniority(task.member),
                _ => 0,
            },
            phase: task.service.phase,
        }
    }

    /// The engine for one of a crew who just became free. Every `Lane::See` handed out is given back with [`Schedule::done`].
    pub fn pop(&mut self, now: Moment, crew: Crew) -> Option<(Lane, K)> {
        // Before anything changes: what is seen at a tick is what waited then, whoever comes first after it.
        self.look(now);
        let (claim, next) = match (self.policy, crew) {
            (Policy::Ours, Crew::Listeners) => self.queues[Lane::Listen as usize].pop(),
            (Policy::Ours, Crew::Engines) => self.hear_or_see(),
            (Policy::Ours, Crew::Thinkers) => self.queues[Lane::Think as usize].pop(),
            (Policy::Ours, Crew::Showers) => self.queues[Lane::Show as usize].pop(),
            (_, Crew::Engines) => self.queues[Lane::Quick as usize].pop(),
            (_, Crew::Listeners | Crew::Thinkers | Crew::Showers) => None,
        }?;
        self.watch.waited(next.0, now - claim.since);
        Some(next)
    }

    fn hear_or_see(&mut self) -> Option<(Claim, (Lane, K))> {
        if let Some(next) = self.queues[Lane::Hear as usize].pop() {
            return Some(next);
        }
        if self.seeing >= (self.workers - 1).max(1) {
            return None;
        }
        let next = self.queues[Lane::See as usize].pop()?;
        self.seeing += 1;
        Some(next)
    }

    /// A slice is over, after so long; of no member where its session was gone before it began.
    pub fn done(&mut self, now: Moment, lane: Lane, member: Option<Member>, took: Span) {
        self.look(now);
        if lane == Lane::See && self.policy == Policy::Ours {
            self.seeing = self.seeing.saturating_sub(1);
        }
        if matches!(lane, Lane::Listen | Lane::Hear) {
            self.watch.heard(took);
        }
        if let Some(member) = member {
            self.shares.took(now, member, lane, took);
        }
    }

    /// Learns what one unit took, all of its slices together.
    pub fn learn(&mut self, now: Moment, work: Service, took: Span) {
        self.costs.learn(now, work, took);
    }

    fn look(&mut self, now: Moment) {
        if self.policy != Policy::Ours || !self.watch.is_due(now) {
            return;
        }
        // At the tick that has passed, not at the moment of whatever brought this up: so lanes have no part in each other's looks.
        let tick = self.watch.tick(now);
        // Who is never served waits as well.
        for lane in Lane::ALL {
            if let Some(since) = self.queues[lane as usize].oldest() {
                self.watch.waited(lane, tick - since);
            }
        }
        self.watch.look(tick);
    }
}
