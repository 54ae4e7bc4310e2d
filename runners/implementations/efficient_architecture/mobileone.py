"""MobileOne: parallel convolution branches for training that fold into one convolution per layer for inference.

Source: "MobileOne: An Improved One millisecond Mobile Backbone" (2022), section 3; the widths and depths are those of variant S0.

A layer in training is a sum of branches over the same input, then ReLU: `branches` times convolution and batch norm, a 1x1
convolution with batch norm beside larger kernels, and batch norm alone where input and output have the same shape. With fixed
statistics each branch is linear, and so is their sum: one convolution with a bias. A block is a 3x3 depthwise layer followed
by a 1x1 layer.

Why the folded net should win: S0 does 0.27 billion multiply-adds on a 224 x 224 image, too few to keep a GPU's arithmetic
busy, so what counts is how often activations are moved and how many kernels are started. A folded layer reads its input,
writes its output and passes over it once more for ReLU. Unfolded, each branch reads the input, writes its result and reads
and writes it again for its norm, and each sum reads two and writes one. At batch 128 in 16 bits the folded net moves 3.9 GB
and the unfolded one 30.8 GB, 0.8 ms and 6.4 ms on an H200 at 4.8 TB/s. At batch 1 both are bound by starting kernels, about
90 against 640: 0.2 and 1.3 ms at 2 us each in a CUDA graph, as which few images are recorded on every rung, and several
times that when each is launched from Python.

The folding is set-up and done in float64, then rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from runners.blocks.graphs import graphed
from runners.blocks.ladder import compiled, compiles
from runners.blocks.rand import Rand

EPSILON = 1e-5
FEW_IMAGES = 16
STEM_WIDTH = 48
STAGES = ((48, 2), (128, 8), (256, 10), (1024, 1))  # width, blocks; each stage halves the image first
MOBILENET_STEM, MOBILENET_HEAD = 32, 1280
MOBILENET_STAGES = (  # expansion, width, blocks, first stride
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One convolution's place in a net."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1
    branches: int = 1

    @property
    def has_scale(self) -> bool:
        return self.kernel > 1

    @property
    def has_skip(self) -> bool:
        return self.inputs == self.outputs and self.stride == 1

    @property
    def fan_in(self) -> int:
        return self.inputs // self.groups * self.kernel**2

    @property
    def total_branches(self) -> int:
        return self.branches + self.has_scale + self.has_skip


def mobileone_layers(axes: dict[str, int]) -> list[Layer]:
    """The layers of S0; `width_percent` scales widths, `depth` caps the blocks of a stage."""
    width = _scaled(STEM_WIDTH, axes)
    layers = [Layer(3, width, kernel=3, stride=2)]
    for stage_width, blocks in STAGES:
        for block in range(min(blocks, axes["depth"])):
            wider = _scaled(stage_width, axes)
            depthwise = Layer(width, width, 3, 1 if block else 2, groups=width, branches=axes["branches"])
            layers += [depthwise, Layer(width, wider, 1, branches=axes["branches"])]
            width = wider
    return layers


def _scaled(width: int, axes: dict[str, int]) -> int:
    return max(8, width * axes["width_percent"] // 100)


@dataclass(frozen=True)
class InvertedResidual:
    """One block of MobileNetV2: widen, filter each channel, narrow; add the input where shapes agree."""

    layers: tuple[Layer, ...]
    adds_input: bool


def mobilenet_blocks(axes: dict[str, int]) -> list[InvertedResidual]:
    """ "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018), table 2, scaled as MobileOne is."""
    width = _scaled(MOBILENET_STEM, axes)
    blocks = [InvertedResidual((Layer(3, width, 3, stride=2),), adds_input=False)]
    for expansion, stage_width, count, first_stride in MOBILENET_STAGES:
        for block in range(min(count, axes["depth"])):
            wider, stride, hidden = _scaled(stage_width, axes), 1 if block else first_stride, width * expansion
            widen = (Layer(width, hidden, 1),) if expansion > 1 else ()
            layers = (*widen, Layer(hidden, hidden, 3, stride, groups=hidden), Layer(hidden, wider, 1))
            blocks.append(InvertedResidual(layers, adds_input=stride == 1 and width == wider))
            width = wider
    head = Layer(width, _scaled(MOBILENET_HEAD, axes), 1)
    return [*blocks, InvertedResidual((head,), adds_input=False)]


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Random parameters of both nets, scaled so that activations keep their size from layer to layer.

    mobileone.<layer>.kernels (branches, outputs, inputs / groups, kernel, kernel), .norms (branches, 4, outputs) with gain, bias,
    mean and variance; .scale and .scale_norm, .skip_norm where the layer has them. mobilenet.<layer>.kernel and .bias.
    """
    made: dict[str, Tensor] = {}
    layers = mobileone_layers(axes)
    for index, layer in enumerate(layers):
        name, shape = f"mobileone.{index}", (layer.outputs, layer.inputs // layer.groups)
        kernel = (layer.kernel, layer.kernel)
        made[f"{name}.kernels"] = rand.gaussian(layer.branches, *shape, *kernel, scale=layer.fan_in**-0.5)
        made[f"{name}.norms"] = torch.stack([_norm(layer, rand) for _ in range(layer.branches)])
        if layer.has_scale:
            made[f"{name}.scale"] = rand.gaussian(*shape, 1, 1, scale=(layer.inputs // layer.groups) ** -0.5)
            made[f"{name}.scale_norm"] = _norm(layer, rand)
        if layer.has_skip:
            made[f"{name}.skip_norm"] = _norm(layer, rand)
    blocks = mobilenet_blocks(axes)
    for index, layer in enumerate(each for block in blocks for each in block.layers):
        shape, kernel = (layer.outputs, layer.inputs // layer.groups), (layer.kernel, layer.kernel)
        made[f"mobilenet.{index}.kernel"] = rand.gaussian(*shape, *kernel, scale=(2 / layer.fan_in) ** 0.5)
        made[f"mobilenet.{index}.bias"] = rand.gaussian(layer.outputs, scale=0.1)
    for name, width in (("mobileone", layers[-1].outputs), ("mobilenet", blocks[-1].layers[-1].outputs)):
        made[f"{name}.classifier.kernel"] = rand.gaussian(axes["classes"], width, scale=width**-0.5)
        made[f"{name}.classifier.bias"] = rand.gaussian(axes["classes"], scale=0.1)
    return made


def _norm(layer: Layer, rand: Rand) -> Tensor:
    """Gain, bias, mean, variance, each (outputs,).

    Gains have random signs and such a size that the mean square stays the same from one ReLU to the next: without trained
    statistics, 43 layers would otherwise overflow 16 bits.
    """
    signs = (2 * rand.integers(2, layer.outputs) - 1).to(rand.dtype)
    gain = signs * (0.5 + rand.uniform(layer.outputs)) * (1.68 / layer.total_branches) ** 0.5
    bias, mean = rand.gaussian(layer.outputs, scale=0.1), rand.gaussian(layer.outputs, scale=0.1)
    return torch.stack([gain, bias, mean, 0.5 + rand.uniform(layer.outputs)])


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor]:
    """Images (batch, 3, image, image)."""
    return (rand.normal(axes["batch"], 3, axes["image"], axes["image"]),)


class ConvNet:
    """Images (batch, 3, height, width) to logits (batch, classes), without autograd. Subclasses say `features`.

    Weights and activations lie channels-last, which both cuDNN and the CPU kernels prefer; all rungs share this.
    """

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        self.parameters = {name: _channels_last(tensor) for name, tensor in parameters.items()}
        self._last_shape: torch.Size | None = None

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        self._last_shape = images.shape
        return self.run(_channels_last(images), self.parameters)

    def run(self, images: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        pooled = self.features(images, parameters).mean((2, 3))
        return functional.linear(pooled, parameters["classifier.kernel"], parameters["classifier.bias"])

    def features(self, images: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        raise NotImplementedError

    def footprint(self) -> dict[str, int]:
        """Numbers kept and floating-point operations of convolutions and classifier at the last call's shape."""
        found = {"parameters": sum(tensor.numel() for tensor in self.parameters.values())}
        if self._last_shape is not None:
            on_meta = {name: tensor.to("meta") for name, tensor in self.parameters.items()}
            dtype = self.parameters["classifier.kernel"].dtype
            with FlopCounterMode(display=False) as counter:
                self.run(torch.empty(self._last_shape, dtype=dtype, device="meta"), on_meta)
            found["flops"] = counter.get_total_flops()
        return found


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


