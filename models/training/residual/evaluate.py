"""Luma PSNR without and with the network of each clip in a folder of whole pictures: python evaluate.py WEIGHTS FOLDER"""

import sys

import numpy as np
import torch

from network import read
from train import validate

if __name__ == "__main__":
    torch.set_num_threads(1)
    found = validate(sys.argv[2], read(sys.argv[1])[0])
    found["mean"] = list(np.mean(list(found.values()), axis=0))
    for name, (before, after) in found.items():
        print(f"{name:<20}{before:>8.2f}{after:>8.2f}{after - before:>+8.2f}", flush=True)
