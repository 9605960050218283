"""Trains one part of the eyes: python train_sight.py OUT finder|looker|reader --examples FILE --held FILE --minutes 60 [--from CHECKPOINT]

The finder sees whole pictures, the looker and the reader what is cut out of them, not quite where it is. The step size follows the
clock, so that a run ends when it should on a machine that others use too. The log is one JSON object a line.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import scenes
import sight
from sight import BLANK, CELL, COLUMNS, HEIGHT, ROWS, WIDTH, Finder, Looker, Reader

CUTS, LINES = 16, 4


def cosine():
    k = torch.arange(8.0)
    made = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) * 0.5
    made[0] *= 0.5**0.5
    return made


DCT = cosine()


def coded(pictures, steps):
    """What is left of pictures after their 8 × 8 cosines have been rounded to `steps` (`[n]`, in 0..1), more coarsely the finer they are."""
    n, planes = pictures.shape[:2]
    blocks = pictures.view(n, planes, HEIGHT // 8, 8, WIDTH // 8, 8).transpose(3, 4)
    waves = DCT @ blocks @ DCT.T
    coarse = 1 + 0.35 * (torch.arange(8)[:, None] + torch.arange(8)[None])
    step = steps[:, None, None, None, None, None] * coarse
    waves = (waves / step).round() * step
    blocks = DCT.T @ waves @ DCT
    return blocks.transpose(3, 4).reshape(n, planes, HEIGHT, WIDTH).clamp(0, 1)


def worn(pictures, draw):
    """Some pictures as a camera and a coder may have left them: other light, blur, blocks."""
    for at in range(len(pictures)):
        part, hard = pictures[at : at + 1], draw.random()
        if draw.random() < 0.3:
            part *= torch.from_numpy(draw.uniform(0.85, 1.1, (1, part.shape[1], 1, 1))).float()
        if hard < 0.15:
            scale = float(draw.uniform(0.5, 0.95))
            small = F.interpolate(part, scale_factor=scale, mode="bilinear", antialias=True)
            part.copy_(F.interpolate(small, size=(HEIGHT, WIDTH), mode="bilinear"))
        elif hard > 0.8:
            part.copy_(coded(part.clamp(0, 1), torch.tensor([math.exp(draw.uniform(math.log(0.03), math.log(0.25)))])))
    return pictures.clamp_(0, 1)


def finder_loss(maps, things):
    """Middles as a focal loss over soft targets (CenterNet), places as L1 around the middles."""
    n = len(things)
    heat, near = torch.zeros(n, ROWS, COLUMNS), torch.zeros(n, ROWS, COLUMNS, dtype=torch.bool)
    at, boxes = [], []
    y, x = torch.meshgrid((torch.arange(ROWS) + 0.5) * CELL, (torch.arange(COLUMNS) + 0.5) * CELL, indexing="ij")
    for index, scene in enumerate(things):
        for thing in scene:
            cx, cy, wide, high = thing.box
            spread = (0.25 * wide + 6, 0.25 * high + 6)
            bump = torch.exp(-(((x - cx) / spread[0]).square() + ((y - cy) / spread[1]).square()) / 2)
            heat[index] = torch.maximum(heat[index], bump)
            column, row = int(np.clip(cx // CELL, 0, COLUMNS - 1)), int(np.clip(cy // CELL, 0, ROWS - 1))
            near[index, row, column] = True
            heat[index, row, column] = 1
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    r, c = row + dy, column + dx
                    if 0 <= r < ROWS and 0 <= c < COLUMNS:
                        px, py = (c + 0.5) * CELL, (r + 0.5) * CELL
                        at.append((index, r, c))
                        boxes.append([(cx - px) / CELL, (cy - py) / CELL, math.log(wide / 32), math.log(high / 32)])
    logits = maps[:, 0]
    sure = logits.sigmoid()
    there = -(1 - sure).square() * F.logsigmoid(logits)
    apart = -sure.square() * F.logsigmoid(-logits) * (1 - heat) ** 4
    loss = torch.where(near, there, apart).sum() / max(1, int(near.sum()))
    index, row, column = map(torch.tensor, zip(*at))
    told = maps[index, :, row, column]
    places = F.smooth_l1_loss(told[:, 1:], torch.tensor(boxes), beta=0.1)
    return loss, places


def spoilt(box, draw):
    """Nearly where it is, or about: as the finder has it, or as the looker had it who looks again."""
    cx, cy, wide, high = box
    far, other = (0.04, 0.05) if draw.random() < 0.5 else (0.12, 0.2)
    return [
        cx + wide * draw.normal() * far + draw.normal(),
        cy + high * draw.normal() * far + draw.normal(),
        wide * math.exp(draw.normal() * other),
        high * math.exp(draw.normal() * other),
    ]


def where(thing, box):
    """What the looker is to say of a thing's place who is shown a box; none where it has no line."""
    cx, cy, wide, high = box
    x, y, half, tall = thing.box
    told = [(x - cx) / wide, (y - cy) / high, math.log(half / wide), math.log(tall / high)]
    if not thing.line:
        return told + [math.nan] * 5
    x, y, half, tall, turn = thing.line
    return told + [(x - cx) / wide, (y - cy) / high, math.log(half / wide), math.log(tall / high), turn / 5]


