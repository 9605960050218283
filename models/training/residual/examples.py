"""Examples as `interpolation-examples` writes them: per crop 208 planes of 32 × 32 cells in eight bits."""

import struct
from pathlib import Path

import numpy as np
import torch

from network import CHANNELS, SAMPLES

CROP = 32
PLANES = CHANNELS + SAMPLES
# Channels by what they mean; shaders/src/features.rs lays them out.
WAYS, SHARES, SOFTNESS, MOTION, TIME = 24, 168, 172, 180, 183
SCALE = torch.cat([torch.full((24,), 1 / 128), torch.full((144,), 1 / 64), torch.full((16,), 1 / 127)]).view(1, -1, 1, 1)


def crops(paths):
    """All crops of the files, as they lie on the disk."""
    maps = [np.memmap(path, np.int8, "r") for path in paths]
    size = PLANES * CROP * CROP
    return [part[: len(part) // size * size].reshape(-1, PLANES, CROP, CROP) for part in maps]


def whole(folder):
    """Name and pictures of each clip in a folder of whole pictures."""
    for path in sorted(Path(folder).glob("*.whole")):
        data, at, pictures = np.memmap(path, np.uint8, "r"), 0, []
        while at < len(data):
            columns, rows = struct.unpack_from("<II", data, at)
            size = PLANES * columns * rows
            pictures.append(data[at + 8 : at + 8 + size].view(np.int8).reshape(PLANES, rows, columns))
            at += 8 + size
        yield path.stem, pictures


def split(planes):
    """Features and residual, the latter in codes, of a batch of planes."""
    return planes[:, :CHANNELS].float() * SCALE, planes[:, CHANNELS:].float()


def _cell(order):
    """The channels of one cell's samples after its places were moved: luma, u, v."""
    luma, chroma = order(np.arange(16).reshape(4, 4)).ravel(), order(np.arange(4).reshape(2, 2)).ravel()
    return np.concatenate([luma, 16 + chroma, 20 + chroma])


def _moved(order, swap, sign_x, sign_y, reverse):
    cell = _cell(order)
    channels, sign, offset = np.arange(PLANES), np.ones(PLANES), np.zeros(PLANES)
    channels[:24] = cell
    for block in range(6):
        source = block ^ 1 if reverse else block
        channels[WAYS + 24 * block : WAYS + 24 * (block + 1)] = WAYS + 24 * source + cell
    channels[CHANNELS:] = CHANNELS + cell
    for pair in range(4):
        source = pair ^ 1 if reverse else pair
        parts = [1, 0] if swap else [0, 1]
        channels[SOFTNESS + 2 * pair : SOFTNESS + 2 * pair + 2] = [SOFTNESS + 2 * source + part for part in parts]
    channels[MOTION : MOTION + 2] = [MOTION + 1, MOTION] if swap else [MOTION, MOTION + 1]
    back = -1 if reverse else 1
    sign[MOTION], sign[MOTION + 1] = sign_x * back, sign_y * back
    if reverse:
        for one in (SHARES + 3, TIME):
            sign[one], offset[one] = -1, 127
    plane = lambda values: torch.tensor(values, dtype=torch.int16).view(1, -1, 1, 1)
    return torch.tensor(channels), plane(sign), plane(offset)


def _turn_grid(grid, flip_x, flip_y, swap):
    """What lies at each place afterwards: first swapped, then mirrored."""
    grid = grid.T if swap else grid
    grid = grid[:, ::-1] if flip_x else grid
    return grid[::-1] if flip_y else grid


def _turns():
    both = (False, True)
    made = []
    for x in both:
        for y in both:
            for swap in both:
                for reverse in both:
                    order = lambda grid: _turn_grid(grid, x, y, swap)
                    signs = (-1 if x else 1, -1 if y else 1)
                    made.append((x, y, swap, _moved(order, swap, *signs, reverse)))
    return made


TURNS = _turns()


def turned(planes, which):
    """The same examples mirrored, turned, and with time running back: `which` of 16."""
    flip_x, flip_y, swap, (channels, sign, offset) = TURNS[which]
    planes = planes[:, channels]
    planes = planes.transpose(2, 3) if swap else planes
    axes = [axis for axis, flip in ((2, flip_y), (3, flip_x)) if flip]
    planes = planes.flip(axes) if axes else planes
    return planes.to(torch.int16) * sign + offset
