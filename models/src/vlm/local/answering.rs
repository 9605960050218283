//! One conversation, answered slice by slice: a picture is drawn, its tiles are cut and seen, the question is read in portions,
//! the answer is said token by token. Between any two the deadline is looked at, and a run that would pass it is ended from outside.

use std::sync::Arc;

use hearsight_core::media::{Picture, Planes};
use hearsight_core::stage::Fault;
use hearsight_core::time::{Moment, Span};

use super::choice::Chooser;
use super::costs::{Load, Work, looks, tokens_in_time};
use super::encodings::Encodings;
use super::gaze::Gaze;
use super::graphs::{Cache, Failed, Said, Sight};
use super::processor::{Detail, Layout};
use super::question::{Looked, Question, Stage};
use super::saying::Saying;
use super::words::Turn;
use super::{Allowance, Model};
use crate::vlm::picture::{Rgb, check_planes};
use crate::vlm::{Answer, Answerer, Ask, Ended, Refused, Seen, Spent, Step};

/// The model is in another conversation's hands for one slice: look again after a part of it.
const BUSY: Span = Span::from_millis(2);

/// Hears every choice: the token, and the logits that it was chosen by.
pub type OnChoice = Box<dyn FnMut(i64, &[f32]) + Send>;

/// A conversation with a [`Model`] of our own machine.
pub struct Local {
    model: Arc<Model>,
    allowance: Option<Arc<Allowance>>,
    chooser: Chooser,
    on_choice: Option<OnChoice>,
    detail: Option<Detail>,
    cache: Cache,
    encodings: Encodings,
    /// Tokens of the turns before that the cache does not hold yet.
    pending: Vec<i64>,
    question: Option<Question>,
    /// What the last step did, to learn from how long it took.
    last: Work,
}

/// One way to ask: how closely the pictures are looked at, and what is then to be read.
struct Way {
    layouts: Vec<Layout>,
    /// What was made of each picture before, in this layout.
    encoded: Vec<Option<Arc<[Sight]>>>,
    prompt: Vec<i64>,
}

impl Local {
    pub(super) fn new(model: Arc<Model>, allowance: Option<Arc<Allowance>>) -> Local {
        Local {
            chooser: Chooser::new(model.config.sampling),
            on_choice: None,
            detail: None,
            cache: Cache::default(),
            encodings: Encodings::new(model.config.limits.encodings),
            pending: Vec::new(),
            question: None,
            last: Work::Nothing,
            model,
            allowance,
        }
    }

    /// Tells `on_choice` of every token from now on: for tests and benches.
    pub fn on_choice(&mut self, on_choice: OnChoice) {
        self.on_choice = Some(on_choice);
    }

    /// Looks at every picture from now on in this detail, whatever it shows and however short the time.
    pub fn fix_detail(&mut self, detail: Detail) {
        self.detail = Some(detail);
    }

    /// Tokens of the conversation so far.
    pub fn tokens(&self) -> usize {
        self.cache.tokens() + self.pending.len()
    }

    fn check(&self, now: Moment, ask: &Ask) -> Result<(), Refused> {
        let limits = self.model.config.limits;
        if ask.question.trim().is_empty() {
            return Err(Refused::Empty);
        }
        if ask.question.len() > limits.question {
            let (length, most) = (ask.question.len(), limits.question);
            return Err(Refused::LongQuestion { length, most });
        }
        if ask.pictures.len() > limits.pictures {
            let (count, most) = (ask.pictures.len(), limits.pictures);
            return Err(Refused::ManyPictures { count, most });
        }
        for picture in &ask.pictures {
            check_planes(&picture.item)?;
        }
        if ask.deadline <= now {
            return Err(Refused::Late);
        }
        match &self.allowance {
            Some(allowance) => allowance.ask(now).map_err(|wait| Refused::Allowance { wait }),
            None => Ok(()),
        }
    }

    /// The ways to ask, closest look first, as far as there is room for them. A conversation that has become too long is forgotten.
    fn ways(&mut self, ask: &Ask, most: u32) -> Result<Vec<(Load, Way)>, Refused> {
        let full = self.model.processor.full();
        let looks = match self.detail {
            Some(detail) => vec![detail],
            None if ask.pictures.is_empty() => vec![Detail::GLANCE],
            None => looks(ask.effort.text, full),
        };
        let room = self.model.room();
        let mut shortest = 0;
        for fresh in [false, true] {
            if fresh {
                self.forget();
            }
            let turn = if self.tokens() == 0 { Turn::First } else { Turn::Next };
            let mut ways = Vec::new();
            for look in &looks {
                let way = self.way(turn, ask, *look)?;
                shortest = way.prompt.len() + most as usize;
                if self.cache.tokens() + shortest <= room {
                    ways.push((way.load(), way));
                }
            }
            if !ways.is_empty() {
                return Ok(ways);
            }
        }
        Err(Refused::Room {
            tokens: shortest,
            most: room,
        })
    }

