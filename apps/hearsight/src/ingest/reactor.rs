//! The ingest thread: one socket, all sessions, and a wait for whichever comes first: a datagram, a word from another
//! thread, or the next deadline. Never a fixed tick: ticks spoil the senders' bandwidth estimation.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use hearsight_live::clock::Clock;
use mio::{Events, Interest, Poll, Token, Waker};
use str0m::IceCreds;
use str0m::net::{Protocol, Receive};

use super::fragment::Credentials;
use super::mailbox::Hub;
use super::routes::{Learnt, Routes};
use super::session::{Next, Session};
use super::stats::Counters;
use super::{Config, Left, SessionId, addresses};

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// Datagrams per turn, so that deadlines and other threads are never starved by a flood.
const DATAGRAMS_PER_TURN: usize = 256;

/// With nothing to do, look around this often anyway.
const IDLE: Duration = Duration::from_secs(5);

/// Between two turns of a session that asks for the next at once.
const PAUSE: Duration = Duration::from_millis(1);

/// Beyond every deadline: not queued.
const FAR: Duration = Duration::from_secs(1_000_000);

/// The largest datagram that a UDP packet can carry.
const DATAGRAM: usize = 65_536;

/// What other threads ask of this one.
pub(super) enum Command {
    /// Take a session in; say so when the client's first packet may come.
    Add {
        session: Box<Session>,
        ready: SyncSender<()>,
    },
    /// Begin another ICE generation, unless it is `too_late` for those who asked.
    Restart {
        id: SessionId,
        theirs: Credentials,
        too_late: Instant,
        done: SyncSender<Option<Restarted>>,
    },
}

/// Another ICE generation has begun.
#[derive(Debug)]
pub(super) struct Restarted {
    pub(super) ours: IceCreds,
    /// Where the client was last.
    pub(super) client: Option<SocketAddr>,
}

/// The socket and what is needed around it; sessions send through it.
pub(super) struct Io {
    socket: mio::net::UdpSocket,
    local: SocketAddr,
    routes: Routes,
    pub(super) counters: Arc<Counters>,
}

impl Io {
    /// Sends a datagram, and learns that its destination is the session's.
    pub(super) fn send(&mut self, now: Instant, id: SessionId, destination: SocketAddr, datagram: &[u8]) {
        if self.routes.learn(now, destination, id) == Learnt::Contested {
            self.counters.contested.one();
        }
        let sent = self
            .socket
            .send_to(datagram, addresses::for_socket(destination, self.local));
        if sent.is_err() {
            // A full buffer or an unreachable client: for the session it is a lost packet like any other.
            self.counters.unsent.one();
        }
    }
}

struct Entry {
    session: Session,
    /// When the session wants to be stepped.
    due: Instant,
    /// The earliest of its entries in the heap of deadlines.
    queued: Instant,
}

pub(super) struct Reactor {
    poll: Poll,
    io: Io,
    hub: Arc<Hub>,
    clock: Clock,
    candidates: Vec<SocketAddr>,
    sessions: HashMap<SessionId, Entry>,
    deadlines: BinaryHeap<Reverse<(Instant, SessionId)>>,
    buffer: Vec<u8>,
}

