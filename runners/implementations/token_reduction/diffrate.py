"""A vision transformer that drops and merges tokens, with as many left after each layer as was learned by gradients.

Source: "DiffRate : Differentiable Compression Rate for Efficient Vision Transformers" (2023), sections 3.2 to 3.4.

In each layer, after attention and before the MLP, patch tokens are sorted by how much the class token attends to them:
    prune   the last of them are dropped
    merge   the last of the rest join the most similar of the others, as an average weighted by the tokens they stand for;
            from there on a token that stands for s tokens counts s times in attention
How many go is learned. Each layer holds two distributions over counts, one for each step; their means, rounded, are the
counts, and the chance that the token of a rank stays is a sum over its distribution, through which the loss reaches it: the
mask is 0 or 1, its derivative that of the chance. The loss is the change of the logits on calibration images, and the
squared distance of the operations from the target; the weights stay as they are. That brings small nets to within a few
percent of the target; at last all counts are scaled alike so that it is met.

ViT-H on 224 x 224 pixels (256 patches of width 1,280, 32 layers), batch 64 in 16 bits: the whole net takes 21.4 TFLOP, 27 ms on
an H200 at 790 TFLOP/s; 60 % of that 16 ms. Sorting, gathering and the products that find similar tokens add a few passes
over the activations (42 MB each) in layers that compress: some 0.1 ms each. Expect somewhat less than 1 / 0.6 = 1.67.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, normalize, scaled_dot_product_attention

from runners.blocks.counting import CountedSubject
from runners.blocks.ladder import compiled
from runners.blocks.rand import Rand
from runners.blocks.training import minimise

MLP_RATIO = 4
CALIBRATION_IMAGES = 8
# So fast that some ten steps bring the operations to within a few percent of the target: what is scaled at last is little.
RATE, FIRST_SHARE, COST_WEIGHT = 0.1, 0.5, 10.0
BACKGROUNDS, BACKGROUND_NOISE, SALIENCE, CLASS_SCALE = 4, 0.3, 1.0, 0.3


@dataclass(frozen=True)
class Kept:
    """Patch tokens that are left in one layer after pruning, and after merging."""

    pruned: int
    merged: int


def images(axes: dict[str, int], rand: Rand, batch: int) -> Tensor:
    """Patches (batch, patches, width): a quarter show an object, the others one of few backgrounds with some noise.

    Objects have, more or less of it, a direction in common that the class token has as well, so that it attends to them.
    """
    patches, width = axes["patches"], axes["width"]
    objects = max(1, patches // 4)
    kinds = rand.normal(batch, BACKGROUNDS, width)
    chosen = rand.integers(BACKGROUNDS, batch, patches - objects)
    background = kinds.gather(1, chosen[:, :, None].expand(-1, -1, width))
    background = background + rand.normal(batch, patches - objects, width, scale=BACKGROUND_NOISE)
    shown = rand.uniform(batch, objects, 1) * SALIENCE * salience(background)
    return torch.cat([rand.normal(batch, objects, width) + shown, background], dim=1)


def salience(like: Tensor) -> Tensor:
    """The direction, (width,): as long as a normal token's features are wide."""
    signs = torch.ones(like.shape[-1], dtype=like.dtype, device=like.device)
    signs[1::2] = -1
    return signs


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Random matrices (layers, outputs, inputs), keys made like queries so that alike tokens attend to each other."""
    layers, width = axes["layers"], axes["width"]
    hidden = MLP_RATIO * width

    def matrices(outputs: int, inputs: int, scale: float = 1.0) -> Tensor:
        return rand.gaussian(layers, outputs, inputs, scale=scale * inputs**-0.5)

    query = matrices(width, width)
    key = 0.8 * query + 0.6 * matrices(width, width)
    branch = (2 * layers) ** -0.5
    # Short, so that the logits tell more of the image than of the class token.
    class_token = rand.gaussian(width, scale=CLASS_SCALE)
    return {
        "qkv": torch.cat([query, key, matrices(width, width)], dim=1),
        "out": matrices(width, width, branch),
        "up": matrices(hidden, width),
        "down": matrices(width, hidden, branch),
        "class_token": class_token + CLASS_SCALE * SALIENCE * salience(class_token),
        "head": rand.gaussian(axes["classes"], width, scale=width**-0.5),
        "calibration": images(axes, rand, CALIBRATION_IMAGES),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (images(axes, rand, axes["batch"]),)


class Vit:
    """The pieces that every form of the net shares; tokens are (batch, 1 + patches, width), the class token first."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.layers, self.heads, self.patches = axes["layers"], axes["heads"], axes["patches"]
        self.weights = {name: tensor for name, tensor in weights.items() if name != "calibration"}

    def begin(self, patches: Tensor) -> Tensor:
        return torch.cat([self.weights["class_token"].expand(len(patches), 1, -1), patches], dim=1)

    def queries_keys_values(self, x: Tensor, layer: int) -> tuple[Tensor, ...]:
        """(batch, heads, tokens, width / heads) each."""
        qkv = linear(layer_norm(x, x.shape[-1:]), self.weights["qkv"][layer])
        return qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)

    def add_attended(self, x: Tensor, attended: Tensor, layer: int) -> Tensor:
        return x + linear(attended.transpose(1, 2).flatten(2), self.weights["out"][layer])

    def add_mlp(self, x: Tensor, layer: int) -> Tensor:
        hidden = gelu(linear(layer_norm(x, x.shape[-1:]), self.weights["up"][layer]))
        return x + linear(hidden, self.weights["down"][layer])

    def finish(self, x: Tensor) -> Tensor:
        return linear(layer_norm(x[:, 0], x.shape[-1:]), self.weights["head"])

    def whole(self, patches: Tensor) -> Tensor:
        """Logits (batch, classes) with all tokens."""
        x = self.begin(patches)
        for layer in range(self.layers):
            q, k, v = self.queries_keys_values(x, layer)
            x = self.add_mlp(self.add_attended(x, scaled_dot_product_attention(q, k, v), layer), layer)
        return self.finish(x)

    def compressed(self, patches: Tensor, schedule: list[Kept]) -> Tensor:
        """Logits with the tokens that `schedule` leaves in each layer."""
        x, size = self.begin(patches), None
        for layer, kept in enumerate(schedule):
            q, k, v = self.queries_keys_values(x, layer)
            bias = None if size is None else size.log().to(x.dtype)[:, None, None, :].expand(-1, -1, x.shape[1], -1)
            x = self.add_attended(x, scaled_dot_product_attention(q, k, v, attn_mask=bias), layer)
            if kept.merged < x.shape[1] - 1:
                x, size = compress(x, size, class_attention(q, k, bias), kept)
            x = self.add_mlp(x, layer)
        return self.finish(x)