def elsewhere(scene, draw):
    """A box with nothing whole in it: beside a thing, or anywhere."""
    for _ in range(8):
        wide = 17 * 3.8 ** draw.random()
        box = [draw.uniform(0, WIDTH), draw.uniform(0, HEIGHT), wide, wide * math.exp(draw.normal() * 0.4)]
        if scene and draw.random() < 0.5:
            other = scene[draw.integers(len(scene))].box
            turn = draw.uniform(0, 2 * math.pi)
            box = [other[0] + 1.1 * other[2] * math.cos(turn), other[1] + 1.1 * other[3] * math.sin(turn), other[2], other[3]]
        middles = (abs(one.box[0] - box[0]) < 0.5 * one.box[2] + 4 and abs(one.box[1] - box[1]) < 0.5 * one.box[3] + 4 for one in scene)
        if not any(middles):
            return box
    return None


def chosen(things, draw):
    boxes, looks, lamps, places, lines, texts = [], [], [], [], [], []
    for scene in things:
        order = list(draw.permutation(len(scene)))
        # Dials are few, and the hardest to read.
        order.sort(key=lambda at: scene[at].kind < 2)
        for place in range(CUTS):
            nothing = elsewhere(scene, draw) if place >= CUTS - 2 else None
            if nothing or not order:
                boxes.append(nothing or [WIDTH / 2, HEIGHT / 2, 40, 40])
                looks.append([0 if nothing else -1] + [-1] * 5)
                lamps.append([-1] * 5)
                places.append([math.nan] * 9)
            else:
                thing = scene[order[place % len(order)]]
                boxes.append(spoilt(thing.box, draw))
                looks.append(thing.looks())
                lamps.append(thing.lamps)
                places.append(where(thing, boxes[-1]))
        signs = [thing for thing in scene if thing.line]
        for place in range(LINES):
            if place < len(signs):
                thing = signs[draw.integers(len(signs))] if len(signs) > LINES else signs[place]
                cx, cy, wide, high, turn = thing.line
                lines.append(
                    [
                        cx + wide * draw.normal() * 0.05 + draw.normal(),
                        cy + high * draw.normal() * 0.15 + draw.normal() * 0.5,
                        wide * math.exp(0.05 + draw.normal() * 0.12),
                        high * math.exp(draw.normal() * 0.13),
                        turn + draw.normal(),
                    ]
                )
                texts.append(thing.text)
            else:
                lines.append([WIDTH / 2, HEIGHT / 2, 60, 8, 0])
                texts.append(None)
    n = len(things)
    return torch.tensor(boxes).view(n, CUTS, 4), torch.tensor(looks), torch.tensor(lamps), torch.tensor(places), torch.tensor(lines).view(n, LINES, 5), texts


def looker_loss(told, looks, lamps):
    losses = [F.cross_entropy(logits, looks[:, at], ignore_index=-1) for at, logits in enumerate(told[:6]) if (looks[:, at] >= 0).any()]
    lit = lamps >= 0
    if lit.any():
        losses.append(F.binary_cross_entropy_with_logits(told[6][lit], lamps[lit].float()))
    return sum(losses)


