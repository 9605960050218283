"""Trains the residual network: python train.py OUT --minutes M --examples FILE... --validate FOLDER [--from WEIGHTS]

The step size follows the clock, so that a run ends when it should on a machine that others use too. The log is one JSON
object a line. What is minimised is the mean over crops of log(mean square + 1): what PSNR is made of.
"""

import argparse
import glob
import json
import math
import time
from pathlib import Path

import numpy as np
import torch

import examples
from network import Network, program, read, write


def psnr_of(pictures, network):
    """Mean luma PSNR before and after, over whole pictures, in whole codes."""
    before, after = [], []
    with torch.inference_mode():
        for planes in pictures:
            features, residual = examples.split(torch.from_numpy(planes.copy())[None])
            made = features[:, :16] * 128 + 128
            truth = made + residual[:, :16]
            done = (made + 255 * network(to_last(features))[:, :16]).round().clamp(0, 255)
            for kept, one in ((before, made), (after, done)):
                mean = (one - truth).square().mean().item()
                kept.append(10 * math.log10(255**2 / max(mean, 255**2 * 1e-10)))
    return np.mean(before), np.mean(after)


# While it learns, the network counts in this many codes: one step of the optimiser must not be worth several of them.
UNIT = 1.0


def whitening(parts, count=256):
    """What makes features independent and, above the noise of coding, equally strong; and their mean."""
    draw, rows = np.random.default_rng(2), []
    for _ in range(count):
        part = parts[draw.integers(len(parts))]
        features, _ = examples.split(torch.from_numpy(part[draw.integers(len(part))].copy())[None])
        rows.append(features[0].flatten(1)[:, ::3])
    found = torch.cat(rows, 1).double()
    mean = found.mean(1)
    strengths, directions = torch.linalg.eigh(torch.cov(found))
    turn = directions.T / (strengths.clamp(min=0) + 1e-3).sqrt()[:, None]
    return turn.float(), mean.float()


def to_last(tensor):
    return tensor.contiguous(memory_format=torch.channels_last)


def validate(folder, network):
    """PSNR before and after of each clip."""
    return {name: [round(float(value), 3) for value in psnr_of(pictures, network)] for name, pictures in examples.whole(folder)}


def scales_of(network, parts, count=64):
    """The largest absolute input of each layer, but for one in ten thousand."""
    found = [[] for _ in network.layers]
    draw = np.random.default_rng(3)
    with torch.inference_mode():
        for _ in range(count):
            part = parts[draw.integers(len(parts))]
            features, _ = examples.split(torch.from_numpy(part[draw.integers(len(part))].copy())[None])
            network(features, lambda index, source: found[index].append(source.abs().flatten()[:: 7]))
    return [float(np.quantile(torch.cat(values).numpy(), 0.9999)) for values in found]


def found(patterns):
    return sorted(path for pattern in patterns for path in glob.glob(pattern))


def main():
    wanted = argparse.ArgumentParser()
    wanted.add_argument("out")
    wanted.add_argument("--minutes", type=float, default=30)
    wanted.add_argument("--examples", nargs="+", required=True)
    wanted.add_argument("--validate", required=True)
    wanted.add_argument("--from", dest="start")
    wanted.add_argument("--batch", type=int, default=8)
    wanted.add_argument("--rate", type=float, default=1e-3)
    wanted.add_argument("--seed", type=int, default=1)
    wanted = wanted.parse_args()
    torch.manual_seed(wanted.seed)
    draw = np.random.default_rng(wanted.seed)
    out = Path(wanted.out)
    out.mkdir(parents=True, exist_ok=True)
    parts = examples.crops(found(wanted.examples))
    turn, mean = whitening(parts)
    if wanted.start:
        network = read(wanted.start)[0].plain(255 / UNIT).led_by(turn, mean)
    else:
        network = Network(program())
        network.basis = (turn, mean)
    average = Network(network.layers)
    average.load_state_dict(network.state_dict())
    average.basis = network.basis
    weights = [p for p in network.parameters() if p.dim() > 1]
    biases = [p for p in network.parameters() if p.dim() == 1]
    groups = [{"params": weights, "weight_decay": 1e-3}, {"params": biases, "weight_decay": 0.0}]
    steps = torch.optim.AdamW(groups, lr=wanted.rate, betas=(0.9, 0.98))
    parameters, adds = network.cost()

    log = open(out / "log.jsonl", "a")

    def say(**what):
        print(json.dumps(what), file=log, flush=True)
        print(what, flush=True)

    say(run=vars(wanted), crops=sum(map(len, parts)), parameters=parameters, multiply_adds_per_cell=round(adds))
    began = time.monotonic()
    step, losses, next_look, order = 0, [], 60.0, []
    while (passed := (time.monotonic() - began) / (wanted.minutes * 60)) < 1:
        rate = wanted.rate * min(1, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * passed)) + 1e-6
        for group in steps.param_groups:
            group["lr"] = rate
        if len(order) < wanted.batch:
            # What has been written in the meantime is taken up.
            parts = examples.crops(found(wanted.examples))
            places = [(part, at) for part, rows in enumerate(parts) for at in range(len(rows))]
            order = list(draw.permutation(len(places)))
        chosen = [places[order.pop()] for _ in range(wanted.batch)]
        planes = torch.from_numpy(np.stack([parts[part][at] for part, at in chosen]))
        features, residual = examples.split(examples.turned(planes, int(draw.integers(16))))
        made = UNIT * network(to_last(features))
        error = (made - residual).square()
        # Chroma is left as it was made: a network that had learnt to correct it coloured grey pictures.
        squares = error[:, :16].mean((1, 2, 3))
        loss = (squares + 1).log().mean()
        steps.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        steps.step()
        step += 1
        with torch.no_grad():
            keep = min(0.999, step / (step + 10))
            for slow, fast in zip(average.parameters(), network.parameters()):
                slow.lerp_(fast, 1 - keep)
            base = residual[:, :16].square().mean((1, 2, 3))
            losses.append((loss.item(), (base + 1).log().mean().item()))
        seconds = time.monotonic() - began
        if seconds > next_look:
            next_look = seconds + 150
            report(say, out, average, wanted, losses, step, seconds)
            losses = []
    report(say, out, average, wanted, losses, step, time.monotonic() - began)
    write(average.plain(UNIT / 255), scales_of(average, parts), out / "residual.bin")
    say(written=str(out / "residual.bin"), again=validate(wanted.validate, read(out / "residual.bin")[0]))


def report(say, out, average, wanted, losses, step, seconds):
    loss, base = np.mean(losses, axis=0) if losses else (math.nan, math.nan)
    gain = 10 / math.log(10) * (base - loss)
    done = average.plain(UNIT / 255)
    found = validate(wanted.validate, done)
    mean = np.mean([after - before for before, after in found.values()])
    say(step=step, seconds=round(seconds), loss=round(float(loss), 4), crop_gain_db=round(float(gain), 3), gain_db=round(float(mean), 3), clips=found)
    write(done, [1.0] * len(done.layers), out / "latest.bin")


if __name__ == "__main__":
    main()
