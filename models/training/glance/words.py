"""The words of glance: a tokeniser, what is told of a picture as numbers, and the decoder that answers from them.

Pictures are told in 64 words each: 16 things, then 12 letters of each of four signs. The decoder is a small transformer in which most heads
weigh (softmax) and some add up (sigmoid), so that it can count. A pointer on top of it learns where the answer is seen, and takes what is told there.
"""

import math

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import nn
from torch.nn import functional as F

from sight import COLOURS, HEIGHT, KINDS, LETTERS, SHAPES, SIGNS, SLOTS, THINGS, WIDTH

WORDS = THINGS + SIGNS * SLOTS
HIDDEN, LAYERS, HEADS, ADDING = 128, 3, 8, 3
# The pointer keeps keys and values as a layer does.
KEPT = LAYERS + 1
HEAD = HIDDEN // HEADS
CONTROL = ["<|endoftext|>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>", "<global-img>", "<row_1_col_1>"]
CHAT_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def spelt(letter, slot):
    """The token of a letter that is read at a slot: what follows the letter is not said."""
    return letter + chr(0xE000 + slot)


def tokeniser(texts):
    """Byte-level BPE in small letters, in which every word of `texts` is one token. Letters that are read have tokens of their own for
    each slot: whoever has said one knows which is next."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace(Regex(f"[{chr(0xE000)}-{chr(0xE000 + SLOTS - 1)}]"), "")])
    trainer = trainers.BpeTrainer(
        vocab_size=1200,
        min_frequency=1,
        special_tokens=CONTROL[:2],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in CONTROL])
    bpe.add_tokens([AddedToken(spelt(letter, slot), normalized=False) for slot in range(SLOTS) for letter in LETTERS])
    return bpe


def waves(values, count):
    """Sines and cosines of values in 0..1."""
    turns = values[..., None] * (math.pi * 2.0 ** torch.arange(count))
    return torch.cat([turns.sin(), turns.cos()], -1)


def places(boxes):
    """Boxes in pixels `[…, 4]` as numbers: where, in which row and column, how large."""
    x, y = boxes[..., 0] / WIDTH, boxes[..., 1] / HEIGHT
    size = (boxes[..., 2].clamp(min=1) * boxes[..., 3].clamp(min=1)).log() / 10

    def part(value, count):
        middle = (torch.arange(count) + 0.5) / count
        return ((value[..., None] - middle).abs() * (-24 * count) + 12).sigmoid()

    plain = torch.stack([x * 2 - 1, y * 2 - 1, size, (boxes[..., 2] / boxes[..., 3].clamp(min=1)).clamp(0.1, 10).log()], -1)
    return torch.cat([plain, waves(x, 5), waves(y, 5), waves(size, 3), part(x, 4), part(y, 3)], -1)


PLACES = 4 + 10 + 10 + 6 + 7
ALIKE = 12
BESIDE = ALIKE + 2 * len(SHAPES)
LOOKS = len(KINDS) + len(SHAPES) + len(COLOURS) + 12 + 12 + 11 + 5
TOLD = 2 + LOOKS + len(LETTERS) + SLOTS + PLACES + BESIDE


def beside(gate, figure, shapes, boxes):
    """What is told of things among others, `[n, 16, BESIDE]`: how many have the same shape, and the shapes left and right of each."""
    # Who counts decides what each is.
    shapes = shapes**4 / (shapes**4).sum(-1, keepdim=True).clamp(min=1e-6)
    shapes = shapes * (gate * figure)[..., None]
    alike = (shapes @ shapes.transpose(1, 2)).sum(-1, keepdim=True)
    counts = (1 - (alike - torch.arange(1, ALIKE + 1)).abs()).clamp(min=0)
    across = boxes[:, None, :, 0] - boxes[:, :, None, 0]
    level = ((70 - (boxes[:, None, :, 1] - boxes[:, :, None, 1]).abs()) / 8).sigmoid()

    def side(away):
        near = level * ((away - 60) / 8).sigmoid() * ((245 - away) / 8).sigmoid()
        return near @ shapes / (near @ gate[..., None]).clamp(min=1)

    return torch.cat([counts, side(-across), side(across)], -1)


def tell(there, looks, boxes, letters, signs):
    """All that is told of pictures, `[n, 64, TOLD]`.

    there `[n, 16]`: the chance that it is a thing; looks: seven probabilities of things, as the looker's heads have them, the first with
    nothing before the kinds; boxes `[n, 16, 4]`; letters `[n, 4, 12, letters]`; signs `[n, 4]`: which thing each is on.
    """
    n = there.shape[0]
    kinds = looks[0][..., 1:]
    figure, sign, clock, gauge, lamps = kinds.unbind(-1)
    known = [figure, figure + sign, clock, clock, gauge, lamps]
    looks = torch.cat([kinds, *[part * of[..., None] for part, of in zip(looks[1:], known)]], -1)
    gate = ((there - 0.3) * 20).sigmoid() * (1 - torch.exp(-8 * kinds.sum(-1)))
    where = places(boxes)
    among = beside(gate, figure, looks[..., len(KINDS) : len(KINDS) + len(SHAPES)], boxes)
    spare = torch.zeros(n, THINGS, len(LETTERS) + SLOTS)
    things = torch.cat([torch.ones(n, THINGS, 1), torch.zeros(n, THINGS, 1), looks, spare, where, among], -1) * gate[..., None]
    # The letters' words know the colour and the place of their sign.
    own = torch.cat([gate[..., None], sign[..., None], looks[..., len(KINDS) + len(SHAPES) :][..., : len(COLOURS)], where], -1)
    own = own.gather(1, signs[..., None].expand(n, SIGNS, own.shape[-1]))
    weight = own[..., :1] * own[..., 1:2]
    said = letters.sum(-1) * weight
    colour = own[:, :, None, 2 : 2 + len(COLOURS)].expand(n, SIGNS, SLOTS, len(COLOURS))
    where = own[:, :, None, 2 + len(COLOURS) :].expand(n, SIGNS, SLOTS, PLACES)
    slots = torch.eye(SLOTS)[None, None].expand(n, SIGNS, SLOTS, SLOTS)
    blank = torch.zeros(n, SIGNS, SLOTS, len(KINDS) + len(SHAPES))
    rest = torch.zeros(n, SIGNS, SLOTS, 12 + 12 + 11 + 5)
    words = torch.cat([torch.zeros(n, SIGNS, SLOTS, 1), torch.ones(n, SIGNS, SLOTS, 1), blank, colour, rest, letters, slots, where, torch.zeros(n, SIGNS, SLOTS, BESIDE)], -1)
    return torch.cat([things, (words * said[..., None]).flatten(1, 2)], 1)


def says(words):
    """Which of the words that are told say something: `[n, 64]`. The others are as if they were not there."""
    return words[..., :2].amax(-1) > 0.05


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * self.weight


def turned(x, positions):
    """Rotary positions, on the first half of each head: the other half compares what words say, wherever they stand."""
    quarter = x.shape[-1] // 4
    rates = 1000.0 ** (-torch.arange(quarter) / quarter)
    angles = positions[:, None, :, None] * rates
    sin, cos = angles.sin(), angles.cos()
    one, other, rest = x[..., :quarter], x[..., quarter : 2 * quarter], x[..., 2 * quarter :]
    return torch.cat([one * cos - other * sin, other * cos + one * sin, rest], -1)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.between = Norm(HIDDEN), Norm(HIDDEN)
        self.qkv = nn.Linear(HIDDEN, 3 * HIDDEN, bias=False)
        self.out = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.bias = nn.Parameter(torch.full((1, ADDING, 1, 1), -2.0))
        with torch.no_grad():
            # A head begins by looking for what is alike, and by passing on what it finds (Trockman and Kolter, arXiv 2305.09828).
            q, k, v = self.qkv.weight.split(HIDDEN)
            nn.init.orthogonal_(q)
            k.copy_(q)
            nn.init.orthogonal_(v)
            self.out.weight.copy_(0.5 * v.T)
        self.mlp = nn.Sequential(nn.Linear(HIDDEN, 2 * HIDDEN), nn.GELU(), nn.Linear(2 * HIDDEN, HIDDEN))

    def forward(self, x, positions, hidden, past=None):
        """`hidden` is 0 where a word may look and −10⁹ where not. Answers with the keys and values of all words, and the attention."""
        n, count, _ = x.shape
        q, k, v = self.qkv(self.before(x)).view(n, count, 3, HEADS, HEAD).permute(2, 0, 3, 1, 4)
        q, k = turned(q, positions), turned(k, positions)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        likeness = q @ k.transpose(2, 3) * HEAD**-0.5 + hidden
        weighed = likeness[:, ADDING:].softmax(-1)
        added = (likeness[:, :ADDING] + self.bias).sigmoid() * 0.3
        looked = torch.cat([added, weighed], 1)
        x = x + self.out((looked @ v).transpose(1, 2).reshape(n, count, HIDDEN))
        return x + self.mlp(self.between(x)), (k, v)


class Pointer(nn.Module):
    """Looks for the word that says what is to be said next, and takes it as it was told (after Vinyals et al., arXiv 1506.03134): a letter is
    copied, not remembered. Its values are the words themselves, so that nothing on the way can blur them."""

    def __init__(self):
        super().__init__()
        self.q, self.k = nn.Linear(HIDDEN, HIDDEN, bias=False), nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.gate = nn.Linear(HIDDEN, 1)
        nn.init.orthogonal_(self.q.weight)
        with torch.no_grad():
            self.k.weight.copy_(self.q.weight)

    def forward(self, x, words, hidden, past=None):
        """What is taken, how it was looked for, and keys and values in the shape of a layer's."""
        n, count, _ = x.shape
        k, v = (part.view(n, count, HEADS, HEAD).transpose(1, 2) for part in (self.k(x), words))
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        keys, values = (part.transpose(1, 2).flatten(2) for part in (k, v))
        looked = (self.q(x) @ keys.transpose(1, 2) * HIDDEN**-0.5 + hidden[:, 0]).softmax(-1)
        return looked @ values * self.gate(x).sigmoid() * 2, looked, (k, v)


