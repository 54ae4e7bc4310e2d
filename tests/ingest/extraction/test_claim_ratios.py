"""What claims amount to: ratios to the baseline and amounts in base units."""

import math
import subprocess
import sys

import pint
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.extraction import ExtractedClaim, extract
from ingest.extraction.claims.normalise import BASE_UNITS, to_base


def claim_in(sentence: str) -> ExtractedClaim:
    claims = extract("Zedwick", f"We propose Zedwick. {sentence}").claims
    assert len(claims) == 1, [c.quote for c in claims]
    return claims[0]


RATIO = {
    "factor": ("It is 3x faster than the baseline.", 3),
    "slower": ("It is 3x slower than the baseline.", 1 / 3),
    "fewer": ("It needs 4x fewer parameters.", 4),
    "half": ("It needs half the memory.", 2),
    "orders": ("It is two orders of magnitude faster.", 100),
    "less": ("It uses 40% less memory.", 1 / 0.6),
    "reduced-by": ("It reduces memory by 75%.", 4),
    "reduced-by-a-third": ("It reduces the parameter size by 1/3.", 1.5),
    "reduced-to": ("It reduces the memory to 20%.", 5),
    "saved": ("It saves 50% of the memory.", 2),
    "up-to-is-no-remainder": ("It reduces memory by up to 50%.", 2),
    "more-throughput": ("It has 30% higher throughput.", 1.3),
    "faster-percent": ("It is 150% faster.", 2.5),
    "speedup-percent": ("It gives a 30% speedup.", 1.3),
    "less-throughput": ("It has 20% lower throughput.", 0.8),
    "more-memory": ("It uses 25% more memory.", 0.8),
    "overhead": ("It has a 25% memory overhead.", 0.8),
    "share": ("It uses only 5% of the parameters.", 20),
    "share-as-fraction": ("It uses only one third of the parameters.", 3),
    "share-that-goes": ("In it 50% of the FLOPs are reduced.", 2),
    "compressed": ("It can compress the KV cache by 90%.", 10),
    "compression": ("It achieves 75% compression.", 4),
    "better-compression": ("It improves the compression ratio by 50%.", 1.5),
    "cost-pair": ("It reduces latency from 12 ms to 3 ms.", 4),
    "pair-in-two-units": ("It reduces training time from 2 days to 6 hours.", 8),
    "gain-pair": ("It raises inference speed from 50 FPS to 100 FPS.", 2),
}

OPEN = {
    "amount": "It has only 1.6 ms latency.",
    "compression-rate": "It has a compression rate of 90%.",
    "reduction-of-reduction": "It has a 24% higher FLOPs reduction.",
    "everything": "It reduces memory by 100%.",
}


@pytest.mark.parametrize(("sentence", "ratio"), RATIO.values(), ids=RATIO.keys())
def test_a_relative_claim_is_a_ratio_above_one_for_a_gain(sentence: str, ratio: float) -> None:
    assert claim_in(sentence).ratio == pytest.approx(ratio, rel=1e-4)


@pytest.mark.parametrize("sentence", OPEN.values(), ids=OPEN.keys())
def test_what_is_open_gets_no_ratio(sentence: str) -> None:
    assert claim_in(sentence).ratio is None


@pytest.mark.parametrize(
    ("sentence", "low", "high"),
    [
        pytest.param("It is 2-3x faster.", 2, 3, id="factors"),
        pytest.param("It reduces memory by 50% to 75%.", 2, 4, id="percent"),
        pytest.param("It is 2-4x slower.", 0.25, 0.5, id="loss-keeps-the-order"),
    ],
)
def test_a_range_has_two_ends_in_order(sentence: str, low: float, high: float) -> None:
    claim = claim_in(sentence)
    assert (claim.ratio, claim.ratio_max) == (pytest.approx(low), pytest.approx(high))


AMOUNT = {
    "ms": ("It has only 1.6 ms latency.", 0.0016, "s"),
    "decimal-bytes": ("It needs only 2 GB of memory.", 2e9, "byte"),
    "binary-bytes": ("It needs only 2 GiB of memory.", 2 * 2.0**30, "byte"),
    "gpu-days": ("It needs only 2 GPU-days of training.", 172800, "GPU-s"),
    "params": ("It has only 0.7B parameters.", 7e8, "parameters"),
    "flops": ("It needs only 1.5 GFLOPs.", 1.5e9, "FLOP"),
    "macs": ("It needs only 400M MACs.", 8e8, "FLOP"),
    "fps": ("It runs at 30 FPS.", 30, "frames/s"),
    "watt": ("It runs at 13W.", 13, "W"),
    "money": ("It trains at a cost of $20.", 20, "USD"),
    "none-for-a-factor": ("It is 3x faster.", None, ""),
}


