//! One session on the ingest thread: its `str0m` stack, from the first check to the goodbye, and the part that it plays.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearsight_live::clock::Clock;
use str0m::net::Receive;
use str0m::{Event, IceConnectionState, Input, Output, Rtc};

use super::fragment::Credentials;
use super::ice;
use super::mailbox::{Mailbox, locked};
use super::reactor::{Io, Restarted};
use super::sdp::Way;
use super::stats::Permit;
use super::{Config, Left, SessionId};

/// How long a lost ICE connection may take to come back.
const RECONNECT: Duration = Duration::from_secs(10);

/// Errors in one step after which a session is beyond help.
const MAX_ERRORS_PER_STEP: u32 = 32;

/// What a step leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Step again at this instant at the latest.
    At(Instant),
    /// The session is over.
    Over(Left),
}

/// What a client does in its session, besides being connected.
pub(super) trait Part: Send {
    /// The stack has an event.
    fn event(&mut self, now: Instant, event: Event, stack: &mut Stack);
    /// Does one thing that waits to be done. True when there was something, and the stack wants to be polled.
    fn work(&mut self, now: Instant, stack: &mut Stack) -> bool;
    /// When there is something to do that nothing else brings about.
    fn due(&self, now: Instant) -> Option<Instant>;
    /// Whether there is nothing more to do.
    fn is_over(&self) -> bool {
        false
    }
    /// The session is over. Nothing follows.
    fn left(&mut self, why: Left);
}

/// A session's WebRTC stack, and what its part needs beside it.
pub(super) struct Stack {
    pub(super) rtc: Rtc,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) clock: Clock,
    permit: Permit,
    state: State,
}

impl Stack {
    pub(super) fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            self.refused();
        }
    }

    /// Counts what the stack did not take.
    pub(super) fn refused(&self) {
        self.mailbox.counters.errors.one();
        self.permit.counters().errors.one();
    }
}

pub(super) struct Session {
    stack: Stack,
    part: Box<dyn Part>,
    silence: Duration,
    heard: Instant,
    consent: Duration,
    /// When the client last showed that it wants to hear from us.
    consented: Instant,
    /// The offer, for restarts of ICE.
    offer: Box<str>,
    way: Way,
    /// Where the client was last.
    client: Option<SocketAddr>,
    left: bool,
}

/// How far the session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting {
        by: Instant,
    },
    Connected,
    Disconnected {
        since: Instant,
    },
    /// The client closed; drained once more, it is over.
    Closed,
}

impl Session {
    pub(super) fn new(
        (rtc, offer, way): (Rtc, Box<str>, Way),
        part: Box<dyn Part>,
        mailbox: Arc<Mailbox>,
        permit: Permit,
        config: &Config,
        clock: Clock,
        now: Instant,
    ) -> Session {
        let state = State::Connecting {
            by: now + config.connect_timeout.to_duration(),
        };
        Session {
            stack: Stack {
                rtc,
                mailbox,
                clock,
                permit,
                state,
            },
            part,
            silence: config.silence_timeout.to_duration(),
            heard: now,
            consent: config.consent_timeout.to_duration(),
            consented: now,
            offer,
            way,
            client: None,
            left: false,
        }
    }

    pub(super) fn id(&self) -> SessionId {
        self.stack.mailbox.id
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.stack.mailbox
    }

    /// The name by which clients' STUN requests address this session.
    pub(super) fn ufrag(&mut self) -> String {
        self.stack.rtc.direct_api().local_ice_credentials().ufrag
    }

    /// Begins another ICE generation; none: it failed, and the old one goes on.
    pub(super) fn restart(&mut self, theirs: Credentials) -> Option<Restarted> {
        let mailbox = self.stack.mailbox.clone();
        let mut generation = locked(&mailbox.generation);
        match ice::restart(
            &mut self.stack.rtc,
            (&self.offer, self.way),
            generation.theirs(),
            &theirs,
        ) {
            Some(ours) => {
                generation.restarted(ours.ufrag.clone(), theirs);
                Some(Restarted {
                    ours,
                    client: self.client,
                })
            }
            None => {
                generation.failed();
                None
            }
        }
    }

