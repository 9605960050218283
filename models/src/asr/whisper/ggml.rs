//! whisper.cpp's file format, read as far as it takes to know that whisper.cpp will find what it expects: it ends the process where
//! it does not.
//!
//! A file is a header of sizes, the mel bank, the vocabulary and the tensors, one after the other to its end. From the header
//! follows which tensors there must be, of what shape and type; each must be there once, and nothing else.

use std::collections::HashMap;

const MAGIC: u32 = 0x6767_6d6c;
/// Sizes of vocabularies that whisper.cpp knows the control tokens of: English, many languages, and one more of these.
const VOCABULARIES: [usize; 3] = [51_864, 51_865, 51_866];
/// Half the frequencies of a window of 400 samples, and the middle.
const FREQUENCIES: usize = 201;
/// The longest piece of a vocabulary: the published ones have none beyond 128 bytes.
const LONGEST_PIECE: usize = 512;

/// What a file says of its model.
#[derive(Debug)]
pub(super) struct Header {
    /// Steps of 20 ms that the encoder looks at, at most.
    pub(super) context: usize,
    /// Tokens that are not control, as bytes.
    pub(super) pieces: Vec<Box<[u8]>>,
    /// Whether it knows more than English.
    pub(super) multilingual: bool,
}

/// How the values of a tensor are stored: so many bytes for a block of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    id: u32,
    block: usize,
    bytes: usize,
}

const F32: Kind = kind(0, 1, 4);
const F16: Kind = kind(1, 1, 2);

const fn kind(id: u32, block: usize, bytes: usize) -> Kind {
    Kind { id, block, bytes }
}

/// The kind of matrices in a file of this type (`ggml_ftype`), of those that are published.
fn matrices(file: usize) -> Option<Kind> {
    Some(match file {
        0 => F32,
        1 => F16,
        2 => kind(2, 32, 18),
        3 => kind(3, 32, 20),
        7 => kind(8, 32, 34),
        8 => kind(6, 32, 22),
        9 => kind(7, 32, 24),
        _ => return None,
    })
}

/// Checks a whole file.
pub(super) fn check(bytes: &[u8]) -> Result<Header, String> {
    let mut rest = Bytes(bytes);
    if rest.word()? != MAGIC {
        return Err("it does not begin as a file of its kind".into());
    }
    let sizes = Sizes::read(&mut rest)?;
    let (mels, frequencies) = (rest.count()?, rest.count()?);
    if (mels, frequencies) != (sizes.mels, FREQUENCIES) {
        return Err(format!(
            "a mel bank of {mels} by {frequencies}, not {} by {FREQUENCIES}",
            sizes.mels
        ));
    }
    finite(rest.take(mels * frequencies * 4)?, F32, "the mel bank")?;
    let pieces = vocabulary(&mut rest, sizes.vocabulary)?;
    tensors(rest, &sizes)?;
    Ok(Header {
        context: sizes.context,
        pieces,
        multilingual: sizes.vocabulary > VOCABULARIES[0],
    })
}

/// The sizes in the header.
struct Sizes {
    vocabulary: usize,
    context: usize,
    width: usize,
    encoders: usize,
    said: usize,
    decoders: usize,
    mels: usize,
    matrices: Kind,
}

impl Sizes {
    fn read(rest: &mut Bytes<'_>) -> Result<Sizes, String> {
        let mut number = |what: &str, least: usize, most: usize| {
            let number = rest.count()?;
            let fits = (least..=most).contains(&number);
            fits.then_some(number)
                .ok_or_else(|| format!("{what} is {number}, not {least} to {most}"))
        };
        let vocabulary = number("the vocabulary", VOCABULARIES[0], VOCABULARIES[2])?;
        let context = number("the encoder's context", 64, 1500)?;
        let width = number("the encoder's width", 1, 4096)?;
        let heads = number("the number of its heads", 1, 64)?;
        let encoders = number("the number of its layers", 1, 64)?;
        let said = number("the decoder's context", 64, 4096)?;
        let decoder = number("the decoder's width", width, width)?;
        let deciding = number("the number of its heads", 1, 64)?;
        let decoders = number("the number of its layers", 1, 64)?;
        let mels = number("the number of mels", 80, 128)?;
        // Thousands count the version of the quantised kinds.
        let file = number("the file's type", 0, 3000)? % 1000;
        let matrices = matrices(file).ok_or_else(|| format!("files of type {file} are not known"))?;
        if width % heads != 0 || decoder % deciding != 0 || width % matrices.block != 0 {
            return Err(format!(
                "a width of {width} can't be shared by {heads} and {deciding} heads"
            ));
        }
        Ok(Sizes {
            vocabulary,
            context,
            width,
            encoders,
            said,
            decoders,
            mels,
            matrices,
        })
    }

