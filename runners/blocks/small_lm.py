"""A small language model that is trained within seconds on a language of its own, for what random weights cannot show.

The language has what techniques for language models exploit: words of several tokens, so that most tokens follow almost
surely from those before, and a grammar that leaves a choice where a word begins. Token 0 separates words. Each word
is followed by one of FOLLOWERS words, the first far more often than the others.

Training is deterministic: it starts from fixed seeds, on the CPU, in float32, whatever dtype and device are wanted. What was
trained is remembered for the process and, by the hash of code and sizes, as a file in the folder that the environment
variable SPEEDPROOF_MODEL_CACHE names, or else below the temporary folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from runners.blocks import decoder
from runners.blocks.decoder import Decoder, Sizes, decoder_weights
from runners.blocks.optimizers import Adam
from runners.blocks.rand import Rand

CACHE_VARIABLE = "SPEEDPROOF_MODEL_CACHE"
FOLLOWERS = (0.7, 0.2, 0.1)
WORD_LENGTHS = (2, 3, 4, 5)
CORPUS_TOKENS = 16_000
LEARNING_RATE = 1e-2
BATCH, SEQ = 12, 48

Weights = dict[str, Tensor]
Loss = Callable[[Weights, Tensor], Tensor]

_remembered: dict[str, Weights] = {}


@cache
def lexicon(vocab: int) -> tuple[tuple[int, ...], ...]:
    """The words of the language with `vocab` tokens, half as many as there are tokens."""
    chooser = random.Random(vocab)
    return tuple(
        tuple(chooser.randrange(1, vocab) for _ in range(chooser.choice(WORD_LENGTHS))) for _ in range(vocab // 2)
    )


@cache
def corpus(vocab: int, seed: int = 0, tokens: int = CORPUS_TOKENS) -> Tensor:
    """A text of the language, int64 (tokens,) on the CPU. Other seeds give other texts with the same grammar."""
    words, grammar, chooser = lexicon(vocab), random.Random(vocab + 1), random.Random(seed)
    followers = [grammar.sample(range(len(words)), len(FOLLOWERS)) for _ in words]
    found: list[int] = []
    word = chooser.randrange(len(words))
    while len(found) < tokens:
        found += (*words[word], 0)
        (word,) = chooser.choices(followers[word], FOLLOWERS)
    return torch.tensor(found[:tokens])


def passages(vocab: int, count: int, length: int, rand: Rand, seed: int = 1) -> Tensor:
    """(count, length) tokens from random places of a text, by default one that training has not seen."""
    text = corpus(vocab, seed).to(rand.device)
    starts = rand.integers(len(text) - length, count)
    return text[starts[:, None] + torch.arange(length, device=rand.device)]


def next_token_loss(sizes: Sizes) -> Loss:
    """Cross-entropy of a decoder on tokens (batch, seq)."""

    def loss(weights: Weights, tokens: Tensor) -> Tensor:
        model = Decoder(sizes, weights)
        hidden = model(model.embed(tokens[:, :-1]), torch.arange(tokens.shape[1] - 1))
        return cross_entropy(model.logits(hidden).flatten(0, 1), tokens[:, 1:].flatten())

    return loss


@contextmanager
def one_thread() -> Iterator[None]:
    """Operations of a few thousand values are done before a second thread has woken up."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
def train(weights: Weights, loss: Loss, vocab: int, steps: int, frozen: Weights | None = None) -> Weights:
    """`weights` after `steps` steps of Adam on passages of the language; float32 on the CPU.

    `frozen` weights are handed to `loss` beside those that learn, and stay as they are.
    """
    rand, frozen = Rand(2), frozen or {}
    learning = {name: tensor.clone().requires_grad_(True) for name, tensor in weights.items()}
    rules = {name: Adam(tensor.detach()) for name, tensor in learning.items()}
    for step in range(steps):
        batch = passages(vocab, BATCH, SEQ + 1, rand, seed=0)
        with torch.enable_grad():
            value = loss({**frozen, **learning}, batch)
        gradients = torch.autograd.grad(value, list(learning.values()))
        rate = LEARNING_RATE * min(1.0, (step + 1) / 10) * min(1.0, 2 * (steps - step) / steps)
        with torch.no_grad():
            for (name, tensor), gradient in zip(learning.items(), gradients, strict=True):
                tensor.sub_(rate * rules[name].direction(gradient))
    return {name: tensor.detach() for name, tensor in learning.items()}


def trained(sizes: Sizes, rand: Rand, steps: int = 70, loss: Loss | None = None) -> Weights:
    """Weights of a decoder that knows the language of `sizes.vocab` tokens, in the dtype and on the device of `rand`.

    `loss` (default: that of the next token) may train the decoder in another way; it must be a function of a module,
    whose file then belongs to the key.
    """

    def make() -> Weights:
        return train(decoder_weights(sizes, Rand(1)), loss or next_token_loss(sizes), sizes.vocab, steps)

    return remembered({"sizes": vars(sizes), "steps": steps}, loss or next_token_loss, make, rand)


def remembered(facts: object, source: Callable[..., object], make: Callable[[], Weights], rand: Rand) -> Weights:
    """What `make` gives for `facts`, made once: the key hashes them, this code and the module that holds `source`."""
    digest = hashlib.sha256(json.dumps([facts, torch.__version__, source.__qualname__]).encode())
    for module in (__name__, decoder.__name__, source.__module__):
        digest.update(Path(str(sys.modules[module].__file__)).read_bytes())
    key = digest.hexdigest()
    if key not in _remembered:
        _remembered[key] = _from_file(_folder() / f"{key}.pt", make)
    return {
        name: tensor.to(rand.device, rand.dtype if tensor.is_floating_point() else tensor.dtype, copy=True)
        for name, tensor in _remembered[key].items()
    }


def _folder() -> Path:
    return Path(os.environ.get(CACHE_VARIABLE) or Path(tempfile.gettempdir()) / "speedproof-models")


def _from_file(path: Path, make: Callable[[], Weights]) -> Weights:
    """The weights in `path`, or made and written there; a folder that cannot be used only costs the training again."""
    try:
        found: Weights = torch.load(path, weights_only=True)
        return found
    except Exception:  # noqa: S110  missing, cut short or of another version: all are made anew
        pass
    made = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        torch.save(made, unfinished)
        unfinished.replace(path)
    except OSError:
        pass
    return made
