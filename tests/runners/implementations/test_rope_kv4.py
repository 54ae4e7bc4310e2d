"""4-bit keys under a rotary embedding: scales that cancel, pairs that commute, what each stage of scaling is there for."""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from runners.blocks import rope_kv4 as module  # noqa: E402
from runners.blocks.decoder import rotate  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.cards import find_card  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CARD = find_card("fireq")
AXES = next(dict(each.axes) for each in CARD.workloads if each.name == "odd-attention")
DIM = AXES["dim"]


def made(seed: int = 1, dtype: Any = torch.float32) -> tuple[dict[str, Any], Any]:
    rand = Rand(seed, dtype=dtype, device=DEVICE)
    return module.attention_weights(AXES, rand), rand.normal(AXES["context"], AXES["features"])


def error(found: Any, wanted: Any) -> float:
    return float((found.double() - wanted).norm() / wanted.norm())


def exact(weights: dict[str, Any], x: Any) -> Any:
    wide = {name: tensor.double() for name, tensor in weights.items()}
    return module.WideAttention(AXES, wide)(x.double())


def test_scales_of_a_pair_commute_with_the_rotation_and_others_do_not() -> None:
    weights, _ = made()
    before = module.pair_scales(weights["key"], weights["calibration"], DIM).before
    assert before.max() > 3 * before.min()
    keys, positions = Rand(2, device=DEVICE).gaussian(2, 40, DIM), torch.arange(40, device=DEVICE)
    scaled = rotate(keys / before[:, None], positions)
    torch.testing.assert_close(scaled, rotate(keys, positions) / before[:, None], rtol=1e-4, atol=1e-5)
    unpaired = before.flip(1) * torch.linspace(1, 2, DIM, device=DEVICE)
    scaled = rotate(keys / unpaired[:, None], positions)
    assert error(scaled, (rotate(keys, positions) / unpaired[:, None]).double()) > 0.1


@pytest.mark.parametrize("find", [module.no_scales, module.pair_scales, module.two_stage_scales])
def test_without_rounding_the_scales_cancel(find: module.FindScales, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unrounded:
        nbytes = 0

        def __init__(self, values: Any) -> None:
            self.values = values

        def expanded(self) -> Any:
            return self.values

    monkeypatch.setattr(module, "FourBitRows", Unrounded)
    weights, x = made()
    assert error(module.FourBitAttention(AXES, weights, find)(x), exact(weights, x)) < 1e-5


def test_both_stages_pass_the_cards_budget_and_each_is_needed() -> None:
    budget = CARD.check.budget
    errors: dict[str, list[float]] = {}
    assert budget is not None
    finders: dict[str, Callable[..., Any]] = {
        "both": module.two_stage_scales, "before": module.pair_scales, "neither": module.no_scales,
    }  # fmt: skip
    for seed in range(1, 21):
        weights, x = made(seed)
        wanted = exact(weights, x)
        for name, find in finders.items():
            found = module.FourBitAttention(AXES, weights, find, module.to_e4m3)(x)
            errors.setdefault(name, []).append(error(found, wanted))
    assert max(errors["both"]) < 0.75 * budget
    assert min(errors["neither"]) > 1.5 * budget
    assert all(both < 0.85 * before for both, before in zip(errors["both"], errors["before"], strict=True))


def test_after_the_rotation_only_outlying_channels_are_scaled_once_more() -> None:
    weights, _ = made()
    after = module.two_stage_scales(weights["key"], weights["calibration"], DIM).after
    scaled = after != 1
    # The large channel of the slowest pair, the last, keeps what it shares; its partner has become small.
    assert scaled[:, DIM // 2 - 1].all()
    assert (after[:, DIM // 2 - 1] < 0.5).all()
    assert scaled.double().mean() < 0.3


def test_codes_are_the_nearest_of_fifteen_levels_and_take_half_a_byte() -> None:
    values = Rand(3, dtype=torch.bfloat16, device=DEVICE).gaussian(2, 5, DIM)
    values[1, 3] = 0
    rows = module.FourBitRows(values)
    steps = rows.scales.float()
    # The largest value is half a step off at most, beside what the scale in 16 bits is off.
    assert ((rows.expanded() - values.float()).abs() <= steps * (0.5 + 7 / 256)).all()
    assert rows.codes.max() >> 4 <= 15
    assert not rows.expanded()[1, 3].any()
    assert rows.nbytes == 2 * 5 * (DIM // 2 + 2)


def test_half_precision_and_a_single_query() -> None:
    weights, x = made(4, torch.bfloat16)
    one = AXES | {"queries": 1}
    whole, last = (
        module.FourBitAttention(axes, weights, module.two_stage_scales, module.to_e4m3)(x) for axes in (AXES, one)
    )
    assert whole.dtype == torch.bfloat16
    torch.testing.assert_close(whole[-1:], last, rtol=0.02, atol=0.02)
    assert error(whole, exact(weights, x)) < 0.3
