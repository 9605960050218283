//! Who is on the air: the screens of every session that publishes, found by its stream's name or by the session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use super::screen::{Asked, Screen};
use super::{Counters, Stats, View};
use crate::ingest::SessionId;

/// The screens of all sessions. Clones share them.
#[derive(Clone)]
pub struct Screens {
    inner: Arc<Inner>,
}

struct Inner {
    views: &'static [View],
    counters: [Arc<Counters>; View::ALL.len()],
    /// The sessions of each stream, the latest last. Bounded by the sessions that ingest takes.
    streams: Mutex<HashMap<String, Vec<(SessionId, Pair)>>>,
}

type Pair = [Screen; View::ALL.len()];

/// Why there is nothing to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotShown {
    /// No session publishes under this name, or not the one that was asked for.
    #[error("nobody publishes this stream now")]
    NoPublisher,
    /// This server does not show this view.
    #[error("this server has no {0} view")]
    NoView(View),
    /// Nobody more is let in.
    #[error("the server is stopping")]
    Leaving,
}

impl Screens {
    /// Nobody is on the air yet. Only `views` will be shown.
    pub fn new(views: &'static [View]) -> Screens {
        let inner = Inner {
            views,
            counters: std::array::from_fn(|_| Arc::default()),
            streams: Mutex::default(),
        };
        Screens { inner: Arc::new(inner) }
    }

    /// A session begins to publish `stream`. It takes the name: whoever asked for the stream and watches another session of
    /// that name is told, and asks again.
    pub fn enter(&self, stream: &str, id: SessionId) -> OnAir {
        let screens: Pair = std::array::from_fn(|view| Screen::new(self.inner.counters[view].clone()));
        let mut streams = self.inner.lock();
        let here = streams.entry(stream.to_owned()).or_default();
        here.iter().flat_map(|(_, pair)| pair).for_each(Screen::hand_over);
        here.push((id, screens.clone()));
        OnAir {
            all: self.clone(),
            id,
            screens,
        }
    }

    /// A session leaves the air: its views are over, and its name goes back to whoever had it before.
    pub fn leave(&self, id: SessionId) {
        let mut left = Vec::new();
        self.inner.lock().retain(|_, here| {
            left.extend(here.extract_if(.., |(known, _)| *known == id));
            !here.is_empty()
        });
        left.iter().flat_map(|(_, pair)| pair).for_each(Screen::end);
    }

    /// The screen of a view: of the session `of`, if it publishes `stream`, or of whichever took the name last.
    pub fn find(&self, stream: &str, of: Option<SessionId>, view: View) -> Result<(Screen, Asked), NotShown> {
        if !self.inner.views.contains(&view) {
            return Err(NotShown::NoView(view));
        }
        let streams = self.inner.lock();
        let mut here = streams.get(stream).into_iter().flatten().rev();
        let found = here.find(|(id, _)| of.is_none_or(|of| of == *id));
        let (_, pair) = found.ok_or(NotShown::NoPublisher)?;
        let asked = match of {
            Some(_) => Asked::Session,
            None => Asked::Stream,
        };
        Ok((pair[view as usize].clone(), asked))
    }

    /// What the viewers of a view came to.
    pub fn stats(&self, view: View) -> Stats {
        self.inner.counters[view as usize].snapshot()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<(SessionId, Pair)>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's screens. When dropped, it leaves the air.
pub struct OnAir {
    all: Screens,
    id: SessionId,
    screens: Pair,
}

impl OnAir {
    /// Where a view is shown.
    pub fn screen(&self, view: View) -> &Screen {
        &self.screens[view as usize]
    }
}

impl Drop for OnAir {
    fn drop(&mut self) {
        self.all.leave(self.id);
    }
}
