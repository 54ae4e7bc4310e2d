"""`manage.py export_labels`: decisions as labelled records."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from papers.models import Paper
from papers.services import add_claim, edit_technique, review_claim, store_record
from tests.papers.sample import a_claim, a_record, the_paper

pytestmark = pytest.mark.django_db


@pytest.fixture
def paper() -> Paper:
    paper = the_paper()
    memory = a_claim("2.5x less memory", metric="memory", value=2.5)
    store_record(paper, a_record(claims=[a_claim(), memory]), "1")
    untouched = the_paper("Nobody looked at this")
    store_record(untouched, a_record(), "1")
    store_record(untouched, {"kind": "system"}, "1", edited=["kind"])  # a card's word is no person's
    return paper


def labels(**options: Any) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("export_labels", stdout=out, stderr=StringIO(), **options)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_nothing_is_written_before_anybody_decided(paper: Paper) -> None:
    assert labels() == []


def test_decided_claims_are_labels_and_the_rest_is_told(paper: Paper) -> None:
    review_claim(paper.claims.get(metric="speedup"), "correct", None, fields={"value": 2.9, "qualifier": "about"})
    (record,) = labels()
    assert record["claims"] == [
        {"metric": "speedup", "phase": "inference", "form": "factor", "direction": "better", "value": 2.9,
         "value_max": None, "unit": "x", "qualifier": "about", "baseline": "plain decoding", "quote": "3x faster"}
    ]  # fmt: skip
    assert record["reviewed"] == {"fields": [], "rejected": [], "complete": False}
    assert labels(complete=True) == []


def test_a_whole_record_has_added_and_rejected_claims_and_edited_fields(paper: Paper) -> None:
    review_claim(paper.claims.get(metric="speedup"), "reject", None)
    review_claim(paper.claims.get(metric="memory"), "accept", None)
    add_claim(paper, {"metric": "memory", "form": "factor", "value": 2, "unit": "x", "quote": "halves memory"}, None)
    edit_technique(paper, {"families": ["kv-cache"], "name": ""}, None)
    (record,) = labels(complete=True)
    assert [(c["quote"], c["value"]) for c in record["claims"]] == [("halves memory", 2), ("2.5x less memory", 2.5)]
    assert record["reviewed"]["fields"] == ["families", "name"]
    assert [c["quote"] for c in record["reviewed"]["rejected"]] == ["3x faster"]
    assert (record["name"], record["families"]) == (None, ["kv-cache"])


def test_it_has_the_keys_of_the_labelled_records_and_the_scorer_reads_it(
    paper: Paper, shared_dir: Path, tmp_path: Path
) -> None:
    for claim in paper.claims.all():
        review_claim(claim, "accept", None)
    out = tmp_path / "labels.jsonl"
    call_command("export_labels", out=str(out), stderr=StringIO())
    first = json.loads((shared_dir / "gold/dev.jsonl").read_text().splitlines()[0])
    record = json.loads(out.read_text())
    assert set(record) - {"reviewed"} == set(first)
    scorer = [sys.executable, str(shared_dir / "gold/score.py"), str(out), str(out), "--json"]
    figures = json.loads(subprocess.run(scorer, capture_output=True, text=True, check=True).stdout)
    assert (figures["papers"], figures["claim_strict_f1"], figures["kind"]) == (1, 1.0, 1.0)


def test_a_file_that_cannot_be_written_is_named(paper: Paper) -> None:
    with pytest.raises(CommandError, match="--out /proc/nowhere"):
        call_command("export_labels", out="/proc/nowhere.jsonl")
