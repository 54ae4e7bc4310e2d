"""MobileNet v1 whose 1x1 convolutions have unstructured sparse weights, multiplied with dense activations.

Source: "Fast Sparse ConvNets" (2019). The net is that of "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications" (2017), table 1, for one image at a time, with norms folded into biases.

A 1x1 convolution is a product of weights (outputs, inputs) and activations (inputs, pixels). Pruned to a tenth of its weights it
becomes a sum, for each output, of the few channels that have a weight left; with channels first the pixels of a channel lie one after
the other, so that each weight is read once and multiplies whole vectors of pixels. Activations are never sparse and never
rearranged. The first convolution, the depthwise ones (1 % of the weights) and the classifier stay dense.

    technique   sparse rows (32-bit indices) times dense activations with the bias added to it: MKL's kernel on x86 CPUs, cuSPARSE's on
                a GPU
    rungs       the same pruned weights with their zeros stored: convolutions with channels first, channels last, and compiled

Why it should win: 1x1 convolutions are 95 % of the dense net's 0.57 billion multiply-adds. With 90 % zeros 0.05 billion of theirs
are left and the whole takes 0.08 billion, 7 times fewer. A weight that is left costs 8 bytes with its index, a dense one 4, so
that the weights of 1x1 layers shrink from 12.5 to 2.5 MB. A sparse product cannot keep tiles of both operands in registers, and
reaches a quarter or so of a dense one's rate: it should pay from 75 to 80 % zeros on. On a GPU dense products are so much faster that
it should lose at any sparsity that a trained net survives (one image moves some 40 MB of activations in float32, 9 us at an H200's
4.8 TB/s, and the launches of 28 layers take longer). The paper's case is a phone's CPU, for which here a CPU of another kind stands in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from runners.blocks.counting import CountedSubject
from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

STEM_WIDTH = 32
BLOCKS = (  # outputs, stride of the depthwise convolution
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
SQUARES_AFTER_RELU = 0.5
BIAS_SCALE = 0.1

Pointwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Block:
    inputs: int
    outputs: int
    stride: int


def mobilenet_blocks(axes: dict[str, int]) -> list[Block]:
    """Depthwise and pointwise layers in order; `width_percent` scales widths, `depth` is how many of the 13 blocks there are."""
    width, blocks = scaled_width(STEM_WIDTH, axes), []
    for outputs, stride in BLOCKS[: axes["depth"]]:
        blocks.append(Block(width, scaled_width(outputs, axes), stride))
        width = blocks[-1].outputs
    return blocks


def scaled_width(width: int, axes: dict[str, int]) -> int:
    return max(8, width * axes["width_percent"] // 100)


def pruned(weight: Tensor, per_mille: int) -> Tensor:
    """`weight` with the smallest `per_mille` thousandths of its values set to zero; at least one is left."""
    dropped = min(weight.numel() * per_mille // 1000, weight.numel() - 1)
    places = weight.abs().flatten().argsort()[:dropped]
    return weight.flatten().index_fill(0, places, 0.0).view_as(weight)


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Random layers that keep activations at one size: stem, <block>.depthwise, <block>.pointwise (pruned), head, and biases."""
    blocks = mobilenet_blocks(axes)
    stem, last = scaled_width(STEM_WIDTH, axes), blocks[-1].outputs
    made = {"stem": rand.gaussian(stem, 3, 3, 3, scale=27**-0.5), "stem_bias": rand.gaussian(stem, scale=BIAS_SCALE)}
    for index, block in enumerate(blocks):
        depthwise = rand.gaussian(block.inputs, 1, 3, 3, scale=(9 * SQUARES_AFTER_RELU) ** -0.5)
        pointwise = pruned(rand.gaussian(block.outputs, block.inputs), axes["sparsity"])
        # Large values are what pruning leaves: the sum of squares, not the count of values, keeps the size.
        size = (pointwise.float().square().sum() / block.outputs * SQUARES_AFTER_RELU).sqrt()
        made |= {
            f"{index}.depthwise": depthwise,
            f"{index}.depthwise_bias": rand.gaussian(block.inputs, scale=BIAS_SCALE),
            f"{index}.pointwise": (pointwise.float() / size).to(rand.dtype),
            f"{index}.pointwise_bias": rand.gaussian(block.outputs, scale=BIAS_SCALE),
        }
    head = rand.gaussian(axes["classes"], last, scale=last**-0.5)
    return made | {"head": head, "head_bias": rand.gaussian(axes["classes"], scale=BIAS_SCALE)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor]:
    return (rand.normal(axes["batch"], 3, axes["image"], axes["image"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Weights that are left, each with an index of 32 bits; image and logits, and no activation between layers."""
    size, stem, last = -(-axes["image"] // 2), scaled_width(STEM_WIDTH, axes), axes["classes"]
    dense, products, kept = 27 * stem, 27 * stem * size**2, 0
    for block in mobilenet_blocks(axes):
        size, last = -(-size // block.stride), block.outputs
        weights = block.inputs * block.outputs
        left = weights - weights * axes["sparsity"] // 1000
        dense, kept = dense + 9 * block.inputs, kept + left
        products += (9 * block.inputs + left) * size**2
    head = last * axes["classes"]
    shown = axes["batch"] * (3 * axes["image"] ** 2 + axes["classes"])
    moved = BYTES[dtype] * (dense + kept + head + shown) + 4 * kept
    return LeastWork({dtype: 2 * axes["batch"] * (products + head)}, moved)


class SparsePointwise:
    """A 1x1 convolution and ReLU with a sparse weight (outputs, inputs), image by image."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        rows = weight.to_sparse_csr()
        # MKL's own kind of index: others are converted at each call.
        self.weight = torch.sparse_csr_tensor(
            rows.crow_indices().int(), rows.col_indices().int(), rows.values(), rows.shape, check_invariants=True
        )
        self.bias = bias[:, None]

    @property
    def held(self) -> tuple[Tensor, ...]:
        return self.weight.crow_indices(), self.weight.col_indices(), self.weight.values(), self.bias

    def __call__(self, image: Tensor) -> Tensor:
        batch, _, height, width = image.shape
        pixels = image.flatten(2)
        bias = self.bias.expand(-1, pixels.shape[2])
        products = [torch.addmm(bias, self.weight, each).relu_() for each in pixels]
        return (products[0][None] if batch == 1 else torch.stack(products)).unflatten(2, (height, width))


class DensePointwise:
    """The same layer with every weight stored."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight[:, :, None, None], bias

    @property
    def held(self) -> tuple[Tensor, ...]:
        return self.weight, self.bias

    def __call__(self, image: Tensor) -> Tensor:
        return functional.conv2d(image, self.weight, self.bias).relu_()


def network(axes: dict[str, int], weights: dict[str, Tensor], layers: list[Pointwise]) -> Callable[[Tensor], Tensor]:
    """images (batch, 3, image, image) to scores (batch, classes), with `layers` as the blocks' pointwise ones."""
    blocks = mobilenet_blocks(axes)

    def run(images: Tensor) -> Tensor:
        x = functional.conv2d(images, weights["stem"], weights["stem_bias"], stride=2, padding=1).relu_()
        for index, (block, pointwise) in enumerate(zip(blocks, layers, strict=True)):
            kernel, bias = weights[f"{index}.depthwise"], weights[f"{index}.depthwise_bias"]
            x = functional.conv2d(x, kernel, bias, stride=block.stride, padding=1, groups=block.inputs).relu_()
            x = pointwise(x)
        return functional.linear(x.mean(dim=(2, 3)), weights["head"], weights["head_bias"])

    return run


def dense_parts(weights: dict[str, Tensor]) -> tuple[Tensor, ...]:
    return tuple(each for name, each in weights.items() if "pointwise" not in name)


class SparseMobileNet(CountedSubject):
    """A net whose footprint counts the values and indices that are left, and operations with those alone."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        names = [f"{index}.pointwise" for index in range(len(mobilenet_blocks(axes)))]
        layers = [SparsePointwise(weights[name], weights[f"{name}_bias"]) for name in names]
        held = [each for layer in layers for each in layer.held]
        self.sparse = [layer.weight for layer in layers]
        super().__init__(
            network(axes, weights, list(layers)),
            [*held, *dense_parts(weights)],
            # torch counts no sparse products: theirs are added below.
            counted_by=network(axes, weights, [self._untouched(weights[name]) for name in names]),
        )
        self._pixels = [0] * len(layers)
        self._strides = [block.stride for block in mobilenet_blocks(axes)]

    @staticmethod
    def _untouched(weight: Tensor) -> Pointwise:
        return lambda image: image.new_empty(image.shape[0], weight.shape[0], *image.shape[2:])

    def __call__(self, *inputs: Tensor) -> Any:
        count, _, side, _ = inputs[0].shape
        side = -(-side // 2)
        for index, stride in enumerate(self._strides):
            side = -(-side // stride)
            self._pixels[index] = count * side**2
        return super().__call__(*inputs)

    def footprint(self) -> dict[str, int]:
        found = super().footprint()
        if "flops" in found:
            left = [each.values().numel() for each in self.sparse]
            found["flops"] += sum(2 * count * pixels for count, pixels in zip(left, self._pixels, strict=True))
        return found


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> SparseMobileNet:
    return SparseMobileNet(axes, weights)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    count = len(mobilenet_blocks(axes))
    layers = [
        DensePointwise(weights[f"{index}.pointwise"], weights[f"{index}.pointwise_bias"]) for index in range(count)
    ]
    held = [each for layer in layers for each in layer.held]
    return CountedSubject(network(axes, weights, list(layers)), [*held, *dense_parts(weights)])


def make_channels_last(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    """The layout that convolution libraries prefer; the image is turned in the call, the weights beforehand."""
    turned = {
        name: each.contiguous(memory_format=torch.channels_last) if each.dim() == 4 else each for name, each in weights.items()
    }  # fmt: skip
    dense = make_eager(axes, turned)
    return CountedSubject(lambda images: dense.run(images.contiguous(memory_format=torch.channels_last)), dense.held)


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "library": make_channels_last,
    "compiled": compiled(make_eager),
}
