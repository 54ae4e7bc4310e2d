"""Training of the encoder's reading for fields: low-rank changes of its weights, and for each label a direction in what it makes of a text.

"LoRA: Low-Rank Adaptation of Large Language Models" (2021), on all fields at once. Imports torch; nothing that serves does.
"""

from __future__ import annotations

import importlib
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ingest.extraction.meaning import LONGEST, Heads, text_of
from ingest.extraction.weights import CHOICES, FIELDS
from papers.encoding.adapter import Change
from papers.encoding.low_rank import Averaged, changes_of, make_low_rank, trainable

from .examples import Example
from .fit import INVENTED_COUNTS, labels_of

RANK, RATE, HEAD_RATE, EPOCHS, BATCH = 32, 1e-3, 3e-3, 6, 16
WARM_UP_STEPS, SLOWEST = 50, 0.02
# The share that each step has in the weights that ship.
AVERAGED = 0.02
DROPPED = 0.1
# Texts of like length make a batch, up to so many tokens apart.
BUCKET = 24


@dataclass(frozen=True)
class Taught:
    changes: dict[str, Change]
    heads: Heads


def teach(
    folder: Path, examples: Sequence[Example], progress: Callable[[int, float], None], epochs: int = EPOCHS
) -> Taught:
    """`folder` holds the encoder; `progress` is told the number of rounds done and the mean loss of each.

    The same examples give the same changes on one machine with one thread.
    """
    torch.manual_seed(0)
    chance = random.Random(0)
    library: Any = importlib.import_module("transformers")
    tokenizer = library.AutoTokenizer.from_pretrained(str(folder))
    model = library.AutoModel.from_pretrained(str(folder))
    layers = make_low_rank(model, RANK)
    model.train()
    heads = _Heads(examples, int(model.config.hidden_size))
    ids = [
        tokenizer(text_of(one.title, one.abstract), truncation=True, max_length=LONGEST)["input_ids"]
        for one in examples
    ]
    free, own = trainable(layers), list(heads.parameters())
    rates = (RATE, HEAD_RATE)
    optimizer = torch.optim.AdamW([{"params": free, "lr": RATE}, {"params": own, "lr": HEAD_RATE}], weight_decay=0.01)
    averaged = Averaged([*free, *own], AVERAGED)
    steps, step = epochs * math.ceil(len(ids) / BATCH), 0
    for number in range(epochs):
        losses = []
        for rows in _batches(ids, chance):
            read = tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt")
            with torch.autocast("cpu", torch.bfloat16):
                states = model(**read).last_hidden_state
            loss = heads.loss(_mean(states.float(), read["attention_mask"]), rows)
            slower = min(1.0, (step + 1) / WARM_UP_STEPS) * max(SLOWEST, 1 - step / steps)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * slower
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_([*free, *own], 1.0)
            optimizer.step()
            averaged.add()
            losses.append(loss.item())
            step += 1
        progress(number + 1, sum(losses) / len(losses))
    averaged.settle()
    return Taught(changes_of(layers), heads.stored())


def _batches(ids: Sequence[Sequence[int]], chance: random.Random) -> list[list[int]]:
    """All rows once, texts of like length together, in an order by chance."""
    order = list(range(len(ids)))
    chance.shuffle(order)
    order.sort(key=lambda row: len(ids[row]) // BUCKET + 2 * chance.random())
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    chance.shuffle(batches)
    return batches


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    """The mean over the pieces of each text, without the marks at its begin and end."""
    inside = mask.clone()
    inside[:, 0] = 0
    inside[torch.arange(len(mask)), mask.sum(1) - 1] = 0
    weights = inside.unsqueeze(-1).float()
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1.0)


class _Heads(nn.Module):
    """A linear model of each label over the mean of a text's pieces."""

    def __init__(self, examples: Sequence[Example], dimensions: int) -> None:
        super().__init__()
        self._labels = {
            field: tuple(sorted({label for one in examples for label in labels_of(one, field)})) for field in FIELDS
        }
        self._wanted = {field: _wanted(examples, field, labels) for field, labels in self._labels.items()}
        self._counts = torch.tensor([INVENTED_COUNTS if one.invented else 1.0 for one in examples])
        self._layers: Any = nn.ModuleList([nn.Linear(dimensions, len(labels)) for labels in self._labels.values()])
        for weight in self._layers.parameters():
            nn.init.zeros_(weight)
        self._drop = nn.Dropout(DROPPED)

    def loss(self, means: Tensor, rows: Sequence[int]) -> Tensor:
        seen, found = self._drop(means), torch.zeros(())
        for field, layer in zip(self._labels, self._layers, strict=True):
            wanted, sums = self._wanted[field][rows], layer(seen)
            if field in CHOICES:
                lost = -(wanted * sums.log_softmax(1)).sum(1)
            else:
                lost = functional.binary_cross_entropy_with_logits(sums, wanted, reduction="none").sum(1)
            found = found + (lost * self._counts[rows]).mean()
        return found

    def stored(self) -> Heads:
        return {
            field: (labels, layer.weight.detach().T.numpy().copy(), layer.bias.detach().numpy().copy())
            for (field, labels), layer in zip(self._labels.items(), self._layers, strict=True)
        }


def _wanted(examples: Sequence[Example], field: str, labels: Sequence[str]) -> Tensor:
    """1 where a paper has a label, of shape (papers, labels)."""
    found = torch.zeros(len(examples), len(labels))
    for row, one in enumerate(examples):
        for label in labels_of(one, field):
            found[row, labels.index(label)] = 1.0
    return found
