"""Weights from labelled papers: what is refused, what is the same each time, and that what is stored decides as what was fitted."""

import dataclasses
import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from ingest.extraction.reading import read_paper
from ingest.extraction.signals import UNIT
from ingest.extraction.weights import FIELDS, STORED, WEIGHT_UNIT, Sums, load_weights, save_weights
from ingest.learning.examples import LabelError, digest_of, read_examples
from ingest.learning.fit import Table, fit_fields
from ingest.learning.train import judge_share, train
from ingest.learning.validate import decide, totals_of

LABELS = Path("ingest/learning/labels/invented.jsonl")


@pytest.fixture(scope="module")
def examples(project_root: Path) -> list:
    found, missing = read_examples([project_root / LABELS], {})
    assert missing == 0
    # Invented papers are never judged; here they stand for real ones.
    return [dataclasses.replace(example, invented=False) for example in found[:90]]


@pytest.fixture(scope="module")
def trained(examples: list):
    return train(examples, folds=3)


def test_the_same_examples_in_another_order_give_the_same_files(examples: list, trained, tmp_path: Path) -> None:
    again = train(examples[::-1], folds=3)
    for weights, name in ((trained.weights, "one"), (again.weights, "two")):
        save_weights(weights, tmp_path / name)
    assert (tmp_path / "one" / "weights.npz").read_bytes() == (tmp_path / "two" / "weights.npz").read_bytes()
    assert (tmp_path / "one" / "weights.json").read_bytes() == (tmp_path / "two" / "weights.json").read_bytes()
    assert digest_of(examples) == digest_of(examples[::-1]) == trained.weights.provenance["sha256"]


def test_weights_come_back_as_they_were_written(trained, tmp_path: Path) -> None:
    save_weights(trained.weights, tmp_path)
    read = load_weights(tmp_path)
    assert np.array_equal(read.table, trained.weights.table)
    assert {group: dict(numbers) for group, numbers in read.keys.items()} == trained.weights.keys
    assert read.labels == trained.weights.labels


def test_whole_numbers_decide_as_the_fitted_ones_do(examples: list, trained) -> None:
    weights = trained.weights
    ordered = sorted(examples, key=lambda example: (example.title, example.abstract))
    table = Table(ordered)
    fitted = totals_of(fit_fields(table, ordered), table, np.arange(len(ordered)))
    limits = {field: value / (UNIT * WEIGHT_UNIT) for field, value in weights.thresholds.items()}
    same = known = 0
    for example, totals in zip(ordered, fitted, strict=True):
        reading = read_paper(example.title, example.abstract, weights.numbering)
        sums = Sums(weights, reading.signals, reading.document)
        told = decide({field: sums.of(field) for field in FIELDS}, weights.thresholds)
        same += told == decide(totals, limits)
        known += told.kind == example.kind
    assert same >= len(examples) - 2, "a rounded weight may tip what was on the edge, no more"
    assert known >= 0.95 * len(examples), "weights that were fitted to these papers must know them"


def test_each_decision_names_the_words_behind_it(trained) -> None:
    weights = trained.weights
    reading = read_paper(
        "Zedwick: Post-Training Quantization", "We propose a quantization method for 4-bit weights.", weights.numbering
    )
    words = Sums(weights, reading.signals, reading.document).words("families", ["quantization"])
    assert "post training quantization" in words
    assert len(words) <= 3


def test_what_ships_says_what_it_was_trained_on() -> None:
    provenance = load_weights(STORED).provenance
    assert len(provenance["sha256"]) == 64
    assert provenance["examples"] > provenance["invented"] > 0
    assert set(provenance["figures"]) == {"kind", "first family", "families", "modality", "stage", "training free"}


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
        pytest.param(record(training_free="yes"), "training_free: 'yes' is none of true", id="no-answer"),
        pytest.param(record(training_free=1), "training_free: 1 is none of true", id="number-for-an-answer"),
        pytest.param(record(abstract=7), "abstract: expected text", id="abstract-no-text"),
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


def test_weights_and_names_of_two_trainings_are_refused_together(trained, tmp_path: Path) -> None:
    save_weights(trained.weights, tmp_path)
    turned = trained.weights.table[:, ::-1]
    save_weights(dataclasses.replace(trained.weights, table=turned), tmp_path / "other")
    (tmp_path / "other" / "weights.npz").replace(tmp_path / "weights.npz")
    with pytest.raises(ValueError, match="do not belong together"):
        load_weights(tmp_path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(LabelError, match=r"labels.jsonl: not UTF-8"):
        read_examples([file], {})


def test_papers_held_out_are_judged_by_the_others(examples: list) -> None:
    found = judge_share(examples, 0.3, folds=2)
    assert set(found) >= {"kind", "first family", "families", "modality", "stage"}
    assert all(0 <= value <= 1 for value in found.values())
    with pytest.raises(ValueError, match="at least 50 are needed"):
        judge_share(examples, 0.6)


@pytest.fixture
def labels(examples: list, tmp_path: Path) -> Path:
    file = tmp_path / "labels.jsonl"
    lines = [json.dumps(dataclasses.asdict(example)) for example in examples]
    file.write_text("\n".join(lines) + "\n")
    return file


def run(*arguments: str) -> dict:
    out = StringIO()
    call_command("train_extractor", "--folds", "2", *arguments, "--only", "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_dry_run_tells_and_writes_nothing(labels: Path, examples: list, tmp_path: Path) -> None:
    told = run(str(labels), "--out", str(tmp_path / "weights"), "--dry-run")
    assert told["papers"] == len(examples)
    assert told["sha256"] == digest_of(examples)
    assert 0 < told["figures"]["kind"] <= 1
    assert not (tmp_path / "weights").exists()


def test_the_command_writes_weights_that_can_be_read(labels: Path, examples: list, tmp_path: Path) -> None:
    told = run(str(labels), "--out", str(tmp_path / "weights"))
    read = load_weights(tmp_path / "weights")
    assert read.provenance["figures"] == told["figures"]
    assert len(read.table) == told["signals"]


def test_holding_out_writes_nothing(labels: Path, tmp_path: Path) -> None:
    told = run(str(labels), "--out", str(tmp_path / "weights"), "--hold-out", "0.3")
    assert told["held_out"] == 0.3
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["--dry-run", "--folds", "1"], "--folds 1: expected 2 to 50", id="folds"),
        pytest.param(["--dry-run", "--hold-out", "1.5"], "--hold-out 1.5: expected a share", id="share"),
        pytest.param(["--dry-run", "--pages", "/nowhere.txt"], "--pages", id="pages"),
        pytest.param(["--out", "/proc/nowhere"], "--out /proc/nowhere", id="out"),
    ],
)
def test_a_wrong_argument_is_named(labels: Path, arguments: list[str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        run(str(labels), *arguments)
