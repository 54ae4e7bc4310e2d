"""Causal convolution with a filter as long as the sequence, its Fourier transforms as matrix products within one kernel.

y[t] = sum_(s <= t) filter[s] x[t - s] for each channel. Shapes: x and y (batch, channels, seq), filter (channels, seq),
known in advance as in inference: every side transforms it in set-up. seq at most 8,192.
Source: "FlashFFTConv: Efficient Convolutions for Long Sequences with Tensor Cores" (2023), order-2 Monarch form.

The sequence is filled up with zeros to n >= 2 * seq, a power of two, and laid out as a matrix of n1 by n2. Its transform is
F1 x, times twiddle factors, times F2 (F: matrices of the discrete Fourier transform), in an order of frequencies that
does not matter as long as the filter has it too; the way back is the same with conjugates.
  * Two sequences of the batch with the same filter are the real and imaginary part of one complex sequence: the filter
    is real, so they stay apart, and no arithmetic is spent on a zero imaginary part.
  * The lower half of the zero-filled matrix is zero and the lower half of the result is not wanted: blocks that are
    skipped in the first and the last product.

Batch 64, 768 channels, seq 2,048, bfloat16: n = 64 * 64, six products of 64^3 a sequence or 0.15 TFLOP (0.2 ms on an
H200 at 790 TFLOP/s); x and y move 0.4 GB (0.08 ms at 4.8 TB/s). torch.fft takes no bfloat16: cast to float32 with
filling-up, transform, product, inverse, slice and cast back move about 5 GB, 1 ms. The matrix form does O(n^1.5) operations,
so its lead shrinks with the length.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import math

import torch
from torch import Tensor

from runners.blocks.kernels import interpreted, require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

# A product on tensor cores wants 16 rows, and the first one has half of n1.
LEAST_N1, LEAST_N2 = 32, 16
LONGEST = 8192


@triton.jit
def _complex_dot(a_real, a_imag, b_real, b_imag, SIGN_A: tl.constexpr, SIGN_B: tl.constexpr):
    """(a_real + SIGN_A i a_imag) (b_real + SIGN_B i b_imag) as four real products with float32 sums."""
    real = tl.dot(a_real, b_real, input_precision="ieee")
    real -= SIGN_A * SIGN_B * tl.dot(a_imag, b_imag, input_precision="ieee")
    imag = SIGN_B * tl.dot(a_real, b_imag, input_precision="ieee")
    imag += SIGN_A * tl.dot(a_imag, b_real, input_precision="ieee")
    return real, imag


@triton.jit
def _convolution_kernel(
    X, Y, Filter, F1, F2, Twiddle, batch, channels, seq,
    N1: tl.constexpr, HALF: tl.constexpr, N2: tl.constexpr,
):  # fmt: skip
    """One channel of two batch entries. Filter (channels, 2, N1, N2), F1 (2, N1, N1), F2 (2, N2, N2), Twiddle (2, N1, N2)."""
    pair = tl.program_id(0)
    channel = tl.program_id(1)
    rows, half, columns = tl.arange(0, N1), tl.arange(0, HALF), tl.arange(0, N2)
    places = half[:, None] * N2 + columns[None, :]
    first = (2 * pair).to(tl.int64) * channels * seq + channel.to(tl.int64) * seq
    second = first + channels * seq
    inside = places < seq
    both = inside & (2 * pair + 1 < batch)
    x_real = tl.load(X + first + places, mask=inside, other=0.0)
    x_imag = tl.load(X + second + places, mask=both, other=0.0)
    kind = x_real.dtype

    f1_columns = rows[:, None] * N1 + half[None, :]
    real, imag = _complex_dot(tl.load(F1 + f1_columns), tl.load(F1 + N1 * N1 + f1_columns), x_real, x_imag, 1.0, 1.0)
    full = rows[:, None] * N2 + columns[None, :]
    t_real = tl.load(Twiddle + full).to(tl.float32)
    t_imag = tl.load(Twiddle + N1 * N2 + full).to(tl.float32)
    turned_real = (real * t_real - imag * t_imag).to(kind)
    turned_imag = (real * t_imag + imag * t_real).to(kind)
    f2 = columns[:, None] * N2 + columns[None, :]
    f2_real, f2_imag = tl.load(F2 + f2), tl.load(F2 + N2 * N2 + f2)
    real, imag = _complex_dot(turned_real, turned_imag, f2_real, f2_imag, 1.0, 1.0)

    own = Filter + channel.to(tl.int64) * 2 * N1 * N2
    k_real, k_imag = tl.load(own + full).to(tl.float32), tl.load(own + N1 * N2 + full).to(tl.float32)
    product_real = (real * k_real - imag * k_imag).to(kind)
    product_imag = (real * k_imag + imag * k_real).to(kind)

    real, imag = _complex_dot(product_real, product_imag, f2_real, f2_imag, 1.0, -1.0)
    turned_real = (real * t_real + imag * t_imag).to(kind)
    turned_imag = (imag * t_real - real * t_imag).to(kind)
    f1_rows = half[:, None] * N1 + rows[None, :]
    real, imag = _complex_dot(
        tl.load(F1 + f1_rows), tl.load(F1 + N1 * N1 + f1_rows), turned_real, turned_imag, -1.0, 1.0
    )
    tl.store(Y + first + places, real.to(kind), mask=inside)
    tl.store(Y + second + places, imag.to(kind), mask=both)


def sizes(seq: int) -> tuple[int, int]:
    """(n1, n2): powers of two whose product is at least 2 * seq, as equal as they can be."""
    if not 1 <= seq <= LONGEST:
        raise ValueError(f"seq is {seq}; one kernel holds 1 to {LONGEST} tokens")
    exponent = math.ceil(math.log2(2 * seq))
    n1 = max(LEAST_N1, 1 << (exponent + 1) // 2)
    return n1, max(LEAST_N2, (1 << exponent) // n1)


def roots(rows: int, columns: int, order: int, device: torch.device) -> Tensor:
    """exp(-2 pi i r c / order) for r < rows, c < columns: complex128 (rows, columns)."""
    exponents = torch.arange(rows, device=device)[:, None] * torch.arange(columns, device=device) % order
    return torch.polar(
        torch.ones(rows, columns, dtype=torch.float64, device=device), exponents.double() * (-2 * math.pi / order)
    )


def as_two(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Real and imaginary parts along a new axis before the last two, contiguous."""
    return torch.stack([values.real, values.imag], -3).to(dtype).contiguous()


