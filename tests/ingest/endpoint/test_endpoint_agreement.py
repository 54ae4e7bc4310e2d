"""The figures of rules and endpoint on labelled papers."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoint_agreement import main
from ingest.extraction import extract
from tests.ingest.endpoint.fake_endpoint import ABSTRACT, MEMORY, SPEEDUP, TITLE, FakeEndpoint, record

PAGE = [{"paper": {"id": "2501.00001", "title": TITLE, "summary": ABSTRACT, "publishedAt": "2025-01-02T00:00:00.000Z"}}]


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, Path]:
    """A label that says what the rules say, but for the phase of one claim, and the page that it is of."""
    label = extract(TITLE, ABSTRACT).to_json()
    label["claims"] = [
        {
            **{k: c[k] for k in ("metric", "form", "direction", "value", "value_max", "qualifier", "quote")},
            "phase": phase,
        }
        for c, phase in zip(label["claims"], ("training", "inference"), strict=True)
    ]
    labels, page = tmp_path / "labels.jsonl", tmp_path / "page.json"
    labels.write_text(json.dumps(label) + "\n")
    page.write_text(json.dumps(PAGE))
    return labels, page


def figures(capsys: pytest.CaptureFixture[str], *arguments: Any) -> dict[str, Any]:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_figures_tell_rules_endpoint_and_agreement_apart(
    endpoint_on: FakeEndpoint, labelled: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint_on.answer(record(families=["nas"], claims=[{**SPEEDUP, "phase": "training"}]))
    told = figures(capsys, *labelled)
    rows = told["figures"]
    assert (told["papers"], told["requests"]) == (1, 1)
    assert rows["kind"] == {
        "rules": 1, "endpoint": 1, "agreed": 1, "share_agreed": 1,
        "rules_right_where_they_differ": None, "endpoint_right_where_they_differ": None,
    }  # fmt: skip
    assert (rows["families"]["share_agreed"], rows["families"]["endpoint"]) == (0, 0)
    assert rows["families"]["rules_right_where_they_differ"] == 1
    assert rows["claim_recall"] == {"rules": 1, "endpoint": 0.5, "agreed": 0}
    assert rows["claim_strict_recall"] == {"rules": 0.5, "endpoint": 0.5, "agreed": 0}
    assert rows["claim_precision"]["agreed"] is None


def test_kept_answers_are_not_asked_for_again(
    endpoint_on: FakeEndpoint, labelled: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint_on.answer(record(claims=[SPEEDUP, MEMORY]))
    kept = tmp_path / "answers.jsonl"
    first = figures(capsys, *labelled, "--answers", kept)
    again = figures(capsys, *labelled, "--answers", kept)
    assert len(endpoint_on.asked) == 1
    assert again["figures"] == first["figures"]


def test_a_table_is_printed_for_people(
    endpoint_on: FakeEndpoint, labelled: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*map(str, labelled)]) == 0
    assert "claim_strict_f1" in capsys.readouterr().out


def test_without_an_endpoint_it_says_so(
    settings: Any, labelled: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ENDPOINT_URL = ""
    assert main([*map(str, labelled)]) == 1
    assert "ENDPOINT_URL is empty" in capsys.readouterr().err
