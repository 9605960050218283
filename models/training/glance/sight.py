"""The eyes of glance: where things are, what each of them is, and what is written on signs.

A picture of 640 × 480 becomes up to 16 things. `Finder` looks at all of it at half size and says where things are; `Looker` looks at each of
them, cut out and brought to one size; `Reader` reads the line of text on each of up to four signs. What comes out is told in
numbers that mean something (probabilities of kinds, shapes, colours, letters; places), never in the picture's own values.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEIGHT = 640, 480
KINDS = ["figure", "sign", "clock", "gauge", "lamps"]
SHAPES = ["circle", "square", "triangle", "star", "heart", "cross", "ring", "diamond", "hexagon", "arrow", "crescent"]
COLOURS = ["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "brown", "black", "grey", "white"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789$.-:"
BLANK = len(LETTERS)
# Things, signs that are read, letters of one sign.
THINGS, SIGNS, SLOTS = 16, 4, 12
CELL = 16
COLUMNS, ROWS = WIDTH // CELL, HEIGHT // CELL
CUT = 48
STRIP = (24, 160)
# Pixels of a strip that a capital letter is high.
CAPITAL = 14.0


def conv(inputs, outputs, size=3, stride=1, dilation=1):
    padding = (size - 1) // 2 * dilation if stride == 1 or size % 2 else (size - stride) // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding, dilation, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Block(nn.Module):
    """A bottleneck with a residual."""

    def __init__(self, width, inner, dilation):
        super().__init__()
        self.inner = nn.Sequential(conv(width, inner, 1), conv(inner, inner, 3, 1, dilation))
        self.out = nn.Sequential(nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return F.relu(x + self.out(self.inner(x)))


class Finder(nn.Module):
    """`[n, 3, 480, 640]` to maps of 30 × 40 cells: 1 of things' middles, 4 of their box, about."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 24, 5, 2), conv(24, 48, 3, 2), conv(48, 96, 3, 2))
        self.blocks = nn.Sequential(*[Block(96, 44, dilation) for dilation in (1, 2, 4, 1)])
        self.out = nn.Conv2d(96, 5, 1)
        with torch.no_grad():
            self.out.bias[0] = -4.0

    def forward(self, pictures):
        return self.out(self.blocks(self.stem(F.avg_pool2d(pictures, 2))))


class Looker(nn.Module):
    """`[n, 3, 48, 48]` and the box's size to what it may be (nothing or a kind, a shape, a colour, an hour, a twelfth of an hour, a tenth of a
    gauge, five lamps), and to where it really is: its box and its line of text, in measures of the box that was cut out."""

    HEADS = [1 + len(KINDS), len(SHAPES), len(COLOURS), 12, 12, 11, 5]

    def __init__(self):
        super().__init__()
        self.look = nn.Sequential(conv(3, 24, 4, 2), conv(24, 48), conv(48, 80, 3, 2), conv(80, 112, 3, 2))
        self.flat = nn.Sequential(nn.Linear(112 * 36 + 2, 160), nn.ReLU())
        self.out = nn.Linear(160, sum(self.HEADS))
        self.where = nn.Sequential(nn.Linear(112 * 36 + 2, 128), nn.ReLU(), nn.Linear(128, 9))

    def forward(self, cuts, sizes):
        seen = self.look(cuts).flatten(1)
        seen = torch.cat([seen, sizes], 1)
        return self.out(self.flat(seen)).split(self.HEADS, 1), self.where(seen)


class Reader(nn.Module):
    """`[n, 1, 24, 160]` to letters at 80 places, the last of them none: `[n, 80, letters + 1]` logits."""

    def __init__(self):
        super().__init__()
        self.look = nn.Sequential(
            conv(1, 24), nn.MaxPool2d(2), conv(24, 48), conv(48, 48), nn.MaxPool2d((2, 1)), conv(48, 96), nn.MaxPool2d((2, 1)), conv(96, 128)
        )
        self.fold = nn.Sequential(nn.Conv2d(128, 160, (3, 1), bias=False), nn.BatchNorm2d(160), nn.ReLU())
        self.along = nn.Sequential(nn.Conv2d(160, 160, (1, 5), padding=(0, 2), bias=False), nn.BatchNorm2d(160), nn.ReLU())
        self.out = nn.Conv2d(160, BLANK + 1, 1)

    def forward(self, strips):
        mean = strips.mean((2, 3), keepdim=True)
        apart = strips - mean
        strips = apart / (apart.square().mean((2, 3), keepdim=True) + 1e-3).sqrt()
        folded = self.fold(self.look(strips))
        return self.out(folded + self.along(folded))[:, :, 0].transpose(1, 2)


