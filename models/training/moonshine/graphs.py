"""The graphs of a streaming Moonshine, from the weights that were published of it.

    python models/training/moonshine/graphs.py CHECKPOINT FOLDER

CHECKPOINT is a folder (or a hub's name) of `MoonshineStreamingForConditionalGeneration`; FOLDER gets the five graphs of the published
layout (`frontend`, `encoder`, `adapter`, `cross_kv`, `decoder_kv`), `streaming_config.json` and `tokenizer.bin`, and one graph that is
not published: `encoder_streaming.onnx`, which carries keys and values from call to call, so that every layer sees every frame once.

Needs torch, transformers and onnx. The decoder of these exports also says where each token looked (`cross_attentions.N`): words
get their times from it.
"""

import json
import pathlib
import sys
import warnings

import torch
from torch import nn
from torch.nn import functional as F

torch.onnx.register_custom_op_symbolic("aten::asinh", lambda graph, value: graph.op("Asinh", value), 9)
FAR = -1e9


class Frontend(nn.Module):
    """Sound to features, chunk by chunk: 80 samples are a frame, four frames a feature. What a convolution still needs of the
    past is carried, so that chunks and the whole give the same."""

    def __init__(self, embedder):
        super().__init__()
        self.embedder, self.frame = embedder, embedder.frame_len

    def forward(self, audio_chunk, sample_buffer, sample_len, conv1_buffer, conv2_buffer, frame_count):
        part = self.embedder
        sound = torch.cat([sample_buffer[:, : sample_len[0]], audio_chunk], dim=1)
        frames = sound.shape[1] // self.frame
        used = frames * self.frame
        hidden = part.comp(part.cmvn(sound[:, :used].reshape(1, frames, self.frame)))
        hidden = F.silu(part.linear(hidden)).transpose(1, 2)
        # A convolution with stride 2 looks at every second frame: one that is left over waits, with the past that it needs.
        first, conv1_out = strided(part.conv1, conv1_buffer, hidden, frame_count[0])
        first = F.silu(first)
        features, conv2_out = strided(part.conv2, conv2_buffer, first, (frame_count[0] + 1) // 2)
        rest = sound[:, used:]
        padded = torch.cat([rest, torch.zeros_like(sample_buffer)], dim=1)[:, : self.frame - 1]
        length = torch.ones_like(rest[0], dtype=torch.long).sum().reshape(1)
        return features.transpose(1, 2), padded, length, conv1_out, conv2_out, frame_count + frames


def strided(conv, past, fresh, count):
    """A causal convolution with stride 2 over what follows `count` frames, the last four of which are `past`."""
    inputs = torch.cat([past, fresh], dim=2)
    # Output j looks at the five frames up to frame 2j: the first fresh one with an even number begins.
    out = conv1d_from(conv, inputs, count % 2)
    return out, inputs[:, :, -(conv.kernel_size[0] - 1) :]


def conv1d_from(conv, inputs, skip):
    # A frame of padding behind keeps the convolution from running dry; its output is cut off again.
    padded = F.pad(inputs[:, :, skip:], (0, conv.kernel_size[0]))
    whole = F.conv1d(padded, conv.weight, conv.bias, stride=conv.stride[0])
    fresh = inputs.shape[2] - (conv.kernel_size[0] - 1) - skip
    return whole[:, :, : (fresh + 1) // 2]


def attend(layer, normed, keys, values, bias):
    """One layer's attention over given keys and values."""
    part = layer.self_attn
    queries = heads(part.q_proj, normed, part.head_dim)
    weights = (queries @ keys.transpose(2, 3) * part.scaling + bias).softmax(-1)
    return part.o_proj(joined(weights @ values))


def heads(projection, states, width):
    """Every size is written out: of no frames at all none can be guessed."""
    return projection(states).reshape(1, states.shape[1], projection.out_features // width, width).transpose(1, 2)


def joined(heads):
    return heads.transpose(1, 2).reshape(1, heads.shape[2], heads.shape[1] * heads.shape[3])


class Encoder(nn.Module):
    """Features to what is heard in them, all at once. `windows` are inclusive: frames before and after that a layer looks at."""

    def __init__(self, encoder, windows):
        super().__init__()
        self.layers, self.norm, self.windows = encoder.layers, encoder.final_norm, windows

    def forward(self, features):
        states = features
        place = torch.arange(states.shape[1])
        behind = place[:, None] - place[None]
        for layer, (past, ahead) in zip(self.layers, self.windows):
            bias = ((behind > past) | (behind < -ahead)).float() * FAR
            normed = layer.input_layernorm(states)
            keys, values = (heads(p, normed, layer.self_attn.head_dim) for p in (layer.self_attn.k_proj, layer.self_attn.v_proj))
            states = states + attend(layer, normed, keys, values, bias)
            states = states + layer.mlp(layer.post_attention_layernorm(states))
        return self.norm(states)


class StreamingEncoder(nn.Module):
    """The same, as features come. A layer keeps the keys and values that later frames look back at, and the frames that still wait
    for those after them; `hold` of 0 lets these go without."""

    def __init__(self, encoder, windows):
        super().__init__()
        self.layers, self.norm, self.windows = encoder.layers, encoder.final_norm, windows

    def forward(self, features, hold, *carried):
        states, left = features, []
        for index, (layer, (past, ahead)) in enumerate(zip(self.layers, self.windows)):
            key, value, waiting = carried[3 * index : 3 * index + 3]
            normed = layer.input_layernorm(states)
            fresh = (heads(p, normed, layer.self_attn.head_dim) for p in (layer.self_attn.k_proj, layer.self_attn.v_proj))
            keys, values = (torch.cat(pair, dim=2) for pair in zip((key, value), fresh))
            seen = keys.shape[2]
            before = seen - states.shape[1] - waiting.shape[1]
            rows = torch.cat([waiting, states], dim=1)
            ready = torch.clamp(rows.shape[1] - ahead * hold[0], min=0)
            rows, held = rows[:, :ready], rows[:, ready:]
            behind = (before + torch.arange(ready))[:, None] - torch.arange(seen)[None]
            bias = ((behind > past) | (behind < -ahead)).float() * FAR
            states = rows + attend(layer, layer.input_layernorm(rows), keys, values, bias)
            states = states + layer.mlp(layer.post_attention_layernorm(states))
            keep = past + ahead
            left += [keys[:, :, -keep:], values[:, :, -keep:], held]
        return (self.norm(states), *left)


class Adapter(nn.Module):
    """What is heard to what the decoder looks at, with its place in the segment."""

    def __init__(self, decoder):
        super().__init__()
        self.places, self.proj = decoder.pos_emb, decoder.proj

    def forward(self, encoded, pos_offset):
        return self.proj(encoded + self.places(torch.arange(encoded.shape[1]) + pos_offset[0])[None])


class CrossKV(nn.Module):
    """The keys and values of that, layer by layer: `[layers, 1, heads, frames, width]`."""

    def __init__(self, decoder):
        super().__init__()
        self.layers = nn.ModuleList([layer.encoder_attn for layer in decoder.layers])

    def forward(self, memory):
        keys = torch.stack([heads(part.k_proj, memory, part.head_dim) for part in self.layers])
        values = torch.stack([heads(part.v_proj, memory, part.head_dim) for part in self.layers])
        return keys, values


class Decoder(nn.Module):
    """Tokens after a cache to logits, a longer cache, and each layer's look at what was heard."""

    def __init__(self, decoder, head):
        super().__init__()
        self.decoder, self.head = decoder, head

    def forward(self, token, k_self, v_self, out_k_cross, out_v_cross):
        states = self.decoder.embed_tokens(token)
        cached, fresh = k_self.shape[3], token.shape[1]
        places = torch.arange(fresh) + cached
        hidden = torch.arange(cached + fresh)[None] > places[:, None]
        bias = hidden.float() * FAR
        angles = places[:, None].float() * self.decoder.rotary_emb.inv_freq[None]
        keys, values, looked = [], [], []
        for index, layer in enumerate(self.decoder.layers):
            part, normed = layer.self_attn, layer.input_layernorm(states)
            query = turned(heads(part.q_proj, normed, part.head_dim), angles)
            key = torch.cat([k_self[index], turned(heads(part.k_proj, normed, part.head_dim), angles)], dim=2)
            value = torch.cat([v_self[index], heads(part.v_proj, normed, part.head_dim)], dim=2)
            keys.append(key)
            values.append(value)
            weights = (query @ key.transpose(2, 3) * part.scaling + bias).softmax(-1)
            states = states + part.o_proj(joined(weights @ value))
            part, normed = layer.encoder_attn, layer.post_attention_layernorm(states)
            query = heads(part.q_proj, normed, part.head_dim)
            weights = (query @ out_k_cross[index].transpose(2, 3) * part.scaling).softmax(-1)
            looked.append(weights)
            states = states + part.o_proj(joined(weights @ out_v_cross[index]))
            states = states + layer.mlp(layer.final_layernorm(states))
        return (self.head(self.decoder.norm(states)), torch.stack(keys), torch.stack(values), *looked)


def turned(states, angles):
    """Rotary positions, neighbours paired; what is beyond the angles stays."""
    pairs = 2 * angles.shape[1]
    even, odd = states[..., 0:pairs:2], states[..., 1:pairs:2]
    cos, sin = angles.cos(), angles.sin()
    turned = torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2)
    return torch.cat([turned, states[..., pairs:]], dim=-1)


def trace(module, inputs, path, names_in, names_out, axes):
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, str(path), input_names=names_in, output_names=names_out, dynamic_axes=axes,
                          opset_version=17, dynamo=False)


def export(made, windows, folder):
    """Writes all graphs and the settings. `windows` are inclusive, one pair for each layer of the encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder, decoder, config = made.model.encoder, made.model.decoder, made.config
    wide, frame = config.encoder_config.hidden_size, encoder.embedder.frame_len
    state = [torch.zeros(1, frame - 1), torch.tensor([13]), torch.randn(1, wide, 4), torch.randn(1, 2 * wide, 4), torch.tensor([3])]
    names = ["sample_buffer", "sample_len", "conv1_buffer", "conv2_buffer", "frame_count"]
    trace(Frontend(encoder.embedder), (torch.randn(1, 3170), *state), folder / "frontend.onnx", ["audio_chunk", *names],
          ["features", *(f"{name}_out" for name in names)], {"audio_chunk": {1: "samples"}, "features": {1: "frames"}})
    trace(Encoder(encoder, windows), (torch.randn(1, 37, wide),), folder / "encoder.onnx", ["features"], ["encoded"],
          {"features": {1: "frames"}, "encoded": {1: "frames"}})
    export_streaming(encoder, windows, wide, folder)
    trace(Adapter(decoder), (torch.randn(1, 37, wide), torch.tensor([5])), folder / "adapter.onnx", ["encoded", "pos_offset"],
          ["memory"], {"encoded": {1: "frames"}, "memory": {1: "frames"}})
    trace(CrossKV(decoder), (torch.randn(1, 37, config.hidden_size),), folder / "cross_kv.onnx", ["memory"], ["k_cross", "v_cross"],
          {"memory": {1: "frames"}, "k_cross": {3: "frames"}, "v_cross": {3: "frames"}})
    part = decoder.layers[0].self_attn
    depth, count, width = config.num_hidden_layers, part.k_proj.out_features // part.head_dim, part.head_dim
    own, cross = torch.randn(depth, 1, count, 5, width), torch.randn(depth, 1, count, 37, width)
    looked = [f"cross_attentions.{layer}" for layer in range(depth)]
    axes = {name: {3: "past"} for name in ("k_self", "v_self")} | {name: {3: "frames"} for name in ("out_k_cross", "out_v_cross")}
    axes |= {"token": {1: "fresh"}, "logits": {1: "fresh"}} | {name: {3: "total"} for name in ("out_k_self", "out_v_self")}
    axes |= {name: {2: "fresh", 3: "frames"} for name in looked}
    trace(Decoder(decoder, made.proj_out), (torch.tensor([[1, 4, 9]]), own, own, cross, cross), folder / "decoder_kv.onnx",
          ["token", "k_self", "v_self", "out_k_cross", "out_v_cross"], ["logits", "out_k_self", "out_v_self", *looked], axes)
    settings = {
        "encoder_dim": wide, "decoder_dim": config.hidden_size, "depth": depth, "nheads": count, "head_dim": width,
        "vocab_size": config.vocab_size, "bos_id": config.bos_token_id, "eos_id": config.eos_token_id, "frame_len": frame,
        "total_lookahead": sum(ahead for _, ahead in windows), "total_left": sum(past for past, _ in windows),
        "d_model_frontend": wide, "c1": 2 * wide, "c2": wide, "windows": windows,
        "max_positions": config.max_position_embeddings,
    }
    (folder / "streaming_config.json").write_text(json.dumps(settings, indent=1) + "\n")


def export_streaming(encoder, windows, wide, folder):
    """`encoder_streaming.onnx`, with the three tensors that each layer carries."""
    names, carried, axes = [], [], {"features": {1: "fresh"}, "encoded": {1: "ready"}}
    for index, layer in enumerate(encoder.layers):
        part = layer.self_attn
        past = torch.randn(1, part.k_proj.out_features // part.head_dim, 7, part.head_dim)
        carried += [past, past.clone(), torch.randn(1, min(2, windows[index][1]), wide)]
        names += [f"past_key.{index}", f"past_value.{index}", f"waiting.{index}"]
        axes |= {f"{kind}.{index}": {2: f"{kind}{index}"} for kind in ("past_key", "past_value", "present_key", "present_value")}
        axes |= {f"waiting.{index}": {1: f"waiting{index}"}, f"still.{index}": {1: f"still{index}"}}
    out = [name.replace("past_", "present_").replace("waiting.", "still.") for name in names]
    inputs = (torch.randn(1, 9, wide), torch.tensor([1]), *carried)
    trace(StreamingEncoder(encoder, windows), inputs, folder / "encoder_streaming.onnx", ["features", "hold", *names],
          ["encoded", *out], axes)


def tokens(vocabulary, path):
    """Writes `tokenizer.bin`: for each token its length (one byte below 128, or two) and its bytes; none for words of control."""
    with open(path, "wb") as file:
        for piece in vocabulary:
            size = len(piece)
            file.write(bytes([size]) if size < 128 else bytes([size % 128 + 128, size // 128]))
            file.write(piece)


def main():
    from transformers import AutoTokenizer, MoonshineStreamingForConditionalGeneration

    checkpoint, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    made = MoonshineStreamingForConditionalGeneration.from_pretrained(checkpoint, attn_implementation="eager").eval()
    # A published window of (16, 4) is meant inclusively: 16 frames before and 4 after.
    export(made, [list(window) for window in made.config.encoder_config.sliding_windows], folder)
    words = AutoTokenizer.from_pretrained(checkpoint)
    pieces = words.convert_ids_to_tokens(list(range(made.config.vocab_size)))
    control = set(words.all_special_tokens)
    tokens([b"" if piece is None or piece in control else piece.encode() for piece in pieces], folder / "tokenizer.bin")


if __name__ == "__main__":
    main()
