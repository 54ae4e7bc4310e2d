"""Keys formed some tokens at a time and values summed in parts are what they are all at once."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks import formed_keys  # noqa: E402
from runners.blocks.decoder import rotary_for, turn  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402


@pytest.mark.parametrize("tokens", [0, 1, 64, 150, 192])
@pytest.mark.parametrize("own_matrices", [False, True], ids=["one-matrix", "a-matrix-for-each-entry"])
def test_scores_are_those_of_rotated_keys(monkeypatch, tokens, own_matrices):
    monkeypatch.setattr(formed_keys, "FORMED", 64 * 3 * 16)  # 64 tokens at a time
    rand = Rand(1, dtype=torch.float64)
    features, query = rand.normal(3, tokens, 5), rand.normal(3, 2, 4, 8)
    up = rand.normal(3, 5, 16) if own_matrices else rand.normal(5, 16)
    rotary = rotary_for(torch.arange(tokens), 8, query)
    asked = []

    def read(begin, end):
        asked.append((begin, end))
        return features[:, begin:end]

    found = formed_keys.scores_of_formed(query, read, up, rotary)
    keys = turn((features @ up).view(3, tokens, 2, 8).transpose(1, 2), rotary)
    torch.testing.assert_close(found, query @ keys.transpose(-1, -2))
    assert [end - begin for begin, end in asked] == [64] * (tokens // 64) + [tokens % 64] * (tokens % 64 > 0)


@pytest.mark.parametrize("tokens", [1, 7, 8, 16, 21])
def test_sums_in_parts_are_the_whole_sums(monkeypatch, tokens):
    monkeypatch.setattr(formed_keys, "PART", 4)
    rand = Rand(2, dtype=torch.float64)
    shares, features = rand.normal(3, 5, tokens), rand.normal(3, tokens + 2, 6)[:, :tokens]
    torch.testing.assert_close(formed_keys.weighted_sums(shares, features), shares @ features)