    /// Takes a datagram of `bytes` bytes.
    pub(super) fn receive(&mut self, now: Instant, datagram: Receive<'_>, bytes: usize) {
        self.stack.mailbox.counters.received_bytes.add(bytes as u64);
        self.input(Input::Receive(now, datagram), now);
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        self.stack.tick(now);
    }

    /// Polls until nothing is left to do, and says when to come back.
    pub(super) fn drain(&mut self, now: Instant, io: &mut Io) -> Next {
        let mut errors = 0;
        loop {
            match self.stack.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    self.stack
                        .mailbox
                        .counters
                        .sent_bytes
                        .add(transmit.contents.len() as u64);
                    if is_check_answer(&transmit.contents) {
                        self.consented = now;
                        self.client = Some(transmit.destination);
                    }
                    io.send(now, self.stack.mailbox.id, transmit.destination, &transmit.contents);
                }
                Ok(Output::Event(event)) => self.event(now, event),
                Ok(Output::Timeout(at)) => {
                    if self.part.work(now, &mut self.stack) {
                        continue;
                    }
                    return self.next(now, at);
                }
                Err(_) if errors < MAX_ERRORS_PER_STEP => {
                    errors += 1;
                    self.stack.refused();
                }
                Err(_) => return Next::Over(Left::Failed),
            }
        }
    }

    /// Whether the client may be sent anything: it showed lately that it wants to hear from us (RFC 7675 section 5.1).
    pub(super) fn consents(&self, now: Instant) -> bool {
        now < self.consented + self.consent
    }

    /// Says goodbye to the client.
    pub(super) fn say_goodbye(&mut self, now: Instant, io: &mut Io) {
        if self.stack.rtc.close().is_ok() {
            self.drain(now, io);
            self.tick(now);
            self.drain(now, io);
        }
    }

    /// Tells the peer that it is over, once.
    pub(super) fn end(&mut self, why: Left) {
        self.stack.rtc.disconnect();
        self.stack.mailbox.end();
        if !std::mem::replace(&mut self.left, true) {
            self.part.left(why);
        }
    }

    fn input(&mut self, input: Input<'_>, now: Instant) {
        match self.stack.rtc.handle_input(input) {
            Ok(()) => self.heard = now,
            // A bad packet is the packet's fault: it is counted, and the session goes on.
            Err(_) => self.stack.refused(),
        }
    }

    fn next(&mut self, now: Instant, rtc: Instant) -> Next {
        let silent = (self.heard + self.silence).min(self.consented + self.consent);
        let own = match self.stack.state {
            // Who says goodbye closes the connection next, and both may be met in one turn.
            _ if self.stack.mailbox.open().dismissed => return Next::Over(Left::Dismissed),
            State::Closed => return Next::Over(Left::Closed),
            _ if self.part.is_over() => return Next::Over(Left::Dismissed),
            _ if !self.stack.rtc.is_alive() => return Next::Over(Left::Closed),
            State::Connecting { by } if now >= by => return Next::Over(Left::NeverConnected),
            State::Connecting { by } => by,
            State::Connected => silent,
            State::Disconnected { since } => silent.min(since + RECONNECT),
        };
        if now >= own {
            return Next::Over(Left::Silent);
        }
        Next::At(self.part.due(now).into_iter().fold(rtc.min(own), Instant::min))
    }

    fn event(&mut self, now: Instant, event: Event) {
        match &event {
            Event::Connected => {
                self.stack.permit.connected();
                self.stack.state = State::Connected;
            }
            Event::IceConnectionStateChange(state) => self.ice(now, *state),
            Event::Closed => self.stack.state = State::Closed,
            _ => {}
        }
        self.part.event(now, event, &mut self.stack);
    }

    fn ice(&mut self, now: Instant, ice: IceConnectionState) {
        self.stack.state = match self.stack.state {
            State::Connected if ice == IceConnectionState::Disconnected => State::Disconnected { since: now },
            State::Disconnected { .. } if ice.is_connected() => State::Connected,
            state => state,
        };
    }
}

/// Whether a datagram of ours answers a connectivity check: only an authentic one is answered with success, so that each
/// renews the client's consent (RFC 7675 section 5.1; an ICE-lite agent asks for none itself).
fn is_check_answer(datagram: &[u8]) -> bool {
    const BINDING_SUCCESS: [u8; 2] = [1, 1];
    datagram.starts_with(&BINDING_SUCCESS)
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end(Left::Shutdown);
    }
}
