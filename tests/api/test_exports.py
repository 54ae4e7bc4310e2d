"""Exports: all records of a moment as files that can be checked, and never half of one."""

import csv
import gzip
import hashlib
import io
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from api.exports import services, writers
from api.exports.catalogue import exports
from api.exports.columns import Column, cell
from api.exports.services import Busy, ExportError, export_if_due, write_export
from api.exports.tables import BY_NAME, TABLES
from papers.models import CodeLink
from tests.factories import (
    ABSTRACT,
    make_claim,
    make_implementation,
    make_measurement,
    make_paper,
    make_run,
    make_technique,
    make_verdict,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def library(settings: Any, tmp_path: Path) -> Any:
    settings.EXPORT_DIR = tmp_path / "exports"
    paper = make_paper(title="=HYPERLINK(1): a title", arxiv_id="2401.00001", authors=["Mira Lind", "+Ada"], votes=3)
    make_technique(paper, hardware=("A100",))
    make_claim(paper, "40% less memory", metric="memory", form="percent", value=40, unit="%")
    CodeLink.objects.create(paper=paper, url="https://github.com/a/b", official=True, said_by=["abstract"])
    run = make_run(make_implementation(paper, "foldcache"), log_tail="secret log", environment={"torch": "2.13.0"})
    make_measurement(run)
    make_verdict(paper.claims.get(card_key="foldcache/speed-up"), run)
    make_run(state="queued")
    return paper


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


def test_every_format_holds_the_same_rows_with_their_types(library: Any, settings: Any) -> None:
    made = write_export(settings.EXPORT_DIR)
    for table in TABLES:
        rows = read_lines(made.folder / f"{table.name}.jsonl.gz")
        sheet = list(csv.DictReader(io.StringIO((made.folder / f"{table.name}.csv").read_bytes().decode(), newline="")))
        typed = pyarrow.parquet.read_table(made.folder / f"{table.name}.parquet").to_pylist()
        assert (
            len(rows)
            == len(sheet)
            == len(typed)
            == next(t["rows"] for t in made.manifest["tables"] if t["name"] == table.name)
        )
        assert [row["id"] for row in rows] == [int(row["id"]) for row in sheet] == [row["id"] for row in typed]
    paper = read_lines(made.folder / "papers.jsonl.gz")[0]
    assert paper["authors"] == ["Mira Lind", "+Ada"]
    assert paper["code_links"][0]["official"] is True
    typed = pyarrow.parquet.read_table(made.folder / "papers.parquet").to_pylist()[0]
    assert isinstance(typed["created_at"], datetime)
    assert typed["authors"] == ["Mira Lind", "+Ada"]
    assert [row["state"] for row in read_lines(made.folder / "runs.jsonl.gz")] == ["finished"]


def test_abstracts_and_quotes_are_left_out_unless_asked_for(library: Any, settings: Any, tmp_path: Path) -> None:
    def everything(folder: Path) -> bytes:
        packed = (gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in folder.iterdir())
        return b"".join(packed)

    plain = write_export(settings.EXPORT_DIR, ["jsonl", "csv"])
    with_texts = write_export(tmp_path / "whole", ["jsonl"], texts=True)
    assert b"folded pages. On an A100" not in everything(plain.folder)
    assert b"40% less memory" not in everything(plain.folder)
    assert b"secret log" not in everything(plain.folder)
    assert plain.manifest["licence"]["spdx"] == "CC-BY-4.0"
    assert "left out" in plain.manifest["licence"]["note"]
    assert read_lines(with_texts.folder / "papers.jsonl.gz")[0]["abstract"] == ABSTRACT
    assert "does not cover" in with_texts.manifest["licence"]["note"]


def test_the_sums_are_those_of_the_files(library: Any, settings: Any) -> None:
    made = write_export(settings.EXPORT_DIR)
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=made.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    named = {line.split()[1] for line in (made.folder / "SHA256SUMS").read_text().splitlines()}
    assert named | {"SHA256SUMS"} == {path.name for path in made.folder.iterdir()}
    for one in made.files:
        assert one["sha256"] == hashlib.sha256((made.folder / one["path"]).read_bytes()).hexdigest()


def test_what_breaks_half_way_leaves_nothing_behind(
    library: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_export(settings.EXPORT_DIR, ["jsonl"])

    def full(self: Any, row: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers.Csv, "write", full)
    monkeypatch.setattr(services, "NAME_FORMAT", "20300101T000000Z")
    with pytest.raises(ExportError, match="No space left"):
        write_export(settings.EXPORT_DIR, ["jsonl", "csv"])
    assert [one.name for one in exports(settings.EXPORT_DIR)] == [first.name]
    assert not list(settings.EXPORT_DIR.glob(".*.part"))


def test_old_exports_go_and_nothing_else(library: Any, settings: Any) -> None:
    kept = settings.EXPORT_DIR / "notes"
    kept.mkdir(parents=True)
    for name in ("20240101T000000Z", "20240102T000000Z"):
        made = write_export(settings.EXPORT_DIR, ["jsonl"])
        made.folder.rename(settings.EXPORT_DIR / name)
    newest = write_export(settings.EXPORT_DIR, ["jsonl"], keep=2)
    assert [one.name for one in exports(settings.EXPORT_DIR)] == [newest.name, "20240102T000000Z"]
    assert kept.is_dir()


def test_two_at_once_are_one(library: Any, settings: Any) -> None:
    settings.EXPORT_DIR.mkdir()
    with services._alone_in(settings.EXPORT_DIR), pytest.raises(Busy, match="another process"):
        write_export(settings.EXPORT_DIR)


def test_the_daily_job_exports_once_a_day_and_only_where_it_is_switched_on(library: Any, settings: Any) -> None:
    now = datetime.now(UTC).replace(hour=4)
    assert export_if_due(now) is None
    settings.DATA_EXPORT = True
    assert export_if_due(now.replace(hour=2)) is None
    assert export_if_due(now) is not None
    assert export_if_due(now) is None
    assert len(exports(settings.EXPORT_DIR)) == 1
    assert exports(settings.EXPORT_DIR)[0].made_at - datetime.now(UTC) < timedelta(minutes=1)


def test_the_command_says_what_is_wrong(settings: Any, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"format: 'xlsx' is not one of jsonl, csv, parquet"):
        call_command("export_data", out=str(tmp_path), format="jsonl,xlsx")
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_data", out=str(tmp_path / "file"))


# ── served ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_list_leads_to_every_file(library: Any, settings: Any, client: Client) -> None:
    assert client.get("/api/v1/exports").json()["exports"] == []
    assert "Nothing was exported" in client.get(reverse("exports")).content.decode()
    made = write_export(settings.EXPORT_DIR)
    listed = client.get("/api/v1/exports").json()["exports"][0]
    assert [one["path"] for one in listed["files"]] == [one["path"] for one in made.files]
    for one in listed["files"]:
        answer = client.get(one["url"])
        body = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
        assert hashlib.sha256(body).hexdigest() == one["sha256"]
        assert client.get(one["url"], headers={"If-None-Match": answer["ETag"]}).status_code == 304
    assert "papers.parquet" in client.get(reverse("exports")).content.decode()


@pytest.mark.parametrize(
    "path", ["../20240101T000000Z/manifest.json", "..%2f..%2fsecret_key", "other.csv", ".lock", "%00"]
)
def test_nothing_but_the_files_of_an_export_is_served(library: Any, settings: Any, client: Client, path: str) -> None:
    made = write_export(settings.EXPORT_DIR, ["jsonl"])
    (settings.EXPORT_DIR / "secret_key").write_text("x")
    assert client.get(f"/exports/{made.name}/{path}").status_code == 404
    assert client.get("/exports/latest/papers.csv").status_code == 404
    assert client.get("/exports/20200101T000000Z/papers.csv").status_code == 404


def test_croissant_describes_each_file_with_its_sum_and_each_column(
    library: Any, settings: Any, client: Client
) -> None:
    assert client.get("/api/v1/croissant.json").status_code == 404
    made = write_export(settings.EXPORT_DIR)
    said = client.get("/api/v1/croissant.json").json()
    assert said["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert {one["@id"]: one["sha256"] for one in said["distribution"]} == {
        one["path"]: one["sha256"] for one in made.files
    }
    known = {one["@id"] for one in said["distribution"]}
    for records in said["recordSet"]:
        fields = {field["@id"] for field in records["field"]}
        assert records["key"]["@id"] in fields
        path = records["field"][0]["source"]["fileObject"]["@id"]
        columns = pyarrow.parquet.read_schema(made.folder / path).names
        for field in records["field"]:
            assert field["source"]["fileObject"]["@id"] in known
            assert field["source"]["extract"]["column"] in columns
    assert {one["name"] for one in said["recordSet"]} == {table.name for table in TABLES}
    for word in ("@context", "name", "description", "license", "url", "version", "datePublished", "creator", "citeAs"):
        assert said[word]


# ── escaping ────────────────────────────────────────────────────────────────────────────────────────────────────────
@given(st.text(), st.sampled_from(["text", "json", "texts"]))
def test_no_cell_of_a_sheet_is_a_formula(text: str, kind: Any) -> None:
    value = text if kind == "text" else [text] if kind == "texts" else {"a": text}
    shown = cell(value, kind)
    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    assert text in shown or kind != "text"


@given(words=st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=1, max_size=4))
def test_a_sheet_gives_back_the_text_whatever_stands_in_it(words: list[str], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    columns = [Column(f"c{n}", "text") for n in range(len(words))]
    sheet = writers.Csv(path, columns)
    sheet.write({f"c{n}": word for n, word in enumerate(words)})
    sheet.close()
    _, row = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert [one.removeprefix("'") if word[:1] != "'" else one for one, word in zip(row, words, strict=True)] == words
    assert path.read_bytes().endswith(b"\r\n")


def test_numbers_that_are_none_become_null(settings: Any) -> None:
    run = make_run()
    figure = make_measurement(run)
    figure.median = float("inf")
    row = BY_NAME["measurements"].row_of(figure)
    assert json.loads(writers.json_text(row))["median"] is None
    assert cell(float("nan"), "number") == ""
    assert cell(-1.5, "number") == "-1.5"
