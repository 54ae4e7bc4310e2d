"""Fitting the adapter by which needs are read: each need is drawn to the papers that answer it, papers stay where they are.

A need's papers compete with all others by a softmax over similarities, of whole vectors and of words compared one by one, and the
share of each is drawn to the share of its gain: the listwise loss of "Learning to Rank: From Pairwise Approach to Listwise
Approach" (2007), on low-rank changes of the encoder's weights as in "LoRA: Low-Rank Adaptation of Large Language Models" (2021).
Imports torch; nothing that serves does.
"""

from __future__ import annotations

import importlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from papers.encoding.adapter import Change
from papers.encoding.low_rank import Averaged, changes_of, make_low_rank, trainable
from recommender.wording import SCALE, Kept, Lens

RANK, RATE, EPOCHS, BATCH = 16, 1.5e-3, 2, 32
WARM_UP_STEPS = 20
# Words of a need that are left out at random, so that no single one is learned by heart.
DROPPED = 0.1
# The share that each step has in the weights that ship.
AVERAGED = 0.02
SHARPNESS = 25.0
"""What similarities are multiplied by before the softmax, at the beginning; it is fitted too."""
MARKS = (0, 101, 102)  # padding, begin and end in the encoder's vocabulary


@dataclass(frozen=True)
class Answered:
    """A need, and the grade (1 to 3) of papers by their row."""

    text: str
    grades: Mapping[int, int]


@dataclass(frozen=True)
class Shelf:
    """The papers as the encoder has read them: unit vectors of shape (papers, dimensions), and the words kept of each."""

    vectors: NDArray[np.float32]
    words: Sequence[Kept]


def fit(
    folder: Path, shelf: Shelf, lens: Lens, needs: Sequence[Answered], told: Callable[[int, int, float], None]
) -> dict[str, Change]:
    """The changes by module. `folder` holds the encoder; `told` hears steps done, steps in all and the loss of each step.

    The same needs give the same changes on one machine with one thread.
    """
    torch.manual_seed(0)
    chance = random.Random(0)
    library: Any = importlib.import_module("transformers")
    tokenizer = library.AutoTokenizer.from_pretrained(str(folder))
    model = library.AutoModel.from_pretrained(str(folder)).eval()
    layers = make_low_rank(model, RANK)
    free = trainable(layers)
    likeness = _Likeness(shelf, lens)
    optimizer = torch.optim.AdamW(
        [{"params": free, "lr": RATE, "weight_decay": 0.01}, {"params": [likeness.sharpness], "lr": 0.01, "weight_decay": 0.0}]
    )  # fmt: skip
    order, averaged = list(needs), Averaged(free, AVERAGED)
    steps = EPOCHS * (len(order) // BATCH)
    for step in range(steps):
        start = step % (len(order) // BATCH) * BATCH
        if start == 0:
            chance.shuffle(order)
        batch = order[start : start + BATCH]
        read = tokenizer([_without_some(one.text, chance) for one in batch], padding=True, truncation=True, max_length=256, return_tensors="pt")  # fmt: skip
        with torch.autocast("cpu", torch.bfloat16):
            states = model(**read).last_hidden_state
        loss = likeness.loss(states.float(), read, batch)
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, step / WARM_UP_STEPS) * max(0.02, 1 - step / steps)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(free, 1.0)
        optimizer.step()
        averaged.add()
        told(step + 1, steps, loss.item())
    averaged.settle()
    return changes_of(layers)


def _without_some(text: str, chance: random.Random) -> str:
    return " ".join(word for word in text.split() if chance.random() > DROPPED) or text


class _Likeness:
    """How like needs are to all papers, in both ways, and what is wrong with that."""

    def __init__(self, shelf: Shelf, lens: Lens) -> None:
        self._vectors = torch.from_numpy(shelf.vectors)
        longest = max(1, *(len(words) for words in shelf.words))
        self._words = torch.zeros(len(shelf.words), longest, lens.projection.shape[1])
        self._known = torch.zeros(len(shelf.words), longest, dtype=torch.bool)
        for row, words in enumerate(shelf.words):
            self._words[row, : len(words)] = torch.from_numpy(words.astype(np.float32) / SCALE)
            self._known[row, : len(words)] = True
        self._projection, self._weights = torch.from_numpy(lens.projection), torch.from_numpy(lens.weights)
        self.sharpness = nn.Parameter(torch.full((2,), math.log(SHARPNESS)))

    def loss(self, states: Tensor, read: Mapping[str, Tensor], needs: Sequence[Answered]) -> Tensor:
        """`states` of shape (needs, tokens, dimensions)."""
        wanted = torch.zeros(len(needs), len(self._vectors))
        for row, need in enumerate(needs):
            for paper, grade in need.grades.items():
                wanted[row, paper] = 2.0**grade - 1
        wanted /= wanted.sum(1, keepdim=True)
        sharp = self.sharpness.exp()
        both = (
            sharp[0] * self._by_vector(states, read["attention_mask"]),
            sharp[1] * self._by_word(states, read["input_ids"]),
        )
        return -sum(((wanted * each.log_softmax(1)).sum(1).mean() for each in both), torch.zeros(()))

    def _by_vector(self, states: Tensor, mask: Tensor) -> Tensor:
        weights = mask.unsqueeze(-1).float()
        return functional.normalize((states * weights).sum(1) / weights.sum(1), dim=1) @ self._vectors.T

    def _by_word(self, states: Tensor, ids: Tensor) -> Tensor:
        """As `recommender.wording.nearness`, before floor and range."""
        weights = self._weights[ids.clamp(max=len(self._weights) - 1)]
        weights = weights.masked_fill(torch.isin(ids, torch.tensor(MARKS)), 0.0)
        seen = functional.normalize(states @ self._projection, dim=-1)
        flat, rows = self._words.flatten(0, 1), []
        for own, weight in zip(seen, weights, strict=True):
            telling = weight > 0
            near = (own[telling] @ flat.T).view(-1, *self._known.shape).masked_fill(~self._known, -1.0).amax(-1)
            rows.append((near * (weight[telling] / weight[telling].sum().clamp(min=1e-6)).unsqueeze(1)).sum(0))
        return torch.stack(rows)