class Folded(ConvNet):
    """MobileOne as it is deployed."""

    def __init__(self, layers: Sequence[Layer], weights: dict[str, Tensor]) -> None:
        self.layers = layers
        parameters = {name: tensor for name, tensor in weights.items() if name.startswith("classifier.")}
        for index, layer in enumerate(layers):
            parameters[f"{index}.kernel"], parameters[f"{index}.bias"] = fold(layer, _of_layer(weights, index))
        super().__init__(parameters)

    def features(self, images: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        x = images
        for index, layer in enumerate(self.layers):
            x = _convolve(x, parameters[f"{index}.kernel"], layer, parameters[f"{index}.bias"]).relu_()
        return x


class Unfolded(ConvNet):
    """MobileOne as it is trained, with its batch norms in evaluation mode."""

    def __init__(self, layers: Sequence[Layer], weights: dict[str, Tensor]) -> None:
        self.layers = layers
        # One tensor a branch: a slice of a stack could not lie channels-last.
        parameters = {name: tensor for name, tensor in weights.items() if not name.endswith((".kernels", ".norms"))}
        for index, layer in enumerate(layers):
            for branch in range(layer.branches):
                parameters[f"{index}.kernel.{branch}"] = weights[f"{index}.kernels"][branch]
                parameters[f"{index}.norm.{branch}"] = weights[f"{index}.norms"][branch]
        super().__init__(parameters)

    def features(self, images: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        x = images
        for index, layer in enumerate(self.layers):
            x = self._layer(x, layer, _of_layer(parameters, index)).relu()
        return x

    def _layer(self, x: Tensor, layer: Layer, weights: dict[str, Tensor]) -> Tensor:
        total = _normalise(_convolve(x, weights["kernel.0"], layer), weights["norm.0"])
        for branch in range(1, layer.branches):
            total = total + _normalise(_convolve(x, weights[f"kernel.{branch}"], layer), weights[f"norm.{branch}"])
        if layer.has_scale:
            total = total + _normalise(_convolve(x, weights["scale"], layer), weights["scale_norm"])
        if layer.has_skip:
            total = total + _normalise(x, weights["skip_norm"])
        return total


class MobileNet(ConvNet):
    """MobileNetV2 with its batch norms folded, as it is deployed."""

    def __init__(self, blocks: Sequence[InvertedResidual], weights: dict[str, Tensor]) -> None:
        self.blocks = blocks
        super().__init__(weights)

    def features(self, images: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        x, index = images, 0
        for block in self.blocks:
            y = x
            for position, layer in enumerate(block.layers):
                y = _convolve(y, parameters[f"{index}.kernel"], layer, parameters[f"{index}.bias"])
                # The narrowing layer of a block is linear; stem and head, alone in theirs, are not.
                if position < len(block.layers) - 1 or len(block.layers) == 1:
                    y = y.clamp_(0.0, 6.0)
                index += 1
            x = x + y if block.adds_input else y
        return x


def _convolve(x: Tensor, kernel: Tensor, layer: Layer, bias: Tensor | None = None) -> Tensor:
    return functional.conv2d(x, kernel, bias, layer.stride, kernel.shape[-1] // 2, groups=layer.groups)


def _normalise(x: Tensor, norm: Tensor) -> Tensor:
    gain, bias, mean, variance = norm.unbind()
    return functional.batch_norm(x, mean, variance, gain, bias, eps=EPSILON)


def fold(layer: Layer, weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Kernel and bias of the one convolution that equals the layer's sum of branches, in the dtype of the weights."""
    dtype = weights["kernels"].dtype
    exact = {name: tensor.double() for name, tensor in weights.items()}
    parts = list(zip(exact["kernels"], exact["norms"], strict=True))
    around = layer.kernel // 2
    if layer.has_scale:
        parts.append((functional.pad(exact["scale"], (around,) * 4), exact["scale_norm"]))
    if layer.has_skip:
        identity = torch.zeros_like(exact["kernels"][0])
        channels = torch.arange(layer.outputs, device=identity.device)
        identity[channels, channels % (layer.inputs // layer.groups), around, around] = 1.0
        parts.append((identity, exact["skip_norm"]))
    kernel, bias = torch.zeros_like(parts[0][0]), torch.zeros_like(parts[0][1][0])
    for branch, (gain, shift, mean, variance) in parts:
        slope = gain / (variance + EPSILON).sqrt()
        kernel += branch * slope[:, None, None, None]
        bias += shift - mean * slope
    return kernel.to(dtype), bias.to(dtype)


def _of_layer(tensors: dict[str, Tensor], index: int) -> dict[str, Tensor]:
    prefix = f"{index}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _of_net(tensors: dict[str, Tensor], net: str) -> dict[str, Tensor]:
    prefix = f"{net}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def is_short(axes: dict[str, int]) -> bool:
    """Whether launching the kernels of a call from Python would take longer than they do; it is recorded as a graph."""
    return axes["batch"] <= FEW_IMAGES


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Folded:
    return Folded(mobileone_layers(axes), _of_net(weights, "mobileone"))


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Unfolded:
    return Unfolded(mobileone_layers(axes), _of_net(weights, "mobileone"))


def make_mobilenet(axes: dict[str, int], weights: dict[str, Tensor]) -> MobileNet:
    return MobileNet(mobilenet_blocks(axes), _of_net(weights, "mobilenet"))


SUBJECTS = {
    "technique": graphed(make_technique, is_short),
    "eager": graphed(make_eager, is_short),
    "compiled": compiles(graphed(compiled(make_eager), is_short)),
    "mobilenet_v2": graphed(make_mobilenet, is_short),
}
