"""Writes glance in the three-file layout: python export.py RUN OUT

RUN is where the training left `finder.pt`, `looker.pt`, `reader.pt`, `words.pt` and `tokenizer.json`; OUT becomes the model's folder. The large
matrices of the decoder become 8-bit integers; the convolutions stay what they are: as integers they are slower, not smaller by much.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn
from torch.nn import functional as F

import sight
from sight import BLANK, COLUMNS, HEIGHT, ROWS, SIGNS, SLOTS, THINGS, WIDTH, Finder, Looker, Reader
from words import CHAT_TEMPLATE, HEAD, HEADS, HIDDEN, KEPT, WORDS, Decoder, says, tell

SIDE = 640
POSITIONS = 1024


class Vision(nn.Module):
    """`[1, 1, 3, 640, 640]` in −1..1 to 64 words of a picture, where each stands as shares of the picture (left, top, right, bottom), and
    how clearly it shows what it shows."""

    def __init__(self, finder, looker, reader, told):
        super().__init__()
        self.finder, self.looker, self.reader, self.told = finder, looker, reader, told

    def forward(self, pixel_values):
        pictures = pixel_values[:, 0] * 0.5 + 0.5
        # As it was before the processor stretched it to a square.
        pictures = F.interpolate(pictures, size=(HEIGHT, WIDTH), mode="bicubic", align_corners=False)
        seen = self.see(pictures)
        words = tell(*seen)
        # A word that is all zeros is as if it were not there: the decoder neither looks at it nor counts it.
        return self.told(words) * says(words)[..., None], *self.places(*seen)

    def see(self, pictures):
        sure, boxes = sight.placed(self.finder(pictures))
        grid = sure.view(1, 1, ROWS, COLUMNS)
        peaks = sure * (F.max_pool2d(grid, 5, 1, 2) == grid).flatten(1)
        there, chosen = peaks.topk(THINGS, 1)
        boxes = boxes.gather(1, chosen[..., None].expand(1, THINGS, 4))
        # The finder knows about where things are; who has looked at one knows better, and looks again.
        _, moved = self.looker(sight.cuts(pictures, boxes), sight.sizes(boxes))
        boxes, _ = sight.refined(boxes, moved[None])
        looks, moved = self.looker(sight.cuts(pictures, boxes), sight.sizes(boxes))
        boxes, lines = sight.refined(boxes, moved[None])
        there = there * self.first(boxes)
        looks = [part.softmax(-1)[None] for part in looks[:-1]] + [looks[-1].sigmoid()[None]]
        _, signs = (looks[0][..., 2] * there).topk(SIGNS, 1)
        lines = lines.gather(1, signs[..., None].expand(1, SIGNS, 5))
        letters = self.read(pictures, lines)
        # Whoever reads what is told knows that there is a letter: which, is the question.
        letters = letters * (0.97 / letters.sum(-1, keepdim=True).clamp(min=1e-3))
        return there, looks, boxes, letters, signs

    def first(self, boxes):
        """1 for a thing, 0 for one that was found before, with more certainty: `[1, 16]`."""
        low, high = boxes[..., :2] - boxes[..., 2:], boxes[..., :2] + boxes[..., 2:]
        common = torch.minimum(high[:, :, None], high[:, None]) - torch.maximum(low[:, :, None], low[:, None])
        common = common.clamp(min=0).prod(-1)
        area = (boxes[..., 2] * boxes[..., 3] * 4)[..., None]
        again = common > 0.3 * (area + area.transpose(1, 2) - common)
        before = torch.tril(torch.ones(THINGS, THINGS), -1)
        return 1 - (again.float() * before).amax(-1)

    def read(self, pictures, lines):
        """Letters in their order: `[1, 4, 12, letters]`. Each is what was seen where it was the likeliest, none aside."""
        seen = self.reader(sight.strips(sight.light_of(pictures), lines)).softmax(-1)
        best = seen.argmax(-1)
        before = torch.cat([torch.full_like(best[:, :1], BLANK), best[:, :-1]], 1)
        starts = ((best != BLANK) & (best != before)).long()
        of = torch.where(best != BLANK, starts.cumsum(1), torch.zeros_like(best))
        mine = (of[:, None] == torch.arange(1, SLOTS + 1)[None, :, None]).float()
        return (mine @ seen[..., :BLANK])[None]

    def places(self, there, looks, boxes, letters, signs):
        """Left, top, right and bottom of each word, and how clear it is."""
        kinds = looks[0][..., 1:]
        best = [part.max(-1).values for part in looks[1:6]]
        spelt = letters.amax(-1) / 0.97
        count = (spelt > 0).float().sum(-1)
        legible = spelt.sum(-1) / count.clamp(min=1) * (count / 2).clamp(max=1)
        lit = ((looks[6] - 0.5).abs() * 2).mean(-1)
        # What has not been read is not clear.
        read = (torch.arange(THINGS)[None, :, None] == signs[:, None]).float() @ legible[..., None]
        shown = torch.stack([(best[0] * best[1]).sqrt(), read[..., 0], (best[2] * best[3]).sqrt(), best[4], lit], -1)
        clear = ((there - 0.3) * 8).clamp(0, 1) * (kinds * shown).sum(-1)
        clarity = torch.cat([clear, spelt.flatten(1)], 1)
        scale = torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT]).float()
        edges = torch.cat([boxes[..., :2] - boxes[..., 2:], boxes[..., :2] + boxes[..., 2:]], -1) / scale
        own = edges.gather(1, signs[..., None].expand(1, SIGNS, 4))[:, :, None].expand(1, SIGNS, SLOTS, 4)
        return torch.cat([edges, own.flatten(1, 2)], 1).clamp(0, 1), clarity


class Embed(nn.Module):
    def __init__(self, decoder):
        super().__init__()
        self.embed = decoder.embed

    def forward(self, input_ids):
        return self.embed(input_ids)


class Cached(nn.Module):
    """New words after those whose keys and values are given. The attention is the pointer's."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, inputs_embeds, attention_mask, position_ids, *past):
        past = list(zip(past[::2], past[1::2]))
        # Words that say nothing are zeros, and so are their first keys; those that say something are numbered as if there were no others.
        silent = torch.cat([past[0][0].abs().sum((1, 3)) == 0, inputs_embeds.abs().sum(-1) == 0], 1)
        numbers = (~silent).float().cumsum(1) - 1
        keys = torch.arange(attention_mask.shape[1])
        closed = (keys[None, None] > position_ids[..., None]) | silent[:, None]
        hidden = torch.where(closed, -1e9, 0.0)[:, None]
        logits, kept, looked = self.decoder(inputs_embeds, numbers[:, -position_ids.shape[1] :], hidden, past)
        return logits, *[part for pair in kept for part in pair], looked


