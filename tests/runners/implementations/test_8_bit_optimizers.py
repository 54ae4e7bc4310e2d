"""8-bit Adam: an ordered code book, small round-trip errors, updates near those of 32-bit Adam, a state a quarter as large."""

import importlib
import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from runners.blocks.kernels import tl, triton  # noqa: E402
from runners.blocks.optimizers import Adam, Adam8bit, FusedAdam, OptimizerSubject  # noqa: E402
from runners.blocks.quantization import BLOCK, BlockwiseTensor, code_book, decode, encode  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402

module = importlib.import_module("runners.implementations.memory_efficient_training.8_bit_optimizers")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIGNED = [pytest.param(True, id="signed"), pytest.param(False, id="unsigned")]


@triton.jit
def codec_program(values_ptr, codes_ptr, decoded_ptr, SIGNED: tl.constexpr, SIZE: tl.constexpr):
    offsets = tl.arange(0, SIZE)
    codes = encode(tl.load(values_ptr + offsets), SIGNED)
    tl.store(codes_ptr + offsets, codes)
    tl.store(decoded_ptr + offsets, decode(codes, SIGNED))


def kernel_codec(values, signed):
    codes = torch.empty(values.shape, dtype=torch.uint8, device=values.device)
    decoded = torch.empty_like(values)
    codec_program[(1,)](values, codes, decoded, signed, values.numel())
    return codes, decoded


def relative_error(found, wanted):
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def steps(subject, gradients):
    for gradient in gradients:
        result = subject(gradient)
    return result


@pytest.mark.parametrize("signed", SIGNED)
def test_code_book_has_256_ascending_entries_from_its_least_to_one_and_holds_zero(signed):
    entries = code_book(signed)
    assert entries.shape == (256,)
    assert (entries.diff() > 0).all()
    assert entries[127 if signed else 0] == 0
    assert entries[-1] == 1
    assert entries[0] == (-entries[-2] if signed else 0)


@pytest.mark.parametrize("signed", SIGNED)
def test_code_book_reaches_down_to_a_millionth(signed):
    smallest = code_book(signed)[128 if signed else 1]
    assert 1e-7 < smallest < 1e-6


@pytest.mark.parametrize("signed", SIGNED)
def test_kernel_knows_every_entry_of_the_code_book(signed):
    entries = code_book(signed).to(DEVICE)
    codes, decoded = kernel_codec(entries.clone(), signed)
    assert codes.tolist() == list(range(256))
    torch.testing.assert_close(decoded, entries, rtol=2e-6, atol=0)


@pytest.mark.parametrize("signed", SIGNED)
def test_kernel_picks_the_nearest_entry_as_the_search_does(signed):
    generator = torch.Generator().manual_seed(3)
    values = torch.rand(1 << 14, generator=generator) ** torch.randint(1, 10, (1 << 14,), generator=generator)
    if signed:
        values *= torch.randint(0, 2, values.shape, generator=generator) * 2 - 1
    values[:3] = torch.tensor([0.0, 1.0, -1.0 if signed else 0.5])
    entries = code_book(signed).double()
    nearest = (values[:, None].double() - entries).abs().min(dim=1)
    codes, _ = kernel_codec(values.to(DEVICE), signed)
    chosen = (values.double() - entries[codes.cpu().int()]).abs()
    # Near the half-way point between zero and the first entry either of the two may come out; see `encode`.
    assert (chosen <= nearest.values + 1.7e-7).all()
    assert (chosen <= nearest.values * (1 + 1e-4) + 1e-12).double().mean() > 0.99


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 3 * BLOCK),
    magnitude=st.floats(1e-20, 1e20),
    signed=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_round_trip_is_off_by_at_most_half_a_gap_of_the_code_book(size, magnitude, signed, seed):
    values = torch.randn(size, generator=torch.Generator().manual_seed(seed)) * magnitude
    values = values if signed else values.abs()
    stored = BlockwiseTensor.zeros(size, signed=signed, device=values.device)
    stored.store(values)
    widest = code_book(signed).diff().max().item() / 2
    for begin in range(0, size, BLOCK):
        block = slice(begin, begin + BLOCK)
        largest = values[block].abs().max().item()
        # The signed book has no -1, so that the most negative value may be off by a whole half part.
        assert (stored.load()[block] - values[block]).abs().max() <= (widest + 0.0071 * signed + 1e-6) * largest


def test_a_tensor_of_zeros_is_stored_as_zeros():
    stored = BlockwiseTensor.zeros(BLOCK + 5, signed=True, device=torch.device("cpu"))
    assert (stored.load() == 0).all()
    stored.store(torch.zeros(BLOCK + 5))
    assert (stored.load() == 0).all()


