"""The small language model learns its language, the same way each time, and is trained once."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks import small_lm  # noqa: E402
from runners.blocks.decoder import Sizes  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402

SIZES = Sizes(layers=1, hidden=16, heads=2, kv_heads=1, dim=8, ffn=32, vocab=16)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(small_lm.CACHE_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setattr(small_lm, "_remembered", {})
    return tmp_path / "models"


def test_words_of_the_language_follow_each_other_and_texts_differ_by_seed():
    text = small_lm.corpus(16).tolist()
    words = {tuple(map(int, word.split())) for word in " ".join(map(str, text)).split(" 0 ")[1:-1]}
    assert words <= set(small_lm.lexicon(16))
    assert not torch.equal(small_lm.corpus(16), small_lm.corpus(16, seed=1))


def test_passages_are_pieces_of_a_text():
    found = small_lm.passages(16, 3, 9, Rand(4), seed=1)
    text = " ".join(map(str, small_lm.corpus(16, 1).tolist()))
    assert found.shape == (3, 9)
    assert all(" ".join(map(str, row.tolist())) in text for row in found)


def test_it_learns_the_language_and_not_its_training_text(folder):
    weights = small_lm.trained(SIZES, Rand(0), steps=60)
    loss = small_lm.next_token_loss(SIZES)
    unseen = small_lm.passages(16, 32, 33, Rand(4), seed=1)
    untrained = small_lm.trained(SIZES, Rand(0), steps=0)
    assert loss(weights, unseen) < 0.5 * loss(untrained, unseen)
    assert loss(weights, unseen) < 0.9


def test_it_is_trained_once_for_a_process_and_once_for_a_folder(folder, monkeypatch):
    first = small_lm.trained(SIZES, Rand(0), steps=2)
    monkeypatch.setattr(small_lm, "train", lambda *_: pytest.fail("trained again"))
    again = small_lm.trained(SIZES, Rand(9, dtype=torch.float64), steps=2)
    assert torch.equal(again["qkv"], first["qkv"].double())
    first["qkv"].zero_()
    small_lm._remembered.clear()
    assert torch.equal(small_lm.trained(SIZES, Rand(0), steps=2)["qkv"], again["qkv"].float())
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut short", "a folder that is a file"])
def test_a_cache_that_cannot_be_used_costs_only_the_training(damage, folder, monkeypatch, tmp_path):
    wanted = small_lm.trained(SIZES, Rand(0), steps=2)
    if damage == "cut short":
        (path,) = folder.iterdir()
        path.write_bytes(path.read_bytes()[:100])
    else:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv(small_lm.CACHE_VARIABLE, str(tmp_path / "file"))
    small_lm._remembered.clear()
    found = small_lm.trained(SIZES, Rand(0), steps=2)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_frozen_weights_stay_and_the_others_learn():
    weights = {"bias": torch.zeros(3)}
    frozen = {"scale": torch.ones(3)}
    found = small_lm.train(weights, lambda w, _: ((w["bias"] - 1) * w["scale"]).square().sum(), 16, 5, frozen)
    assert set(found) == {"bias"}
    assert (found["bias"] > 0).all()
    assert torch.equal(weights["bias"], torch.zeros(3))
    assert torch.equal(frozen["scale"], torch.ones(3))
