//! Who answers questions about the picture: the engines that the settings choose, and what each session may spend on them.
//!
//! Knows HTTP, models' files and the trait of engines ([`hearsight_models::vlm`]). Must not know what a session is. Start at
//! [`Answers`].

pub mod remote;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use hearsight_models::files::BadFile;
use hearsight_models::runtime::Runtime;
use hearsight_models::vad;
use hearsight_models::vlm::Answerer;
use hearsight_models::vlm::allowance::Allowance;
use hearsight_models::vlm::aloud::Aloud;
use hearsight_models::vlm::asking::{self, Asking, Turns};
use hearsight_models::vlm::cascade::{self, Cascade};
use hearsight_models::vlm::clerk::Clerk;
use hearsight_models::vlm::local::{self, BadModel, Model};
use hearsight_models::vlm::memory::{self, Memory};
use reqwest::Url;
use thiserror::Error;
use tokio::runtime::Handle;

use crate::config::{self, Ask};
use crate::wire;
use crate::wiring::Answering;
use remote::{Key, Remote, Unusable};

/// Questions of a session that may wait for the one under way.
const WAITING: usize = 3;

/// The settings that name models of this machine.
const GLANCE: &str = "assets.glance";
const LOCAL: &str = "ask.model";

/// Why the engines can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The library that runs models is missing or damaged.
    #[error(transparent)]
    Runtime(#[from] BadFile),
    /// A model's files are missing or don't fit.
    #[error("{setting}: {problem}")]
    Model {
        /// The setting that names the model.
        setting: &'static str,
        /// Which file, and the repair.
        problem: Box<BadModel>,
    },
    /// The server can't be asked.
    #[error(transparent)]
    Remote(#[from] Unusable),
}

/// The engines, opened once, and what was spent on them.
pub struct Answers {
    first: Engine,
    large: Option<Engine>,
    settings: Ask,
    purses: Purses,
}

/// One engine, shared by all sessions.
enum Engine {
    /// Of this machine.
    Local(Arc<Model>),
    Remote(Remote),
}

impl Answers {
    /// Opens what `settings` choose; models run in `onnxruntime`, answers of servers are heard on `runtime`.
    pub fn open(settings: &Ask, onnxruntime: &Path, runtime: &Handle, clock: Clock) -> Result<Answers, OpenError> {
        let local = |setting, folder: Option<&Path>| {
            let model = model(setting, folder, settings, onnxruntime)?;
            Ok::<_, OpenError>(Engine::Local(Arc::new(model)))
        };
        let engine = |answerer: &config::Answerer| match answerer {
            config::Answerer::Glance(folder) => local(GLANCE, folder.as_deref()),
            config::Answerer::Local(folder) => local(LOCAL, Some(folder)),
            config::Answerer::Remote { url, model, key } => {
                let remote = remote_config(url, model, key.as_deref())?;
                Ok(Engine::Remote(Remote::new(remote, runtime.clone(), clock)?))
            }
        };
        Ok(Answers {
            first: engine(&settings.first)?,
            large: settings.large.as_ref().map(engine).transpose()?,
            settings: settings.clone(),
            purses: Purses::default(),
        })
    }

    /// How it is announced to people.
    pub fn answerer(&self) -> wire::Answerer {
        let large = self.large.as_ref().map(|large| format!(", then {}", large.name()));
        let note = match &self.settings.first {
            config::Answerer::Glance(_) => {
                "A small model that needs nothing but this machine: short questions about what is plain to see."
            }
            config::Answerer::Local(_) => "A model of this machine. It may be wrong: look at how sure it is.",
            config::Answerer::Remote { .. } => "The pictures that a question is about are sent to another server.",
        };
        let sent = "; where it is in doubt, pictures are sent to another server.";
        let far = matches!(self.large, Some(Engine::Remote(_)));
        wire::Answerer {
            name: self.first.name() + &large.unwrap_or_default(),
            note: if far {
                note.trim_end_matches('.').to_owned() + sent
            } else {
                note.to_owned()
            },
        }
    }

    /// What answers the questions of a new session of this user, who comes from this address.
    pub fn answering(&self, user: Option<&Arc<str>>, address: Option<IpAddr>) -> Answering {
        let settings = &self.settings;
        let purses = vec![
            Arc::new(Allowance::new(settings.session_tokens)),
            self.purses.of(Owner::new(user, address), settings.user_tokens),
        ];
        let allowed = Span::from_duration(settings.deadline);
        let first = self.first.conversation();
        let engine: Box<dyn Answerer> = match &self.large {
            None => first,
            Some(large) => {
                let config = cascade::Config {
                    separability: settings.separability,
                    ..cascade::Config::default()
                };
                Box::new(Cascade::new(first, large.conversation(), config))
            }
        };
        let slice = engine.slice();
        // What is one stretch of speech to the voice detector.
        let breath = vad::Config::default().end_delay();
        let config = asking::Config {
            allowed,
            tokens: settings.tokens,
            waiting: WAITING,
            // Small models are made for one question; two engines know of different ones.
            turns: match (&self.first, &self.large) {
                (Engine::Remote(_), None) => Turns::Conversation,
                _ => Turns::Alone,
            },
        };
        Answering {
            aloud: settings
                .aloud
                .clone()
                .map(|meant| Box::new(Aloud::new(meant, breath)) as _),
            memory: Box::new(Memory::new(memory::Config {
                pictures: settings.remembered,
                bytes: settings.remembered_bytes,
                per_question: settings.pictures,
            })),
            answer: Box::new(Asking::new(engine, config, purses)),
            clerk: Box::new(Clerk::new(allowed + slice)),
            allowed,
        }
    }
}

/// Whether what `settings` choose can be opened, as far as this machine can tell; answers with what was found.
pub fn check(settings: &Ask, onnxruntime: &Path) -> Result<String, OpenError> {
    let mut found = Vec::new();
    let opened = |setting, folder: Option<&Path>| -> Result<String, OpenError> {
        let model = model(setting, folder, settings, onnxruntime)?;
        Ok(format!("{} can be opened", model.name()))
    };
    for answerer in std::iter::once(&settings.first).chain(&settings.large) {
        match answerer {
            config::Answerer::Glance(folder) => found.push(opened(GLANCE, folder.as_deref())?),
            config::Answerer::Local(folder) => found.push(opened(LOCAL, Some(folder))?),
            config::Answerer::Remote { url, model, key } => {
                remote_config(url, model, key.as_deref())?;
                found.push(format!("{model} of another server is not asked now"));
            }
        }
    }
    Ok(found.join("; "))
}

/// Opens the model in the folder that a setting names, or the one that is part of the program.
fn model(setting: &'static str, folder: Option<&Path>, settings: &Ask, onnxruntime: &Path) -> Result<Model, OpenError> {
    let config = local::Config {
        threads: settings.threads.get(),
        ..local::Config::default()
    };
    let runtime = Runtime::open(onnxruntime)?;
    let opened = match folder {
        Some(folder) => Model::open(&runtime, folder, config),
        None => Model::glance(&runtime, config),
    };
    opened.map_err(|problem| OpenError::Model {
        setting,
        problem: Box::new(problem),
    })
}

fn remote_config(url: &Url, model: &str, key: Option<&Path>) -> Result<remote::Config, Unusable> {
    Ok(remote::Config {
        key: key.map(Key::read).transpose()?,
        ..remote::Config::new(url.clone(), model.to_owned())
    })
}

impl Engine {
    fn name(&self) -> String {
        match self {
            Engine::Local(model) => model.name().to_owned(),
            Engine::Remote(remote) => remote.conversation().name().to_owned(),
        }
    }

    fn conversation(&self) -> Box<dyn Answerer> {
        match self {
            Engine::Local(model) => Box::new(model.conversation(None)),
            Engine::Remote(remote) => Box::new(remote.conversation()),
        }
    }
}

/// Whose purse it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    User(Arc<str>),
    /// Where nobody is asked for a token.
    Address(IpAddr),
    /// Without a socket, in tests.
    Nobody,
}