    fn way(&self, turn: Turn, ask: &Ask, look: Detail) -> Result<Way, Refused> {
        let layout = |picture: &Picture<Planes>| self.model.processor.layout(picture.width, picture.height, look);
        let layouts: Vec<Layout> = ask.pictures.iter().map(|picture| layout(&picture.item)).collect();
        let question = self.model.words.prompt(turn, &ask.question, &layouts);
        let mut prompt = self.pending.clone();
        prompt.extend(question.map_err(Refused::Unavailable)?);
        let pictures = ask.pictures.iter().zip(&layouts);
        let encoded = pictures.map(|(picture, layout)| self.encodings.get(&Encodings::key(&picture.item), *layout));
        Ok(Way {
            encoded: encoded.collect(),
            layouts,
            prompt,
        })
    }

    fn begin(&mut self, now: Moment, ask: Ask, most: u32, way: Way) {
        let kept = self.cache.tokens();
        let image = self.model.shape.image_token;
        let places: Vec<usize> = (0..way.prompt.len())
            .filter(|at| way.prompt[*at] == image)
            .map(|at| kept + at)
            .collect();
        let spent = Spent {
            prompt_tokens: way.prompt.len() as u32,
            picture_tokens: places.len() as u32,
            kept_tokens: kept as u32,
            tiles: way.load().tiles as u32,
            ..Spent::default()
        };
        if let Some(allowance) = &self.allowance {
            allowance.take(spent.prompt_tokens);
        }
        let seen = ask.pictures.iter().map(|unit| Seen {
            at: unit.at,
            born: unit.born,
        });
        self.question = Some(Question {
            asked: now,
            deadline: ask.deadline,
            most,
            bound: Ended::Long,
            seen: seen.collect(),
            gaze: Gaze::new(way.layouts.clone(), self.model.shape.words_per_tile, places),
            pictures: ask
                .pictures
                .into_iter()
                .zip(way.layouts)
                .zip(way.encoded)
                .map(|((unit, layout), encoded)| Looked {
                    key: Encodings::key(&unit.item),
                    picture: Some(unit.item),
                    layout,
                    drawn: None,
                    encoded,
                    sights: Vec::new(),
                })
                .collect(),
            prompt: way.prompt,
            before: (kept, std::mem::take(&mut self.pending)),
            features: Vec::new(),
            used: 0,
            pixels: Vec::new(),
            stage: Stage::Draw { picture: 0 },
            saying: Saying::default(),
            spent,
            first: false,
        });
    }

    /// As if the question had not been asked.
    fn undo(&mut self, question: Question) {
        let (tokens, pending) = question.before;
        self.cache.cut_back(tokens);
        self.pending = pending;
    }

    /// Ends the answer: its text is passed on, its tokens join the conversation.
    fn over(&mut self, mut question: Question, ended: Ended) -> Answer {
        let answer = Answer {
            text: question.saying.text(),
            ended,
            certainty: question.saying.certainty(self.model.calibration),
            separability: question.saying.separability(),
            readability: question.gaze.readability(),
            evidence: question.gaze.evidence(),
            seen: std::mem::take(&mut question.seen),
            spent: Spent {
                answer_tokens: question.saying.tokens().len() as u32,
                ..question.spent
            },
            engine: self.model.name.clone(),
        };
        if let Some(allowance) = &self.allowance {
            allowance.take(answer.spent.answer_tokens);
        }
        if question.saying.tokens().is_empty() && ended == Ended::Late {
            self.undo(question);
        } else {
            // The last token was said, and not read unless another was looked for after it.
            let read = self
                .cache
                .tokens()
                .saturating_sub(question.before.0 + question.prompt.len());
            let said = question.saying.tokens();
            self.pending.extend(&said[read.min(said.len())..]);
            self.pending.push(self.model.words.end_of_turn());
        }
        answer
    }

