//! What the settings of a model say of its tensors.

use std::path::Path;

use crate::asr::folder::{BadModel, Settings};

/// Samples of one frame, 5 ms, of which four make a feature: the front end's convolutions look at nothing finer.
pub(super) const FRAME: usize = 80;
/// Samples of one feature: 20 ms.
pub(super) const FEATURE: usize = 4 * FRAME;
/// Frames that either convolution still needs of the past: its kernel is 5 wide.
pub(super) const PAST: usize = 4;

/// Sizes, as `streaming_config.json` has them.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Of a feature, and of what the encoder makes of it.
    pub(super) encoded: usize,
    /// Of what the decoder looks at.
    pub(super) memory: usize,
    /// Of the decoder.
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Of one head's key or value.
    pub(super) width: usize,
    pub(super) vocabulary: usize,
    pub(super) begin: i64,
    pub(super) end: i64,
    /// Channels that go into the two convolutions.
    pub(super) channels: [usize; 2],
    /// Features after one that the encoder looks at for it, and those before.
    pub(super) ahead: usize,
    pub(super) left: usize,
    /// Features that a stretch may have at most: there are no positions beyond.
    pub(super) longest: usize,
}

impl Shape {
    /// Reads `streaming_config.json` in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Shape, BadModel> {
        let settings = Settings::read(folder.join("streaming_config.json"))?;
        let layers = settings.count("depth", 64)?;
        let vocabulary = settings.count("vocab_size", 1 << 20)?;
        let frame = settings.count_or("frame_len", 1 << 12, FRAME)?;
        if frame != FRAME {
            let why = format!("frame_len is {frame}, not {FRAME}");
            return Err(BadModel::unfit(settings.path(), why));
        }
        Ok(Shape {
            encoded: settings.count("encoder_dim", 1 << 13)?,
            memory: settings.count("decoder_dim", 1 << 13)?,
            heads: settings.count("nheads", 256)?,
            width: settings.count("head_dim", 1 << 10)?,
            begin: settings.count_or("bos_id", vocabulary - 1, 1)? as i64,
            end: settings.count_or("eos_id", vocabulary - 1, 2)? as i64,
            channels: [
                settings.count("d_model_frontend", 1 << 13)?,
                settings.count("c1", 1 << 14)?,
            ],
            ahead: settings.count("total_lookahead", 512)?,
            // The published models do not say; their layers look back over 16 features each, and both halves have as many.
            left: settings.count_or("total_left", 1 << 12, 16 * layers)?,
            // 4096 positions have the published models, whatever they say of tokens.
            longest: settings.count_or("max_positions", 1 << 16, 4096)?,
            layers,
            vocabulary,
        })
    }

    /// Values that one token, or one feature, has among the keys of the decoder.
    pub(super) fn per_place(&self) -> usize {
        self.layers * self.heads * self.width
    }
}