@pytest.mark.parametrize(("sentence", "value", "unit"), AMOUNT.values(), ids=AMOUNT.keys())
def test_an_amount_in_base_units_keeps_what_was_written(sentence: str, value: float | None, unit: str) -> None:
    claim = claim_in(sentence)
    assert (claim.base_value, claim.base_unit) == (value if value is None else pytest.approx(value), unit)
    assert claim.quote in sentence


SPELLED = {"us": "microsecond", "FPS": None, "params": None, "$": None, "MAdds": None}
PINT_NAME = {
    "s": "second",
    "byte": "byte",
    "J": "joule",
    "W": "watt",
    "bit/s": "bit/second",
    "byte/s": "byte/second",
    "Hz": "hertz",
}


@pytest.mark.parametrize("unit", [u for u in BASE_UNITS if "FLOP" not in u and "MAC" not in u and SPELLED.get(u, u)])
def test_the_table_of_units_agrees_with_pint(unit: str) -> None:
    factor, base = BASE_UNITS[unit]
    spelled = SPELLED.get(unit) or unit.replace("KB", "kB").replace("KiB", "KiB")
    registry: pint.UnitRegistry = pint.UnitRegistry()
    assert registry.Quantity(1.0, spelled).to(PINT_NAME[base]).magnitude == pytest.approx(factor)


@pytest.mark.parametrize(
    ("value", "unit", "base"),
    [
        (3.0, "kJ", (3000.0, "J")),
        (2.0, "TiB", (2 * 2.0**40, "byte")),
        (1.0, "PFLOP/s", (1e15, "FLOP/s")),
        (2.0, "GMAC", (4e9, "FLOP")),
        (5.0, "Gbps", (5e9, "bit/s")),
        (1.0, "MWh", (3.6e9, "J")),
        (1.0, "TPU-hours", (3600.0, "TPU-s")),
        (1.0, "furlongs of hay", None),
        (1.0, "9**9**9", None),
        (1.0, "zed", None),
        (float("inf"), "ms", None),
    ],
)
def test_units_beyond_the_table_are_looked_up(value: float, unit: str, base: tuple[float, str] | None) -> None:
    found = to_base(value, unit)
    assert found == (base if base is None else (pytest.approx(base[0]), base[1]))


def test_extraction_does_not_import_the_units_library() -> None:
    code = (
        "import sys; from ingest.extraction import extract; "
        "c = extract('Zed', 'We propose Zed. It has only 1.6 ms latency and needs only 2 GB of memory.').claims; "
        "assert len(c) == 2 and c[1].base_unit == 'byte', c; assert 'pint' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


NUMBERS = st.sampled_from(["3x", "40%", "0%", "100%", "250%", "1/3", "half the", "5 ms", "2 GiB", "0 ms", "from 5 ms to 2 ms", "from 40% to 10%",
                           "2-3x", "10-40%", "twice the", "9" * 400 + "x", "300M MACs", "5 frames per minute"])  # fmt: skip
WORDS = st.sampled_from(["less", "more", "memory", "latency", "throughput", "compression", "reduces", "to", "by", "only", "of the", "faster", "slower",
                         "parameters", "speedup", "and", ",", "(", ")", "higher", "reduction", "increases", "from", "up to", "saves"])  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(NUMBERS, WORDS), max_size=14).map(" ".join))
def test_ratios_are_positive_ordered_and_on_the_side_of_their_direction(text: str) -> None:
    for claim in extract("Zedwick", f"We propose Zedwick, which {text}.").claims:
        assert claim.ratio is None or (math.isfinite(claim.ratio) and claim.ratio > 0)
        assert claim.ratio_max is None or claim.ratio is None or claim.ratio_max >= claim.ratio
        assert (claim.base_value is None) == (claim.base_unit == "")
        if claim.form == "percent" and claim.ratio is not None and claim.value:
            assert claim.ratio >= 1 if claim.direction == "better" else claim.ratio <= 1