    /// Every tensor that there must be: its name, its sizes, the innermost first, and its kind.
    fn expected(&self) -> HashMap<String, (Vec<usize>, Kind)> {
        let (width, kind) = (self.width, self.matrices);
        let filters = if kind == F32 { F32 } else { F16 };
        let mut all = HashMap::new();
        let mut put = |name: String, sizes: &[usize], kind: Kind| {
            all.insert(name, (sizes.to_vec(), kind));
        };
        put("encoder.positional_embedding".into(), &[width, self.context], F32);
        put("encoder.conv1.weight".into(), &[3, self.mels, width], filters);
        put("encoder.conv2.weight".into(), &[3, width, width], filters);
        for name in ["encoder.conv1.bias", "encoder.conv2.bias"] {
            put(name.into(), &[1, width], F32);
        }
        put("decoder.positional_embedding".into(), &[width, self.said], F32);
        put("decoder.token_embedding.weight".into(), &[width, self.vocabulary], kind);
        for name in ["encoder.ln_post", "decoder.ln"] {
            put(format!("{name}.weight"), &[width], F32);
            put(format!("{name}.bias"), &[width], F32);
        }
        let encoders = (0..self.encoders).map(|layer| (format!("encoder.blocks.{layer}"), ["attn"].as_slice()));
        let decoders =
            (0..self.decoders).map(|layer| (format!("decoder.blocks.{layer}"), ["attn", "cross_attn"].as_slice()));
        for (layer, attentions) in encoders.chain(decoders) {
            for (name, inner, outer) in [("mlp.0", width, 4 * width), ("mlp.2", 4 * width, width)] {
                put(format!("{layer}.{name}.weight"), &[inner, outer], kind);
                put(format!("{layer}.{name}.bias"), &[outer], F32);
            }
            put(format!("{layer}.mlp_ln.weight"), &[width], F32);
            put(format!("{layer}.mlp_ln.bias"), &[width], F32);
            for attention in attentions {
                for name in ["query", "key", "value", "out"] {
                    put(format!("{layer}.{attention}.{name}.weight"), &[width, width], kind);
                    if name != "key" {
                        put(format!("{layer}.{attention}.{name}.bias"), &[width], F32);
                    }
                }
                put(format!("{layer}.{attention}_ln.weight"), &[width], F32);
                put(format!("{layer}.{attention}_ln.bias"), &[width], F32);
            }
        }
        all
    }
}

fn vocabulary(rest: &mut Bytes<'_>, most: usize) -> Result<Vec<Box<[u8]>>, String> {
    let count = rest.count()?;
    if count > most {
        return Err(format!("{count} pieces for {most} tokens"));
    }
    let mut pieces: Vec<Box<[u8]>> = Vec::new();
    for _ in 0..count {
        let length = rest.count()?;
        if length > LONGEST_PIECE {
            return Err(format!("a piece of {length} bytes"));
        }
        pieces.push(rest.take(length)?.into());
    }
    // whisper.cpp looks this one up without asking whether it is there.
    if !pieces.iter().any(|piece| **piece == *b" ") {
        return Err("the vocabulary has no space".into());
    }
    Ok(pieces)
}

fn tensors(mut rest: Bytes<'_>, sizes: &Sizes) -> Result<(), String> {
    let mut expected = sizes.expected();
    while !rest.0.is_empty() {
        let (dimensions, length, id) = (rest.count()?, rest.count()?, rest.word()?);
        if !(1..=3).contains(&dimensions) || length > 64 {
            return Err(format!(
                "a tensor of {dimensions} dimensions, with a name of {length} bytes"
            ));
        }
        let shape = (0..dimensions).map(|_| rest.count()).collect::<Result<Vec<_>, _>>()?;
        let name = String::from_utf8_lossy(rest.take(length)?).into_owned();
        let (expected, kind) = expected
            .remove(&name)
            .ok_or_else(|| format!("a tensor {name:?} that is there twice, or not known"))?;
        if shape != expected || id != kind.id {
            return Err(format!(
                "{name} is {shape:?} of kind {id}, not {expected:?} of kind {}",
                kind.id
            ));
        }
        let values: usize = shape.iter().product();
        finite(rest.take(values / kind.block * kind.bytes)?, kind, &name)?;
    }
    match expected.keys().min() {
        Some(name) => Err(format!("{name} is missing")),
        None => Ok(()),
    }
}

/// Whether all values are numbers, as far as their kind shows it.
fn finite(bytes: &[u8], kind: Kind, name: &str) -> Result<(), String> {
    // All bits of the exponent.
    let wild = match kind {
        F32 => bytes
            .chunks_exact(4)
            .any(|value| value[3] & 0x7f == 0x7f && value[2] & 0x80 != 0),
        F16 => bytes.chunks_exact(2).any(|value| value[1] & 0x7c == 0x7c),
        _ => false,
    };
    if wild {
        Err(format!("{name} has values that are no numbers"))
    } else {
        Ok(())
    }
}

/// What is left of the file.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it is cut off")?;
        self.0 = rest;
        Ok(taken)
    }
    fn word(&mut self) -> Result<u32, String> {
        let bytes = self.take(4)?.try_into().map_err(|_| "it is cut off")?;
        Ok(u32::from_le_bytes(bytes))
    }
    /// A number that is not below zero.
    fn count(&mut self) -> Result<usize, String> {
        let number = self.word()?;
        i32::try_from(number)
            .map(|number| number as usize)
            .map_err(|_| format!("a size of {}", number as i32))
    }
}