def trace(module, inputs, path, names_in, names_out, axes):
    torch.onnx.export(
        module.eval(), inputs, str(path), input_names=names_in, output_names=names_out, dynamic_axes=axes, opset_version=17, dynamo=False
    )


def settings(folder, vocabulary, ids):
    def write(name, what):
        (folder / name).write_text(json.dumps(what, indent=1, sort_keys=True) + "\n")

    write(
        "config.json",
        {
            "model_type": "glance",
            "image_token_id": ids["<image>"],
            "text_config": {
                "hidden_size": HIDDEN,
                "num_attention_heads": HEADS,
                "num_key_value_heads": HEADS,
                "head_dim": HEAD,
                "num_hidden_layers": KEPT,
                "max_position_embeddings": POSITIONS,
                "vocab_size": vocabulary,
            },
            "vision_config": {"image_size": SIDE, "patch_size": SIDE // 8},
        },
    )
    write("generation_config.json", {"eos_token_id": ids["<end_of_utterance>"]})
    write("processor_config.json", {"image_seq_len": WORDS})
    write(
        "preprocessor_config.json",
        {
            "do_image_splitting": False,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
            "max_image_size": {"longest_edge": SIDE},
            "resample": 1,
            "size": {"longest_edge": SIDE},
        },
    )
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)


def load(run):
    parts = []
    for make, name in ((Finder, "finder"), (Looker, "looker"), (Reader, "reader")):
        part = make()
        part.load_state_dict(torch.load(run / f"{name}.pt"))
        parts.append(part.eval())
    state = torch.load(run / "words.pt")
    decoder = Decoder(state["embed.weight"].shape[0])
    decoder.load_state_dict(state)
    return Vision(*parts, decoder.told).eval(), decoder.eval()


@torch.inference_mode()
def main():
    run, out = map(pathlib.Path, sys.argv[1:3])
    (out / "onnx").mkdir(parents=True, exist_ok=True)
    vision, decoder = load(run)
    words = json.loads((run / "tokenizer.json").read_text())
    ids = {token["content"]: token["id"] for token in words["added_tokens"]}
    shutil.copy(run / "tokenizer.json", out / "tokenizer.json")
    settings(out, decoder.embed.weight.shape[0], ids)
    cache = [f"{kind}.{layer}.{part}" for kind in ("past_key_values", "present") for layer in range(KEPT) for part in ("key", "value")]
    past, present = cache[: len(cache) // 2], cache[len(cache) // 2 :]
    with tempfile.TemporaryDirectory() as plain:
        plain = pathlib.Path(plain)
        trace(vision, (torch.rand(1, 1, 3, SIDE, SIDE) * 2 - 1,), out / "onnx" / "vision_encoder.onnx", ["pixel_values"],
              ["image_features", "places", "clarity"], {})
        trace(Embed(decoder), (torch.ones(1, 3, dtype=torch.long),), out / "onnx" / "embed_tokens.onnx", ["input_ids"], ["inputs_embeds"],
              {"input_ids": {1: "fresh"}, "inputs_embeds": {1: "fresh"}})
        caches = [torch.randn(1, HEADS, 5, HEAD) for _ in past]
        inputs = (torch.randn(1, 3, HIDDEN), torch.ones(1, 8, dtype=torch.long), torch.arange(5, 8)[None], *caches)
        axes = {"inputs_embeds": {1: "fresh"}, "attention_mask": {1: "total"}, "position_ids": {1: "fresh"}, "logits": {1: "fresh"}}
        axes |= {name: {2: "past"} for name in past} | {name: {2: "total"} for name in present} | {"attention": {1: "fresh", 2: "total"}}
        trace(Cached(decoder), inputs, plain / "decoder.onnx", ["inputs_embeds", "attention_mask", "position_ids", *past],
              ["logits", *present, "attention"], axes)
        quantize_dynamic(plain / "decoder.onnx", out / "onnx" / "decoder_model_merged.onnx", op_types_to_quantize=["MatMul", "Gemm"],
                         per_channel=True, weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True})
    for path in sorted(out.rglob("*")):
        if path.is_file():
            print(f"{path.stat().st_size:>9} {path.relative_to(out)}")


if __name__ == "__main__":
    main()
