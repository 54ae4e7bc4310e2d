"""What others take away by address: badges, feeds, citations, bundles, other services' shapes, and files at the root."""

import io
import json
import re
import zipfile
from typing import Any

import bibtexparser
import pytest
from django.test import Client
from lxml import etree

from ingest.sources import parse_page
from papers.models import Outcome, Paper
from tests.factories import (
    make_claim,
    make_device,
    make_implementation,
    make_measurement,
    make_paper,
    make_run,
    make_verdict,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def paper() -> Paper:
    return make_paper(
        title="Foldcache: Folded </script> & {Pages}", arxiv_id="2101.00001", authors=["Ada Ito", "B. O’Neil"], year=2021, votes=4
    )  # fmt: skip


class TestBadges:
    def said(self, client: Client, name: str = "foldcache", **asked: str) -> str:
        return str(client.get(f"/badges/{name}.json", asked).json()["message"])

    def test_what_a_gpu_measured_stands_beside_the_claim(self, client: Client, paper: Paper) -> None:
        implementation = make_implementation(paper, "foldcache")
        assert self.said(client) == "not verified yet"
        cpu = make_run(implementation, device_kind="cpu", device=make_device("cpu"))
        make_verdict(paper.claims.get(), cpu, Outcome.NOT_COMPARABLE)
        assert self.said(client) == "not verified yet, checked on CPU only"
        make_verdict(paper.claims.get(), make_run(implementation), Outcome.BELOW_CLAIM, ratio=1.431)
        assert self.said(client) == "1.43× on H200, claimed 2.3×"
        assert self.said(client, paper.slug) == "1.43× on H200, claimed 2.3×"
        assert self.said(client, device="A100") == "not verified on A100 yet"

    def test_the_picture_is_readable_and_holds_no_markup_of_others(self, client: Client, paper: Paper) -> None:
        make_implementation(paper, "foldcache")
        answer = client.get("/badges/foldcache.svg", {"device": "<script>"})
        root = etree.fromstring(answer.content)
        assert root.get("role") == "img"
        assert "<script" not in answer.content.decode()
        assert (
            client.get(
                "/badges/foldcache.svg", headers={"If-None-Match": client.get("/badges/foldcache.svg")["ETag"]}
            ).status_code
            == 304
        )
        assert client.get("/badges/nothing.svg").status_code == 404
        assert client.get("/badges/foldcache.svg", {"device": "x" * 61}).status_code == 400


class TestFeeds:
    @pytest.mark.parametrize("form", ["atom", "rss"])
    def test_the_newest_papers_of_a_filter(self, client: Client, paper: Paper, form: str) -> None:
        make_implementation(paper, "foldcache")
        make_paper(title="Another\x0b one")
        everything = etree.fromstring(client.get(f"/papers/feed.{form}").content)
        chosen = etree.fromstring(client.get(f"/papers/feed.{form}", {"family": "kv-cache"}).content)
        titles = "//*[local-name()='entry' or local-name()='item']/*[local-name()='title']/text()"
        assert len(everything.xpath(titles)) == 2
        (title,) = chosen.xpath(titles)
        assert title.startswith("Foldcache")
        assert client.get(f"/papers/feed.{form}", {"year": "x"}).status_code == 400

    def test_verdicts_and_runs_and_nothing_new(self, client: Client, paper: Paper) -> None:
        run = make_run(make_implementation(paper, "foldcache"))
        make_verdict(paper.claims.get(), run)
        assert b"2.21\xc3\x97 on NVIDIA H200" in client.get("/verdicts/feed.atom").content
        first = client.get("/runs/feed.rss")
        assert client.get("/runs/feed.rss", headers={"If-None-Match": first["ETag"]}).status_code == 304


def test_citations_are_read_by_a_parser(client: Client, paper: Paper) -> None:
    (entry,) = bibtexparser.parse_string(client.get(f"/papers/{paper.slug}/citation.bib").content.decode()).entries
    assert entry["author"] == "Ada Ito and B. O{\\textquoteright}Neil"
    assert entry["eprint"] == "2101.00001"
    (told,) = client.get(f"/papers/{paper.slug}/citation.json").json()
    assert told["title"].startswith("Foldcache")
    assert client.get(f"/papers/{paper.slug}/citation.ris").content.decode().startswith("TY  - ")
    assert client.get("/papers/nowhere/citation.bib").status_code == 404


def test_a_bundle_tells_what_ran_and_no_secret_of_the_machine(client: Client, paper: Paper) -> None:
    run = make_run(
        make_implementation(paper, "foldcache"),
        log_tail="opened /home/mira/weights with Bearer sp_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        records=[{"card": "foldcache"}],
    )
    make_measurement(run)
    answer = client.get(f"/api/v1/runs/{run.pk}/bundle.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        about = json.loads(archive.read("ro-crate-metadata.json"))
        parts = {entry["@id"]: entry for entry in about["@graph"]}
        assert {part["@id"] for part in parts["./"]["hasPart"]} == set(archive.namelist()) - {"ro-crate-metadata.json"}
        whole = b"".join(archive.read(name) for name in archive.namelist()).decode()
        assert json.loads(archive.read("records.jsonl")) == {"card": "foldcache"}
    assert "/home/mira" not in whole
    assert "sp_abcdef" not in whole
    assert answer.content == client.get(f"/api/v1/runs/{run.pk}/bundle.zip").content


class TestOtherShapes:
    def test_the_hubs_daily_list_is_read_back_by_our_own_source(self, client: Client, paper: Paper) -> None:
        raw = client.get("/api/v1/compat/huggingface/daily_papers").content
        (found,) = parse_page(raw).papers
        assert (found.title, found.arxiv_id, found.votes) == (paper.title, "2101.00001", 4)
        assert client.get("/api/v1/compat/huggingface/papers/2101.00001").json()["id"] == "2101.00001"
        assert client.get("/api/v1/compat/huggingface/papers/nothing").status_code == 404
        assert client.get("/api/v1/compat/huggingface/daily_papers", {"date": "yesterday"}).status_code == 400

    def test_papers_with_code(self, client: Client, paper: Paper) -> None:
        make_verdict(make_claim(paper, card_key="x/y"), make_run(make_implementation(paper, "foldcache")))
        for name in ("links", "methods", "papers", "evaluation-tables"):
            assert client.get(f"/api/v1/compat/papers-with-code/{name}").status_code == 200


def test_pages_say_what_they_are_and_a_title_cannot_break_out(client: Client, paper: Paper) -> None:
    make_implementation(paper, "foldcache")
    for address in (f"/papers/{paper.slug}/", f"/techniques/{paper.slug}/"):
        page = client.get(address).content.decode()
        (told,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
        assert "Foldcache" in json.dumps(json.loads(told))


def test_files_for_machines(client: Client, paper: Paper, project_root: Any) -> None:
    assert "Sitemap: http://testserver/sitemap.xml" in client.get("/robots.txt").content.decode()
    assert "/api/v1/" in client.get("/llms.txt").content.decode()
    index = etree.fromstring(client.get("/sitemap.xml").content)
    places = [place.text for place in index.iter("{*}loc")]
    assert any(paper.slug in client.get(place.removeprefix("http://testserver")).content.decode() for place in places)
    assert "export" in client.get("/api/v1/croissant.json").json()["detail"], "nothing was exported yet, and it says so"
    assert (project_root / "CITATION.cff").read_text().startswith("cff-version: 1.2.0")
