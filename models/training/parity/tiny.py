"""A SmolVLM of the real architecture, small and with random weights, and the three graphs that its exports consist of.

Needs torch, transformers, onnx and tokenizers. The graphs are traced from modules written out here over the model's own weights,
because an export must take a cache and pictures of any length; `make_fixtures.py` holds them against the model itself.
"""

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import PreTrainedTokenizerFast, SmolVLMConfig, SmolVLMForConditionalGeneration
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, repeat_kv

# What the chat template of SmolVLM-256M-Instruct and -500M-Instruct says, word for word.
CHAT_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
CORPUS = [
    "User: What does the sign say?",
    "Assistant: The sign says stop.",
    "How many red circles are there in the picture?",
    "There are three red circles and one blue square on a grey wall.",
    "Describe what you see. A person walks past a white door.",
    "Is the light green or red? It was red, now it is green.",
    "Grüße aus Köln, naïve café, 北京 ☃",
]


def tokenizer(vocabulary):
    """Byte-level BPE like SmolLM2's, with SmolVLM's words of control."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    control = ["<|endoftext|>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>", "<global-img>"]
    control += [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(control) + 2,
        special_tokens=control[:2],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(CORPUS, trainer)
    bpe.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in control])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|im_start|>",
        eos_token="<end_of_utterance>",
        pad_token="<|im_start|>",
        unk_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
    )
    fast.image_token, fast.fake_image_token = "<image>", "<fake_token_around_image>"
    fast.global_image_token, fast.end_of_utterance_token = "<global-img>", "<end_of_utterance>"
    return fast


def model(words, seed, hidden, layers, tile):
    """A SmolVLM whose weights are drawn wide enough that its logits differ clearly."""
    torch.manual_seed(seed)
    stop = words.convert_tokens_to_ids("<end_of_utterance>")
    start = words.convert_tokens_to_ids("<|im_start|>")
    text = dict(
        model_type="llama",
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=hidden // 4,
        vocab_size=len(words),
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        initializer_range=0.25,
        bos_token_id=start,
        eos_token_id=stop,
        pad_token_id=start,
        tie_word_embeddings=False,
    )
    vision = dict(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=tile,
        patch_size=8,
        initializer_range=0.25,
    )
    config = SmolVLMConfig(
        text_config=text,
        vision_config=vision,
        scale_factor=2,
        image_token_id=words.convert_tokens_to_ids("<image>"),
        pad_token_id=start,
        tie_word_embeddings=False,
    )
    made = SmolVLMForConditionalGeneration._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if weight.ndim >= 2:
                # Pictures must count beside words.
                weight.normal_(0.0, 1.6 / weight[0].numel() ** 0.5)
                if "embed_tokens" in name:
                    weight.normal_(0.0, 1.0)
    made.generation_config.eos_token_id = stop
    made.generation_config.pad_token_id = start
    made.generation_config.bos_token_id = start
    return made


class Vision(nn.Module):
    """Tiles to what the decoder sees of them: `[batch, tiles, 3, side, side]` to `[batch · tiles, words, hidden]`."""

    def __init__(self, made):
        super().__init__()
        self.vision, self.connector = made.model.vision_model, made.model.connector
        self.patch = made.config.vision_config.patch_size
        side = made.config.vision_config.image_size // self.patch
        self.register_buffer("places", torch.arange(side * side)[None])

    def forward(self, pixel_values, pixel_attention_mask):
        pixels, mask = pixel_values.flatten(0, 1), pixel_attention_mask.flatten(0, 1)
        seen = nn.functional.max_pool2d(mask.float()[:, None], self.patch).flatten(2)
        bias = (1.0 - seen[:, None]) * -1e9
        embeddings = self.vision.embeddings
        states = embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2)
        states = states + embeddings.position_embedding(self.places)
        for layer in self.vision.encoder.layers:
            states = layer(states, bias)
        return self.connector(self.vision.post_layernorm(states))


class Words(nn.Module):
    """Token ids to embeddings."""

    def __init__(self, made):
        super().__init__()
        self.table = made.get_input_embeddings()

    def forward(self, input_ids):
        return self.table(input_ids)


class Decoder(nn.Module):
    """Embeddings and a cache to logits, a longer cache, and where the tokens looked (the mean over layers and heads)."""

    def __init__(self, made):
        super().__init__()
        self.text, self.head = made.model.text_model, made.lm_head

    def forward(self, inputs_embeds, attention_mask, position_ids, *past):
        states, presents, looked = inputs_embeds, [], 0.0
        cos, sin = self.text.rotary_emb(states, position_ids)
        total, fresh = attention_mask.shape[1], inputs_embeds.shape[1]
        queries = torch.arange(total, device=states.device)[total - fresh :, None]
        hidden = torch.arange(total, device=states.device)[None] > queries
        bias = hidden.float()[None, None] * -1e9 + (1.0 - attention_mask.float())[:, None, None] * -1e9
        for index, layer in enumerate(self.text.layers):
            normed, attention = layer.input_layernorm(states), layer.self_attn
            heads = lambda projected: projected.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
            query, key = apply_rotary_pos_emb(heads(attention.q_proj(normed)), heads(attention.k_proj(normed)), cos, sin)
            key = torch.cat([past[2 * index], key], dim=2)
            value = torch.cat([past[2 * index + 1], heads(attention.v_proj(normed))], dim=2)
            presents += [key, value]
            groups = attention.num_key_value_groups
            scores = query @ repeat_kv(key, groups).transpose(2, 3) * attention.scaling + bias
            weights = scores.softmax(-1)
            looked = looked + weights.mean(1) / len(self.text.layers)
            mixed = (weights @ repeat_kv(value, groups)).transpose(1, 2).flatten(2)
            states = states + attention.o_proj(mixed)
            states = states + layer.mlp(layer.post_attention_layernorm(states))
        return (self.head(self.text.norm(states)), *presents, looked)


def export(made, folder):
    """Writes `onnx/{vision_encoder,embed_tokens,decoder_model_merged}.onnx` below `folder`, with the names of the hub's exports."""
    folder = folder / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    text, tile = made.config.text_config, made.config.vision_config.image_size
    cache = [f"{kind}.{layer}.{part}" for kind in ("past_key_values", "present") for layer in range(text.num_hidden_layers) for part in ("key", "value")]
    past, present = cache[: len(cache) // 2], cache[len(cache) // 2 :]
    tiles = torch.randn(1, 2, 3, tile, tile), torch.ones(1, 2, tile, tile, dtype=torch.bool)
    trace(Vision(made), tiles, folder / "vision_encoder.onnx", ["pixel_values", "pixel_attention_mask"], ["image_features"],
          {"pixel_values": {0: "batch", 1: "tiles"}, "pixel_attention_mask": {0: "batch", 1: "tiles"}})
    trace(Words(made), (torch.ones(1, 3, dtype=torch.long),), folder / "embed_tokens.onnx", ["input_ids"], ["inputs_embeds"],
          {"input_ids": {0: "batch", 1: "fresh"}, "inputs_embeds": {0: "batch", 1: "fresh"}})
    caches = [torch.randn(1, text.num_key_value_heads, 5, text.head_dim) for _ in past]
    embeds = torch.randn(1, 3, text.hidden_size)
    inputs = (embeds, torch.ones(1, 8, dtype=torch.long), torch.arange(5, 8)[None], *caches)
    axes = {"inputs_embeds": {1: "fresh"}, "attention_mask": {1: "total"}, "position_ids": {1: "fresh"}, "logits": {1: "fresh"}}
    axes |= {name: {2: "past"} for name in past} | {name: {2: "total"} for name in present} | {"attention": {1: "fresh", 2: "total"}}
    trace(Decoder(made), inputs, folder / "decoder_model_merged.onnx", ["inputs_embeds", "attention_mask", "position_ids", *past],
          ["logits", *present, "attention"], axes)


def trace(module, inputs, path, names_in, names_out, axes):
    torch.onnx.export(module.eval(), inputs, str(path), input_names=names_in, output_names=names_out, dynamic_axes=axes,
                      opset_version=17, dynamo=False)
