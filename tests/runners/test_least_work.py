"""What modules declare as the least work agrees with torch's count of a rung and with the bytes of real tensors."""

import importlib
import math
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")

from runners.bench.child.work import flop_counter  # noqa: E402
from runners.blocks.least_work import BYTES, LeastWork  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.cards import all_cards  # noqa: E402

CARDS = {name: card for name, card in all_cards().items() if "def least_work(" in card.module_path.read_text("utf-8")}
# An H200's best, generously: no workload of a card is so large or so small that a call leaves these seconds.
RATES = {"float32": 67e12, "float16": 990e12, "bfloat16": 990e12, "float8": 1979e12, "int8": 1979e12}
BANDWIDTH, SHORTEST, LONGEST = 4.8e12, 1e-7, 1.0


def module_of(name: str) -> ModuleType:
    return importlib.import_module(CARDS[name].module_name)


def prepared(name: str, dtype: str, **sizes: int):
    """Module, axes, weights and inputs of the card's first checked workload, with other `sizes` of some of its axes."""
    module, card = module_of(name), CARDS[name]
    axes = dict(next(each.axes for each in card.workloads if each.is_checked)) | sizes
    rand = Rand(1, dtype=getattr(torch, dtype))
    weights = module.weights(axes, rand) if hasattr(module, "weights") else {}
    return module, axes, weights, module.inputs(axes, rand)


def total(work: LeastWork) -> float:
    return sum(work.operations.values())


def nbytes(tensors) -> int:
    return sum(each.nbytes for each in tensors)


@pytest.mark.parametrize("name", CARDS)
def test_every_timed_workload_has_work_that_a_call_can_do(name):
    card = CARDS[name]
    timed = [each for each in card.workloads if each.is_timed]
    assert timed
    for workload in timed:
        work = module_of(name).least_work(dict(workload.axes), workload.dtype, workload.has_backward)
        assert isinstance(work, LeastWork)
        assert work.operations
        assert all(math.isfinite(each) and each > 0 for each in work.operations.values())
        shown = sum(work.operations[each] / RATES[each] for each in work.operations), work.bytes_moved / BANDWIDTH
        assert min(shown) > 0
        assert SHORTEST < max(shown) < LONGEST


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.sweep])
def test_every_point_of_a_sweep_has_work(name):
    sweep = CARDS[name].sweep
    workload = next(each for each in CARDS[name].workloads if each.name == sweep.workload)
    for value in sweep.values:
        axes = {**workload.axes, sweep.axis: value}
        work = module_of(name).least_work(axes, workload.dtype, workload.has_backward)
        assert total(work) > 0
        assert work.bytes_moved > 0


@pytest.mark.parametrize(
    "name",
    [name for name, card in CARDS.items() if any(each.is_timed and each.has_backward for each in card.workloads)],
)
def test_gradients_are_work_besides(name):
    workload = next(each for each in CARDS[name].workloads if each.is_timed and each.has_backward)
    forward, both = (module_of(name).least_work(dict(workload.axes), workload.dtype, each) for each in (False, True))
    assert 2 * total(forward) < total(both) < 4 * total(forward)
    assert forward.bytes_moved < both.bytes_moved


# Rungs that do the declared products and no others, in torch operators that it counts.
COUNTED = [
    ("convfirst", "eager", False),
    ("maxvit", "eager", False),
    ("insights-into-deepseek-v3", "eager", False),
    ("dgq", "eager", False),
    ("zeroquant-4-2", "eager", False),
    ("fireq", "eager", False),
    ("fp8-vs-int8", "eager", False),
    ("llm-int8", "eager", False),
    ("flash-llm", "eager", False),
    ("matmul-free-lm", "eager", False),
    ("memoryformer", "eager", False),
    ("wonderful-matrices", "eager", False),
    ("liger-kernel", "eager", False),
    ("liger-kernel", "eager", True),
    ("deepseek-v2", "technique", False),
    ("cskv", "technique", False),
    ("xkv", "technique", False),
    ("duquant", "technique", False),
    ("vq-logits", "technique", False),
    ("mixture-of-tokens", "technique", False),
    ("mixture-of-tokens", "technique", True),
    ("lact", "technique", False),
    ("lact", "technique", True),
]