class Decoder(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, HIDDEN)
        nn.init.normal_(self.embed.weight, 0, 0.5)
        self.told = nn.Linear(TOLD, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.after = Norm(HIDDEN)
        self.out = nn.Linear(HIDDEN, vocabulary)
        self.pointer = Pointer()
        self.copy = nn.Linear(HIDDEN, vocabulary, bias=False)

    @torch.no_grad()
    def acquaint(self, bpe):
        """Before it learns: what is told of shapes, colours and letters is what their words mean."""
        embed, told = self.embed.weight, self.told.weight
        told.mul_(3)
        first = 2 + len(KINDS)
        for at, word in enumerate(SHAPES + COLOURS):
            mean = embed[bpe.token_to_id(f"\u0120{word}")]
            told[:, first + at] = 0.5 * mean
            for plural in (f"\u0120{word}s", f"\u0120{word}es"):
                if bpe.token_to_id(plural) is not None:
                    embed[bpe.token_to_id(plural)] = mean + 0.5 * embed[bpe.token_to_id(plural)]
        self.out.weight.copy_(0.2 * embed)
        before, own = torch.randn(2, SLOTS, HIDDEN) * 0.5
        for at, letter in enumerate(LETTERS):
            mean = embed[bpe.token_to_id(letter)]
            told[:, 2 + LOOKS + at] = 0.5 * mean
            for slot in range(SLOTS):
                token = bpe.token_to_id(spelt(letter, slot))
                embed[token] = 0.7 * (mean + before[slot])
                self.out.weight[token] = 0.14 * (mean + own[slot])
        before = torch.cat([embed[bpe.token_to_id(":")][None], before[:-1]])
        told[:, 2 + LOOKS + len(LETTERS) :][:, :SLOTS] = 0.35 * (before + own).T
        self.copy.weight.copy_(self.out.weight)

    def forward(self, x, positions, hidden, past=None, wanted=None):
        """Logits (of the places that are `wanted`, where not all are), keys and values, and the attention of the pointer."""
        kept, words = [], x
        for at, layer in enumerate(self.layers):
            x, own = layer(x, positions, hidden, past and past[at])
            kept.append(own)
        x = self.after(x)
        taken, looked, own = self.pointer(x, words, hidden, past and past[LAYERS])
        if wanted is not None:
            x, taken = x[wanted], taken[wanted]
        return self.out(x) + self.copy(taken), [*kept, own], looked
