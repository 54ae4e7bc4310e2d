"""GaLore: the algorithm's steps with a fraction of Adam's state, whatever the basis is found with."""

import os
from functools import partial

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.optimizers import LEARNING_RATE, Adam  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.low_rank import galore as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SMALL = {"hidden": 37, "intermediate": 61, "vocab": 23, "rank": 4, "refresh_every": 2, "state_bits": 16}


def relative_error(found, wanted):
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def worst_error(found, wanted):
    return max(relative_error(*pair) for pair in zip(found, wanted, strict=True))


def gradients_of(axes, rand, steps):
    return [module.inputs(axes, rand) for _ in range(steps)]


def run(subject, steps, *, double=False):
    for gradients in steps:
        result = subject(*(gradient.double() if double else gradient for gradient in gradients))
    return result


def low_rank_matrix(rows, columns, rank, seed=1, dtype=torch.float64):
    rand = Rand(seed, dtype=dtype)
    strengths = torch.linspace(1.0, 0.3, rank, dtype=dtype)
    return (module.cosine_basis(rows, rank, rand) * strengths) @ rand.gaussian(rank, columns)


@pytest.mark.parametrize(("rows", "columns"), [(20, 33), (33, 20)], ids=["wide", "tall"])
def test_plain_rule_is_the_papers_update_written_out(rows, columns):
    gradients = [
        low_rank_matrix(20, 33, 3, seed) + 1e-4 * Rand(seed, dtype=torch.float64).gaussian(20, 33) for seed in (1, 2)
    ]
    gradients = gradients if rows < columns else [gradient.t() for gradient in gradients]
    left, _, right = torch.linalg.svd(gradients[0])
    first, second, wanted = 0.0, 0.0, torch.zeros(rows, columns, dtype=torch.float64)
    for step, gradient in enumerate(gradients, start=1):
        small = left[:, :3].t() @ gradient if rows < columns else gradient @ right[:3].t()
        first, second = 0.9 * first + 0.1 * small, 0.999 * second + 0.001 * small**2
        small = (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        back = left[:, :3] @ small if rows < columns else small @ right[:3]
        wanted -= LEARNING_RATE * module.SCALE * back
    found = torch.zeros_like(wanted)
    rule = module.PlainGalore(found, 3, 200, Adam, module.full_basis)
    for gradient in gradients:
        rule.apply_(found, gradient)
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        pytest.param({}, 1e-4, id="refreshed-every-second-step"),
        pytest.param({"refresh_every": 200}, 1e-4, id="one-basis"),
        pytest.param({"rank": 37}, 1e-4, id="rank-not-below-the-matrices"),
        pytest.param({"state_bits": 8, "hidden": 65, "intermediate": 91, "rank": 8}, 0.05, id="8-bit-moments"),
    ],
)
def test_technique_takes_the_steps_of_the_plain_algorithm_in_float64(changes, tolerance, distribution):
    axes = SMALL | changes
    rand = Rand(2, distribution=distribution)
    weights, steps = module.weights(axes, rand), gradients_of(axes, rand, 5)
    exact = {name: tensor.double() for name, tensor in weights.items()}
    wanted = run(module.make_plain(axes, exact), steps, double=True)
    assert worst_error(run(module.make_technique(axes, weights), steps), wanted) < tolerance


@pytest.mark.parametrize("inner", [module.FusedAdam, module.Adam8bit], ids=["16-bit", "8-bit"])
def test_kernels_move_the_weights_as_pytorch_does(inner):
    gradient = low_rank_matrix(24, 50, 4, dtype=torch.float32).to(DEVICE)
    parameters = [torch.zeros(24, 50, device=DEVICE) for _ in range(2)]
    for parameter, kernel in zip(parameters, (True, False), strict=True):
        make_inner = partial(inner, kernel=kernel)
        rule = module.Galore(parameter, 4, 2, make_inner, module.sketched_basis)
        for step in range(3):
            rule.apply_(parameter, gradient * (step + 1))
    assert relative_error(parameters[0], parameters[1].double()) < 0.01


def test_sketch_finds_the_subspace_of_the_full_decomposition():
    gradient = low_rank_matrix(40, 90, 6) + 1e-3 * Rand(3, dtype=torch.float64).gaussian(40, 90)
    found, wanted = module.sketched_basis(gradient, 6), module.full_basis(gradient, 6)
    torch.testing.assert_close(found.t() @ found, torch.eye(6, dtype=torch.float64))
    torch.testing.assert_close(found @ found.t(), wanted @ wanted.t(), rtol=1e-5, atol=1e-8)
    left = torch.linalg.svd(gradient).U[:, :6]
    torch.testing.assert_close((left.t() @ wanted).abs(), torch.eye(6, dtype=torch.float64), rtol=1e-6, atol=1e-6)


def test_moments_survive_a_refresh_in_the_signs_they_were_kept_in():
    gradient = low_rank_matrix(12, 30, 2)
    rule = module.Galore(torch.zeros(12, 30, dtype=torch.float64), 2, 1, Adam, lambda *_: next(bases))
    basis = module.full_basis(gradient, 2)
    bases = iter([basis, -basis])
    first = rule.direction(gradient)
    assert relative_error(rule.direction(gradient), first) < 1e-3


@pytest.mark.parametrize("name", ["technique", "plain", "paper", "library"])
def test_gradients_and_weights_are_left_alone(name):
    rand = Rand(4)
    weights, gradients = module.weights(SMALL, rand), module.inputs(SMALL, rand)
    before = [gradient.clone() for gradient in gradients]
    moved = module.SUBJECTS[name](SMALL, weights)(*gradients)
    assert [tensor.shape for tensor in moved] == [gradient.shape for gradient in gradients]
    assert all(torch.equal(*pair) for pair in zip(gradients, before, strict=True))
    assert all((tensor == 0).all() for tensor in weights.values())


@pytest.mark.parametrize(("state_bits", "most"), [(16, 0.40), (8, 0.26)])
def test_state_is_the_papers_share_of_adam_in_16_bits(state_bits, most):
    axes = {"hidden": 128, "intermediate": 341, "vocab": 83, "rank": 32, "refresh_every": 200, "state_bits": state_bits}
    rand = Rand(5, dtype=torch.bfloat16)
    weights, gradients = module.weights(axes, rand), module.inputs(axes, rand)
    held = {}
    for name in ("technique", "paper", "library"):
        subject = module.SUBJECTS[name](axes, weights)
        subject(*gradients)
        held[name] = subject.footprint()["optimizer_state"]
    values = sum(gradient.numel() for gradient in gradients)
    assert held["paper"] == pytest.approx(4 * values, rel=0.01)
    assert held["library"] == pytest.approx(4 * values, rel=0.01)
    assert 0.5 * most < held["technique"] / held["paper"] < most


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("state_bits", [16, 8])
def test_on_a_gpu_the_kernels_take_the_plain_steps(state_bits):
    axes = {"hidden": 256, "intermediate": 683, "vocab": 166, "rank": 64, "refresh_every": 2, "state_bits": state_bits}
    rand = Rand(6, device="cuda")
    weights, steps = module.weights(axes, rand), gradients_of(axes, rand, 3)
    exact = {name: tensor.double() for name, tensor in weights.items()}
    wanted = run(module.make_plain(axes, exact), steps, double=True)
    assert worst_error(run(module.make_technique(axes, weights), steps), wanted) < 0.05
