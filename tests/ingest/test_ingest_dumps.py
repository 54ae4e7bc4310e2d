"""Dumps, lists and saved pages on their way into the database, as someone at a terminal meets them."""

import gzip
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from ingest import services
from papers.models import Paper, Source

PAGES = Path(__file__).resolve().parents[1] / "fixtures" / "pages"


def ingest(*targets: Path | str, **options: Any) -> dict[str, Any]:
    out = StringIO()
    call_command("ingest", *map(str, targets), json=True, no_index=True, stdout=out, **options)
    return json.loads(out.getvalue())


def line(number: int) -> str:
    topic = ("caches", "kernels", "routers", "codecs", "pruners", "samplers", "tokens")[number % 7]
    told = {
        "title": f"Invented {topic} of kind {number * 7919}",
        "abstract": f"We make {topic} {number + 2}x faster.",
        "year": 2021,
    }
    return json.dumps(told) + "\n"


@pytest.mark.django_db
def test_code_links_of_a_dump_join_the_papers_that_are_known() -> None:
    ingest(PAGES / "arxiv_snapshot.json")
    counts = ingest(PAGES / "pwc_links.json")
    assert (counts["read"], counts["new"], counts["updated"], counts["unmatched"]) == (2, 0, 2, 0)
    paper = Paper.objects.get(arxiv_id="2103.00001")
    [link] = paper.code_links.all()
    assert (link.url, link.official, link.framework, link.kind) == (
        "https://github.com/invented/tide",
        True,
        "pytorch",
        "github",
    )
    assert link.said_by == ["comment", "paper"]
    assert {source.kind for source in paper.sources.all()} == {"arxiv-snapshot", "pwc-links"}
    assert ingest(PAGES / "pwc_links.json")["duplicate"] == 2


@pytest.mark.django_db
def test_code_links_of_papers_that_are_not_known_make_no_papers() -> None:
    counts = ingest(PAGES / "pwc_links.json")
    assert (counts["read"], counts["new"], counts["unmatched"]) == (2, 0, 2)
    assert not Paper.objects.exists()


@pytest.mark.django_db
def test_one_paper_of_many_sources_is_one_paper() -> None:
    names = [
        "papers.jsonl",
        "arxiv_snapshot.json",
        "arxiv_oai.xml",
        "pwc_abstracts.json",
        "pwc_methods.json",
        "hf_search.json",
    ]
    ingest(*(PAGES / name for name in names))
    paper = Paper.objects.get(arxiv_id="2103.00001")
    assert {source.kind for source in paper.sources.all()} == {
        "plain-jsonl", "arxiv-snapshot", "arxiv-oai", "pwc-abstracts", "pwc-methods", "hf-daily-json",
    }  # fmt: skip
    assert (paper.doi, paper.year, paper.votes) == ("10.1000/tide", 2021, 31)
    assert "https://github.com/invented/tide" in {link.url for link in paper.code_links.all()}


@pytest.mark.django_db
def test_a_link_in_the_abstract_is_the_authors_own() -> None:
    ingest(PAGES / "papers.bib")
    link = Paper.objects.get(title__contains="Öber").code_links.get()
    assert (link.url, link.official, link.said_by) == ("https://github.com/invented/tide_cache", True, ["abstract"])


@pytest.mark.django_db
def test_entries_without_an_abstract_are_kept_and_filled_later(tmp_path: Path) -> None:
    counts = ingest(PAGES / "papers.bib")
    assert counts["new"] == 4
    listed = Paper.objects.get(arxiv_id="2001.00001")
    assert (listed.abstract, hasattr(listed, "technique")) == ("", False)
    later = tmp_path / "later.jsonl"
    later.write_text(
        json.dumps({"title": listed.title, "abstract": "We are fast and loose, 3x faster.", "arxiv_id": "2001.00001"})
    )
    assert ingest(later)["updated"] == 1
    assert Paper.objects.get(pk=listed.pk).claims.get().value == 3


@pytest.mark.django_db
def test_a_stream_is_kept_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "BATCH", 4)
    path = tmp_path / "many.jsonl"
    path.write_text("".join(line(number) for number in range(10)))
    told: list[tuple[int, int]] = []

    def stop_after_two(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 2:
            raise RuntimeError("the light went out")

    with pytest.raises(RuntimeError):
        services.ingest_file(path, stop_after_two)
    assert Paper.objects.count() == 8
    assert all(0 < done <= total == path.stat().st_size for done, total in told)
    report = services.ingest_file(path)
    assert (report.new, report.duplicate, Paper.objects.count()) == (2, 8, 10)


@pytest.mark.django_db
def test_a_packed_dump_reads_as_the_plain_one(tmp_path: Path) -> None:
    for name in ("arxiv_snapshot.json", "pwc_links.json", "arxiv_oai.xml", "papers.bib", "hf_daily.html"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((PAGES / name).read_bytes()))
    packed = ingest(tmp_path, dry_run=True)
    plain = ingest(*(PAGES / path.name.removesuffix(".gz") for path in sorted(tmp_path.iterdir())), dry_run=True)
    assert packed["read"] == plain["read"] == 13
    assert packed["refused_count"] == plain["refused_count"]
    assert not Paper.objects.exists()


@pytest.mark.django_db
def test_refusals_are_counted_and_only_the_first_are_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(line(1) + '{"title": "A", "colour": "red"}\n' * 250)
    counts = ingest(path)
    assert (counts["new"], counts["refused_count"], len(counts["refused"])) == (1, 250, 100)
    assert counts["refused"][0]["line"] == 2
    assert counts["refused"][0]["reason"].startswith("colour: is no key of this format")


@pytest.mark.django_db
def test_people_are_told_how_many_refusals_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(line(1) + '{"title": ""}\n' * 101)
    call_command("ingest", str(path), dry_run=True)
    assert "odd.jsonl: and 1 more that were refused" in capsys.readouterr().err


@pytest.mark.django_db
def test_a_file_that_ends_too_early_gives_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl.gz"
    path.write_bytes(gzip.compress("".join(line(number) for number in range(40)).encode())[:-40])
    counts = ingest(path)
    assert 0 < counts["new"] < 40
    assert "the gzip file ends in its middle" in counts["refused"][-1]["reason"]


def test_a_folder_gives_all_its_formats(tmp_path: Path) -> None:
    for name in (
        "a.txt",
        "b.XML",
        "c.json",
        "d.jsonl",
        "e.html",
        "f.htm",
        "g.bib",
        "h.json.gz",
        "i.atom",
        "j.pdf",
        "k.py",
    ):
        (tmp_path / name).touch()
    (tmp_path / "folder.json").mkdir()
    assert [path.name[0] for path in services.find_files([str(tmp_path)])] == list("abcdefghi")


def test_extract_reads_every_format_and_leaves_out_what_has_no_abstract(tmp_path: Path) -> None:
    out = tmp_path / "records.jsonl"
    call_command("extract", str(PAGES / "papers.bib"), str(PAGES / "arxiv_snapshot.json"), out=str(out))
    titles = [json.loads(record)["title"] for record in out.read_text().splitlines()]
    assert len(titles) == 5
    assert "Fast and Loose Heads" not in titles


@pytest.mark.django_db
def test_the_source_keeps_the_line_where_it_was_seen() -> None:
    ingest(PAGES / "arxiv_snapshot.json")
    assert Source.objects.get(paper__arxiv_id="math/0309136").line == 2
