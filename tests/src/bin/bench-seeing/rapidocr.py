"""Times the Python package on one picture: RUNS, THREADS, PICTURE. Prints one JSON object: the milliseconds of each run, the lines."""

import json
import sys
import time

import numpy as np
from PIL import Image
from rapidocr_onnxruntime import RapidOCR

runs, threads, picture = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
reader = RapidOCR(intra_op_num_threads=threads, inter_op_num_threads=1)
pixels = np.array(Image.open(picture).convert("RGB"))[:, :, ::-1].copy()
times, found = [], []
for _ in range(runs + 1):
    began = time.perf_counter()
    found, _ = reader(pixels)
    times.append((time.perf_counter() - began) * 1e3)
print(json.dumps({"ms": times[1:], "lines": [text for _, text, _ in found or []]}))
