"""Trains the decoder on scenes that are told, not shown: python train_words.py OUT --examples glance-examples --minutes 30 [--from CHECKPOINT]

What the eyes would tell of a scene is made up from what is in it, with the mistakes that eyes make. Scenes come from a generator without
end. Of each its own question is asked, and some more that can be asked of any scene; all of them look at the same pictures, none at another.
"""

import argparse
import json
import math
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from scenes import Thing
from sight import COLOURS, HEIGHT, LETTERS, SHAPES, SIGNS, SLOTS, THINGS, WIDTH, Looker
from words import CONTROL, WORDS, Decoder, spelt, tell, tokeniser

NOT_SEEN = "not seen"
PLURALS = ["crosses" if shape == "cross" else f"{shape}s" for shape in SHAPES]
# Questions about a scene besides its own, at most.
MORE = 2
SPELT = {"word", "price", "code", "display", "sign_by_colour"}
# What is learnt sooner than the rest is asked less often.
EASY = {"colour_of_shape", "shape_by_colour", "place", "change", "gauge", "clock", "lamps", "largest", "motion"}
ALIKE = {LETTERS.index(digit): LETTERS.index(letter) for digit, letter in zip("0125689", "oizsbbg")}
# What no phrasing can do without.
NEEDED = set(SHAPES) | set(PLURALS) | set(COLOURS) | set(
    "left right sign price cost much code label display displayed screen clock gauge lamps colour shape many number count where row column place "
    "direction heading move moves moving turn turned become change new largest biggest bigger larger neighbour next towards hour way".split()
)


