"""Asks glance about whole scenes: python evaluate.py RUN FILE [--calibrate OUT]

FILE is what `glance-examples unseen` or `asked` wrote. Prints the share of right answers of each family. With `--calibrate`, half of the pictures
are worn as a coder wears them, and `calibration.json` in the folder OUT becomes what makes certainties chances.
"""

import json
import pathlib
import sys

import numpy as np
import torch
from tokenizers import Tokenizer

import scenes
from export import load
from train_sight import worn
from train_words import Speech, run
from words import WORDS, says, tell

LONGEST = 16


def plain(text):
    return "".join(letter for letter in text.lower() if letter.isalnum())


@torch.inference_mode()
def answer(vision, decoder, speech, question, pictures):
    """What is said, and the mean probability of its tokens."""
    told = tell(*vision.see(pictures)) if len(pictures) == 1 else torch.cat([tell(*vision.see(one[None])) for one in pictures])
    ids = speech.start(True)
    for at in range(len(pictures)):
        before, after = speech.picture()
        ids += before + [-1 - at * WORDS - int(word) for word in says(told[at]).nonzero()] + after
    ids += speech.tokens(question) + [speech.stop] + speech.tokens("\nAssistant:")
    said, logs = [], []
    while len(said) < LONGEST:
        index = torch.tensor([ids + said])
        count = index.shape[1]
        hidden = torch.triu(torch.full((1, 1, count, count), -1e9), 1)
        last = torch.arange(count)[None] == count - 1
        logits = run(decoder, told, index, torch.arange(count)[None], hidden, last)[0][0].log_softmax(-1)
        token = int(logits.argmax())
        if token == speech.stop:
            break
        said.append(token)
        logs.append(float(logits[token]))
    return speech.bpe.decode(said), float(np.exp(np.mean(logs))) if logs else 0.5


def fitted(chances, right):
    """Scale and offset of the logistic regression of being right on the logit of a chance, by Newton's method."""
    chances = np.clip(chances, 1e-6, 1 - 1e-6)
    x = np.stack([np.log(chances / (1 - chances)), np.ones(len(chances))], 1)
    weights = np.array([1.0, 0.0])
    for _ in range(50):
        made = 1 / (1 + np.exp(-x @ weights))
        step = x.T @ (right - made) - 1e-2 * weights
        curve = x.T @ (x * (made * (1 - made))[:, None]) + 1e-2 * np.eye(2)
        weights = weights + np.linalg.solve(curve, step)
    return weights


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    vision, decoder = load(folder)
    speech = Speech(Tokenizer.from_file(str(folder / "tokenizer.json")))
    calibrate = pathlib.Path(sys.argv[4]) if sys.argv[3:4] == ["--calibrate"] else None
    draw = np.random.default_rng(1)
    right, chances, hits, shown = {}, [], [], 0
    with open(sys.argv[2], "rb") as file:
        for scene, planes in scenes.read(file):
            pictures = scenes.rgb(planes)
            if calibrate and draw.random() < 0.5:
                pictures = worn(pictures, draw)
            text, chance = answer(vision, decoder, speech, scene["question"], pictures)
            hit = plain(text) == plain(scene["answer"])
            right.setdefault(scene["family"], []).append(hit)
            chances.append(chance)
            hits.append(hit)
            if not hit and shown < 40:
                shown += 1
                print(f"{scene['family']:<16} {scene['question']} {scene['answer']!r} but {text!r} ({chance:.2f}) {scene['letters'] or ''}")
    for family, own in right.items():
        print(f"{family:<16} {np.mean(own):.3f} of {len(own)}")
    print(f"{'all':<16} {np.mean(hits):.3f} of {len(hits)}")
    if calibrate:
        scale, offset = fitted(np.array(chances), np.array(hits, float))
        (calibrate / "calibration.json").write_text(json.dumps({"scale": round(float(scale), 4), "offset": round(float(offset), 4)}) + "\n")
        print(f"scale {scale:.3f}, offset {offset:.3f}")


if __name__ == "__main__":
    main()
