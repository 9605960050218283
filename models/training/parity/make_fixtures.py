"""Writes `models/tests/fixtures/vlm/`: two tiny SmolVLMs in the three-file layout, and what the reference makes of pictures and
questions.

    python models/training/parity/make_fixtures.py models/tests/fixtures/vlm

Needs torch, transformers, onnx, tokenizers, pillow and numpy; the tests that read the fixtures need none of them.
Figures are those of transformers' own processors and models. The seeds are fixed: a second run writes the same.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import transformers
from PIL import Image
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil
from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

import tiny

# SmolVLM-256M-Instruct's own sizes, and those of the tiny models.
REAL, TINY = (2048, 512), (256, 64)
WORDS_PER_TILE = 16
ANSWER = 24
EVERY = 5


def picture(width, height):
    """A picture that the tests draw by the same rule, as planes of YUV 4:2:0: a ramp that wraps in the light, a checkerboard and noise
    in the colours. To RGB as the runtime does it (BT.601, limited range, 16-bit fixed point)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    light = ((x * x + 3 * y) % 256 - 16) * 76309 + (1 << 15)
    blue = ((x // 2 // 4 + y // 2 // 4) % 2 * 100 + 78) - 128
    red = ((x // 2 * 7 ^ y // 2 * 11) & 255) - 128
    channels = [light + red * 104597, light - blue * 25675 - red * 53279, light + blue * 132201]
    return Image.fromarray(np.stack(channels, -1).__rshift__(16).clip(0, 255).astype(np.uint8))


def columns_first(self, size, resample=None, box=None, reducing_gap=None, resize=Image.Image.resize):
    """As every Pillow before 13 scales, and so as the models' training did: 13 takes the rows first where that is cheaper, and rounds
    differently then."""
    assert box is None and reducing_gap is None
    return resize(resize(self, (size[0], self.height), resample), size, resample)


Image.Image.resize = columns_first


def processor(longest, tile, splitting=True):
    return SmolVLMImageProcessorPil(
        size={"longest_edge": longest}, max_image_size={"longest_edge": tile}, do_image_splitting=splitting
    )


def levels(values):
    """Normalised values back to the 8-bit levels that they stand for."""
    return np.rint((values * 0.5 + 0.5) * 255).astype(int)


def prepared(width, height, longest, tile, splitting):
    """What the reference's processor makes of one picture: the grid, and levels sampled all over the tiles."""
    made = processor(longest, tile, splitting)([[picture(width, height)]], return_tensors="np", return_row_col_info=True)
    values = levels(np.asarray(made["pixel_values"]).reshape(-1))
    assert np.asarray(made["pixel_attention_mask"]).all(), "every tile is full"
    samples = (np.arange(800, dtype=np.int64) * 1000003) % values.size
    return {
        "width": width,
        "height": height,
        "longest": longest,
        "tile": tile,
        "splitting": splitting,
        "rows": int(made["rows"][0][0]),
        "columns": int(made["cols"][0][0]),
        "values": int(values.size),
        "mean": float(values.mean()),
        "samples": values[samples].tolist(),
    }


def pictures():
    cases = [prepared(*size, *REAL, True) for size in [(640, 480), (1280, 720), (37, 211), (3, 2)]]
    cases += [prepared(640, 480, *REAL, False), prepared(50, 90, *REAL, False)]
    cases += [prepared(480, 640, edge, 512, True) for edge in (512, 1024)]
    sizes = [(160, 120), (90, 200), (64, 64), (300, 90), (1, 1), (5, 301)]
    return cases + [prepared(*size, edge, 64, splitting) for size in sizes for edge in (64, 128, 256) for splitting in (True, False)]


class Tie(Exception):
    """Two tokens are as good as alike: which of them is said shows nothing."""


class Conversation:
    """A conversation with the reference model, which computes every turn anew from the first token."""

    def __init__(self, words, made):
        self.words, self.made = words, made
        self.ids, self.tiles, self.turns = [], [], []

    def ask(self, question, sizes=(), edge=256):
        messages = [{"role": "user", "content": [{"type": "image"} for _ in sizes] + [{"type": "text", "text": question}]}]
        text = self.words.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        for size in sizes:
            made = processor(edge, TINY[1])([[picture(*size)]], return_tensors="pt", return_row_col_info=True)
            self.tiles.append(made["pixel_values"][0])
            said = get_image_prompt_string(
                made["rows"][0][0], made["cols"][0][0], WORDS_PER_TILE, "<fake_token_around_image>", "<image>", "<global-img>"
            )
            text = text.replace("<image>", said.replace("<image>", "<marked>"), 1)
        text = text.replace("<marked>", "<image>")
        if self.ids:
            # The turn before ended with <end_of_utterance>; a line break follows it, and the start only opens the first.
            text = "\n" + text.removeprefix("<|im_start|>")
        prompt = self.words(text, add_special_tokens=False)["input_ids"]
        answer, logits = self.answer(self.ids + prompt)
        self.ids += prompt + answer
        if answer[-1] != self.words.eos_token_id:
            self.ids.append(self.words.eos_token_id)
        self.turns.append(
            {
                "question": question,
                "sizes": list(map(list, sizes)),
                "edge": edge,
                "prompt": prompt,
                "answer": answer,
                "text": self.words.decode(answer, skip_special_tokens=True),
                "logits": [[round(float(value), 5) for value in row[::EVERY]] for row in logits],
            }
        )
        return self

    @torch.no_grad()
    def answer(self, ids):
        # Else the start of the conversation, which is also what short batches are filled up with, would be masked out.
        inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
        if self.tiles:
            inputs["pixel_values"] = torch.cat(self.tiles)[None]
        made = self.made.generate(
            **inputs,
            max_new_tokens=ANSWER,
            do_sample=False,
            # Random weights may say the word that stands for a picture; the runtime lets no model do that.
            suppress_tokens=[self.made.config.image_token_id],
            output_logits=True,
            return_dict_in_generate=True,
        )
        logits = [row[0].numpy() for row in made.logits]
        margin = min(np.diff(np.sort(np.delete(row, self.made.config.image_token_id))[-2:])[0] for row in logits)
        if margin < 5e-3:
            raise Tie(margin)
        return made.sequences[0, len(ids) :].tolist(), logits


def conversations(words, made):
    def fresh():
        return Conversation(words, made)

    return [
        fresh().ask("What does the sign say?", [(96, 64)], edge=64).turns,
        fresh().ask("How many circles are there?", [(160, 120)]).turns,
        fresh().ask("Which is red?", [(160, 120), (50, 90)], edge=128).turns,
        fresh().ask("Describe what you see.").turns,
        fresh().ask("Is the light green?", [(70, 130)], edge=128).ask("And now? Grüße ☃").ask("Now?", [(64, 64)], edge=64).turns,
    ]


def save(folder, words, made):
    tiny.export(made, folder)
    words.backend_tokenizer.save(str(folder / "tokenizer.json"))
    made.config.save_pretrained(folder)
    made.generation_config.save_pretrained(folder)
    settings = processor(*TINY).to_dict() | {"processor_class": "Idefics3Processor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")
    (folder / "processor_config.json").write_text(json.dumps({"image_seq_len": WORDS_PER_TILE}) + "\n")
    (folder / "chat_template.jinja").write_text(tiny.CHAT_TEMPLATE)


def model(words, seed, *sizes):
    """Of the first seed from `seed` on whose answers hold no tie, with its conversations."""
    while True:
        made = tiny.model(words, seed, *sizes, TINY[1])
        try:
            return made, conversations(words, made)
        except Tie:
            seed += 1


def main():
    root = pathlib.Path(sys.argv[1])
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    words = tiny.tokenizer(420)
    for name, seed, sizes in ("large", 7, (48, 3)), ("small", 100, (24, 1)):
        made, talks = model(words, seed, *sizes)
        (root / name).mkdir(parents=True, exist_ok=True)
        save(root / name, words, made)
        talk = json.dumps({"every": EVERY, "conversations": talks}, ensure_ascii=False)
        (root / name / "expected.json").write_text(talk + "\n")
        for turns in talks:
            print(name, [(len(turn["prompt"]), len(turn["answer"]), turn["text"][:40]) for turn in turns], flush=True)
    (root / "pictures.json").write_text(json.dumps(pictures()) + "\n")


main()