def where_loss(told, places):
    """How far off boxes are, and lines."""
    known = ~places.isnan()
    return F.smooth_l1_loss(told[known], places[known], beta=0.02)


def reader_loss(letters, texts):
    known = [at for at, text in enumerate(texts) if text is not None]
    if not known:
        return letters.sum() * 0
    logs = letters[known].log_softmax(-1).transpose(0, 1)
    lengths = torch.tensor([len(texts[at]) for at in known])
    target = torch.tensor([letter for at in known for letter in texts[at]])
    return F.ctc_loss(logs, target, torch.full((len(known),), logs.shape[0]), lengths, blank=BLANK, zero_infinity=True)


def said(letters):
    """The likeliest letters along each strip, repeats and blanks left out."""
    texts = []
    for row in letters.argmax(-1).tolist():
        texts.append([one for one, before in zip(row, [BLANK] + row[:-1]) if one not in (BLANK, before)])
    return texts


@torch.inference_mode()
def examine(part, name, held):
    """Shares that are right, of scenes whose fonts, signs and grounds were not learnt from; with true boxes, but for the finder."""
    right, all_of = {}, {}

    def count(name, hit, of=1):
        right[name] = right.get(name, 0) + float(hit)
        all_of[name] = all_of.get(name, 0) + of

    look = {"finder": examine_finder, "looker": examine_looker, "reader": examine_reader}[name]
    for at in range(len(held.starts)):
        look(part, held.planes(at), held.things[at], count)
    return {name: round(right[name] / max(1, all_of[name]), 4) for name in right}


def examine_finder(finder, planes, things, count):
    sure, found = sight.placed(finder(scenes.rgb([planes])))
    grid = sure.view(1, 1, ROWS, COLUMNS)
    peaks = ((grid == F.max_pool2d(grid, 5, 1, 2)) & (grid > 0.3)).flatten()
    found = found[0][peaks]
    count("spare", max(0, len(found) - len(things)), len(things))
    for thing in things:
        cx, cy, wide, high = thing.box
        near = ((found[:, 0] - cx).abs() < 0.25 * wide + 3) & ((found[:, 1] - cy).abs() < 0.25 * high + 3)
        count("found", near.any())
        fits = near & ((found[:, 2] / wide).log().abs() < 0.25) & ((found[:, 3] / high).log().abs() < 0.25)
        count("found_well", fits.any())


def examine_looker(looker, planes, things, count):
    boxes = torch.tensor([[thing.box for thing in things]])
    picture = scenes.rgb([planes])
    # Of boxes that are off, as the finder's are, it looks twice.
    off = boxes * torch.tensor([1, 1, 1.2, 0.85]) + torch.tensor([0.1, -0.1, 0, 0]) * boxes[..., [2, 3, 2, 3]]
    _, moved = looker(sight.cuts(picture, off), sight.sizes(off))
    boxes, _ = sight.refined(off, moved[None])
    told, moved = looker(sight.cuts(picture, boxes), sight.sizes(boxes))
    boxes, lines = sight.refined(boxes, moved[None])
    for at, thing in enumerate(things):
        for name, head, value in zip(["kind", "shape", "colour", "hour", "minute", "tenths"], told, thing.looks()):
            if value >= 0:
                count(name, head[at].argmax() == value)
        count("placed", ((boxes[0, at] - torch.tensor(thing.box)).abs() < 2 + 0.05 * torch.tensor(thing.box[2:] * 2)).all())
        if thing.line:
            x, y, wide, high, _ = thing.line
            line = lines[0, at]
            level = (line[1] - y).abs() < 0.3 * high + 0.5 and (line[3] / high).log().abs() < 0.2
            count("lined", level and (line[2] / wide).log().abs() < 0.12)
        if thing.lamps[0] >= 0:
            count("lamps", ((told[6][at] > 0).int() == torch.tensor(thing.lamps)).all())


def examine_reader(reader, planes, things, count):
    signs = [thing for thing in things if thing.line]
    if signs:
        lines = torch.tensor([[thing.line for thing in signs]])
        for text, thing in zip(said(reader(sight.strips(scenes.light([planes]), lines))), signs):
            count("text", text == thing.text)
            count("text_large" if thing.line[3] > 5 else "text_small", text == thing.text)


