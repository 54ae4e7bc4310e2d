"""Weights from labelled papers: what is refused, what is the same each time, and that what is stored decides as what was fitted."""

import json
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from ingest.extraction.reading import read_paper
from ingest.extraction.weights import FIELDS, STORED, Sums, load_weights, save_weights
from ingest.learning.examples import LabelError, digest_of, read_examples
from ingest.learning.train import train
from ingest.learning.validate import decide

LABELS = Path("ingest/learning/labels/invented.jsonl")


@pytest.fixture(scope="module")
def examples(project_root: Path) -> list:
    found, missing = read_examples([project_root / LABELS], {})
    assert missing == 0
    # Invented papers are never judged; here they stand for real ones.
    return [type(e)(e.title, e.abstract, e.kind, e.families, e.modality, e.stage) for e in found[:90]]


@pytest.fixture(scope="module")
def trained(examples: list):
    return train(examples, folds=3)


def test_the_same_examples_in_another_order_give_the_same_weights(examples: list, trained) -> None:
    again = train(examples[::-1], folds=3)
    assert np.array_equal(again.weights.table, trained.weights.table)
    assert np.array_equal(again.weights.bias, trained.weights.bias)
    assert again.weights.thresholds == trained.weights.thresholds
    assert digest_of(examples) == digest_of(examples[::-1]) == trained.weights.provenance["sha256"]


def test_weights_come_back_as_they_were_written(trained, tmp_path: Path) -> None:
    save_weights(trained.weights, tmp_path)
    read = load_weights(tmp_path)
    assert np.array_equal(read.table, trained.weights.table)
    assert {group: dict(numbers) for group, numbers in read.keys.items()} == trained.weights.keys
    assert read.labels == trained.weights.labels


def test_whole_numbers_decide_as_the_fitted_ones_do(examples: list, trained) -> None:
    weights = trained.weights
    same = 0
    for example in examples:
        sums = Sums(weights, read_paper(example.title, example.abstract, weights.keys).signals)
        told = decide({field: sums.of(field) for field in FIELDS}, weights.thresholds)
        same += told.kind == example.kind
    assert same >= 0.95 * len(examples), "weights that were fitted to these papers must know them"


def test_each_decision_names_words_of_the_paper() -> None:
    weights = load_weights(STORED)
    title, abstract = "Zedwick: Post-Training Quantization", "We propose a quantization method for 4-bit weights."
    words = Sums(weights, read_paper(title, abstract, weights.keys).signals).words("families", ["quantization"])
    assert "quantization" in words


def test_what_ships_says_what_it_was_trained_on() -> None:
    provenance = load_weights(STORED).provenance
    assert len(provenance["sha256"]) == 64
    assert provenance["examples"] > provenance["invented"] > 0
    assert set(provenance["figures"]) == {"kind", "first family", "families", "modality", "stage"}


def record(**changes: object) -> str:
    plain = {
        "title": "Zed",
        "abstract": "We add.",
        "kind": "technique",
        "families": [],
        "modality": ["general"],
        "stage": [],
    }
    return json.dumps(plain | changes)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("{", "not JSON", id="not-json"),
        pytest.param("[]", "title", id="no-object"),
        pytest.param(record(title=" "), "title", id="blank-title"),
        pytest.param(record(kind="gadget"), "kind: 'gadget' is none of technique", id="unknown-kind"),
        pytest.param(record(families=["magic"]), "families: expected a list", id="unknown-family"),
        pytest.param(record(stage="training"), "stage: expected a list", id="no-list"),
    ],
)
def test_a_wrong_label_is_named_by_file_line_and_field(line: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(record() + "\n" + line + "\n")
    with pytest.raises(LabelError, match=r"labels.jsonl, line 2") as caught:
        read_examples([file], {})
    assert reason in str(caught.value)


def test_abstracts_come_from_pages_and_what_has_none_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(record(title="Zed One", abstract=None) + "\n" + record(title="Zed Two", abstract=None) + "\n")
    found, missing = read_examples([file], {"zedone": "We add on."})
    assert [(e.title, e.abstract) for e in found] == [("Zed One", "We add on.")]
    assert missing == 1


def test_too_few_papers_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(record() + "\n")
    with pytest.raises(CommandError, match="at least 50 are needed"):
        call_command("train_extractor", str(file), "--only", "--out", str(tmp_path / "weights"))
    assert not (tmp_path / "weights").exists()
    with pytest.raises(CommandError, match="there is no such file"):
        call_command("train_extractor", str(tmp_path / "none.jsonl"))


def test_weights_of_another_make_are_refused(trained, tmp_path: Path) -> None:
    save_weights(trained.weights, tmp_path)
    told = json.loads((tmp_path / "weights.json").read_text())
    told["units"] = [1, 1]
    (tmp_path / "weights.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match="train the weights anew"):
        load_weights(tmp_path)
