"""Training of the network that corrects the weighted sum, by the loss that the weights are trained by. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recommender.learning import SHARPNESS, Judged
from recommender.ranking import FEATURES
from recommender.together import LEAST_SPREAD, Layer, Network, inputs

WIDTH, NETS = 64, 3
PASSES, BATCH, RATE, DECAY, DROPPED = 30, 16, 3e-3, 0.01, 0.1
FAR_BELOW = -1e4  # the score of a place that no paper takes


def fit(needs: Sequence[Judged], weights: NDArray[np.float64]) -> Network:
    """The network beside these weights; its corrections are in units of their sums. The same needs give the same network."""
    usable = [need for need in needs if need.grades.any()]
    sums = [need.table @ weights for need in usable]
    seen = [inputs(need.table, own) for need, own in zip(usable, sums, strict=True)]
    everything = np.vstack(seen)
    centre, spread = (
        everything.mean(axis=0).astype(np.float32),
        (everything.std(axis=0) + LEAST_SPREAD).astype(np.float32),
    )
    longest = max(map(len, seen))
    states = torch.zeros(len(usable), longest, everything.shape[1])
    before = torch.full((len(usable), longest), FAR_BELOW)
    wanted = torch.zeros(len(usable), longest)
    for row, (need, own, rows) in enumerate(zip(usable, sums, seen, strict=True)):
        states[row, : len(rows)] = torch.from_numpy((rows - centre) / spread)
        before[row, : len(rows)] = torch.from_numpy(SHARPNESS * own)
        wanted[row, : len(rows)] = torch.from_numpy(2.0**need.grades - 1)
    wanted /= wanted.sum(1, keepdim=True)
    nets = [_fit_one(states, before, wanted, seed) for seed in range(NETS)]
    return Network(FEATURES, centre, spread, nets)


def _fit_one(states: Tensor, before: Tensor, wanted: Tensor, seed: int) -> list[Layer]:
    torch.manual_seed(seed)
    last = nn.Linear(WIDTH, 1)
    nn.init.zeros_(last.weight)  # so that training begins at the weighted sum
    net = nn.Sequential(
        nn.Linear(states.shape[2], WIDTH), nn.Tanh(), nn.Dropout(DROPPED), nn.Linear(WIDTH, WIDTH), nn.Tanh(), last
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    batch = min(BATCH, len(states))
    steps, step = PASSES * (len(states) // batch), 0
    for _ in range(PASSES):
        order = torch.randperm(len(states))
        for start in range(0, len(order) - batch + 1, batch):
            rows = order[start : start + batch]
            scores = before[rows] + net(states[rows])[..., 0]
            loss = -(wanted[rows] * scores.log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    found = [Layer(layer.weight.detach().T.numpy().copy(), layer.bias.detach().numpy().copy()) for layer in layers]
    # In units of the sums, not of what the softmax sees.
    return [*found[:-1], Layer(found[-1].weights / SHARPNESS, found[-1].bias / SHARPNESS)]
