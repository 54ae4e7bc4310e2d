"""How far an output is from its reference."""

import math

import pytest
import torch

from runners.bench.child import compare


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 33])
def test_large_outputs_are_compared_in_parts_as_they_are_at_once(monkeypatch, size):
    chance = torch.Generator().manual_seed(size)
    reference = torch.randn(size, 3, generator=chance, dtype=torch.float64)
    output = (reference + 1e-3 * torch.randn(size, 3, generator=chance, dtype=torch.float64)).float()
    at_once = compare.figures(output, reference)
    monkeypatch.setattr(compare, "PART", 8)
    in_parts = compare.figures(output, reference)
    assert in_parts.relative_l2 == pytest.approx(at_once.relative_l2, rel=1e-9)
    assert (in_parts.max_abs, in_parts.scale, in_parts.count) == (at_once.max_abs, at_once.scale, at_once.count)


def test_a_value_that_is_not_finite_in_any_part_is_no_match(monkeypatch):
    monkeypatch.setattr(compare, "PART", 4)
    reference = torch.arange(12, dtype=torch.float64)
    output = reference.clone()
    output[9] = math.nan
    assert compare.figures(output, reference).relative_l2 == math.inf
    reference[9] = math.nan
    assert compare.figures(output, reference).relative_l2 == 0.0
    assert compare.figures(torch.zeros(12), reference).relative_l2 == math.inf
