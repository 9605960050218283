"""Teaches a tiny streaming Moonshine the language of tones: a few minutes on one thread."""

import numpy as np
import torch
from torch.nn import functional as F
from transformers import MoonshineStreamingConfig, MoonshineStreamingForConditionalGeneration

import tones

# As transformers reads a window: this many frames with the frame itself, and one less than this many after it.
WINDOWS = [[8, 3], [8, 1], [8, 3]]
WIDE, STEPS, BATCH = 32, 1400, 24


def model():
    torch.manual_seed(5)
    torch.set_num_threads(1)
    config = MoonshineStreamingConfig(
        vocab_size=len(tones.TOKENS), hidden_size=40, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=20, max_position_embeddings=1024,
        encoder_config=dict(hidden_size=WIDE, intermediate_size=64, num_hidden_layers=len(WINDOWS), num_attention_heads=2,
                            num_key_value_heads=2, sliding_windows=WINDOWS),
    )
    made = MoonshineStreamingForConditionalGeneration._from_config(config, attn_implementation="eager")
    made.generation_config.pad_token_id = 0
    return made


def batch(random, hiss, most):
    """Sounds, which of their samples count, and the tokens to be said, padded with −100."""
    spoken = []
    for _ in range(BATCH):
        count = int(random.integers(0, most + 1))
        words = [list(tones.WORDS)[at] for at in random.integers(0, len(tones.WORDS), count)]
        shift = int(random.integers(0, len(hiss) // 2))
        stretch, loud = lambda: int(random.integers(-900, 1200)), int(random.integers(6, 20))
        sound = tones.speak(words, 0, stretch, loud, hiss[shift:] * int(random.integers(0, 6)) // 4)
        # Whole frames.
        spoken.append((sound[: len(sound) // 80 * 80], tones.tokens(words)))
    longest, said = max(len(sound) for sound, _ in spoken), max(len(words) for _, words in spoken) + 1
    values, mask = np.zeros((BATCH, longest), dtype=np.float32), np.zeros((BATCH, longest), dtype=np.int64)
    labels = np.full((BATCH, said), -100, dtype=np.int64)
    for at, (sound, words) in enumerate(spoken):
        values[at, : len(sound)], mask[at, : len(sound)] = sound, 1
        labels[at, : len(words) + 1] = [*words, tones.EOS]
    return torch.from_numpy(values), torch.from_numpy(mask), torch.from_numpy(labels)


def train():
    made, random, hiss = model().train(), np.random.default_rng(11), tones.noise(1 << 18, 77)
    steer = torch.optim.AdamW(made.parameters(), lr=3e-3, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.OneCycleLR(steer, 4e-3, total_steps=STEPS, pct_start=0.15)
    for step in range(STEPS):
        values, mask, labels = batch(random, hiss, 1 + 7 * step // STEPS)
        asked = torch.where(labels < 0, 0, labels)
        asked = torch.cat([torch.full_like(asked[:, :1], tones.BOS), asked[:, :-1]], dim=1)
        out = made(input_values=values, attention_mask=mask, decoder_input_ids=asked, use_cache=False)
        loss = F.cross_entropy(out.logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        steer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        steer.step()
        plan.step()
        if step % 50 == 0 or step == STEPS - 1:
            print(f"{step:5} loss {loss.item():.4f}", flush=True)
    return made.eval()


if __name__ == "__main__":
    import sys

    torch.save(train().state_dict(), sys.argv[1])
