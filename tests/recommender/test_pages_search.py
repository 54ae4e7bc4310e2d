"""Search and similar papers as pages."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from papers.encoding.encoders import EncoderError
from recommender import services
from tests.factories import make_claim, make_implementation, make_paper, make_run, make_technique, make_verdict

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_index(monkeypatch: pytest.MonkeyPatch, settings: Any, encoder: Any) -> None:
    settings.ENCODER = encoder.name
    monkeypatch.setattr(services, "_open", services._Open())
    monkeypatch.setattr(services, "open_encoder", lambda *_: encoder)


@pytest.fixture
def library() -> dict[str, Any]:
    """A measured cache, an unmeasured cache for vision, and something else; indexed."""
    fold = make_paper(title="Foldcache: Folded Pages", abstract="The key value cache of long prompts is folded.")
    make_technique(fold, name="Foldcache")
    implementation = make_implementation(fold, "foldcache")
    make_verdict(fold.claims.get(), make_run(implementation))
    scene = make_paper(title="Scenecache", abstract="A cache of image features for video <b>models</b>.")
    make_technique(scene, name="Scenecache", modality=("vision",), training_free=False)
    waves = make_paper(title="Slow Waves", abstract="Water moves in a shallow basin.")
    make_technique(waves, name="Waves", families=(), kind="other")
    services.build_index()
    return {"fold": fold, "scene": scene, "waves": waves}


def found(client: Client, query: str) -> list[str]:
    return [paper.title for paper, _ in client.get(f"/search/?{query}").context["rows"]]


def test_hits_are_ranked_and_their_words_marked(client: Client, library: dict[str, Any]) -> None:
    assert found(client, "q=folded+cache")[0] == "Foldcache: Folded Pages"
    page = client.get("/search/?q=cache").content.decode()
    assert "<mark>cache</mark>" in page
    assert "<b>models" not in page


def test_filters_apply_before_ranking(client: Client, library: dict[str, Any]) -> None:
    assert found(client, "q=cache&modality=vision") == ["Scenecache"]
    assert found(client, "q=waves&family=kv-cache&verified=true") == ["Foldcache: Folded Pages"]
    assert found(client, "q=cache&runnable=false&training=needed") == ["Scenecache"]


def test_without_a_match_the_page_says_what_to_loosen(client: Client, library: dict[str, Any]) -> None:
    page = client.get("/search/?q=cache&modality=vision&verified=true").content.decode()
    assert "Nothing found" in page
    assert "Take back the narrowest one" in page
    assert "/search/?q=cache" in page


def test_without_words_one_browses_and_keeps_the_filters(client: Client) -> None:
    assert client.get("/search/?q=++&family=kv-cache").headers["Location"] == "/papers/?family=kv-cache"


def test_a_bad_filter_is_told_and_the_rest_searched(client: Client, library: dict[str, Any]) -> None:
    page = client.get("/search/?q=cache&modality=smell")
    assert "“smell” is not one of: language" in page.content.decode()
    assert page.context["rows"]


def test_a_swap_gets_the_part_and_its_address(client: Client, library: dict[str, Any]) -> None:
    answer = client.get("/search/?q=cache&year=&modality=vision", headers={"HX-Request": "true"})
    assert "<html" not in answer.content.decode()
    assert answer.headers["HX-Push-Url"] == "/search/?q=cache&modality=vision"


def test_results_come_25_to_a_page(client: Client) -> None:
    for number in range(30):
        make_paper(title=f"Cache {number}", abstract="A cache.")
    services.build_index()
    first, second = found(client, "q=cache"), found(client, "q=cache&page=2")
    assert (len(first), len(second)) == (25, 5)
    assert not set(first) & set(second)
    assert found(client, "q=cache&page=junk") == first


def test_a_long_query_stands_in_a_page_a_few_times_and_not_beside_each_row(client: Client) -> None:
    for number in range(30):
        make_paper(title=f"Cache {number}", abstract="A cache.")
    services.build_index()
    abstract = "cache " + "folded pages of long prompts " * 60
    page = client.get("/search/", {"q": abstract}).content.decode()
    assert page.count("More like this") == 25
    assert page.count("prompts") / 60 < 10
    assert 'form="facet-form" name="like" value="cache-' in page, "the form of the filters has the words already"


def test_a_withdrawn_paper_is_not_found_though_the_index_holds_it(client: Client, library: dict[str, Any]) -> None:
    library["scene"].withdrawn_at = "2026-03-01T00:00Z"
    library["scene"].save()
    assert "Scenecache" not in found(client, "q=cache")


def test_an_encoder_that_fails_is_told_and_words_still_work(
    client: Client, library: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise EncoderError("weights are missing; install them")

    services._open.encoder = None
    monkeypatch.setattr(services, "open_encoder", fails)
    page = client.get("/search/?q=folded")
    assert "weights are missing" in page.content.decode()
    assert page.context["rows"][0][0].title == "Foldcache: Folded Pages"


def test_search_costs_the_same_for_many_hits(
    client: Client, library: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(12) as few:
        client.get("/search/?q=cache&kind=technique")
    for number in range(15):
        make_claim(make_technique(make_paper(title=f"Cache {number}", abstract="A cache.")).paper)
    services.build_index()
    with django_assert_max_num_queries(12) as many:
        client.get("/search/?q=cache&kind=technique")
    assert len(many) == len(few)


# ── similar papers ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_similar_papers_are_a_fragment_or_a_page(client: Client, library: dict[str, Any]) -> None:
    address = reverse("similar", args=[library["fold"].slug])
    fragment = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment
    assert "Scenecache" in fragment
    assert "Foldcache" not in fragment
    assert "<html" in client.get(address).content.decode()


def test_a_paper_that_is_not_indexed_yet_has_no_similar_ones(client: Client, library: dict[str, Any]) -> None:
    late = make_paper(title="Late")
    assert "does not hold this paper so far" in client.get(reverse("similar", args=[late.slug])).content.decode()