def class_attention(q: Tensor, k: Tensor, bias: Tensor | None) -> Tensor:
    """The class token's attention to each patch token, summed over heads: (batch, patches)."""
    scores = (q[:, :, :1] @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias[:, :, :1]
    return scores.softmax(-1).sum(1)[:, 0, 1:]


def compress(x: Tensor, size: Tensor | None, importance: Tensor, kept: Kept) -> tuple[Tensor, Tensor | None]:
    """Drops and merges patch tokens. size (batch, tokens), float32, is how many tokens each stands for; None: one each."""
    order = importance.topk(kept.pruned, dim=1).indices + 1
    order = torch.cat([torch.zeros_like(order[:, :1]), order], dim=1)
    x = x.gather(1, order[:, :, None].expand(-1, -1, x.shape[2]))
    size = None if size is None else size.gather(1, order)
    if kept.merged == kept.pruned:
        return x, size
    if size is None:
        size = torch.ones(x.shape[:2], dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)
    stay = kept.merged + 1
    target = (normalize(x[:, stay:], dim=-1) @ normalize(x[:, 1:stay], dim=-1).transpose(1, 2)).argmax(-1) + 1
    summed = x.to(size.dtype) * size[:, :, None]
    joined = summed[:, :stay].scatter_add(1, target[:, :, None].expand(-1, -1, x.shape[2]), summed[:, stay:])
    size = size[:, :stay].scatter_add(1, target, size[:, stay:])
    return (joined / size[:, :, None]).to(x.dtype), size


def operations(tokens: Sequence[Any], width: int) -> Any:
    """Of the layers, given the tokens at the start and after each layer's compression; the head is left out."""
    total = 0
    for before, after in pairwise(tokens):
        total = total + before * (8 * width**2 + 4 * width * before) + after * (4 * MLP_RATIO * width**2)
    return total


class LearnedRates:
    """Two distributions over 0 .. patches tokens removed so far, for each layer: after pruning, and after merging."""

    def __init__(self, layers: int, patches: int, device: torch.device) -> None:
        self.counts = torch.arange(patches + 1, dtype=torch.float32, device=device)
        # Means that grow evenly from step to step: were they equal, only the first would feel what removal saves.
        steps = torch.arange(1, 2 * layers + 1, dtype=torch.float32, device=device).view(layers, 2, 1)
        self.logits = (-self.counts / (FIRST_SHARE * patches * steps / (2 * layers))).requires_grad_()

    def removed(self) -> list[Tensor]:
        """Mean counts in order (prune, merge, prune, ...); what is gone stays gone."""
        means = (self.logits.softmax(-1) * self.counts).sum(-1).flatten()
        return list(means.cummax(0).values.unbind())

    def stays(self) -> Tensor:
        """Chance of the token of each rank, the most important first, to stay: (2 * layers, patches)."""
        return self.logits.softmax(-1).cumsum(-1)[..., :-1].flatten(0, 1).flip(-1)


def masked_logits(net: Vit, patches: Tensor, rates: LearnedRates) -> Tensor:
    """What `compressed` gives, with masked tokens in place of removed ones, so that gradients reach the rates."""
    x = net.begin(patches)
    size = x.new_ones(x.shape[:2], dtype=torch.float32)
    mask = torch.ones_like(size)
    stays, removed = rates.stays(), rates.removed()
    ranks = torch.arange(net.patches, device=x.device)
    for layer in range(net.layers):
        q, k, v = net.queries_keys_values(x, layer)
        scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5 + size.log()[:, None, None, :]
        shares = (scores - scores.amax(-1, keepdim=True).detach()).exp() * mask[:, None, None, :]
        shares = shares / shares.sum(-1, keepdim=True)
        x = net.add_attended(x, shares.to(x.dtype) @ v, layer)
        rank = (shares[:, :, 0, 1:].sum(1).detach() - (mask[:, 1:] <= 0).float()).argsort(1, descending=True).argsort(1)
        left = [net.patches - int(removed[2 * layer + step].round()) for step in range(2)]
        alive = [(ranks < count).float() + stays[2 * layer + step] - stays[2 * layer + step].detach()
                 for step, count in enumerate(left)]  # fmt: skip
        leaving = (rank >= left[1]) & (rank < left[0]) & (mask[:, 1:] > 0)
        x, size = merge_masked(x, size, leaving, rank < left[1])
        mask = torch.cat([mask[:, :1], mask[:, 1:] * alive[0][rank] * alive[1][rank]], dim=1)
        x = net.add_mlp(x, layer)
    return net.finish(x)


def merge_masked(x: Tensor, size: Tensor, leaving: Tensor, staying: Tensor) -> tuple[Tensor, Tensor]:
    """Adds `leaving` patch tokens (batch, patches) to the most similar of `staying`; they keep their places."""
    unit = normalize(x[:, 1:].detach().float(), dim=-1)
    likeness = (unit @ unit.transpose(1, 2)).masked_fill(~staying[:, None, :], -2.0)
    to = torch.nn.functional.one_hot(likeness.argmax(-1), x.shape[1] - 1).float() * leaving[:, :, None]
    given = torch.nn.functional.pad(to, (1, 0, 1, 0)).transpose(1, 2)
    total = size + (given @ size[:, :, None]).squeeze(2)
    joined = (x.float() * size[:, :, None] + given @ (x.float() * size[:, :, None])) / total[:, :, None]
    return joined.to(x.dtype), total


def learned_counts(net: Vit, calibration: Tensor, axes: dict[str, int]) -> list[float]:
    """Tokens removed so far, (prune, merge, prune, ...), for `target` percent of the layers' operations, after `steps` steps."""
    rates = LearnedRates(net.layers, net.patches, calibration.device)
    wanted = net.whole(calibration).detach().float()
    full = operations([net.patches + 1] * (net.layers + 1), axes["width"])

    def loss(_: float) -> Tensor:
        changed = (masked_logits(net, calibration, rates).float() - wanted).norm() / wanted.norm()
        tokens = [net.patches + 1 - each for each in rates.removed()[1::2]]
        cost = operations([net.patches + 1, *tokens], axes["width"]) / full
        return changed + COST_WEIGHT * (cost - axes["target"] / 100) ** 2

    minimise([(rates.logits, RATE)], loss, axes["steps"], rates_fall=False)
    return [float(each.detach()) for each in rates.removed()]


def fitted(removed: list[float], axes: dict[str, int]) -> list[Kept]:
    """The schedule that removes such counts, all scaled alike so that it just keeps within the target.

    Numbers of tokens, the class token among them, are multiples of `multiple` where a layer compresses.
    """
    patches, multiple = axes["patches"], axes["multiple"]
    least = max(multiple - 1, 1)
    full = operations([patches + 1] * (len(removed) // 2 + 1), axes["width"])

    def schedule(scale: float) -> list[Kept]:
        left = [patches - min(scale * each, patches - 1.0) for each in removed]
        whole = [patches if n > patches - 0.5 else max(least, round((n + 1) / multiple) * multiple - 1) for n in left]
        whole = [min(whole[: index + 1]) for index in range(len(whole))]
        return [Kept(*pair) for pair in zip(whole[::2], whole[1::2], strict=True)]

    def share(found: list[Kept]) -> float:
        return float(operations([patches + 1, *(each.merged + 1 for each in found)], axes["width"]) / full)

    low, high = 0.0, 1.0
    while share(schedule(high)) > axes["target"] / 100 and high < 2**12:
        low, high = high, 2 * high
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if share(schedule(middle)) > axes["target"] / 100 else (low, middle)
    return schedule(high)


def with_schedule(
    axes: dict[str, int], weights: dict[str, Tensor], make: Callable[[Vit], list[Kept]]
) -> CountedSubject:
    net = Vit(axes, weights)
    schedule = make(net)
    return CountedSubject(lambda patches: net.compressed(patches, schedule), net.weights)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    return with_schedule(axes, weights, lambda net: fitted(learned_counts(net, weights["calibration"], axes), axes))


def make_uniform(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    """The same operations, but every layer removes as many tokens, half by pruning: rates set by hand."""
    return with_schedule(axes, weights, lambda net: fitted([step + 1.0 for step in range(2 * net.layers)], axes))


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    """The net with all its tokens."""
    net = Vit(axes, weights)
    return CountedSubject(net.whole, net.weights)


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "uniform": make_uniform,
}
