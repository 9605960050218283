"""A streaming Moonshine of the tiny model's sizes with weights drawn at random: it says nothing, and costs what the tiny model costs
in full precision. For `make bench-hearing` where no model was pulled.

    python models/training/moonshine/sizes.py FOLDER

Needs torch, transformers and onnx.
"""

import pathlib
import sys

import torch
from transformers import MoonshineStreamingConfig, MoonshineStreamingForConditionalGeneration

import graphs


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.manual_seed(1)
    # The defaults are those of the tiny model.
    made = MoonshineStreamingForConditionalGeneration._from_config(MoonshineStreamingConfig(num_key_value_heads=8), attn_implementation="eager").eval()
    graphs.export(made, [list(window) for window in made.config.encoder_config.sliding_windows], folder)
    graphs.tokens([b"" if place < 3 else f"\u2581w{place}".encode() for place in range(made.config.vocab_size)], folder / "tokenizer.bin")


if __name__ == "__main__":
    main()