    fn advance(&mut self, now: Moment, question: &mut Question) -> Result<Option<Arc<str>>, Failed> {
        match question.stage {
            Stage::Draw { picture } => self.draw(question, picture).map(|()| None),
            Stage::Cut { picture, tile } => {
                self.cut(question, picture, tile);
                Ok(None)
            }
            Stage::See { picture, tile } => self.see(now, question, picture, tile).map(|()| None),
            Stage::Read { at } => self.read(now, question, at),
            Stage::Say => self.say(now, question),
            Stage::Over(_) => Ok(None),
        }
    }

    fn draw(&mut self, question: &mut Question, picture: usize) -> Result<(), Failed> {
        let Some(looked) = question.pictures.get_mut(picture) else {
            question.stage = Stage::Read { at: 0 };
            return Ok(());
        };
        if let Some(sights) = looked.encoded.take() {
            for (tile, sight) in sights.iter().enumerate() {
                question.take_in(picture, tile, sight);
            }
            question.stage = Stage::Draw { picture: picture + 1 };
            return Ok(());
        }
        if let Some(planes) = looked.picture.take() {
            let rgb = Rgb::from_planes(&planes).map_err(|why| Failed::Broken(why.to_string()))?;
            // Half the bytes of the RGB picture were read, all of them written.
            question.spent.bytes_moved += rgb.bytes().len() as u64 * 3 / 2;
            let drawn = self.model.processor.draw(rgb, looked.layout);
            question.spent.bytes_moved += drawn.moved();
            looked.drawn = Some(drawn);
        }
        self.last = Work::Draw;
        question.stage = Stage::Cut { picture, tile: 0 };
        Ok(())
    }

    fn cut(&mut self, question: &mut Question, picture: usize, tile: usize) {
        if let Some(drawn) = &question.pictures[picture].drawn {
            question.spent.bytes_moved += self.model.processor.cut(drawn, tile, &mut question.pixels);
        }
        self.last = Work::Cut;
        question.stage = Stage::See { picture, tile };
    }

    fn see(&mut self, now: Moment, question: &mut Question, picture: usize, tile: usize) -> Result<(), Failed> {
        let limit = self.limit(now, question);
        let mut graphs = self.model.graphs().ok_or(Failed::Busy)?;
        let sight = graphs.see(&question.pixels, limit)?;
        drop(graphs);
        self.last = Work::See;
        question.take_in(picture, tile, &sight);
        let looked = &mut question.pictures[picture];
        looked.sights.push(sight);
        let tiles = looked.layout.tiles();
        question.stage = if tile + 1 < tiles {
            Stage::Cut {
                picture,
                tile: tile + 1,
            }
        } else {
            looked.drawn = None;
            let whole = std::mem::take(&mut looked.sights);
            self.encodings.put(looked.key.clone(), looked.layout, whole.into());
            Stage::Draw { picture: picture + 1 }
        };
        Ok(())
    }

    fn read(&mut self, now: Moment, question: &mut Question, at: usize) -> Result<Option<Arc<str>>, Failed> {
        let limit = self.limit(now, question);
        let mut graphs = self.model.graphs().ok_or(Failed::Busy)?;
        let until = (at + self.model.config.limits.portion.max(1)).min(question.prompt.len());
        let mut features = &question.features[question.used..];
        let said = graphs.read(&mut self.cache, &question.prompt[at..until], &mut features, limit)?;
        drop(graphs);
        question.used = question.features.len() - features.len();
        self.last = Work::Read(until - at);
        question.stage = Stage::Read { at: until };
        if until < question.prompt.len() {
            return Ok(None);
        }
        if question.used != question.features.len() {
            return Err(Failed::Broken("more pictures than words of pictures".into()));
        }
        self.choose(question, said)
    }

    fn say(&mut self, now: Moment, question: &mut Question) -> Result<Option<Arc<str>>, Failed> {
        let said = question.saying.tokens().len();
        let token = self.model.costs().token();
        if said == 1 {
            let more = tokens_in_time(now, question.deadline, token, question.most);
            if more + 1 < question.most {
                (question.most, question.bound) = (more + 1, Ended::Late);
            }
        }
        let Some(&last) = question
            .saying
            .tokens()
            .last()
            .filter(|_| said < question.most as usize)
        else {
            return Ok(question.end(question.bound));
        };
        // What it takes was learnt; another load may make it longer from one token to the next.
        if token.is_some_and(|token| now + token > question.deadline) {
            return Ok(question.end(Ended::Late));
        }
        let limit = self.limit(now, question);
        let mut graphs = self.model.graphs().ok_or(Failed::Busy)?;
        let heard = graphs.read(&mut self.cache, &[last], &mut [].as_slice(), limit)?;
        drop(graphs);
        self.last = Work::Say;
        self.choose(question, heard)
    }

