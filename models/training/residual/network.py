"""The residual network as a straight-line program of layers, and the file that carries it to the shaders.

Tensor 0 is the features; layer i makes tensor i + 1; the last is the residual: 16 luma, 4 u and 4 v per cell, in codes/255.
"""

import struct
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

CHANNELS, SAMPLES = 184, 24
CONV, DOWN, UP, POINT = 0, 1, 2, 3
NONE = 0xFFFFFFFF
SIDES = {CONV: 3, DOWN: 3, UP: 2, POINT: 1}


@dataclass(frozen=True)
class Layer:
    kind: int
    relu: int
    source: int
    add: int
    inputs: int
    outputs: int


def program(wide=40, deep=64, detail=80):
    """What surrounds each cell is looked at on three levels; what it comes to opens and closes the cell's own details."""
    return [
        Layer(POINT, 0, 0, NONE, CHANNELS, detail),  # 1, details
        Layer(POINT, 1, 0, NONE, CHANNELS, wide),  # 2
        Layer(CONV, 1, 2, NONE, wide, wide),  # 3
        Layer(DOWN, 1, 3, NONE, wide, deep),  # 4, half
        Layer(CONV, 1, 4, NONE, deep, deep),  # 5
        Layer(DOWN, 1, 5, NONE, deep, deep),  # 6, quarter
        Layer(CONV, 1, 6, NONE, deep, deep),  # 7
        Layer(UP, 1, 7, 5, deep, deep),  # 8, half
        Layer(CONV, 1, 8, NONE, deep, deep),  # 9
        Layer(UP, 1, 9, 3, deep, wide),  # 10
        Layer(POINT, 1, 10, 1, wide, detail),  # 11, details
        Layer(CONV, 0, 11, NONE, detail, SAMPLES),  # 12
    ]


class Network(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers
        # While it learns: features are first made independent of each other and equally strong.
        self.basis = None
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for layer in layers:
            side = SIDES[layer.kind]
            shape = (layer.outputs, layer.inputs, side, side)
            reach = layer.inputs * (1 if layer.kind == UP else side * side)
            weight = torch.randn(shape) * (2.0 / reach) ** 0.5
            if layer is layers[-1]:
                # What is not learnt yet is left as it was made: noise here would teach the others to be silent.
                weight = weight * 0.0
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(layer.outputs)))

    def forward(self, features, seen=None):
        tensors = [features]
        for index, layer in enumerate(self.layers):
            source, weight, bias = tensors[layer.source], self.weights[index], self.biases[index]
            if self.basis is not None and layer.source == 0:
                weight, bias = self.in_basis(weight, bias)
            if seen is not None:
                seen(index, source)
            if layer.kind == UP:
                made = F.conv_transpose2d(source, weight.transpose(0, 1), bias, stride=2)
            elif layer.kind == POINT:
                # A product of matrices, where channels lie side by side.
                made = F.linear(source.permute(0, 2, 3, 1), weight[:, :, 0, 0], bias).permute(0, 3, 1, 2)
            else:
                stride = 2 if layer.kind == DOWN else 1
                made = F.conv2d(source, weight, bias, stride=stride, padding=SIDES[layer.kind] // 2)
            if layer.add != NONE:
                other = tensors[layer.add]
                made = made[:, :, : other.shape[2], : other.shape[3]] + other
            tensors.append(F.relu(made) if layer.relu else made)
        return tensors[-1]

    def in_basis(self, weight, bias):
        turn, mean = self.basis
        flat = weight[:, :, 0, 0] @ turn
        return flat.view(*flat.shape, 1, 1), bias - flat @ mean

    def plain(self, factor=1.0):
        """The same network on features as they are, its residual so many times as large."""
        made = Network(self.layers)
        made.load_state_dict(self.state_dict())
        with torch.no_grad():
            for index, layer in enumerate(self.layers):
                if self.basis is not None and layer.source == 0:
                    assert layer.kind == POINT
                    weight, bias = self.in_basis(self.weights[index], self.biases[index])
                    made.weights[index].copy_(weight)
                    made.biases[index].copy_(bias)
            # Half of it by the layers before the last, so that no weight is too small for 16 bits.
            last = self.layers[-1]
            before = self.layers[last.source - 1]
            assert before.add != NONE and not self.layers[before.add - 1].relu
            for index in (last.source - 1, before.add - 1):
                made.weights[index].mul_(factor**0.5)
                made.biases[index].mul_(factor**0.5)
            made.weights[-1].mul_(factor**0.5)
            made.biases[-1].mul_(factor)
        return made

    def led_by(self, turn, mean):
        """The same network, learning from features less their mean, turned."""
        made = self.plain()
        made.basis = (turn, mean)
        with torch.no_grad():
            for index, layer in enumerate(self.layers):
                if layer.source == 0:
                    weight = self.weights[index][:, :, 0, 0]
                    made.weights[index].copy_(torch.linalg.solve(turn.T.double(), weight.T.double()).T[:, :, None, None])
                    made.biases[index].add_(weight @ mean)
        return made

    def cost(self):
        """Parameters, and multiply-adds per cell."""
        level, adds = {0: 0}, 0.0
        for index, layer in enumerate(self.layers):
            level[index + 1] = level[layer.source] + {DOWN: 1, UP: -1}.get(layer.kind, 0)
            taps = 1 if layer.kind == UP else SIDES[layer.kind] ** 2
            adds += layer.inputs * layer.outputs * taps / 4 ** level[index + 1]
        return sum(p.numel() for p in self.parameters()), adds


def write(network, scales, path):
    """`scales`: the largest absolute input of each layer, for eight-bit arithmetic."""
    out = bytearray(struct.pack("<4sIII", b"HSRN", 1, CHANNELS, len(network.layers)))
    for layer, weight, bias, scale in zip(network.layers, network.weights, network.biases, scales):
        add, source = layer.add, layer.source
        out += struct.pack("<6If", layer.kind, layer.relu, source, add, layer.inputs, layer.outputs, scale)
        out += weight.detach().numpy().astype("<f2").tobytes()
        out += bytes(-len(out) % 4)
        out += bias.detach().numpy().astype("<f4").tobytes()
    with open(path, "wb") as file:
        file.write(out)


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    magic, version, channels, count = struct.unpack_from("<4sIII", data)
    assert (magic, version, channels) == (b"HSRN", 1, CHANNELS), path
    at, layers, parts, scales = 16, [], [], []
    for _ in range(count):
        *header, scale = struct.unpack_from("<6If", data, at)
        layer = Layer(*header)
        at += 28
        side = SIDES[layer.kind]
        shape = (layer.outputs, layer.inputs, side, side)
        weight = np.frombuffer(data, "<f2", int(np.prod(shape)), at).reshape(shape)
        at += (weight.nbytes + 3) // 4 * 4
        bias = np.frombuffer(data, "<f4", layer.outputs, at)
        at += bias.nbytes
        layers.append(layer)
        parts.append((weight, bias))
        scales.append(scale)
    assert at == len(data), path
    network = Network(layers)
    with torch.no_grad():
        for index, (weight, bias) in enumerate(parts):
            network.weights[index].copy_(torch.from_numpy(weight.astype(np.float32)))
            network.biases[index].copy_(torch.from_numpy(bias.copy()))
    return network, scales
