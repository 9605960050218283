"""Writes `models/tests/fixtures/moonshine/`: a tiny streaming Moonshine that understands a language of tones, in three layouts, and
what the reference makes of sound.

    python models/training/moonshine/make_fixtures.py models/tests/fixtures/moonshine [WEIGHTS]

Needs torch, transformers, onnx, onnxruntime and numpy; the tests that read the fixtures need none of them. Every figure is of
transformers' own model. WEIGHTS are those that `train.py` saves; without them it learns anew, and other machines may round
otherwise: then the figures are those of the new weights.

    streaming/  the encoder with a memory
    whole/      as it is published: an encoder without, all graphs in ONNX Runtime's own format, the front end in two files
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import torch

import graphs
import tones
import train

CASES = [
    [], ["ba"], ["kilo"], ["guma", "de"], ["lofogu", "fo", "maba"], ["nede", "kilo", "ba", "de"],
    ["maba", "guma", "lofogu", "de"], ["de", "fo", "ba", "nede", "guma"],
]
# Samples at which a sound is cut off: less than a frame, a frame, less than a feature, and so on.
LENGTHS = [1, 79, 80, 81, 319, 321, 1279, 5000, 16_001]


def covered(samples):
    """The sound with silence behind it, so that a feature has seen its last sample: 4n + 1 frames of 80."""
    frames = max(1, -(-len(samples) // 80))
    frames += (1 - frames) % 4
    return np.pad(samples, (0, 80 * frames - len(samples)))


def heard(made, sound):
    """What the reference makes of one sound: the encoder's states, the tokens, their chances, and where each one looked."""
    values = torch.from_numpy(covered(sound))[None]
    mask = torch.ones(values.shape, dtype=torch.long)
    encoded = made.model.encoder(values, attention_mask=mask).last_hidden_state[0]
    most = -(-len(encoded) * 13 // 100)
    said = made.generate(values, attention_mask=mask, max_new_tokens=most, do_sample=False, return_dict_in_generate=True,
                         output_scores=True, output_attentions=True)
    tokens = said.sequences[0, 1:].tolist()
    scores = torch.stack(said.scores)[:, 0]
    margin = (scores.topk(2).values @ torch.tensor([1.0, -1.0])).min().item()
    chances = scores.softmax(-1).max(-1).values.tolist()
    if tokens[-1] == tones.EOS:
        tokens, chances = tokens[:-1], chances[:-1]
    return {"frames": len(encoded), "tokens": tokens, "chances": [round(chance, 5) for chance in chances],
            "encoded": [round(value, 5) for value in encoded.flatten().tolist()[::37]]}, margin


def split_frontend(folder):
    """The front end in two files, as it is published: one gives the weights, the other takes them."""
    whole = onnx.load(folder / "frontend.onnx")
    large = [weight for weight in whole.graph.initializer if len(weight.raw_data) > 1024]
    values = [onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims) for weight in large]
    nodes = []
    for weight in large:
        # A constant that is an output must be computed, or ONNX Runtime's converter finds nothing to run.
        source = onnx.TensorProto()
        source.CopyFrom(weight)
        source.name = weight.name + ".kept"
        nodes.append((onnx.helper.make_node("Identity", [source.name], [weight.name]), source))
    graph = onnx.helper.make_graph([node for node, _ in nodes], "weights", [], values, [source for _, source in nodes])
    made = onnx.helper.make_model(graph, opset_imports=whole.opset_import)
    made.ir_version = whole.ir_version
    onnx.save(made, folder / "frontend.weights.onnx")
    for weight in large:
        whole.graph.initializer.remove(weight)
    whole.graph.input.extend(values)
    onnx.save(whole, folder / "frontend.model.onnx")
    (folder / "frontend.onnx").unlink()


def lay_out(made, folder):
    """Both layouts of the one model."""
    windows = [[past - 1, max(0, ahead - 1)] for past, ahead in train.WINDOWS]
    streaming, whole = folder / "streaming", folder / "whole"
    for place in (streaming, whole):
        shutil.rmtree(place, ignore_errors=True)
    graphs.export(made, windows, streaming)
    graphs.tokens([piece.encode() for piece in tones.TOKENS], streaming / "tokenizer.bin")
    with tempfile.TemporaryDirectory() as temporary:
        plain = pathlib.Path(temporary)
        for path in streaming.glob("*.onnx"):
            if path.stem != "encoder_streaming":
                shutil.copy(path, plain)
        split_frontend(plain)
        subprocess.run([sys.executable, "-m", "onnxruntime.tools.convert_onnx_models_to_ort", plain], check=True, capture_output=True)
        whole.mkdir(parents=True)
        for path in [*plain.glob("*.ort"), streaming / "streaming_config.json", streaming / "tokenizer.bin"]:
            if "with_runtime_opt" not in path.name:
                shutil.copy(path, whole)
    (streaming / "encoder.onnx").unlink()


def main():
    folder = pathlib.Path(sys.argv[1])
    if len(sys.argv) > 2:
        made = train.model().eval()
        made.load_state_dict(torch.load(sys.argv[2]))
    else:
        made = train.train()
    sounds = [(words, None, 100 + at, tones.speak(words, 100 + at)) for at, words in enumerate(CASES)]
    sounds += [(CASES[-1], length, 7, tones.speak(CASES[-1], 7)[:length]) for length in LENGTHS]
    # Nothing but noise, as loud as speech, and the loudest there is.
    sounds += [([], None, 900 + loud, tones.samples(tones.noise(32_000, 900 + loud) * loud)) for loud in (1, 16, 63)]
    cases, least = [], 1.0
    with torch.no_grad():
        for words, length, seed, sound in sounds:
            told, margin = heard(made, sound)
            kind = "speech" if length is not None or words or seed < 900 else "noise"
            cases.append({"kind": kind, "words": words, "seed": seed, "length": len(sound), **told})
            right = length is not None or kind == "noise" or told["tokens"] == tones.tokens(words)
            print(f"{kind:7}{len(sound):7} {'' if right else 'WRONG '}{told['tokens']} won by {margin:.4f}")
            least = min(least, margin)
    assert least > 0.002, f"a token won by {least:.5f} only: not to be told apart from rounding"
    folder.mkdir(parents=True, exist_ok=True)
    lay_out(made, folder)
    (folder / "expected.json").write_text(json.dumps({"cases": cases}) + "\n")


if __name__ == "__main__":
    main()