def cuts(pictures, boxes):
    """What is in boxes `[n, k, 4]` (middle and half size, in pixels), with a margin: `[n · k, 3, 48, 48]`. Each pixel is a mean of four."""
    n, k = boxes.shape[:2]
    steps = (torch.arange(2 * CUT, dtype=torch.float32) + 0.5) / CUT - 1
    x = boxes[..., 0, None] + steps * boxes[..., 2, None] * 1.2
    y = boxes[..., 1, None] + steps * boxes[..., 3, None] * 1.2
    grid = torch.stack(
        [(x / (WIDTH / 2) - 1)[:, :, None].expand(n, k, 2 * CUT, 2 * CUT), (y / (HEIGHT / 2) - 1)[..., None].expand(n, k, 2 * CUT, 2 * CUT)], -1
    )
    seen = F.grid_sample(pictures, grid.reshape(n, k * 2 * CUT, 2 * CUT, 2), mode="bilinear", padding_mode="border", align_corners=False)
    seen = F.avg_pool2d(seen, 2).reshape(n, 3, k, CUT, CUT)
    return seen.transpose(1, 2).reshape(n * k, 3, CUT, CUT)


def sizes(boxes):
    """What the looker is told of a box: how large it is, and how much wider than high."""
    wide, high = boxes[..., 2].clamp(min=1).log(), boxes[..., 3].clamp(min=1).log()
    return torch.stack([wide - high, (wide + high) / 2 - 3.5], -1).flatten(0, 1)


def refined(boxes, where):
    """Boxes and lines as the looker has them, who was shown what is in `boxes` `[…, 4]`."""
    middle, half = boxes[..., :2], boxes[..., 2:]
    box = torch.cat([middle + where[..., :2] * half, half * where[..., 2:4].clamp(-1, 1).exp()], -1)
    line = torch.cat([middle + where[..., 4:6] * half, half * where[..., 6:8].clamp(-4, 1).exp(), where[..., 8:] * 5], -1)
    return box, line


def strips(light, lines):
    """What is along lines `[n, k, 5]` (middle, half width, half a capital's height in pixels, angle in degrees): `[n · k, 1, 24, 160]`."""
    n, k = lines.shape[:2]
    rows, columns = STRIP
    scale = lines[..., 3] * 2 / CAPITAL
    half = torch.maximum(scale * columns / 2, lines[..., 2] * 1.08)
    across = ((torch.arange(2 * columns, dtype=torch.float32) + 0.5) / columns - 1) * half[..., None]
    # Beyond the text there may be frames and holes, which look like letters: its margin is repeated instead.
    edge = (lines[..., 2] + 0.7 * lines[..., 3])[..., None]
    across = torch.maximum(torch.minimum(across, edge), -edge)
    down = ((torch.arange(2 * rows, dtype=torch.float32) + 0.5) / rows - 1) * (scale * rows / 2)[..., None]
    turn = lines[..., 4] * (math.pi / 180)
    sin, cos = turn.sin()[..., None, None], turn.cos()[..., None, None]
    x = lines[..., 0, None, None] + across[..., None, :] * cos - down[..., None] * sin
    y = lines[..., 1, None, None] + across[..., None, :] * sin + down[..., None] * cos
    grid = torch.stack([x / (WIDTH / 2) - 1, y / (HEIGHT / 2) - 1], -1)
    seen = F.grid_sample(light, grid.reshape(n, k * 2 * rows, 2 * columns, 2), mode="bilinear", padding_mode="border", align_corners=False)
    return F.avg_pool2d(seen, 2).reshape(n, k, rows, columns).reshape(n * k, 1, rows, columns)


def light_of(pictures):
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    return (pictures * weights).sum(1, keepdim=True)


def placed(maps):
    """The finder's maps to how likely a thing is and its box at every cell: `[n, cells]`, `[n, cells, 4]`."""
    cells = maps.flatten(2).transpose(1, 2)
    at = torch.arange(ROWS * COLUMNS)
    x, y = (at % COLUMNS + 0.5) * CELL, torch.div(at, COLUMNS, rounding_mode="floor") * CELL + CELL / 2
    boxes = torch.stack(
        [x + cells[..., 1] * CELL, y + cells[..., 2] * CELL, 32 * cells[..., 3].clamp(-4, 4).exp(), 32 * cells[..., 4].clamp(-4, 4).exp()], -1
    )
    return cells[..., 0].sigmoid(), boxes
