"""A Whisper checkpoint as one file in whisper.cpp's format.

    python models/training/whisper/ggml.py CHECKPOINT FILE

CHECKPOINT is a folder (or a hub's name) of `WhisperForConditionalGeneration` with its tokeniser. Needs torch, transformers and numpy.
"""

import struct
import sys

import numpy as np

MAGIC = 0x67676D6C
# The file's type: half-precision matrices, full-precision vectors.
HALF = 1

NAMES = {
    "model.encoder.embed_positions.weight": "encoder.positional_embedding",
    "model.encoder.layer_norm": "encoder.ln_post",
    "model.encoder.conv1": "encoder.conv1",
    "model.encoder.conv2": "encoder.conv2",
    "model.encoder.layers": "encoder.blocks",
    "model.decoder.embed_tokens.weight": "decoder.token_embedding.weight",
    "model.decoder.embed_positions.weight": "decoder.positional_embedding",
    "model.decoder.layer_norm": "decoder.ln",
    "model.decoder.layers": "decoder.blocks",
}
PARTS = {
    "self_attn_layer_norm": "attn_ln", "encoder_attn_layer_norm": "cross_attn_ln", "final_layer_norm": "mlp_ln",
    "self_attn.q_proj": "attn.query", "self_attn.k_proj": "attn.key", "self_attn.v_proj": "attn.value", "self_attn.out_proj": "attn.out",
    "encoder_attn.q_proj": "cross_attn.query", "encoder_attn.k_proj": "cross_attn.key", "encoder_attn.v_proj": "cross_attn.value",
    "encoder_attn.out_proj": "cross_attn.out", "fc1": "mlp.0", "fc2": "mlp.2",
}


def renamed(name):
    start = next(known for known in NAMES if name.startswith(known))
    name = NAMES[start] + name[len(start):]
    part = next((known for known in PARTS if f".{known}." in name), None)
    return name.replace(part, PARTS[part]) if part else name


def write(made, filters, vocabulary, path):
    """`filters` are the mel bank, `[mels, frequencies]`; `vocabulary` the bytes of each token that is not control."""
    config = made.config
    with open(path, "wb") as file:
        sizes = [config.vocab_size, config.max_source_positions, config.d_model, config.encoder_attention_heads, config.encoder_layers,
                 config.max_target_positions, config.d_model, config.decoder_attention_heads, config.decoder_layers, config.num_mel_bins]
        file.write(struct.pack("<I11i", MAGIC, *sizes, HALF))
        file.write(struct.pack("<2i", *filters.shape) + filters.astype("<f4").tobytes())
        file.write(struct.pack("<i", len(vocabulary)))
        for piece in vocabulary:
            file.write(struct.pack("<I", len(piece)) + piece)
        for name, weight in made.state_dict().items():
            if name == "proj_out.weight":
                continue
            values = weight.numpy()
            name = renamed(name).encode()
            if name.endswith((b"conv1.bias", b"conv2.bias")):
                values = values.reshape(-1, 1)
            half = values.ndim >= 2 and not name.endswith((b".bias", b"positional_embedding"))
            file.write(struct.pack("<3i", values.ndim, len(name), int(half)) + struct.pack(f"<{values.ndim}i", *values.shape[::-1]) + name)
            file.write(values.astype("<f2" if half else "<f4").tobytes())


def spelt(tokeniser):
    """The bytes of every token before control begins."""
    letters = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    bytes_of = {chr(letter): letter for letter in letters}
    bytes_of |= {chr(256 + at): byte for at, byte in enumerate(byte for byte in range(256) if byte not in letters)}
    pieces = sorted((token, piece) for piece, token in tokeniser.get_vocab().items() if not piece.startswith("<|"))
    return [bytes(bytes_of[letter] for letter in piece) for _, piece in pieces]


def main():
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    checkpoint, path = sys.argv[1:3]
    processor = WhisperProcessor.from_pretrained(checkpoint)
    made = WhisperForConditionalGeneration.from_pretrained(checkpoint).float().eval()
    write(made, np.asarray(processor.feature_extractor.mel_filters).T, spelt(processor.tokenizer), path)


if __name__ == "__main__":
    main()