@pytest.mark.parametrize(("name", "rung", "backward"), COUNTED)
def test_operations_are_those_that_torch_counts(name, rung, backward):
    module, axes, weights, inputs = prepared(name, "float32")
    places = CARDS[name].check.gradients if backward else ()
    inputs = tuple(each.requires_grad_() if place in places else each for place, each in enumerate(inputs))
    subject = module.SUBJECTS[rung](axes, weights)
    with flop_counter() as counter:
        output = subject(*inputs)
        if backward:
            torch.autograd.grad(output, [inputs[place] for place in places], torch.ones_like(output))
    assert total(module.least_work(axes, "float32", backward)) == pytest.approx(counter.get_total_flops(), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "products"),
    [
        pytest.param("flash-attention-2", 7 / 2, id="two forward and five backward"),
        pytest.param("thunderkittens", 5 / 2, id="five backward"),
    ],
)
def test_attention_is_the_visible_half_of_what_torch_counts(name, products):
    module = module_of(name)
    axes = {"batch": 2, "heads": 3, "seq": 64, "dim": 16, "causal": 1, "linear": 0}
    q = torch.randn(2, 3, 64, 16)
    with flop_counter() as counter:
        _ = (q @ q.transpose(2, 3)).softmax(-1) @ q
    whole = counter.get_total_flops()
    assert total(module.least_work(axes, "float32", True)) == pytest.approx(products * whole / 2)
    assert total(module.least_work(axes | {"causal": 0}, "float32", True)) == pytest.approx(products * whole)


@pytest.mark.parametrize("name", ["deepseek-v2", "xkv", "fp8-vs-int8", "llm-int8", "duquant", "nanoflow"])
def test_bytes_are_those_of_what_the_technique_holds_takes_and_gives(name):
    module, axes, weights, inputs = prepared(name, "bfloat16")
    subject = module.SUBJECTS["technique"](axes, weights)
    output = subject(*inputs)
    held = sum(value for key, value in subject.footprint().items() if key in ("weights", "kv_cache"))
    declared = module.least_work(axes, "bfloat16", False).bytes_moved
    assert declared == pytest.approx(held + nbytes((*inputs, output)), rel=0.02)


LAYER = {"tokens": 4, "features": 512, "outputs": 1024}


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("bitstack", {"tokens": 1, "features": 512, "hidden": 1024, "budget": 250}),
        ("dgq", LAYER),
        ("duquant", LAYER | {"block": 32}),
        ("fireq", {"tokens": 4, "features": 512, "hidden": 1024}),
        ("flash-llm", LAYER),
        ("matmul-free-lm", {"width": 512, "mlp": 1024}),
        ("zeroquant-4-2", LAYER),
    ],
)
def test_packed_weights_are_read_as_they_are_stored(name, sizes):
    module, axes, weights, inputs = prepared(name, "bfloat16", **sizes)
    held = sum(
        value
        for key, value in module.SUBJECTS["technique"](axes, weights).footprint().items()
        if key in ("weights", "kv_cache")
    )
    output = module.SUBJECTS["eager"](axes, weights)(*inputs)
    given = output if isinstance(output, tuple) else (output,)
    declared = module.least_work(axes, "bfloat16", False).bytes_moved
    assert declared == pytest.approx(held + nbytes((*inputs, *given)), rel=0.03)


@pytest.mark.parametrize("name", ["convfirst", "maxvit"])
def test_a_fused_kernel_moves_its_ends_and_its_weights(name):
    module, axes, weights, inputs = prepared(name, "bfloat16")
    output = module.SUBJECTS["eager"](axes, weights)(*inputs)
    used = [tensor for key, tensor in weights.items() if not key.startswith("paper")]
    declared = module.least_work(axes, "bfloat16", False).bytes_moved
    assert declared == pytest.approx(nbytes((*inputs, output, *used)), rel=0.05)


def test_a_training_pass_moves_inputs_and_their_gradients():
    module, axes, _, (hidden, weight, targets) = prepared("liger-kernel", "bfloat16")
    declared = module.least_work(axes, "bfloat16", True).bytes_moved
    assert declared == nbytes((hidden, weight, hidden, weight, targets))


# What the rung in 16 bits reads of the weights.
READ_WHOLE = {
    "dgq": ["weight"],
    "fireq": ["gate_up", "down"],
    "flash-llm": ["weight"],
    "fp8-vs-int8": ["weight"],
    "llm-int8": ["weight"],
    "zeroquant-4-2": ["weight"],
    "matmul-free-lm": ["mix_in", "mix_out", "mlp_in", "mlp_out"],
    "matryoshkakv": ["keys", "values", "query", "output"],
    "tidaldecode": ["keys", "values"],
    "xkv": ["keys", "values"],
}


@pytest.mark.parametrize("name", READ_WHOLE)
def test_a_technique_that_reads_less_declares_less(name):
    module, axes, weights, inputs = prepared(name, "bfloat16")
    declared = module.least_work(axes, "bfloat16", False).bytes_moved
    assert declared < nbytes((*inputs, *(weights[each] for each in READ_WHOLE[name])))


def test_a_format_that_runs_in_another_counts_there():
    axes = {"tokens": 8, "features": 64, "outputs": 32, "outliers": 4, "block": 16}
    for name, formats in (
        ("llm-int8", {"int8", "bfloat16"}),
        ("duquant", {"int8", "bfloat16"}),
        ("zeroquant-4-2", {"bfloat16"}),
    ):
        assert set(module_of(name).least_work(axes, "bfloat16", False).operations) == formats
        assert formats <= set(BYTES)
