"""The fitted weights that choose a name: stored whole, the same on every fit, and learned from the labels."""

import json

import pytest

from benchmarks.name_weights import Paper, fitted, fold, is_right, left_out, read
from ingest.extraction.name_features import WEIGHTS_FILE, digest

TOLD = {
    "announced": Paper("zedsum", False, None, {"ZedSum": {"one": 1.0, "hand": 4.0}, "Zed2": {"one": 1.0, "used": 1.0}}),
    "unnamed": Paper("", False, None, {"ImageSums": {"one": 1.0, "used": 1.0}}),
    "settled": Paper("zedsum", True, "ZedSum", {}),
}


def test_stored_weights_are_those_that_were_fitted() -> None:
    stored = json.loads(WEIGHTS_FILE.read_text("utf-8"))
    assert stored["digest"] == digest(stored["weights"])
    assert stored["papers"] > 900
    assert stored["weights"]["hand"] > 0 > stored["weights"]["used"]


def test_the_same_papers_give_the_same_weights() -> None:
    papers = list(TOLD.values()) * 10
    assert fitted(papers) == fitted(papers)


@pytest.mark.parametrize("paper", TOLD.values(), ids=TOLD.keys())
def test_the_labels_are_learned(paper: Paper) -> None:
    assert is_right(paper, fitted(list(TOLD.values()) * 20))


def test_a_label_that_is_turned_round_turns_the_weight() -> None:
    turned = [TOLD["announced"]._replace(label=fold("Zed2"))] * 20
    assert fitted(turned)["used"] > 0 > fitted([TOLD["announced"]] * 20)["used"]


def test_papers_left_out_are_judged_by_the_others() -> None:
    assert left_out(list(TOLD.values()) * 20) == 1.0
    # Without its tenth nothing speaks for the one paper that differs.
    odd = TOLD["announced"]._replace(label=fold("Zed2"))
    assert left_out([TOLD["announced"]] * 29 + [odd]) == pytest.approx(29 / 30)


def test_a_labelled_record_is_read_as_the_extractor_reads_it() -> None:
    record = {"title": "Faster sums", "abstract": "We propose ZedSum, a way to add. ZedSum is fast.", "name": "Zed-Sum"}
    paper = read(record)
    assert paper.label == "zedsum"
    assert not paper.is_settled
    assert "ZedSum" in paper.told
    assert read(record | {"title": "ZedSum: Faster sums"}).title_name == "ZedSum"
