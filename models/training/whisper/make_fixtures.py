"""Writes `models/tests/fixtures/whisper/`: a tiny English Whisper of random weights as whisper.cpp reads it, and the tokens that the
reference makes of sound.

    python models/training/whisper/make_fixtures.py models/tests/fixtures/whisper

Needs torch, transformers and numpy; the tests that read the fixtures need none of them. The seeds are fixed: a second run writes the
same. whisper.cpp knows its control tokens by the size of the vocabulary, so it cannot be small; the model is narrow instead.
"""

import json
import pathlib
import sys

import numpy as np
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

import ggml

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "moonshine"))
import tones

VOCABULARY, WORDS = 51864, 300
EOT, SOT, NOT, BEGIN = 50256, 50257, 50362, 50363
CONTEXT, WIDE = 300, 8
# Words of a second and a half and more, so that windows of several sizes are looked at.
SPOKEN = [["ba"], ["kilo", "de"], ["fo"], ["guma", "lofogu"], ["nede", "ba", "fo"], ["maba", "kilo", "guma", "de"],
          ["lofogu", "nede", "ba", "guma", "fo"], ["de", "de", "kilo", "maba", "fo", "guma", "nede"]]


def pieces():
    """Bytes first, as in every tokeniser of this kind, then syllables at the beginning of a word and within."""
    made = [bytes([byte]) for byte in range(256)]
    made += [b" " + name.encode() for name in tones.SYLLABLES] + [name.encode() for name in tones.SYLLABLES]
    return made + [f" w{at}".encode() for at in range(WORDS - len(made))]


def tiny(seed):
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    config = WhisperConfig(
        vocab_size=VOCABULARY, num_mel_bins=80, d_model=WIDE, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=4 * WIDE, decoder_ffn_dim=4 * WIDE, max_source_positions=CONTEXT,
        max_target_positions=128, decoder_start_token_id=SOT, eos_token_id=EOT, bos_token_id=EOT, pad_token_id=EOT,
        suppress_tokens=None, begin_suppress_tokens=None,
    )
    made = WhisperForConditionalGeneration._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if weight.ndim >= 2 and "encoder.embed_positions" not in name:
                # What is heard must count beside what was said.
                strong = {"encoder_attn": 4.0, "embed_tokens": 2.0, "decoder.embed_positions": 4.0, "encoder.layers": 2.0}
                scale = next((strong[part] for part in strong if part in name), 1.3)
                weight.normal_(0.0, scale / weight[0].numel() ** 0.5)
        words = made.model.decoder.embed_tokens.weight
        words[WORDS:EOT] = 0.0
        words[SOT + 1 : NOT] = 0.0
        words[BEGIN:] = 0.0
        words[EOT] *= 0.8
        for name, weight in made.named_parameters():
            if weight.ndim >= 2 and "embed_positions" not in name:
                weight.copy_(weight.half().float())
    return made


def context(samples):
    """How much of the window the driver has whisper.cpp look at, in steps of 20 ms: what there is, rounded up to steps of 64, at
    least 64."""
    return min(CONTEXT, -(-max(1, -(-samples // 320)) // 64) * 64)


def heard(made, values, sound):
    """Greedy tokens, by how much the closest was won, and their mean log chance."""
    window = context(len(sound))
    values = values[:, :, : 2 * window]
    encoder = made.model.encoder
    places, encoder.embed_positions = encoder.embed_positions, torch.nn.Embedding.from_pretrained(encoder.embed_positions.weight[:window])
    made.config.max_source_positions = window
    states = encoder(values).last_hidden_state
    encoder.embed_positions, made.config.max_source_positions = places, CONTEXT
    said, margin = [], 1e9
    most = len(sound) * 8 // 16_000 + 4
    words = made.model.decoder.embed_tokens.weight
    # The only rows that are not zero; of the others any may stand for all.
    known = torch.cat([words[:WORDS], words[[EOT]], torch.zeros(1, WIDE)])
    while len(said) < most:
        asked = torch.tensor([[SOT, NOT, *said]])
        logits = made.model.decoder(input_ids=asked, encoder_hidden_states=states, use_cache=False).last_hidden_state[0, -1] @ known.T
        if not said:
            logits[[WORDS, 32]] = -torch.inf
        best = logits.topk(2)
        margin = min(margin, (best.values[0] - best.values[1]).item())
        if best.indices[0] >= WORDS:
            margin = margin if best.indices[0] == WORDS else 0.0
            break
        said.append(best.indices[0].item())
    return said, margin


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    features = WhisperFeatureExtractor(feature_size=80, chunk_length=CONTEXT // 50)
    sounds = [(words, 200 + at, tones.speak(words, 200 + at)) for at, words in enumerate(SPOKEN)]
    values = [features(sound, sampling_rate=16_000, return_tensors="pt").input_features for _, _, sound in sounds]
    best = (0, 0.0, None, None)
    with torch.no_grad():
        for seed in range(int(sys.argv[2]), int(sys.argv[3])) if len(sys.argv) > 4 else [SEED]:
            made = tiny(seed)
            told = [heard(made, value, sound) for value, (_, _, sound) in zip(values, sounds)]
            least = min(margin for _, margin in told)
            kinds = len({tuple(tokens) for tokens, _ in told}) * len({token for tokens, _ in told for token in tokens})
            if "-v" in sys.argv:
                print(seed, kinds, round(least, 4), [tokens[:6] for tokens, _ in told], flush=True)
            if least > 0.02 and kinds > best[0]:
                best = (kinds, least, seed, told)
                print(seed, kinds, round(least, 4), [tokens for tokens, _ in told], flush=True)
    kinds, least, seed, told = best
    assert kinds >= 24, "sounds must tell tokens apart"
    made = tiny(seed)
    ggml.write(made, np.asarray(features.mel_filters).T, pieces(), folder / "tiny.bin")
    cases = [{"words": words, "seed": at, "tokens": tokens} for (words, at, _), (tokens, _) in zip(sounds, told)]
    (folder / "expected.json").write_text(json.dumps({"pieces": [piece.decode("latin-1") for piece in pieces()], "cases": cases}) + "\n")
    print(f"seed {seed}: the closest token won by {least:.4f}")


SEED = 10

if __name__ == "__main__":
    main()
