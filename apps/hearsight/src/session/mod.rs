//! One session from the inside: what the peer brings goes into a graph, what comes out of the graph is said to the peer.

mod desk;
mod speaker;
mod spending;
mod visit;

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use hearsight_core::graph::{Graph, Source};
use hearsight_core::media::{Codec, Packet, Request};
use hearsight_core::meter::Meter;
use hearsight_core::schedule::Load;
use hearsight_core::stage::{Signal, Why};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{Moment, Span};
use hearsight_live::host::{self, Host};
use tokio::sync::mpsc;

use crate::allocate::{Spender, Terms, Viewers};
use crate::ingest::{Left, Peer, Refusal, Reply, SessionId};
use crate::serve::{Door, Guest, NotAsked};
use crate::tape::{self, Recorder};
use crate::view::{Totals, Views};
use crate::watch::{Asked, NotShown, OnAir, Screen, Screens, View};
use crate::wire::{self, ToClient, ToServer};
use crate::wiring::{self, Audience, Doors, Rooms};

use desk::Desk;
pub use desk::{NOBODY, Said};
pub use speaker::{Line, Speaker};
pub use visit::{Account, Told};
use visit::{Roll, Visit};

/// A session is closed after this many messages that make no sense.
const PATIENCE: u32 = 32;

/// Opens the rooms of a new session, and says who makes its words.
pub type Opener = Box<dyn Fn(&Guest) -> Result<(Rooms, wire::Recogniser), Refusal> + Send + Sync>;

/// Who works in a session, as people are told.
#[derive(Clone)]
pub struct Staff {
    /// Who answers questions about the picture; none: nobody.
    pub answerer: Option<wire::Answerer>,
}

/// All sessions of a server. Must be used within a tokio runtime.
pub struct Sessions {
    host: Host,
    open: Opener,
    staff: Staff,
    roll: Roll,
    screens: Screens,
    /// None where pictures are shown as they come alone.
    views: Option<Views>,
    /// What senders are told of what is worth their bits, unless they choose.
    allocate: Terms,
    /// Waits for the first session: a tape holds one.
    tape: Mutex<Option<(Recorder, usize)>>,
}

impl Sessions {
    /// Sessions on `host`, whose rooms `open` opens, of which others are `told`, and which are shown on `screens`, as `views`
    /// make it of them too; the first is recorded on `tape`, with the number of engine threads.
    pub fn new(
        host: Host,
        staff: Staff,
        open: Opener,
        told: Told,
        screens: Screens,
        views: Option<Views>,
        tape: Option<(Recorder, usize)>,
    ) -> Sessions {
        let roll = Roll::new(told, host.clock());
        Sessions {
            allocate: Terms::default(),
            host,
            open,
            staff,
            roll,
            screens,
            views,
            tape: Mutex::new(tape),
        }
    }

    /// Tells senders so much of what is worth their bits, unless they choose.
    pub fn allocating(mut self, terms: Terms) -> Sessions {
        self.allocate = terms;
        self
    }

    /// What all sessions came to, the running ones too.
    pub fn account(&self) -> Account {
        self.roll.account()
    }

    /// How the machine stands.
    pub fn load(&self) -> Load {
        self.host.load()
    }

    /// Where sessions are shown.
    pub fn screens(&self) -> &Screens {
        &self.screens
    }

    /// What smooth views came to, where there are any.
    pub fn shown(&self) -> Option<&Totals> {
        self.views.as_ref().map(Views::totals)
    }

    /// Lets nobody else in: newcomers are told to come back later.
    pub fn leave(&self) {
        self.roll.leave();
    }

    /// Whether nobody else is let in.
    pub fn is_leaving(&self) -> bool {
        self.roll.is_leaving()
    }

    /// Waits until every session is over and its last words are out.
    pub async fn empty(&self) {
        self.roll.empty().await;
    }

    /// Tells every client that the server stops, and that its session is about to end.
    pub fn warn(&self) {
        self.roll.warn();
    }

    /// Ends every session.
    pub fn dismiss(&self) {
        self.roll.dismiss();
    }
}

impl Door for Sessions {
    fn open(&self, guest: &Guest, id: SessionId, reply: Reply) -> Result<Box<dyn Peer>, Refusal> {
        self.roll.admit()?;
        let _place = self.host.admit().map_err(|wait| Refusal::Busy {
            retry_after: wait.secs_f64().ceil() as u32,
            detail: "this machine has as much to do as it can do in time: try again later, or elsewhere".into(),
        })?;
        let (mut rooms, recogniser) = (self.open)(guest)?;
        let tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((tape, threads)) = &tape {
            rooms = tape::record(rooms, *threads, tape);
        }
        let on_air = self.screens.enter(&guest.stream, id);
        rooms.view = self
            .views
            .as_ref()
            .map(|views| views.viewing(on_air.screen(View::Smooth)));
        let meter = Meter::default();
        let upstream = reply.clone();
        let mut graph = Graph::new(meter.clone(), Arc::new(move |request| upstream.request(request)));
        let visit = self.roll.enter(guest, id, meter.clone(), reply.clone());
        let spender = Spender::new(id.short(), self.allocate);
        let speaker = Speaker::new(line(visit.clone(), reply.clone()), meter).with_spender(spender);
        let speaker = Arc::new(speaker);
        let tape = tape.map(|(tape, _)| tape);
        let audience = audience(&speaker, tape.as_ref());
        let Doors {
            sound,
            sight,
            questions,
        } = wiring::draw(&mut graph, rooms, audience);
        let session = Arc::new(self.host.adopt_for(graph, guest.user.as_deref().map(number_of)));
        let desk = Arc::new(Desk {
            session: session.clone(),
            speaker: speaker.clone(),
            questions,
            clock: self.host.clock(),
        });
        self.roll.seat(id, &desk);
        let hello = ToClient::Session {
            version: wire::VERSION,
            session: id.short(),
            recogniser,
            answerer: self.staff.answerer.clone(),
        };
        Ok(Box::new(Caller {
            session,
            sound,
            sight,
            desk,
            speaker,
            reply,
            hello,
            nonsense: 0,
            tape,
            visit,
            on_air,
        }))
    }

