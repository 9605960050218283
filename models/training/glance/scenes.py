"""Scenes as `glance-examples` writes them, in a store that a thread keeps filling."""

import json
import os

import numpy as np
import torch

from sight import COLOURS, HEIGHT, KINDS, LETTERS, SHAPES, WIDTH

PLANES = WIDTH * HEIGHT * 3 // 2


def read(stream):
    """One scene after another: its line, and its pictures' planes."""
    while line := stream.readline():
        scene = json.loads(line)
        yield scene, [np.frombuffer(stream.read(PLANES), np.uint8) for _ in scene["times"]]


def rgb(planes):
    """`[n, bytes]` to `[n, 3, 480, 640]`, 0..1: BT.601, limited range, as the runtime makes it."""
    planes = torch.from_numpy(np.stack(planes)).float()
    n, luma = len(planes), WIDTH * HEIGHT
    light = (planes[:, :luma].view(n, 1, HEIGHT, WIDTH) - 16) * (1 / 219)
    chroma = (planes[:, luma:].view(n, 2, HEIGHT // 2, WIDTH // 2) - 128) * (1 / 224)
    chroma = chroma.repeat_interleave(2, 2).repeat_interleave(2, 3)
    blue, red = chroma[:, :1], chroma[:, 1:]
    return torch.cat([light + 1.402 * red, light - 0.344136 * blue - 0.714136 * red, light + 1.772 * blue], 1).clamp(0, 1)


def light(planes):
    """`[n, bytes]` to `[n, 1, 480, 640]`, 0..1: the luma alone."""
    luma = torch.from_numpy(np.stack([one[: WIDTH * HEIGHT] for one in planes])).float()
    return (luma.view(-1, 1, HEIGHT, WIDTH) - 16) * (1 / 219)


class Thing:
    """One thing as numbers: −1 where it has no such thing."""

    def __init__(self, told):
        left, top, right, bottom = told["edges"]
        self.box = [(left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2]
        self.line = told["line"]
        self.kind = KINDS.index(told["kind"])
        self.shape = SHAPES.index(told["shape"]) if told["shape"] else -1
        self.colour = COLOURS.index(told["colour"]) if told["colour"] else -1
        self.hour = self.minute = self.tenths = -1
        self.lamps, self.text = [-1] * 5, None
        shows = told["shows"]
        if told["kind"] == "clock":
            hour, minute = shows.split(":")
            self.hour, self.minute = int(hour) % 12, int(minute) // 5
        elif told["kind"] == "gauge":
            self.tenths = int(shows) // 10
        elif told["kind"] == "lamps":
            self.lamps = [int(str(at) in shows.split()) for at in range(1, 6)]
        elif told["kind"] == "sign":
            self.text = [LETTERS.index(letter) for letter in shows.lower()]

    def looks(self):
        """Kind (nothing is 0), shape, colour, hour, minute, tenths."""
        return [self.kind + 1, self.shape, self.colour, self.hour, self.minute, self.tenths]


class Store:
    """The pictures in a file that `glance-examples` wrote, or is still writing: what is added is taken up."""

    def __init__(self, path):
        self.file, self.path = open(path, "rb"), path
        self.starts, self.things, self.draws = [], [], None
        self.more()

    def more(self):
        """Looks for what has been added, whole scenes only."""
        while True:
            start = self.file.tell()
            line = self.file.readline()
            if not line.endswith(b"\n"):
                break
            scene = json.loads(line)
            at = self.file.tell()
            end = at + PLANES * len(scene["times"])
            if os.fstat(self.file.fileno()).st_size < end:
                break
            for told in scene["pictures"]:
                self.starts.append(at)
                self.things.append([Thing(one) for one in told])
                at += PLANES
            self.file.seek(end)
        self.file.seek(start)
        self.bytes = np.memmap(self.path, np.uint8, "r")

    def planes(self, at):
        return self.bytes[self.starts[at] : self.starts[at] + PLANES]

    def draw(self, draw, count):
        chosen = draw.integers(len(self.starts), size=count)
        return [self.planes(at) for at in chosen], [self.things[at] for at in chosen]