impl Owner {
    fn new(user: Option<&Arc<str>>, address: Option<IpAddr>) -> Owner {
        match (user, address) {
            (Some(user), _) => Owner::User(user.clone()),
            (None, Some(address)) => Owner::Address(address),
            (None, None) => Owner::Nobody,
        }
    }
}

/// What users may spend over all of their sessions; forgotten with the last of these.
#[derive(Default)]
struct Purses(Mutex<HashMap<Owner, Weak<Allowance>>>);

impl Purses {
    fn of(&self, owner: Owner, per_minute: u32) -> Arc<Allowance> {
        let mut purses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(purse) = purses.get(&owner).and_then(Weak::upgrade) {
            return purse;
        }
        purses.retain(|_, purse| purse.strong_count() > 0);
        let purse = Arc::new(Allowance::new(per_minute));
        purses.insert(owner, Arc::downgrade(&purse));
        purse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_one_user_share_a_purse_which_is_forgotten_with_the_last_of_them() {
        let purses = Purses::default();
        let user = |name: &str| Owner::new(Some(&name.into()), Some([127, 0, 0, 1].into()));
        let (one, two, other) = (
            purses.of(user("a"), 9),
            purses.of(user("a"), 9),
            purses.of(user("b"), 9),
        );
        assert!(Arc::ptr_eq(&one, &two) && !Arc::ptr_eq(&one, &other));
        drop((one, two, other));
        purses.of(Owner::new(None, Some([127, 0, 0, 1].into())), 9);
        assert_eq!(purses.0.lock().unwrap().len(), 1, "the others are gone");
    }
}
