"""Test-time training in large chunks: a small network of fast weights learns each chunk, then answers its queries.

Source: "Test-Time Training Done Right" (2025). Per head, with fast weights W1, W3 (hidden, dim) and W2 (dim, hidden):

    f(x) = W2 (silu(W1 x) * W3 x)
    for each chunk: G = gradient over the weights of the chunk's loss, -sum_i rate_i <f(k_i), v_i>
                    W <- W - G, or W - orthogonalised G (Muon, five Newton-Schulz steps), rows brought back to the length
                    that they had at the start; then o_i = f(q_i) for the chunk's queries

Shapes: q, k, v and the output (batch, heads, seq, dim), rate (batch, heads, seq). Axes: `chunk` tokens an update,
`muon` 0 or 1. Within a chunk every query sees every key, as in sets of images and frames of video.

Why it should win: the weights are a state of 3 * dim * hidden numbers a head. An update every 64 tokens (rung "paper") multiplies
matrices with 64 rows: 32 operations for each byte of bf16 state that is read, where an H200 does 165 in the time in which it
moves one (790 TFLOP/s, 4.8 TB/s). On top of that come one launch for each product and update of the float32 state. A
chunk of 2,048 or more is bound by arithmetic, in plain matrix products of PyTorch, without a kernel of its own.
One sequence of 32,768 tokens, 4 heads of 512, hidden 1,024: 18 * dim * hidden operations a token and head are 1.24 TFLOP
(1.6 ms); Newton-Schulz adds 80 GFLOP a chunk, as much again at a chunk of 2,048 and a quarter of it at 8,192. Softmax
attention of the same width without a mask takes 8.8 TFLOP (11 ms), more than all of that, and its share grows with the
sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention, silu

from runners.blocks.ladder import Subject, compiles
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

SMALL_CHUNK = 64
ATTENTION_DIM = 128
NEWTON_SCHULZ = ((4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037),
                 (2.8769, -3.1427, 1.2046), (2.8366, -3.0525, 1.2012))  # fmt: skip
FastWeights = tuple[Tensor, Tensor, Tensor]


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """The precision in which fast weights are kept."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def orthogonalised(gradient: Tensor) -> Tensor:
    """Newton-Schulz: the nearest matrix with orthonormal rows or columns, roughly; (..., rows, columns)."""
    x = gradient / (gradient.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.transpose(-1, -2) if tall else x
    for a, b, c in NEWTON_SCHULZ:
        square = x @ x.transpose(-1, -2)
        x = a * x + (b * square + c * square @ square) @ x
    return x.transpose(-1, -2) if tall else x


def apply_network(x: Tensor, weights: FastWeights) -> Tensor:
    """f(x) for rows x (..., tokens, dim)."""
    w1, w2, w3 = (each.transpose(-1, -2) for each in weights)
    return (silu(x @ w1) * (x @ w3)) @ w2


def chunk_gradient(weights: FastWeights, k: Tensor, v: Tensor, rate: Tensor) -> FastWeights:
    """Gradients of -sum_i rate_i <f(k_i), v_i>, written out: six matrix products and no tape."""
    w1, w2, w3 = weights
    gate, up = k @ w1.transpose(-1, -2), k @ w3.transpose(-1, -2)
    sigmoid = gate.sigmoid()
    active = gate * sigmoid
    wanted = -(rate[..., None] * v)
    back = wanted @ w2
    d_gate = back * up * (sigmoid * (1 + gate * (1 - sigmoid)))
    return (
        d_gate.transpose(-1, -2) @ k,
        wanted.transpose(-1, -2) @ (active * up),
        (back * active).transpose(-1, -2) @ k,
    )


def chunk_gradient_by_autograd(weights: FastWeights, k: Tensor, v: Tensor, rate: Tensor) -> FastWeights:
    """The same from the loss as it is defined."""
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        w1, w2, w3 = (each if each.requires_grad else each.detach().requires_grad_() for each in weights)
        leaves = (w1, w2, w3)
        loss = -(rate[..., None] * v * apply_network(k, leaves)).sum()
        w1, w2, w3 = torch.autograd.grad(loss, leaves, create_graph=differentiable)
    return w1, w2, w3


class FastWeightLayer:
    """subject(q, k, v, rate) -> output, with an update for every `chunk` tokens."""

    def __init__(
        self,
        weights: dict[str, Tensor],
        *,
        chunk: int,
        muon: bool,
        by_autograd: bool = False,
        by_compiler: bool = False,
    ) -> None:
        self._initial = (weights["w1"], weights["w2"], weights["w3"])
        self._chunk, self._muon = chunk, muon
        self._gradient = chunk_gradient_by_autograd if by_autograd else chunk_gradient
        # One chunk at a time: a small chunk would unroll into thousands of them.
        self._learn = torch.compile(self.learn, dynamic=False) if by_compiler else self.learn

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, rate: Tensor) -> Tensor:
        wide = wide_dtype(q.dtype)
        w1, w2, w3 = (each.to(wide).expand(q.shape[0], *each.shape).contiguous() for each in self._initial)
        state = (w1, w2, w3)
        lengths = [each.norm(dim=-1, keepdim=True) for each in state]
        outputs = []
        for start in range(0, q.shape[2], self._chunk):
            part = slice(start, start + self._chunk)
            state, answers = self._learn(state, lengths, q[:, :, part], k[:, :, part], v[:, :, part], rate[:, :, part])
            outputs.append(answers)
        return torch.cat(outputs, dim=2)

    def learn(  # noqa: PLR0917  passed by position, as they are compiled
        self, state: FastWeights, lengths: list[Tensor], q: Tensor, k: Tensor, v: Tensor, rate: Tensor
    ) -> tuple[FastWeights, Tensor]:
        """The weights after one chunk, whose rows keep their `lengths`, and its answers (batch, heads, tokens, dim)."""
        w1, w2, w3 = (each.to(q.dtype) for each in state)
        gradients = self._gradient((w1, w2, w3), k, v, rate)
        steps = [orthogonalised(each) if self._muon else each for each in gradients]
        moved = [each - step.to(each.dtype) for each, step in zip(state, steps, strict=True)]
        w1, w2, w3 = (
            each * (length / (each.norm(dim=-1, keepdim=True) + 1e-7))
            for each, length in zip(moved, lengths, strict=True)
        )
        return (w1, w2, w3), apply_network(q, (w1.to(q.dtype), w2.to(q.dtype), w3.to(q.dtype)))

    def footprint(self) -> dict[str, int]:
        return {"parameters": sum(each.numel() for each in self._initial)}


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """The fast weights before the first token, for each head."""
    heads, dim, hidden = axes["heads"], axes["dim"], axes["hidden"]
    return {
        "w1": rand.gaussian(heads, hidden, dim, scale=dim**-0.5),
        "w2": rand.gaussian(heads, dim, hidden, scale=hidden**-0.5),
        "w3": rand.gaussian(heads, hidden, dim, scale=dim**-0.5),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """q, k (rows of length one, as the paper has them), v, and each token's learning rate of about 0.01."""
    shape = (axes["batch"], axes["heads"], axes["seq"], axes["dim"])
    q, k = (rand.normal(*shape) for _ in range(2))
    q, k = (each / each.norm(dim=-1, keepdim=True) for each in (q, k))
    rate = 0.02 * rand.uniform(*shape[:3])
    return q, k, rand.normal(*shape), rate


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Learning, answering, Newton-Schulz for each chunk; thrice with gradients, but none of the initial weights."""
    heads, dim, hidden = axes["batch"] * axes["heads"], axes["dim"], axes["hidden"]
    chunks, (less, more) = -(-axes["seq"] // axes["chunk"]), sorted((dim, hidden))
    products = 18 * axes["seq"] * dim * hidden
    if axes["muon"]:
        products += chunks * 15 * less**2 * (4 * more + 2 * less)
    if backward:
        products = 3 * products - 6 * min(axes["seq"], axes["chunk"]) * dim * hidden
    moved = (2 if backward else 1) * heads * axes["seq"] * (4 * dim + 1) + 3 * axes["heads"] * dim * hidden
    return LeastWork({dtype: heads * products}, BYTES[dtype] * moved)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return FastWeightLayer(weights, chunk=axes["chunk"], muon=bool(axes["muon"]))


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The definition: the gradient of each chunk's loss by autograd."""
    return FastWeightLayer(weights, chunk=axes["chunk"], muon=bool(axes["muon"]), by_autograd=True)


def make_compiled(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The technique with each chunk's update and answers compiled."""
    return FastWeightLayer(weights, chunk=axes["chunk"], muon=bool(axes["muon"]), by_compiler=True)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """What was usual: a plain gradient step every 64 tokens. Another function: other updates."""
    return FastWeightLayer(weights, chunk=min(SMALL_CHUNK, axes["chunk"]), muon=False)


def make_attention(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Softmax attention of the same width without a mask, in heads of 128 where they are that wide: another function."""
    dim = min(axes["dim"], ATTENTION_DIM)

    def attend(q: Tensor, k: Tensor, v: Tensor, rate: Tensor) -> Tensor:
        parts = (each.unflatten(-1, (-1, dim)).transpose(2, 3).flatten(1, 2) for each in (q, k, v))
        attended = scaled_dot_product_attention(*parts)
        return attended.unflatten(1, (q.shape[1], -1)).transpose(2, 3).reshape(v.shape)

    return attend


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiles(make_compiled),
    "paper": make_paper,
    "attention": make_attention,
}