class MatrixConvolution:
    """subject(x) -> y. Holds the filter's transform in the kernel's order of frequencies."""

    def __init__(self, taps: Tensor) -> None:
        self._channels, self._seq = taps.shape
        self._n1, self._n2 = sizes(self._seq)
        n, dtype, device = self._n1 * self._n2, taps.dtype, taps.device
        # Frequency k1 + n1 * k2 lies in row k1 and column k2.
        spectrum = torch.fft.fft(taps.double(), n=n).view(-1, self._n2, self._n1).transpose(1, 2)
        self._filter = as_two(spectrum, dtype)
        # Each matrix is made unitary, so that no step leaves the range of float16.
        self._f1 = as_two(roots(self._n1, self._n1, self._n1, device) / math.sqrt(self._n1), dtype)
        self._f2 = as_two(roots(self._n2, self._n2, self._n2, device) / math.sqrt(self._n2), dtype)
        self._twiddle = as_two(roots(self._n1, self._n2, n, device), dtype)

    def __call__(self, x: Tensor) -> Tensor:
        if x.dim() != 3 or x.shape[1:] != (self._channels, self._seq) or x.dtype != self._filter.dtype:
            raise ValueError(
                f"x must be (batch, {self._channels}, {self._seq}) in {self._filter.dtype}; got {tuple(x.shape)}, {x.dtype}"
            )
        if interpreted() and x.dtype == torch.bfloat16:
            raise ValueError(
                "Triton's interpreter multiplies bfloat16 tiles wrongly; check in float32 or float16 there"
            )
        x = x.contiguous()
        y = torch.empty_like(x)
        batch = x.shape[0]
        elements = self._n1 * self._n2
        # Pairs are the fast axis of the grid: programs that run together share a channel's filter in the cache.
        _convolution_kernel[triton.cdiv(batch, 2), self._channels](
            x, y, self._filter, self._f1, self._f2, self._twiddle, batch, self._channels, self._seq,
            N1=self._n1, HALF=self._n1 // 2, N2=self._n2, num_warps=max(4, min(8, elements // 512)))  # fmt: skip
        return y

    def footprint(self) -> dict[str, int]:
        return {"weights": sum(each.nbytes for each in (self._filter, self._f1, self._f2, self._twiddle))}


class FourierConvolution:
    """As it is usually written: float32 transforms of twice the length, the filter's taken beforehand."""

    def __init__(self, taps: Tensor) -> None:
        self._wide = torch.float64 if taps.dtype == torch.float64 else torch.float32
        self._seq = taps.shape[-1]
        self._spectrum = torch.fft.rfft(taps.to(self._wide), n=2 * self._seq)

    def __call__(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(x.to(self._wide), n=2 * self._seq)
        return torch.fft.irfft(spectrum * self._spectrum, n=2 * self._seq)[..., : self._seq].to(x.dtype)

    def footprint(self) -> dict[str, int]:
        return {"weights": self._spectrum.nbytes}


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Filters that fade over a quarter of the sequence, as learned ones of long convolutions do."""
    seq = axes["seq"]
    fade = torch.exp(-4 * torch.arange(seq, device=rand.device) / seq)
    return {"filter": (rand.gaussian(axes["channels"], seq, scale=seq**-0.5) * fade).to(rand.dtype)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["batch"], axes["channels"], axes["seq"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Four products there and four back for each pair, of which two are halves; x, y and the filters' transforms."""
    n1, n2 = sizes(axes["seq"])
    pairs = axes["channels"] * -(-axes["batch"] // 2)
    moved = 2 * axes["channels"] * (axes["batch"] * axes["seq"] + n1 * n2)
    return LeastWork({dtype: 8 * pairs * n1 * n2 * (n1 + 2 * n2)}, BYTES[dtype] * moved)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    require_triton("FlashFFTConv")
    return MatrixConvolution(weights["filter"])


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return FourierConvolution(weights["filter"])


SUBJECTS = {"technique": make_technique, "eager": make_eager, "compiled": compiled(make_eager)}
