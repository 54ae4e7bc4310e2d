"""Words compared one by one: what counts, what is kept of a paper, and how an index keeps it up to date."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from papers.encoding.encoders import RememberedQueries
from papers.encoding.pieces import Pieces
from recommender import wording
from recommender.documents import Document
from recommender.index import Index, StaleIndex, open_index, write_index
from recommender.index_delta import append_index
from recommender.wording import WIDTH, Lens, Stored
from tests.recommender.conftest import HashingEncoder

WORDS = 97


class ReadingEncoder(HashingEncoder):
    """Tells how it reads single words: each has a direction of its own."""

    def read(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[Pieces]]:
        return self.encode(texts), [pieces(text) for text in texts]


def pieces(text: str) -> Pieces:
    ids = [hashlib.blake2b(word.encode()).digest()[0] % WORDS for word in re.findall(r"\w+", text.lower())]
    states = [np.random.default_rng(number).normal(size=WIDTH) for number in ids]
    return Pieces(np.array(ids, np.int64), np.array(states, np.float32).reshape(len(ids), WIDTH))


def made(*ids: int) -> Pieces:
    """Pieces each of which is a direction of its own."""
    return Pieces(np.array(ids, np.int64), np.eye(WIDTH, dtype=np.float32)[list(ids)].reshape(len(ids), WIDTH))


def lens(**weights: float) -> Lens:
    table = np.array([weights.get(f"w{number}", 1.0) for number in range(WORDS)], np.float32)
    return Lens("hashing", np.eye(WIDTH, dtype=np.float32), table)


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Lens:
    own = lens()
    monkeypatch.setattr(wording, "lens_for", lambda name: own if name == "hashing" else None)
    return own


def test_a_rare_word_counts_more_than_a_frequent_one_and_a_common_one_not_at_all() -> None:
    seen = lens(w1=4.0, w2=1.0, w3=0.0)
    asked = seen.of_need(made(1, 2, 3))
    has_rare, has_frequent, has_common = wording.nearness(asked, [seen.of_paper(made(one, 9)) for one in (1, 2, 3)])
    assert has_rare > has_frequent >= has_common == 0.0


def test_of_a_paper_each_word_is_kept_once_and_common_ones_are_not() -> None:
    assert lens(w3=0.0).of_paper(made(5, 5, 3, 7)).shape == (2, WIDTH)
    assert lens(w3=0.0).of_paper(made(3)).shape == (0, WIDTH)


def test_long_needs_are_compared_by_their_rarest_words() -> None:
    seen = lens(**{f"w{number}": 1.0 + number for number in range(WIDTH)})
    rows, shares = seen.of_need(made(*range(WIDTH)))
    assert len(rows) == len(shares) == wording.MOST_ASKED < WIDTH
    assert shares.sum() == pytest.approx(1.0)
    assert rows[0].argmax() == WIDTH - wording.MOST_ASKED


def test_a_need_or_a_paper_without_words_has_no_nearness() -> None:
    seen = lens(w3=0.0)
    papers = [seen.of_paper(made(1)), seen.of_paper(made())]
    assert wording.nearness(seen.of_need(made(3)), papers).tolist() == [0.0, 0.0]
    assert wording.nearness(seen.of_need(made(1)), papers)[1] == 0.0
    assert wording.nearness(seen.of_need(made(1)), []).shape == (0,)


def test_a_lens_is_fitted_alike_each_time_and_lets_common_words_through_for_nothing() -> None:
    texts = [pieces(f"method for {word} and nothing else") for word in ("pruning", "caching", "routing", "sampling")]
    fitted = wording.fit("hashing", texts)
    assert fitted.sha256 == wording.fit("hashing", texts).sha256
    assert not fitted.weights[pieces("method for nothing").ids].any()
    assert fitted.weights[pieces("pruning").ids[0]] > 0
    beyond = Pieces(np.array([10_000]), np.ones((1, WIDTH), np.float32))
    assert fitted.of_need(beyond)[1].tolist() == [1.0], "a word of no paper is as rare as can be"


def test_what_is_saved_is_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = wording.fit("hashing", [pieces("some words of a paper"), pieces("words of another")])
    wording.save(fitted, tmp_path / "lens.npz", ["a", "b"])
    monkeypatch.setattr(wording, "STORED", tmp_path / "lens.npz")
    read = wording.shipped.__wrapped__()
    assert (read.encoder, read.sha256) == ("hashing", fitted.sha256)


def test_pieces_of_papers_lie_in_order_also_of_those_that_have_none(tmp_path: Path) -> None:
    kept = [lens().of_paper(made(*ids)) for ids in ((1, 2, 3), (), (4,))]
    wording.write(tmp_path, kept)
    stored = Stored.read(tmp_path)
    assert stored is not None
    assert [one.tolist() for one in stored] == [one.tolist() for one in kept]
    assert Stored.read(tmp_path / "elsewhere") is None


def parts_of(index: Index, encoder: HashingEncoder, text: str) -> dict[int, float]:
    return {found: parts.get("wording", 0.0) for found, _, parts in index.rank(text, encoder, None)}


def test_an_index_compares_words_of_old_and_added_papers_alike(
    tmp_path: Path, papers: tuple[Document, ...], through: Lens
) -> None:
    encoder = ReadingEncoder()
    write_index(tmp_path / "beside", papers[:3], encoder)
    append_index(tmp_path / "beside", papers[3:5], encoder)
    append_index(tmp_path / "beside", papers[5:], encoder)
    write_index(tmp_path / "whole", papers, encoder)
    text = "a draft model proposes tokens"
    beside, whole = (parts_of(open_index(tmp_path / name, "hashing"), encoder, text) for name in ("beside", "whole"))
    assert beside == whole
    assert max(whole, key=lambda found: whole[found]) == 5
    assert parts_of(open_index(tmp_path / "whole", "hashing"), RememberedQueries(encoder), text) == whole


def test_texts_that_did_not_change_are_not_read_again(
    tmp_path: Path, papers: tuple[Document, ...], through: Lens
) -> None:
    encoder = ReadingEncoder()
    write_index(tmp_path, papers[:5], encoder)
    before = parts_of(open_index(tmp_path, "hashing"), encoder, "four bits")
    encoder.encoded.clear()
    write_index(tmp_path, papers, encoder)
    assert encoder.encoded == [papers[5].embedded_text()]
    after = parts_of(open_index(tmp_path, "hashing"), encoder, "four bits")
    assert {found: after[found] for found in before} == before


def test_an_index_seen_through_another_lens_is_refused_and_read_anew(
    tmp_path: Path, papers: tuple[Document, ...], through: Lens, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = ReadingEncoder()
    write_index(tmp_path, papers, encoder)
    monkeypatch.setattr(wording, "lens_for", lambda name: lens(w1=7.0))
    with pytest.raises(StaleIndex, match="another lens"):
        open_index(tmp_path, "hashing")
    encoder.encoded.clear()
    write_index(tmp_path, papers, encoder)
    assert len(encoder.encoded) == len(papers)
    assert open_index(tmp_path, "hashing")


def test_an_encoder_that_tells_no_words_is_searched_without_them(build, encoder: HashingEncoder) -> None:
    assert set(parts_of(build(), encoder, "draft model").values()) == {0.0}
