"""How an encoder is taught to read for fields: the same each time, marks left out, better than chance after a few rounds."""

from __future__ import annotations

import dataclasses
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from django.core.management import CommandError, call_command

from ingest.extraction.weights import FIELDS, load_weights
from ingest.learning.combine import add_meaning, reader_of, save_reader
from ingest.learning.examples import Example, read_examples
from ingest.learning.fit import Table, fit_fields, mean_of, provenance_of
from ingest.learning.meaning import Taught, _mean, teach
from ingest.learning.validate import totals_of
from papers.encoding.adapter import read_with
from papers.encoding.encoders import packaged_folder


@pytest.fixture(scope="module")
def examples(project_root: Path) -> list[Example]:
    """Short descriptions of two families."""
    found, _ = read_examples([project_root / "ingest/learning/labels/described.jsonl"], {})
    some = [one for family in ("quantization", "nas") for one in [e for e in found if e.first == family][:20]]
    return [dataclasses.replace(one, invented=False) for one in some]


@pytest.fixture(scope="module")
def taught(examples: list[Example]) -> Taught:
    torch.set_num_threads(1)
    return teach(packaged_folder(), examples, lambda done, loss: None, epochs=3)


def test_the_same_examples_teach_the_same(examples: list[Example]) -> None:
    rounds: list[tuple[int, float]] = []
    one, two = (
        teach(packaged_folder(), examples[15:25], lambda *told: rounds.append(told), epochs=1) for _ in range(2)
    )
    assert rounds[0] == rounds[1]
    assert rounds[0][0] == 1
    for name, (up, down) in one.changes.items():
        assert np.array_equal(up, two.changes[name][0])
        assert np.array_equal(down, two.changes[name][1])
    assert one.heads.keys() == two.heads.keys() == set(FIELDS)


def test_after_three_rounds_two_families_are_told_apart(examples: list[Example], taught: Taught) -> None:
    reader = reader_of(taught, None)
    table = Table(examples)
    words = list(zip(examples, totals_of(fit_fields(table, examples), table, np.arange(len(examples))), strict=True))
    heard = add_meaning(words, reader)
    said = [max(("quantization", "nas"), key=lambda label: after["first family"][label] - before["first family"][label])
            for (_, before), (_, after) in zip(words, heard, strict=True)]  # fmt: skip
    assert sum(label == example.first for label, example in zip(said, examples, strict=True)) >= 36


def test_what_is_kept_says_what_it_was_trained_on(examples: list[Example], taught: Taught, tmp_path: Path) -> None:
    save_reader(taught, provenance_of(examples, {}), tmp_path / "meaning.npz")
    adapter, beside = read_with(tmp_path / "meaning.npz")
    assert adapter.trained_on["examples"] == 40
    assert adapter.trained_on["invented"] == 0
    assert beside["kind weights"].shape == (384, len(taught.heads["kind"][0]))
    assert [path.name for path in tmp_path.iterdir()] == ["meaning.npz"]


def test_the_marks_at_both_ends_are_no_part_of_a_text() -> None:
    states = torch.tensor([[[9.0], [1.0], [3.0], [9.0]], [[9.0], [5.0], [9.0], [7.0]]])
    assert _mean(states, torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])).tolist() == [[2.0], [5.0]]


def test_weights_of_two_trainings_are_kept_halfway() -> None:
    one = load_weights()
    group = next(group for group, keys in one.keys.items() if len(keys) > 5)
    lacking = {name: ({} if name == group else dict(keys)) for name, keys in one.keys.items()}
    kept = [number for name, keys in one.keys.items() if name != group for number in keys.values()]
    numbers = iter(range(len(kept)))
    lacking = {name: {key: next(numbers) for key in keys} for name, keys in lacking.items()}
    other = dataclasses.replace(one, keys=lacking, table=one.table[kept], bias=one.bias + 2)
    both = mean_of(one, other)
    key = next(iter(one.keys[group]))
    assert np.array_equal(
        both.table[both.keys[group][key]], np.rint(one.table[one.keys[group][key]] / 2).astype(np.int16)
    )
    assert np.array_equal(both.bias, one.bias + 1)
    assert both.provenance["beside"] == one.provenance
    with pytest.raises(ValueError, match="other labels"):
        mean_of(one, dataclasses.replace(one, labels={**one.labels, "kind": ("poem",)}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: there is no such file"),
        (["--pages", "nowhere.txt"], "--pages: .*nowhere.txt"),
        ([], "0 labelled papers with an abstract; at least 50 are needed"),
    ],
)
def test_the_command_says_what_it_lacks(given: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("train_meaning", *given, stdout=StringIO(), stderr=StringIO())


def test_weights_beside_that_are_missing_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: list[Any]
) -> None:
    monkeypatch.setattr("ingest.learning.examples.read_examples", lambda *given: (examples * 2, 0))
    with pytest.raises(CommandError, match=r"--beside .*none: holds no weights"):
        call_command(
            "train_extractor", "--folds", "2", "--beside", str(tmp_path / "none"), stdout=StringIO(), stderr=StringIO()
        )