@pytest.mark.parametrize("kernel", [pytest.param(False, id="pytorch"), pytest.param(True, id="kernel")])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((3, 7), id="under-a-block"),
        pytest.param((1, BLOCK), id="one-block"),
        pytest.param((37, 111), id="ragged"),
    ],
)
def test_updates_are_those_of_adam_in_float64(shape, distribution, kernel):
    rand = Rand(5, distribution=distribution, device=DEVICE)
    gradients = [rand.normal(*shape) for _ in range(8)]
    start = torch.zeros(shape, device=DEVICE)
    exact = OptimizerSubject([start.double()], lambda _, like: Adam(like))
    wanted = steps(exact, [gradient.double() for gradient in gradients])
    subject = OptimizerSubject([start], lambda _, like: Adam8bit(like, kernel=kernel))
    assert relative_error(steps(subject, gradients), wanted) < 0.03


def test_kernel_and_pytorch_take_the_same_steps():
    rand = Rand(6, device=DEVICE)
    gradients = [rand.normal(29, 83) for _ in range(4)]
    start = torch.zeros(29, 83, device=DEVICE)
    subjects = [
        OptimizerSubject([start], lambda _, like, kernel=kernel: Adam8bit(like, kernel=kernel))
        for kernel in (True, False)
    ]
    found, wanted = (steps(subject, gradients) for subject in subjects)
    # A value at the border of two codes may go either way; elsewhere they agree to rounding.
    assert ((found - wanted).abs() <= 1e-6 * wanted.abs().max()).double().mean() > 0.99
    assert relative_error(found, wanted.double()) < 0.01


@pytest.mark.parametrize("kernel", [pytest.param(False, id="pytorch"), pytest.param(True, id="kernel")])
def test_a_second_moment_too_small_for_its_block_does_not_let_the_next_direction_explode(kernel):
    first, second = (torch.ones(8, device=DEVICE) for _ in range(2))
    first[3], second[3] = 2e-4, 1e-8
    rule = Adam8bit(first, kernel=kernel)
    rule.direction(first)
    # Adam's own is 0.67; with a second moment that was rounded to 0 it would be over 10,000.
    assert 0 < rule.direction(second)[3] < 0.7


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_adam_kernel_takes_the_steps_of_plain_adam(dtype):
    rand = Rand(7, dtype=dtype, device=DEVICE)
    like = torch.zeros(5, 613, dtype=dtype, device=DEVICE)
    fused, plain = FusedAdam(like, kernel=True), Adam(like.float())
    for _ in range(3):
        gradient = rand.normal(5, 613)
        found, wanted = fused.direction(gradient), plain.direction(gradient.float())
    assert relative_error(found, wanted.double()) < (1e-5 if dtype == torch.float32 else 0.02)


@pytest.mark.parametrize("name", ["technique", "eager", "paper", "library"])
def test_gradient_and_weights_are_left_alone(name):
    axes = {"rows": 11, "cols": 13}
    rand = Rand(8, device=DEVICE)
    weights = module.weights(axes, rand)
    (gradient,) = module.inputs(axes, rand)
    before = gradient.clone()
    result = module.SUBJECTS[name](axes, weights)(gradient)
    assert torch.equal(gradient, before)
    assert (weights["parameter"] == 0).all()
    assert (result != 0).all()


def test_state_is_a_quarter_of_that_of_32_bit_adam():
    axes = {"rows": 64, "cols": BLOCK}
    rand = Rand(9, device=DEVICE)
    weights, gradient = module.weights(axes, rand), module.inputs(axes, rand)
    held = {}
    for name in ("technique", "eager", "library"):
        subject = module.SUBJECTS[name](axes, weights)
        subject(*gradient)
        held[name] = subject.footprint()["optimizer_state"]
    values = 64 * BLOCK
    assert held["technique"] == 2 * values + 2 * 4 * 64
    assert 8 * values <= held["eager"] <= 8 * values + 8
    assert 8 * values <= held["library"] <= 8 * values + 8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_kernel_runs_by_itself_on_a_large_matrix():
    axes = {"rows": 1024, "cols": 4096}
    rand = Rand(10, device="cuda")
    weights, gradients = module.weights(axes, rand), [module.inputs(axes, rand)[0] for _ in range(4)]
    subject = module.make_technique(axes, weights)
    assert subject.rules[0].kernel
    wanted = steps(
        module.make_eager(axes, {"parameter": weights["parameter"].double()}), [g.double() for g in gradients]
    )
    assert relative_error(steps(subject, gradients), wanted) < 0.03
