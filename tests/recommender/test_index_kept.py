"""Keeping the index: new papers beside it, changes, lost files, another encoder."""

from typing import Any

import pytest
from django.test import Client

from recommender import services
from tests.factories import make_paper, make_technique

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_index(monkeypatch: pytest.MonkeyPatch, settings: Any, encoder: Any, tmp_path: Any) -> None:
    settings.ENCODER, settings.INDEX_DIR = encoder.name, tmp_path / "index"
    monkeypatch.setattr(services, "_open", services._Open())
    monkeypatch.setattr(services, "open_encoder", lambda *_: encoder)


@pytest.fixture
def papers() -> dict[str, Any]:
    told = {"fold": ("Foldcache", "Pages of the cache are folded."), "tiny": ("Tinydetect", "Objects are detected.")}
    found = {}
    for key, (title, abstract) in told.items():
        found[key] = make_paper(title=title, abstract=abstract)
        make_technique(found[key], name=title)
    services.build_index()
    return found


def titles(client: Client, query: str) -> list[str]:
    return [paper.title for paper, _ in client.get(f"/search/?{query}").context["rows"]]


def test_a_new_paper_is_put_beside_the_index_without_building_it_again(
    client: Client, papers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "build_index", lambda: pytest.fail("built again"))
    make_paper(title="Whalesong", abstract="It is about whales.")
    assert services.refresh_index()
    assert titles(client, "q=whales")[0] == "Whalesong"
    assert not services.refresh_index()


def test_a_changed_paper_waits_for_a_rebuild(client: Client, papers: dict[str, Any]) -> None:
    papers["tiny"].abstract = "It is about walruses."
    papers["tiny"].save()
    assert not services.refresh_index(rebuild_after_s=600)
    assert services.refresh_index()
    assert titles(client, "q=walruses")[0] == "Tinydetect"


@pytest.mark.parametrize("name", ["CURRENT", "vectors.faiss", "lexical/meta.json", "manifest.json"])
def test_a_lost_file_mends_itself_at_the_next_search(
    client: Client, papers: dict[str, Any], settings: Any, name: str
) -> None:
    folder = settings.INDEX_DIR if name == "CURRENT" else services.current_version(settings.INDEX_DIR)
    (folder / name).unlink()
    services._open.index = None
    assert titles(client, "q=folded")[0] == "Foldcache"


def test_an_index_of_another_encoder_is_built_again(client: Client, papers: dict[str, Any], encoder: Any) -> None:
    other = type(encoder)("other", dimensions=64)
    services._open.index, services._open.encoder = None, other
    services.settings.ENCODER = "other"
    assert titles(client, "q=folded")[0] == "Foldcache"
    assert services.current_index().manifest.encoder == "other"