impl Reactor {
    pub(super) fn new(
        socket: UdpSocket,
        config: &Config,
        candidates: &[SocketAddr],
        clock: Clock,
        counters: Arc<Counters>,
    ) -> io::Result<(Reactor, Arc<Hub>)> {
        let poll = Poll::new()?;
        let hub = Hub::new(Waker::new(poll.registry(), WAKER)?);
        let local = socket.local_addr()?;
        let mut socket = mio::net::UdpSocket::from_std(socket);
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
        let io = Io {
            socket,
            local,
            routes: Routes::default(),
            counters,
        };
        let reactor = Reactor {
            poll,
            io,
            hub: hub.clone(),
            clock,
            candidates: candidates.to_vec(),
            sessions: HashMap::with_capacity(config.max_sessions.min(1024)),
            deadlines: BinaryHeap::new(),
            buffer: vec![0; DATAGRAM],
        };
        Ok((reactor, hub))
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(8);
        let mut readable = true;
        while !self.hub.stopped() {
            let wait = if readable { Duration::ZERO } else { self.wait() };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    tracing::error!(stage = "ingest", %error, "can't wait for the socket: ingest ends");
                    break;
                }
                _ => {}
            }
            readable |= events.iter().any(|event| event.token() == SOCKET);
            self.take_commands();
            self.take_mail();
            if readable {
                readable = self.receive();
            }
            self.take_deadlines();
        }
        self.stop();
    }

    fn now(&self) -> Instant {
        self.clock.instant_from_moment(self.clock.now())
    }

    fn wait(&self) -> Duration {
        let next = self
            .deadlines
            .peek()
            .map(|Reverse((at, _))| at.saturating_duration_since(self.now()));
        next.unwrap_or(IDLE).min(IDLE)
    }

    fn take_commands(&mut self) {
        for command in self.hub.take_commands() {
            match command {
                Command::Add { session, ready } => {
                    self.add(*session);
                    // The thread that waits may have given up; the session is then dismissed by mail.
                    let _ = ready.try_send(());
                }
                Command::Restart {
                    id,
                    theirs,
                    too_late,
                    done,
                } => {
                    let restarted = (self.now() < too_late).then(|| self.restart(id, theirs)).flatten();
                    let _ = done.try_send(restarted);
                }
            }
        }
    }

    fn add(&mut self, mut session: Session) {
        let (id, now) = (session.id(), self.now());
        self.io.routes.enter(session.ufrag(), id);
        self.hub.enter(session.mailbox().clone());
        self.sessions.insert(
            id,
            Entry {
                session,
                due: now,
                queued: now,
            },
        );
        self.deadlines.push(Reverse((now, id)));
        self.step(id, now, |_| {});
    }

    /// The new name is known before the client hears of it: its first check may come at once.
    fn restart(&mut self, id: SessionId, theirs: Credentials) -> Option<Restarted> {
        let mut restarted = None;
        self.step(id, self.now(), |session| restarted = session.restart(theirs));
        if let Some(restarted) = &restarted {
            self.io.routes.rename(&restarted.ours.ufrag, id);
        }
        restarted
    }

    fn take_mail(&mut self) {
        for id in self.hub.take_mail() {
            let now = self.now();
            self.step(id, now, |_| {});
        }
    }

    /// Takes what the socket has, up to a turn's worth. True when there may be more.
    fn receive(&mut self) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut more = true;
        for _ in 0..DATAGRAMS_PER_TURN {
            match self.io.socket.recv_from(&mut buffer) {
                Ok((length, source)) => self.datagram(addresses::plain(source), &buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    more = false;
                    break;
                }
                // Such as an earlier datagram's ICMP answer: says nothing about this socket.
                Err(_) => {}
            }
        }
        self.buffer = buffer;
        more
    }

    fn datagram(&mut self, source: SocketAddr, datagram: &[u8]) {
        let now = self.now();
        self.io.counters.datagrams.one();
        let Some(destination) = addresses::reached(&self.candidates, source) else {
            return self.io.counters.unroutable.one();
        };
        let Some(id) = self.io.routes.find(now, source, datagram) else {
            return self.io.counters.unroutable.one();
        };
        let unreadable = self.io.counters.clone();
        self.step(id, now, |session| {
            match Receive::new(Protocol::Udp, source, destination, datagram) {
                Ok(receive) => session.receive(now, receive, datagram.len()),
                Err(_) => unreadable.unreadable.one(),
            }
        });
    }

    fn take_deadlines(&mut self) {
        let now = self.now();
        while let Some(Reverse((at, id))) = self.deadlines.peek().copied()
            && at <= now
        {
            self.deadlines.pop();
            let Some(entry) = self.sessions.get_mut(&id) else {
                continue;
            };
            if entry.queued != at {
                continue;
            }
            if entry.due > now {
                entry.queued = entry.due;
                self.deadlines.push(Reverse((entry.due, id)));
                continue;
            }
            // A stack that wants to be stepped at once, again and again, must not hold the thread.
            let earliest = now + PAUSE;
            entry.queued = now + FAR;
            self.step(id, now, |session| session.tick(now));
            let Some(entry) = self.sessions.get_mut(&id) else {
                continue;
            };
            entry.due = entry.due.max(earliest);
            if entry.queued < earliest || entry.queued == now + FAR {
                entry.queued = entry.due;
                self.deadlines.push(Reverse((entry.due, id)));
            }
        }
    }

    /// Does something with a session, drains it, and ends it when it is over. Its panics are its own.
    fn step(&mut self, id: SessionId, now: Instant, act: impl FnOnce(&mut Session)) {
        let Some(entry) = self.sessions.get_mut(&id) else {
            return;
        };
        let io = &mut self.io;
        let next = catch_unwind(AssertUnwindSafe(|| {
            act(&mut entry.session);
            entry.session.drain(now, io)
        }));
        match next {
            Ok(Next::At(at)) => {
                entry.due = at;
                if at < entry.queued {
                    entry.queued = at;
                    self.deadlines.push(Reverse((at, id)));
                }
            }
            Ok(Next::Over(why)) => self.remove(id, now, why),
            Err(_) => {
                self.io.counters.panics.one();
                self.remove(id, now, Left::Failed);
            }
        }
    }

    fn remove(&mut self, id: SessionId, now: Instant, why: Left) {
        let Some(mut entry) = self.sessions.remove(&id) else {
            return;
        };
        let io = &mut self.io;
        let ended = catch_unwind(AssertUnwindSafe(move || {
            if why != Left::Failed && entry.session.consents(now) {
                entry.session.say_goodbye(now, io);
            }
            entry.session.end(why);
        }));
        if ended.is_err() {
            self.io.counters.panics.one();
        }
        self.io.routes.leave(id);
        self.hub.leave(id);
        tracing::debug!(stage = "ingest", session = id.short(), ?why, "the client is gone");
    }

    fn stop(&mut self) {
        let now = self.now();
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            self.remove(id, now, Left::Shutdown);
        }
        drop(self.hub.take_commands());
    }
}