    fn choose(&mut self, question: &mut Question, mut said: Said) -> Result<Option<Arc<str>>, Failed> {
        // Only pictures become words of pictures: a model that says one would be asked for a picture that isn't there.
        let image = self.model.shape.image_token as usize;
        let unlikely = said.logits[image];
        said.logits[image] = f32::MIN;
        let choice = self.chooser.choose(&said.logits);
        said.logits[image] = unlikely;
        if let Some(on_choice) = &mut self.on_choice {
            on_choice(choice.token, &said.logits);
        }
        question.stage = Stage::Say;
        if self.model.shape.stops.contains(&choice.token) {
            return Ok(question.end(Ended::Said));
        }
        question.gaze.look(&said.looked);
        question.saying.push(choice, &self.model.words).map_err(Failed::Broken)
    }

    fn limit(&self, now: Moment, question: &Question) -> Span {
        (question.deadline - now).min(self.model.config.limits.run)
    }

    /// After a failure: what was said before stays said, the rest of the question is given up.
    fn fail(&mut self, question: Question, why: &str) -> Fault {
        self.undo(question);
        Fault::Reset(format!("{}: {why}", self.model.name))
    }
}

impl Way {
    fn load(&self) -> Load {
        let pictures = self.layouts.iter().zip(&self.encoded);
        let unseen = pictures.filter(|(_, encoded)| encoded.is_none());
        Load {
            pictures: unseen.clone().count(),
            tiles: unseen.map(|(layout, _)| layout.tiles()).sum(),
            tokens: self.prompt.len(),
        }
    }
}

impl Answerer for Local {
    fn name(&self) -> &str {
        &self.model.name
    }

    fn ask(&mut self, now: Moment, ask: Ask) -> Result<(), Refused> {
        self.cancel();
        self.check(now, &ask)?;
        let most = ask.effort.tokens.clamp(1, self.model.config.limits.answer);
        let ways = self.ways(&ask, most)?;
        let chosen = self.model.costs().choose(ways, now, ask.deadline);
        let (_, way) = chosen.ok_or(Refused::Late)?;
        self.begin(now, ask, most, way);
        Ok(())
    }

    fn step(&mut self, now: Moment) -> Result<Step, Fault> {
        self.last = Work::Nothing;
        let Some(mut question) = self.question.take() else {
            return Ok(Step::Idle);
        };
        if let Stage::Over(ended) = question.stage {
            return Ok(Step::Over(Box::new(self.over(question, ended))));
        }
        let done = if now >= question.deadline {
            Ok(question.end(Ended::Late))
        } else {
            self.advance(now, &mut question)
        };
        let mut again = now;
        let text = match done {
            Ok(text) => text,
            Err(Failed::Late) => question.end(Ended::Late),
            Err(Failed::Busy) => {
                again = now + BUSY;
                None
            }
            Err(Failed::Broken(why)) => return Err(self.fail(question, &why)),
        };
        question.first = text.is_some() && question.spent.first_text.is_none();
        if question.first {
            question.spent.first_text = Some(now - question.asked);
        }
        self.question = Some(question);
        Ok(Step::On { text, again })
    }

    fn took(&mut self, cost: Span) {
        self.model.costs().learn(self.last, cost);
        let Some(question) = &mut self.question else { return };
        match self.last {
            Work::Nothing => {}
            Work::Draw | Work::Cut => question.spent.prepare += cost,
            Work::See | Work::Read(_) | Work::Say => question.spent.inference += cost,
        }
        if std::mem::take(&mut question.first) {
            let before = question.spent.first_text.unwrap_or(Span::ZERO);
            question.spent.first_text = Some(before + cost);
        }
        self.last = Work::Nothing;
    }

    fn cancel(&mut self) {
        if let Some(question) = self.question.take() {
            self.undo(question);
        }
    }

    fn forget(&mut self) {
        self.question = None;
        self.cache = Cache::default();
        self.pending.clear();
    }

    fn slice(&self) -> Span {
        self.model.config.limits.slice
    }

    fn first_text_in(&self, ask: &Ask) -> Option<Span> {
        let look = self.detail.unwrap_or(Detail::GLANCE);
        let way = self.way(Turn::First, ask, look).ok()?;
        self.model.costs().first_text(way.load())
    }
}
