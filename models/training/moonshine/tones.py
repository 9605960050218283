"""A language of tones, spoken by arithmetic: so small that a model of a few kilobytes understands it, and so simple that the tests
speak it as well, to the last bit."""

import numpy as np

# A syllable is two triangle waves with these periods, in samples at 16 kHz.
SYLLABLES = {"ba": (20, 61), "de": (27, 83), "fo": (35, 97), "gu": (44, 71), "ki": (53, 33), "lo": (67, 24), "ma": (79, 47), "ne": (89, 31)}
# The words: how they are written, and their syllables.
WORDS = {"ba": ["ba"], "de": ["de"], "fo": ["fo"], "guma": ["gu", "ma"], "kilo": ["ki", "lo"], "nede": ["ne", "de"], "maba": ["ma", "ba"],
         "lofogu": ["lo", "fo", "gu"]}
# Control, beginnings of words, what follows them, two that nothing ever says and two that only a mark can follow.
TOKENS = ["", "", ""] + ["▁" + name for name in SYLLABLES] + list(SYLLABLES) + ["<0xC3>", "<0xA4>", "▁I", "'m", "."]
BOS, EOS = 1, 2
SYLLABLE, PAUSE = 2400, 1600


def tokens(words):
    made = []
    for word in words:
        first, *rest = WORDS[word]
        made += [TOKENS.index("▁" + first)] + [TOKENS.index(name) for name in rest]
    return made


def triangle(at, period):
    """−512..512, exactly."""
    return np.abs(at * 2048 // period % 2048 - 1024) - 512


def noise(length, seed):
    """−512..511, a linear congruential generator's higher bits."""
    made, state = np.empty(length, dtype=np.int64), seed
    for at in range(length):
        state = (state * 1664525 + 1013904223) % (1 << 32)
        made[at] = (state >> 22) - 512
    return made


def samples(integers):
    """16-bit samples as the models take them, exact in 32-bit floats."""
    return integers.astype(np.float32) / np.float32(32768.0)


def speak(words, seed, stretch=lambda: 0, loud=12, hiss=None):
    """Words with pauses between them, over a hiss. `stretch` lengthens a syllable or a pause by so many samples."""
    parts = [np.zeros(PAUSE + stretch(), dtype=np.int64)]
    for word in words:
        for name in WORDS[word]:
            at = np.arange(SYLLABLE + stretch(), dtype=np.int64)
            first, second = SYLLABLES[name]
            parts.append((triangle(at, first) + triangle(at, second)) * loud)
        parts.append(np.zeros(PAUSE + stretch(), dtype=np.int64))
    made = np.concatenate(parts)
    return samples(made + (noise(len(made), seed) if hiss is None else hiss[: len(made)]) // 4)
