"""Whoever reads papers in has the encoder read them before others wait for the database, and knows how a record was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from ingest import records, services
from ingest.extraction import EXTRACTOR_VERSION
from ingest.extraction.meaning import MeaningReader
from ingest.fetch_services import store_batch
from ingest.fetching.feed import Batch
from ingest.previews import preview_of
from ingest.records import BY_WORDS
from ingest.reextraction import reextract, stale_papers
from ingest.sources import parse_page
from papers.models import Paper, Technique

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = '{{"title": "{title}", "abstract": "We prune weights of {title}.", "arxiv_id": "2401.0000{number}"}}\n'


class Watched(MeaningReader):
    """A reader that notes what it was asked for, and whether a transaction was open."""

    def __init__(self) -> None:
        super().__init__(None, {})  # type: ignore[arg-type]
        self.read_texts: list[tuple[str, str]] = []
        self.held_up = 0

    def means(self, papers: Sequence[tuple[str, str]]) -> Any:
        self.read_texts += papers
        self.held_up += connection.in_atomic_block
        return np.zeros((len(papers), 2), np.float32)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Watched:
    monkeypatch.setattr(records, "_opened", opened := records._Opened())
    opened.reader = Watched()
    settings.READ_MEANING = True
    return opened.reader


def page(*titles: str) -> bytes:
    return "".join(PAGE.format(title=title, number=at) for at, title in enumerate(titles, 1)).encode()


def test_a_file_is_heard_once_and_outside_of_any_transaction(watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "papers.jsonl"
    path.write_bytes(page("Zed One", "Zed Two"))
    services.ingest_file(path)
    assert [title for title, _ in watched.read_texts] == ["Zed One", "Zed Two"]
    assert not watched.held_up
    assert set(Technique.objects.values_list("extractor_version", flat=True)) == {EXTRACTOR_VERSION}
    services.ingest_file(path)
    assert len(watched.read_texts) == 2, "what is known is not read again"


def test_a_fetched_batch_a_preview_and_what_is_kept_of_it_wait_for_nobody(watched: Watched) -> None:
    one, two = parse_page(page("Zed One")), parse_page(page("Zed Two"))
    store_batch(Batch(name="feed", page=one, fetched=(), position={"at": 1}, done=False), "feed", timezone.now())
    preview_of([("first", one), ("second", two)])
    assert sorted(title for title, _ in watched.read_texts) == ["Zed One", "Zed Two"]
    assert not watched.held_up
    assert [paper.title for paper in Paper.objects.all()] == ["Zed One"]


def test_records_by_words_are_made_anew_once_the_encoder_reads(watched: Watched, tmp_path: Path, settings: Any) -> None:
    path = tmp_path / "papers.jsonl"
    path.write_bytes(page("Zed One"))
    settings.READ_MEANING = False
    services.ingest_file(path)
    assert Technique.objects.get().extractor_version == BY_WORDS
    assert not stale_papers().exists()
    settings.READ_MEANING = True
    assert [paper.title for paper in stale_papers()] == ["Zed One"]
    reextract(stale_papers())
    assert Technique.objects.get().extractor_version == EXTRACTOR_VERSION
    assert not watched.held_up
    settings.READ_MEANING = False
    assert not stale_papers().exists(), "a better record than words alone would make stays"
    services.ingest_file(path)
    assert Technique.objects.get().extractor_version == EXTRACTOR_VERSION
