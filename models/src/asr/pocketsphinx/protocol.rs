//! What parent and worker say to each other: a length (u32, little endian), a tag (u8), a payload. One request, one reply.

use std::io::{self, Read, Write};
use std::sync::Arc;

use hearsight_core::time::Span;

use super::means::{COEFFICIENTS, Means};
use crate::asr::{Heard, Hypothesis};

/// No message is longer: it fits into a pipe whole, so a writer whose reader sleeps does not block.
pub(super) const LONGEST: usize = 32 * 1024;
/// Samples in one request, at most.
pub(super) const LONGEST_SOUND: usize = 8_000;

/// From the parent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// A segment begins; one under way is forgotten.
    Begin(Means),
    /// 16 kHz sound.
    Sound(Vec<i16>),
    /// The segment is over.
    Finish,
}

/// From the worker.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// The model is loaded. The first message, unasked.
    Ready,
    /// Answers [`Request::Begin`].
    Begun,
    /// Answers [`Request::Sound`].
    Heard(Hypothesis),
    /// Answers [`Request::Finish`], with what was learnt.
    Final(Hypothesis, Means),
    /// It cannot; the worker ends.
    Failed(String),
}

/// Reads one message; `None` at the end of the stream.
pub(super) fn read<T>(from: &mut impl Read, parse: fn(u8, &[u8]) -> Option<T>) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(length) as usize;
    if length == 0 || length > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {length} bytes"),
        ));
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message)?;
    match parse(message[0], &message[1..]) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a malformed message, tag {}", message[0]),
        )),
    }
}

fn write(to: &mut impl Write, tag: u8, payload: &[u8]) -> io::Result<()> {
    let length = payload.len() + 1;
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a message too long"));
    }
    let mut message = Vec::with_capacity(length + 4);
    message.extend_from_slice(&(length as u32).to_le_bytes());
    message.push(tag);
    message.extend_from_slice(payload);
    to.write_all(&message)?;
    to.flush()
}

impl Request {
    /// Writes it.
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Request::Begin(means) => write(to, 1, &bytes_of_means(means)),
            Request::Sound(samples) => {
                let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                write(to, 2, &bytes)
            }
            Request::Finish => write(to, 3, &[]),
        }
    }
    /// From tag and payload.
    pub(super) fn parse(tag: u8, payload: &[u8]) -> Option<Request> {
        match tag {
            1 => Some(Request::Begin(take_means(&mut &payload[..])?)),
            2 if payload.len().is_multiple_of(2) && payload.len() <= 2 * LONGEST_SOUND => {
                let samples = payload
                    .chunks_exact(2)
                    .map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
                Some(Request::Sound(samples.collect()))
            }
            3 if payload.is_empty() => Some(Request::Finish),
            _ => None,
        }
    }
}

impl Reply {
    /// Writes it. Words beyond what fits into one message are left out.
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Reply::Ready => write(to, 16, &[]),
            Reply::Begun => write(to, 17, &[]),
            Reply::Heard(hypothesis) => write(to, 18, &bytes_of_words(hypothesis)),
            Reply::Final(hypothesis, means) => {
                let mut payload = bytes_of_means(means);
                payload.extend(bytes_of_words(hypothesis));
                write(to, 19, &payload)
            }
            Reply::Failed(why) => write(to, 20, why.chars().take(400).collect::<String>().as_bytes()),
        }
    }
    /// From tag and payload.
    pub(super) fn parse(tag: u8, payload: &[u8]) -> Option<Reply> {
        let mut payload = payload;
        match tag {
            16 => Some(Reply::Ready),
            17 => Some(Reply::Begun),
            18 => Some(Reply::Heard(take_words(&mut payload)?)),
            19 => {
                let means = take_means(&mut payload)?;
                Some(Reply::Final(take_words(&mut payload)?, means))
            }
            20 => Some(Reply::Failed(String::from_utf8_lossy(payload).into_owned())),
            _ => None,
        }
    }
}

fn bytes_of_means(means: &Means) -> Vec<u8> {
    let (mean, frames) = means.to_parts();
    mean.iter()
        .chain([&frames])
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn bytes_of_words(hypothesis: &Hypothesis) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in &hypothesis.words {
        let text = word.text.as_bytes();
        if bytes.len() + text.len() + 32 > LONGEST - 128 || text.len() > 255 {
            break;
        }
        bytes.extend_from_slice(&word.start.micros().to_le_bytes());
        bytes.extend_from_slice(&word.end.micros().to_le_bytes());
        bytes.extend_from_slice(&word.certainty.unwrap_or(f32::NAN).to_le_bytes());
        bytes.push(text.len() as u8);
        bytes.extend_from_slice(text);
    }
    bytes
}

fn take<const N: usize>(payload: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = payload.split_first_chunk::<N>()?;
    *payload = rest;
    Some(*head)
}

fn take_means(payload: &mut &[u8]) -> Option<Means> {
    let mut mean = [0.0; COEFFICIENTS];
    for value in &mut mean {
        *value = f32::from_le_bytes(take(payload)?);
    }
    Some(Means::from_parts(mean, f32::from_le_bytes(take(payload)?)))
}

fn take_words(payload: &mut &[u8]) -> Option<Hypothesis> {
    let mut words = Vec::new();
    while !payload.is_empty() {
        let start = Span::from_micros(i64::from_le_bytes(take(payload)?));
        let end = Span::from_micros(i64::from_le_bytes(take(payload)?));
        let certainty = f32::from_le_bytes(take(payload)?);
        let [length] = take::<1>(payload)?;
        let (text, rest) = payload.split_at_checked(length as usize)?;
        *payload = rest;
        if end < start || start < Span::ZERO || end > Span::from_secs(3600) {
            return None;
        }
        let certainty = certainty.is_finite().then(|| certainty.clamp(0.0, 1.0));
        words.push(Heard {
            text: Arc::from(std::str::from_utf8(text).ok()?),
            start,
            end,
            certainty,
        });
    }
    Some(Hypothesis { words, sure: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way_and_garbage_does_not() {
        let hypothesis = Hypothesis {
            words: vec![Heard {
                text: "word".into(),
                start: Span::from_millis(10),
                end: Span::from_millis(250),
                certainty: Some(0.5),
            }],
            sure: 0,
        };
        for reply in [
            Reply::Ready,
            Reply::Heard(hypothesis.clone()),
            Reply::Final(hypothesis, Means::default()),
        ] {
            let mut bytes = Vec::new();
            reply.write(&mut bytes).expect("written");
            let back = read(&mut bytes.as_slice(), Reply::parse).expect("read").expect("one");
            let mut again = Vec::new();
            back.write(&mut again).expect("written");
            assert_eq!(again, bytes);
        }
        for seed in 0..2000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes: Vec<u8> = (0..random.usize(0..200)).map(|_| random.u8(..)).collect();
            if bytes.len() > 5 && random.bool() {
                let length = bytes.len() as u32 - 4;
                bytes[..4].copy_from_slice(&length.to_le_bytes());
                bytes[4] = random.u8(0..24);
            }
            let _ = read(&mut bytes.as_slice(), Reply::parse);
            let _ = read(&mut bytes.as_slice(), Request::parse);
        }
    }
}