def finder_step(finder, planes, things, draw):
    pictures = worn(scenes.rgb(planes), draw)
    found, places = finder_loss(finder(last(pictures)), things)
    return found, 2 * places


def looker_step(looker, planes, things, draw):
    boxes, looks, lamps, places, _, _ = chosen(things, draw)
    seen = sight.cuts(worn(scenes.rgb(planes), draw), boxes)
    told, moved = looker(last(seen), sight.sizes(boxes))
    return looker_loss(told, looks, lamps), 10 * where_loss(moved, places)


def reader_step(reader, planes, things, draw):
    _, _, _, _, lines, texts = chosen(things, draw)
    known = [at for at, text in enumerate(texts) if text is not None]
    strips = sight.strips(worn(scenes.light(planes), draw), lines)[known]
    strips = strips + torch.randn_like(strips) * float(draw.uniform(0, 0.03))
    return (reader_loss(reader(last(strips)), [texts[at] for at in known]),)


def last(tensor):
    return tensor.contiguous(memory_format=torch.channels_last)


PARTS = {"finder": (Finder, finder_step, 4), "looker": (Looker, looker_step, 4), "reader": (Reader, reader_step, 12)}


def main():
    wanted = argparse.ArgumentParser()
    wanted.add_argument("out")
    wanted.add_argument("part", choices=PARTS)
    wanted.add_argument("--examples", required=True)
    wanted.add_argument("--held", required=True)
    wanted.add_argument("--minutes", type=float, default=60)
    wanted.add_argument("--from", dest="start")
    wanted.add_argument("--rate", type=float, default=2e-3)
    wanted.add_argument("--seed", type=int, default=1)
    wanted = wanted.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(wanted.seed)
    draw = np.random.default_rng(wanted.seed)
    out = Path(wanted.out)
    out.mkdir(parents=True, exist_ok=True)
    store, held = scenes.Store(wanted.examples), scenes.Store(wanted.held)
    make, look, batch = PARTS[wanted.part]
    part, average = make(), make()
    if wanted.start:
        # What has changed its shape since begins anew.
        known, own = torch.load(wanted.start), part.state_dict()
        part.load_state_dict(own | {name: value for name, value in known.items() if name in own and own[name].shape == value.shape})
    average.load_state_dict(part.state_dict())
    part.to(memory_format=torch.channels_last)
    steps = torch.optim.AdamW(part.parameters(), lr=wanted.rate, betas=(0.9, 0.98), weight_decay=1e-2)
    log = open(out / f"{wanted.part}.jsonl", "a")

    def say(**what):
        print(json.dumps(what), file=log, flush=True)
        print(what, flush=True)

    say(run=vars(wanted), parameters=sum(p.numel() for p in part.parameters()))
    began, step, losses, next_look = time.monotonic(), 0, [], 240.0
    while (passed := (time.monotonic() - began) / (wanted.minutes * 60)) < 1:
        rate = wanted.rate * min(1, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * passed)) + 1e-6
        for group in steps.param_groups:
            group["lr"] = rate
        found = look(part, *store.draw(draw, batch), draw)
        steps.zero_grad(set_to_none=True)
        sum(found).backward()
        torch.nn.utils.clip_grad_norm_(part.parameters(), 5.0)
        steps.step()
        step += 1
        with torch.no_grad():
            keep = min(0.995, step / (step + 10))
            for slow, fast in zip(average.state_dict().values(), part.state_dict().values()):
                if slow.dtype.is_floating_point:
                    slow.lerp_(fast, 1 - keep)
        losses.append([one.item() for one in found])
        seconds = time.monotonic() - began
        if step % 20 == 0:
            store.more()
        if seconds > next_look:
            next_look = seconds + 420
            found = examine(average.eval(), wanted.part, held)
            say(step=step, seconds=round(seconds), scenes=len(store.starts), losses=[round(float(x), 4) for x in np.mean(losses, 0)], unseen=found)
            losses = []
            torch.save(average.state_dict(), out / f"{wanted.part}.pt")
    say(step=step, seconds=round(time.monotonic() - began), unseen=examine(average.eval(), wanted.part, held))
    torch.save(average.state_dict(), out / f"{wanted.part}.pt")


if __name__ == "__main__":
    main()
