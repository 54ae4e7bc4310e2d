"""`manage.py ingest` and `extract`, as someone at a terminal meets them."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from ingest import services
from papers.models import Paper, Source

PAGES = Path(__file__).resolve().parents[1] / "fixtures" / "pages"
PAGE = """new

Get trending papers in your email inbox!

Subscribe

Daily Papers

byAK and the research community

Dec 16

TwoCache: Half a Cache for Long Prompts

We present TwoCache, a scheme that keeps half of the cache. It runs 3x faster than plain decoding on an A100.

Another Scheme With a Longer Name

We study how layers may be skipped. Our scheme needs 40% less memory during training than the usual recipe.
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.txt"
    path.write_text(PAGE)
    return path


def ingest(*targets: Path | str, **options: Any) -> dict[str, Any]:
    """The counts that --json prints."""
    from io import StringIO

    out = StringIO()
    call_command("ingest", *map(str, targets), json=True, no_index=True, stdout=out, **options)
    return json.loads(out.getvalue())


@pytest.mark.django_db
def test_a_page_becomes_papers_with_records_claims_and_sources(page: Path) -> None:
    counts = ingest(page)
    assert (counts["read"], counts["new"], counts["refused"]) == (2, 2, [])
    paper = Paper.objects.get(title__startswith="TwoCache")
    claim = paper.claims.get()
    assert paper.abstract[claim.start : claim.end] == claim.quote
    assert (claim.value, claim.form, paper.technique.name) == (3.0, "factor", "TwoCache")
    assert Source.objects.get(paper=paper).locator == "page.txt"


@pytest.mark.django_db
def test_reading_it_again_changes_nothing_and_says_so(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ingest(page)
    before = list(Paper.objects.values_list("pk", "updated_at"))
    call_command("ingest", str(page))
    assert "nothing changed" in capsys.readouterr().out
    assert list(Paper.objects.values_list("pk", "updated_at")) == before


@pytest.mark.django_db
def test_a_bad_file_is_named_and_the_others_go_on(page: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary.txt").write_bytes(b"\x7fELF\0\0")
    counts = ingest(tmp_path)
    assert counts["new"] == 2
    assert {refusal["file"] for refusal in counts["refused"]} == {"empty.txt", "binary.txt"}
    assert all(refusal["reason"] for refusal in counts["refused"])


@pytest.mark.django_db
def test_a_page_that_was_cut_is_read_up_to_the_cut(page: Path) -> None:
    page.write_text(PAGE[: PAGE.index("during training")].rstrip())
    counts = ingest(page)
    assert counts["new"] == 1
    assert counts["refused"][0]["line"] == PAGE.splitlines().index("Another Scheme With a Longer Name") + 1


@pytest.mark.django_db
@pytest.mark.parametrize("content", [b"", b"just some words\n"], ids=["empty", "no-page"])
def test_nothing_readable_at_all_is_an_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(CommandError, match="none of the files"):
        call_command("ingest", str(path))
    assert not Paper.objects.exists()


@pytest.mark.django_db
def test_a_failure_half_way_leaves_the_page_unread(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "BATCH", 1)
    calls: list[int] = []

    def failing(done: int, total: int) -> None:
        calls.append(done)
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        services.ingest_file(page, failing)
    assert calls == [1]
    assert not Paper.objects.exists()


@pytest.mark.django_db
def test_a_dry_run_counts_and_writes_nothing(page: Path) -> None:
    assert ingest(page, dry_run=True)["read"] == 2
    assert not Paper.objects.exists()


def test_a_target_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match="no such file"):
        call_command("ingest", "nowhere.txt")


def test_extract_writes_a_record_a_line_without_a_database(page: Path, tmp_path: Path) -> None:
    out = tmp_path / "records.jsonl"
    call_command("extract", str(page), out=str(out))
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["title"] for r in records] == [
        "TwoCache: Half a Cache for Long Prompts",
        "Another Scheme With a Longer Name",
    ]
    assert records[1]["claims"][0]["metric"] == "memory"


def test_extract_leaves_no_half_file_where_it_cannot_write(page: Path) -> None:
    with pytest.raises(CommandError, match="--out"):
        call_command("extract", str(page), out="/proc/nowhere.jsonl")


@pytest.mark.django_db
def test_the_five_real_pages_give_611_papers(shared_dir: Path) -> None:
    pages = sorted((shared_dir / "seeds").glob("*.txt"))
    counts = ingest(*pages)
    assert [f["read"] for f in counts["files"]] == [328, 42, 100, 73, 101]
    assert (counts["read"], counts["new"], Paper.objects.count()) == (644, 611, 611)
    assert counts["refused"] == []
    again = ingest(*pages)
    assert (again["new"], again["updated"], again["duplicate"]) == (0, 0, 644)


def test_the_scorer_accepts_what_extract_writes(shared_dir: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    out = tmp_path / "records.jsonl"
    call_command("extract", *map(str, sorted((shared_dir / "seeds").glob("*.txt"))), out=str(out))
    scorer = [sys.executable, str(shared_dir / "gold/score.py"), str(shared_dir / "gold/dev.jsonl"), str(out), "--json"]
    figures = json.loads(subprocess.run(scorer, capture_output=True, text=True, check=True).stdout)
    assert figures["found"] == 1.0
    assert figures["claim_f1"] > 0.9