    fn watch(&self, stream: &str, of: Option<SessionId>, view: View) -> Result<(Screen, Asked), NotShown> {
        if self.is_leaving() {
            return Err(NotShown::Leaving);
        }
        self.screens.find(stream, of, view)
    }

    fn ended(&self, id: SessionId) {
        self.screens.leave(id);
    }

    fn ask(&self, id: SessionId, text: &str) -> Result<mpsc::Receiver<Said>, NotAsked> {
        let desk = self.roll.desk(id).ok_or(NotAsked::Gone)?;
        desk.ask_over_http(text)
            .map_err(|(why, words)| NotAsked::Refused(why, words))
    }
}

/// A number for a user, to tell users apart by.
fn number_of(user: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    user.hash(&mut hasher);
    hasher.finish()
}

/// The session's speaker, overheard where the session is recorded.
fn audience(speaker: &Arc<Speaker>, tape: Option<&Recorder>) -> Arc<dyn Audience> {
    match tape {
        Some(tape) => Arc::new(tape::Overheard::new(speaker.clone(), tape.clone())),
        None => speaker.clone(),
    }
}

/// To the client, and to others who are told.
fn line(visit: Arc<Visit>, reply: Reply) -> Line {
    Box::new(move |event, json| {
        visit.said(event, &json);
        let sent = reply.send(json).is_ok();
        if !sent {
            // The reader is cut off; the writers are not made to wait.
            reply.close();
        }
        sent
    })
}

/// The peer of a running graph.
struct Caller {
    session: Arc<host::Session>,
    sound: Source<Packet>,
    sight: Source<Packet>,
    desk: Arc<Desk>,
    speaker: Arc<Speaker>,
    reply: Reply,
    hello: ToClient,
    nonsense: u32,
    tape: Option<Recorder>,
    visit: Arc<Visit>,
    on_air: OnAir,
}

impl Caller {
    /// Shows viewers what arrives, as it arrives, and asks for the keyframes that they, or whoever reads, need.
    fn show(&self, unit: &Stamped<Packet>) {
        let screen = self.on_air.screen(View::Received);
        screen.put(unit.clone());
        let now = unit.trail.at(Mark::Released).unwrap_or(unit.born);
        let watched = View::ALL.iter().any(|view| self.on_air.screen(*view).watched());
        self.speaker
            .watched(now, if watched { Viewers::Somebody } else { Viewers::Nobody });
        if screen.take_key_wish(now) | self.speaker.take_redraw(now) {
            self.reply.request(Request::Keyframe);
        }
    }
}

impl Peer for Caller {
    fn opened(&mut self, _: Moment) {
        self.speaker.say(&self.hello);
    }

    fn packet(&mut self, unit: Stamped<Packet>) {
        if let Some(tape) = &self.tape {
            tape.packet(&unit);
        }
        self.visit.came(&unit.item);
        match unit.item.codec {
            Codec::Opus => self.session.push(&self.sound, Signal::Item(unit)),
            Codec::H264 => {
                self.speaker.saw(unit.at, unit.item.payload.len());
                self.show(&unit);
                self.session.push(&self.sight, Signal::Item(unit));
            }
        }
    }

    fn message(&mut self, now: Moment, text: &str) {
        match serde_json::from_str(text) {
            Ok(ToServer::Clock { t0_us }) => self.speaker.say(&ToClient::Clock {
                t0_us,
                t1_us: now.micros(),
            }),
            Ok(ToServer::ClockOffset { offset_us, error_us }) => {
                self.reply
                    .clock_offset(Span::from_micros(offset_us), Span::from_micros(error_us));
            }
            Ok(ToServer::Shown { id, shown_us, .. }) => {
                // A client may claim anything; only what can be true is counted.
                let shown = Moment::ZERO + Span::from_micros(shown_us);
                if shown <= now + Span::from_secs(1) {
                    self.speaker.shown(id, shown);
                }
            }
            Ok(ToServer::Flush { why }) => {
                let at = self.session.flush(match why {
                    wire::Why::Seek => Why::Seek,
                    wire::Why::BargeIn => Why::BargeIn,
                });
                self.desk.flushed();
                self.speaker.say(&ToClient::Flushed {
                    why,
                    at_us: at.micros(),
                });
            }
            Ok(ToServer::Allocate { mode, most_kbps }) => {
                let terms = Terms { mode, most_kbps };
                self.speaker.spend(|spender| spender.choose(now, terms));
            }
            Ok(ToServer::Ask { id, text }) => self.desk.ask(now, id, &text),
            Ok(ToServer::AskCancel { id }) => self.desk.cancel(now, id),
            Ok(ToServer::Unknown) => {}
            Err(_) => {
                self.nonsense += 1;
                let message = "not a message of this protocol; see the README of the web client".into();
                self.speaker.say(&ToClient::Error {
                    code: "malformed".into(),
                    message,
                });
                if self.nonsense > PATIENCE {
                    self.reply.close();
                }
            }
        }
    }

    fn left(&mut self, why: Left) {
        self.visit.left(why);
        self.session.push(&self.sound, Signal::End);
        self.session.push(&self.sight, Signal::End);
        self.desk.close();
        self.session.close();
    }
}
