"""New papers beside an index, and readers that search while versions are swapped."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest

from papers.encoding.arrays import read_array
from recommender.documents import Document
from recommender.index import Filters, Query, open_index, write_index
from recommender.index_delta import CannotAppend, append_index
from recommender.versions import current_version

NEW = Document(
    9, "Quickcache: Evicting Pages", "Pages of the key value cache are evicted early.", name="Quickcache",
    families=("kv-cache",), modality=("language",), stage=("inference",), training_free=True, kind="technique",
)  # fmt: skip


@pytest.fixture
def grown(build, tmp_path, encoder):
    build()
    append_index(tmp_path / "index", [NEW], encoder)
    return open_index(tmp_path / "index", encoder.name)


def test_a_new_paper_is_found_by_words_meaning_and_filters(grown, encoder):
    assert grown.search(Query("evicting pages early"), encoder)[0].id == 9
    assert grown.search(Query("quickcache"), None)[0].id == 9
    assert [hit.id for hit in grown.search(Query("cache", filters=Filters(families=("kv-cache",))), encoder)] == [9]
    assert [hit.id for hit in grown.search(Query("model", allowed_ids={9, 2}), encoder)] != []
    assert grown.documents[9] == NEW
    assert list(grown.documents) == [1, 2, 3, 4, 5, 6, 9]


def test_old_papers_are_found_as_before(grown, build, encoder):
    assert grown.search(Query("speculative decoding"), encoder)[0].id == 5
    assert 9 not in [hit.id for hit in grown.similar(2, 2)]
    assert grown.similar(9, 1)


def test_papers_can_be_added_again_and_again(grown, tmp_path, encoder):
    for number in (10, 11, 12):
        append_index(tmp_path / "index", [Document(number, f"Paper {number}", "It is about whales.")], encoder)
    index = open_index(tmp_path / "index", encoder.name)
    assert {hit.id for hit in index.search(Query("whales", limit=3), encoder)} == {10, 11, 12}
    assert index.documents[11].title == "Paper 11"


def test_only_the_new_paper_is_encoded(build, tmp_path, encoder):
    build()
    encoder.encoded.clear()
    append_index(tmp_path / "index", [NEW], encoder)
    assert encoder.encoded == [NEW.embedded_text()]


def test_a_rebuild_keeps_the_vectors_of_added_papers(grown, tmp_path, encoder, papers):
    assert write_index(tmp_path / "index", [*papers, NEW], encoder).encoded == 0


@pytest.mark.parametrize(
    ("ids", "why"), [pytest.param([6], "not above 6", id="known"), pytest.param(range(7, 2108), "more than", id="many")]
)
def test_what_cannot_be_added_says_why(build, tmp_path, encoder, ids, why):
    build()
    with pytest.raises(CannotAppend, match=why):
        append_index(tmp_path / "index", [Document(number, "Late") for number in ids], encoder)


def test_nothing_is_added_to_a_damaged_or_missing_index(build, tmp_path, encoder):
    with pytest.raises(CannotAppend, match="no index yet"):
        append_index(tmp_path / "index", [NEW], encoder)
    build()
    (current_version(tmp_path / "index") / "ids.npy").unlink()
    with pytest.raises(CannotAppend, match=r"ids\.npy"):
        append_index(tmp_path / "index", [NEW], encoder)


def test_readers_never_see_half_an_index_while_it_grows_and_is_rebuilt(build, tmp_path, encoder, papers):
    build()
    faults: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                hits = open_index(tmp_path / "index", encoder.name).search(Query("speculative decoding"), None)
                assert hits[0].id == 5
            except BaseException as fault:
                faults.append(fault)
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(10, 16):
        append_index(tmp_path / "index", [Document(number, f"Whale {number}")], encoder)
        write_index(tmp_path / "index", [*papers, Document(number, f"Whale {number}")], encoder)
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []


class _Held:
    """Garbage in a ring whose collection hands the interpreter to another thread, wherever it happens."""

    def __init__(self) -> None:
        self.ring = self

    def __del__(self) -> None:
        time.sleep(0)


def test_arrays_are_read_by_several_threads_while_garbage_is_collected(tmp_path):
    # Without the lock this fails on CPython 3.11 with "AST constructor recursion depth mismatch".
    np.save(tmp_path / "one.npy", np.ones((3, 2)))
    faults: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(1000):
                _Held()
                assert read_array(tmp_path / "one.npy").sum() == 6
        except BaseException as fault:
            faults.append(fault)

    threshold = gc.get_threshold()
    gc.set_threshold(5)
    try:
        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    finally:
        gc.set_threshold(*threshold)
    assert faults == []