def near(one, other):
    """How much of two boxes (edges) is common to them."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    common = max(0, wide) * max(0, high)
    area = sum((edges[2] - edges[0]) * (edges[3] - edges[1]) for edges in (one, other))
    return common / max(1e-6, area - common)


def asked(scene, at):
    """Which things of a picture the answer rests on."""
    things = scene["pictures"][at]
    if scene["family"] == "count":
        shape = next(shape for shape in SHAPES if re.search(rf"\b{shape}(s|es)\b", scene["question"]))
        return {index for index, thing in enumerate(things) if thing["shape"] == shape}
    left, top, right, bottom = scene["regions"][at]
    region = [left * WIDTH, top * HEIGHT, right * WIDTH, bottom * HEIGHT]
    return {max(range(len(things)), key=lambda index: near(things[index]["edges"], region))}


class Eyes:
    """What eyes would tell of things, one picture after another."""

    def __init__(self, draw):
        self.draw = draw
        self.told = []

    def guess(self, count, right, wrong=0.008):
        """What a head would give, before softmax."""
        # Mostly the eyes are quite sure.
        strength = self.draw.uniform(9, 16) if self.draw.random() < 0.75 else self.draw.uniform(2, 9)
        if right < 0:
            right, strength = self.draw.integers(count), self.draw.uniform(0, 6)
        elif self.draw.random() < wrong:
            right, strength = self.draw.integers(count), self.draw.uniform(1, 5)
        logits = self.draw.standard_normal(count)
        logits[right] += strength
        return logits

    def see(self, told):
        """Adds a picture. Answers with the words that say something (and some that say nothing), and those that each thing is told in."""
        draw = self.draw
        there, boxes = np.zeros(THINGS), np.zeros((THINGS, 4))
        looks = [np.zeros((THINGS, count)) for count in Looker.HEADS]
        looks[0][:, 0] = 20
        letters, signs = np.full((SIGNS, SLOTS, len(LETTERS)), -1e9), np.zeros(SIGNS, np.int64)
        order = [index for index in draw.permutation(len(told)) if draw.random() > 0.004][:THINGS]
        things = [(index, Thing(told[index])) for index in order]
        spare = [(None, None)] * int(draw.random() < 0.3) * int(draw.integers(1, 4))
        rows = (things + spare)[:THINGS]
        own, full, read = {}, [], []
        for at, (index, thing) in enumerate(rows):
            full.append(at)
            if thing is None:
                there[at] = draw.uniform(0.05, 0.5)
                boxes[at] = [draw.uniform(0, WIDTH), draw.uniform(0, HEIGHT), *draw.uniform(8, 60, 2)]
                guesses = [self.guess(Looker.HEADS[0], 0), *[self.guess(count, -1) for count in Looker.HEADS[1:6]]]
                lamps = draw.random(5)
            else:
                there[at] = draw.uniform(0.6, 1)
                cx, cy, wide, high = thing.box
                boxes[at] = [cx + draw.normal() * (1 + 0.015 * wide), cy + draw.normal() * (1 + 0.015 * high), wide * math.exp(draw.normal() * 0.04), high * math.exp(draw.normal() * 0.04)]
                guesses = [self.guess(count, right) for count, right in zip(Looker.HEADS[:6], thing.looks())]
                lamps = 1 / (1 + np.exp(-(2 * np.array(thing.lamps) - 1) * draw.uniform(1, 8, 5)))
                own[index] = [at]
                if thing.text is not None:
                    read.append((at, index, thing.text))
            for part, guess in zip(looks, [*guesses, lamps]):
                part[at] = guess
        for sign, (at, index, text) in enumerate(read[:SIGNS]):
            signs[sign] = at
            text = [one for one in text if draw.random() > 0.002]
            if draw.random() < 0.15:
                # Digits of some fonts look like letters (old style): what stands around them tells.
                text = [ALIKE.get(one, one) if draw.random() < 0.5 else one for one in text]
            for slot, letter in enumerate(text[:SLOTS]):
                letters[sign, slot] = self.guess(len(LETTERS), letter)
                full.append(THINGS + sign * SLOTS + slot)
                own[index].append(THINGS + sign * SLOTS + slot)
        # Where nothing is, a word says so: the decoder must know them, but needs not read all of them.
        blank = [at for at in range(WORDS) if at not in full]
        if draw.random() > 0.02:
            blank = [at for at in blank if draw.random() < 0.1]
        self.told.append((there, looks, boxes, letters, signs))
        return sorted(full + blank), own

    def tensors(self):
        there, looks, boxes, letters, signs = zip(*self.told)
        looks = [torch.from_numpy(np.stack(part)).float() for part in zip(*looks)]
        there, boxes, letters = (torch.from_numpy(np.stack(part)).float() for part in (there, boxes, letters))
        looks = [part.softmax(-1) for part in looks[:-1]] + [looks[-1]]
        spelt = (letters.amax(-1, keepdim=True) > -1e8).float()
        return tell(there, looks, boxes, letters.softmax(-1) * 0.97 * spelt, torch.from_numpy(np.stack(signs)))


class Speech:
    """Questions and answers as tokens."""

    def __init__(self, bpe):
        self.bpe = bpe
        self.id = {word: bpe.token_to_id(word) for word in CONTROL + [spelt(letter, slot) for letter in LETTERS for slot in range(SLOTS)]}
        self.stop = self.id["<end_of_utterance>"]

    def tokens(self, text):
        return self.bpe.encode(text).ids

    def answer(self, family, text):
        if family in SPELT and text != NOT_SEEN:
            return [self.id[spelt(letter, slot)] for slot, letter in enumerate(text[:SLOTS])] + [self.stop]
        return self.tokens(" " + text) + [self.stop]

    def start(self, first):
        return self.tokens("<|im_start|>User:") if first else self.tokens("\nUser:")

    def picture(self):
        fake = self.id["<fake_token_around_image>"]
        return [fake, self.id["<global-img>"]], [fake]


def reworded(question, draw):
    """The question without some of the words that it can do without."""
    if draw.random() < 0.5:
        return question
    words = question.split(" ")
    kept = [word for word in words if re.sub(r"\W", "", word.lower()) in NEEDED or draw.random() > 0.3]
    question = " ".join(kept) or question
    return question.rstrip("?.") if draw.random() < 0.3 else question


def respelt(scene, draw):
    """The scene with letters that mean nothing on its signs, so that reading is learnt and not a list of words."""
    others = {}

    def other(text):
        if text.lower() not in others:
            length = draw.integers(3, 10)
            others[text.lower()] = "".join(LETTERS[at] for at in draw.integers(26, size=length))
        return others[text.lower()]

    def told(thing):
        return thing | {"shows": other(thing["shows"])} if thing["kind"] == "sign" and thing["shows"].isalpha() else thing

    pictures = [[told(thing) for thing in things] for things in scene["pictures"]]
    return scene | {"pictures": pictures, "answer": others.get(scene["answer"], scene["answer"])}


def templates(scenes):
    """Phrasings by family, with a gap for the shape or the colour that they ask about."""
    named = {"colour_of_shape": SHAPES, "place": SHAPES, "shape_by_colour": COLOURS, "sign_by_colour": COLOURS, "count": PLURALS}
    found = {}
    for scene in scenes:
        names = "|".join(named.get(scene["family"], ["-"]))
        found.setdefault(scene["family"], set()).add(re.sub(rf"\b({names})\b", "{}", scene["question"]))
    return {family: sorted(phrasings) for family, phrasings in found.items()}


def more(scene, phrasings, draw):
    """Other questions about the last picture of a scene, with their answers and the things that these rest on."""
    things = scene["pictures"][-1]
    shapes, colours = ([thing[part] if thing["kind"] == "figure" else None for thing in things] for part in ("shape", "colour"))
    signs = {index: thing["colour"] for index, thing in enumerate(things) if thing["kind"] == "sign"}
    made = []

    def add(family, name, answer, rests):
        phrasing = phrasings[family][draw.integers(len(phrasings[family]))]
        made.append((family, phrasing.replace("{}", name), answer, rests))

    def one(names, name):
        return [index for index, own in enumerate(names) if own == name]

    present = [shape for shape in shapes if shape]
    shape = present[draw.integers(len(present))] if present and draw.random() < 0.8 else SHAPES[draw.integers(len(SHAPES))]
    add("count", PLURALS[SHAPES.index(shape)], str(shapes.count(shape)), one(shapes, shape))
    if draw.random() < 0.3:
        add(("colour_of_shape", "place")[draw.integers(2)], shape, NOT_SEEN, []) if shape not in shapes else None
    for index, shape in enumerate(shapes):
        if shape and shapes.count(shape) == 1:
            left, top, right, bottom = things[index]["edges"]
            row, column = int((top + bottom) / 2 // (HEIGHT / 3)), int((left + right) / 2 // (WIDTH / 4))
            add("colour_of_shape", shape, things[index]["colour"], [index])
            add("place", shape, f"{['top', 'middle', 'bottom'][min(max(row, 0), 2)]} {min(max(column, 0), 3) + 1}", [index])
        if shape and colours.count(colours[index]) == 1:
            add("shape_by_colour", colours[index], shape, [index])
    for index, colour in signs.items():
        if list(signs.values()).count(colour) == 1:
            add("sign_by_colour", colour, things[index]["shows"].lower(), [index])
    for family, kind in ((("word", "price", "code", "display")[draw.integers(4)], "sign"), (("clock", "gauge", "lamps")[draw.integers(3)], None)):
        if not any(thing["kind"] in (kind, family) for thing in things) and draw.random() < 0.3:
            add(family, "", NOT_SEEN, [])
    return [made[at] for at in draw.permutation(len(made))[:MORE]]


def talk(scene, eyes, speech, phrasings, draw):
    """Questions about one scene: tokens (pictures' words as −1 − word), which branch each belongs to (0: the pictures, for all), where it
    stands, what follows it (−1 where that is not learnt), and the words that answers rest on."""
    if draw.random() < 0.8:
        scene = respelt(scene, draw)
    family = scene["family"]
    if family in ("motion", "change"):
        chosen = [0, 2] if draw.random() < 0.7 else [0, 1, 2]
    else:
        chosen = [2] if draw.random() < 0.75 else [0, 2]
    ids, places, slots = speech.start(True), [], {}
    for at in chosen:
        before, after = speech.picture()
        words, own = eyes.see(scene["pictures"][at])
        base = (len(eyes.told) - 1) * WORDS
        start = len(ids) + len(before)
        places.append({index: {start + words.index(word) for word in said} for index, said in own.items()})
        slots |= {start + at: (word - THINGS) % SLOTS for at, word in enumerate(words) if word >= THINGS}
        ids += before + [-1 - base - word for word in words] + after
    shared = len(ids)
    branches, positions, targets, gazes = [0] * shared, list(range(shared)), [-1] * shared, []
    asks = [(family, scene["question"], scene["answer"], None)] + more(scene, phrasings, draw)
    for branch, (family, question, answer, rests) in enumerate(asks, 1):
        if rests is None:
            seen = zip(chosen, places) if family == "motion" else [(chosen[-1], places[-1])]
            rests = {place for at, own in seen for index in asked(scene, at) for place in own.get(index, ())}
        else:
            rests = {place for index in rests for place in places[-1].get(index, ())}
        prompt = speech.tokens(reworded(question, draw)) + [speech.stop] + speech.tokens("\nAssistant:")
        answer = speech.answer(family, answer)
        for step in range(len(answer) - 1 if rests else 0):
            # Who spells looks at one letter after the other.
            letter = {place for place in rests if family in SPELT and slots.get(place) == step}
            gazes.append((len(ids) + len(prompt) - 1 + step, letter or rests))
        own = prompt + answer[:-1]
        targets += [-1] * (len(prompt) - 1) + answer
        positions += range(shared, shared + len(own))
        branches += [branch] * len(own)
        ids += own
    return ids, branches, positions, targets, gazes


def batches(scenes, speech, phrasings, draw, parts=1):
    """Talks in `parts` of about one length each: what is told, indices into words and told pictures, branches, positions, targets, where
    each place should look, and whether it should."""
    eyes = Eyes(draw)
    rows = sorted((talk(scene, eyes, speech, phrasings, draw) for scene in scenes), key=lambda row: len(row[0]))
    told, size = eyes.tensors(), -(-len(rows) // parts)
    return [(told, *padded(rows[start : start + size], speech.stop)) for start in range(0, len(rows), size)]


def padded(rows, filler):
    count, longest = len(rows), max(len(row[0]) for row in rows)
    index, branch, position, target = (np.full((count, longest), value) for value in (filler, -1, 0, -1))
    gaze, gazing = np.zeros((count, longest, longest), np.float32), np.zeros((count, longest), bool)
    for row, (ids, branches, positions, targets, gazes) in enumerate(rows):
        for into, values in ((index, ids), (branch, branches), (position, positions), (target, targets)):
            into[row, : len(ids)] = values
        for place, rests in gazes:
            gazing[row, place] = True
            gaze[row, place, list(rests)] = 1
    return tuple(torch.from_numpy(part) for part in (index, branch, position, target, gaze, gazing))


def loss_of(decoder, made):
    told, index, branch, position, target, gaze, gazing = made
    count = index.shape[1]
    open_to = torch.tril(torch.ones(count, count, dtype=torch.bool)) & ((branch[:, :, None] == branch[:, None]) | (branch[:, None] == 0))
    logits, looked = run(decoder, told, index, position, torch.where(open_to, 0.0, -1e9)[:, None], target >= 0)
    loss = F.cross_entropy(logits, target[target >= 0])
    if gazing.any():
        loss = loss - 0.5 * (looked * gaze)[gazing].sum(-1).clamp(min=1e-6).log().mean()
    return loss, logits


def run(decoder, told, index, position, hidden, wanted):
    """Logits of the `wanted` places, and the attention of all."""
    words = torch.cat([decoder.embed.weight, decoder.told(told).flatten(0, 1)])
    x = words[torch.where(index >= 0, index, decoder.embed.weight.shape[0] - 1 - index)]
    return decoder(x, position.float(), hidden, wanted=wanted)[::2]


@torch.inference_mode()
def examine(decoder, made, families):
    """Shares of scenes' own questions that are answered right to the last token."""
    right = {}
    for one, family in zip(made, families):
        target, branch = one[4], one[2]
        hits = torch.ones_like(target, dtype=torch.bool)
        hits[target >= 0] = loss_of(decoder, one)[1].argmax(-1) == target[target >= 0]
        right[family] = round(float((hits | (branch > 1)).all(1).float().mean()), 3)
    return right


def corpus(scenes):
    fillers = [f" {word}" for word in SHAPES + COLOURS + PLURALS + ["left", "right"]]
    closed = [" top middle bottom", " o'clock", " " + NOT_SEEN, "User:", "\nUser:", "\nAssistant:"]
    return [scene["question"] for scene in scenes] + [text for text in fillers + closed for _ in range(50)]


def main():
    wanted = argparse.ArgumentParser()
    wanted.add_argument("out")
    wanted.add_argument("--examples", required=True)
    wanted.add_argument("--minutes", type=float, default=30)
    wanted.add_argument("--from", dest="start")
    wanted.add_argument("--batch", type=int, default=32)
    wanted.add_argument("--rate", type=float, default=2e-3)
    wanted.add_argument("--seed", type=int, default=1)
    wanted = wanted.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(wanted.seed)
    draw = np.random.default_rng(wanted.seed)
    out = Path(wanted.out)
    out.mkdir(parents=True, exist_ok=True)
    made = subprocess.Popen([wanted.examples, "questions", str(7_000_000 + wanted.seed * 100_000_000)], stdout=subprocess.PIPE)
    lines = (json.loads(line) for line in made.stdout)
    first = [next(lines) for _ in range(3200)]
    if (out / "tokenizer.json").exists():
        from tokenizers import Tokenizer

        bpe = Tokenizer.from_file(str(out / "tokenizer.json"))
    else:
        bpe = tokeniser(corpus(first))
        bpe.save(str(out / "tokenizer.json"))
    speech = Speech(bpe)
    families = list(dict.fromkeys(scene["family"] for scene in first))
    check = np.random.default_rng(5)
    phrasings = templates(first)
    held = [batches([scene for scene in first if scene["family"] == family][:40], speech, phrasings, check)[0] for family in families]
    decoder = Decoder(bpe.get_vocab_size())
    decoder.acquaint(bpe)
    if wanted.start:
        known = torch.load(wanted.start)
        more_told = decoder.told.weight.shape[1] - known["told.weight"].shape[1]
        # What is told since then is told last, and means nothing at first.
        known["told.weight"] = F.pad(known["told.weight"], (0, more_told))
        if "copy.weight" not in known:
            known["copy.weight"] = known["out.weight"]
        decoder.load_state_dict(decoder.state_dict() | known)
    average = Decoder(bpe.get_vocab_size())
    average.load_state_dict(decoder.state_dict())
    steps = torch.optim.AdamW(decoder.parameters(), lr=wanted.rate, betas=(0.9, 0.98), weight_decay=1e-2)
    log = open(out / "words.jsonl", "a")

    def say(**what):
        print(json.dumps(what), file=log, flush=True)
        print(what, flush=True)

    say(run=vars(wanted), parameters=sum(p.numel() for p in decoder.parameters()), vocabulary=bpe.get_vocab_size())
    began, step, losses, next_look = time.monotonic(), 0, [], 120.0
    while (passed := (time.monotonic() - began) / (wanted.minutes * 60)) < 1:
        rate = wanted.rate * min(1, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * passed)) + 1e-6
        for group in steps.param_groups:
            group["lr"] = rate
        scenes = []
        while len(scenes) < wanted.batch:
            scene = next(lines)
            if scene["family"] not in EASY or draw.random() < 0.3:
                scenes.append(scene)
        parts = batches(scenes, speech, phrasings, draw, 3)
        all_known = sum(int((part[4] >= 0).sum()) for part in parts)
        steps.zero_grad(set_to_none=True)
        total = 0.0
        for part in parts:
            loss = loss_of(decoder, part)[0] * (int((part[4] >= 0).sum()) / all_known)
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        steps.step()
        step += 1
        with torch.no_grad():
            keep = min(0.998, step / (step + 10))
            for slow, fast in zip(average.parameters(), decoder.parameters()):
                slow.lerp_(fast, 1 - keep)
        losses.append(total)
        seconds = time.monotonic() - began
        if seconds > next_look or step == 20:
            next_look = seconds + 400
            say(step=step, seconds=round(seconds), loss=round(float(np.mean(losses)), 4), right=examine(average.eval(), held, families))
            losses = []
            torch.save(average.state_dict(), out / "words.pt")
    say(step=step, seconds=round(time.monotonic() - began), right=examine(average.eval(), held, families))
    torch.save(average.state_dict(), out / "words.pt")
    made.kill()


if __name__ == "__main__":
    main()
