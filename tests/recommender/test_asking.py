"""Search by examples, by an abstract, with mistyped words; and the same ranking on the page, from the command and the API."""

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from recommender import services
from recommender.index import Index, Query
from recommender.services import Asked
from tests.factories import make_paper, make_technique

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_index(monkeypatch: pytest.MonkeyPatch, settings: Any, encoder: Any) -> None:
    settings.ENCODER = encoder.name
    monkeypatch.setattr(services, "_open", services._Open())
    monkeypatch.setattr(services, "open_encoder", lambda *_: encoder)


@pytest.fixture
def library() -> dict[str, Any]:
    """Two caches of language models, one of video, one paper on rounding, and one about water."""
    texts = {
        "fold": (
            "Foldcache: Folded Pages",
            "The key value cache of long prompts is folded into pages of a language model.",
        ),
        "thin": (
            "Thincache: Thin Keys",
            "Keys of the key value cache of a language model lose channels on long prompts.",
        ),
        "scene": ("Scenecache", "A cache of image features lets video models skip frames."),
        "round": ("RoundWell: Quantization by Offsets", "Weights of a language model are rounded to four bits."),
        "waves": ("Slow Waves", "Water moves in a shallow basin."),
    }
    papers = {name: make_paper(title=title, abstract=text) for name, (title, text) in texts.items()}
    for name, paper in papers.items():
        families = {"round": ("quantization",), "waves": ()}.get(name, ("kv-cache",))
        make_technique(paper, name=paper.title.split(":")[0], families=families)
    papers["fold"].arxiv_id = "2501.00001"
    papers["fold"].save()
    services.build_index()
    return papers


def titles(**asked: Any) -> list[str]:
    papers = {paper.pk: paper.title for paper in services.Paper.objects.all()}
    return [papers[hit.id] for hit in services.search(Asked(**asked)).hits]


def test_a_paper_that_is_wanted_brings_its_like_first_and_is_no_answer_itself(library: dict[str, Any]) -> None:
    found = titles(like=(library["fold"].pk,))
    assert found[0] == "Thincache: Thin Keys"
    assert "Foldcache: Folded Pages" not in found


def test_a_paper_that_is_not_wanted_moves_its_like_down(library: dict[str, Any]) -> None:
    asked = Asked("key value cache, or cache of features")
    unlike = Asked(asked.text, unlike=(library["fold"].pk,))

    def lead(of: Asked) -> float:
        """How far the other language-model cache is ahead of the video cache."""
        scores = {hit.id: hit.score for hit in services.search(of).hits}
        return scores[library["thin"].pk] - scores[library["scene"].pk]

    assert lead(unlike) < lead(asked) - 0.05
    without = titles(text=asked.text, unlike=unlike.unlike)
    assert "Foldcache: Folded Pages" not in without
    scores = {
        hit.id: hit.parts.get("examples", 0.0)
        for hit in services.search(Asked("cache", unlike=(library["fold"].pk,))).hits
    }
    assert scores[library["thin"].pk] < 0


def test_a_pasted_abstract_finds_its_paper(library: dict[str, Any]) -> None:
    abstract = "In this work " + library["scene"].abstract * 30
    assert titles(text=abstract)[0] == "Scenecache"


def test_an_example_that_is_too_new_is_told_and_the_rest_searched(library: dict[str, Any]) -> None:
    new = make_paper(title="Not indexed yet")
    found = services.search(Asked("cache", like=(new.pk,)))
    assert "1 of the example papers are too new" in found.note
    assert found.hits


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        pytest.param("quantizatoin", "quantization", id="letters-swapped"),
        pytest.param("foldcahe pages", "foldcache pages", id="letter-missing"),
        pytest.param("Foldcahe: pages!", "foldcache: pages!", id="signs-stay"),
        pytest.param("quantisation", "", id="british-spelling-is-known"),
        pytest.param("rounding", "", id="another-form-is-known"),
        pytest.param("zzzzzzzz", "", id="nothing-near"),
        pytest.param("of fthe", "", id="short-words-are-left"),
        pytest.param("", "", id="nothing-typed"),
    ],
)
def test_mistyped_words_are_mended_by_the_words_of_the_papers(library: dict[str, Any], typed: str, meant: str) -> None:
    assert services.search(Asked(typed)).corrected == meant
    assert services.search(Asked(typed, exact=True)).corrected == ""


def test_the_page_says_what_it_searched_for_and_offers_the_words_as_typed(
    client: Client, library: dict[str, Any]
) -> None:
    page = client.get("/search/?q=quantizatoin")
    assert page.context["rows"][0][0].title == "RoundWell: Quantization by Offsets"
    assert "Showing results for <strong>quantization</strong>" in page.content.decode()
    assert "?q=quantizatoin&amp;exact=1" in page.content.decode()
    assert "Showing results" not in client.get("/search/?q=quantizatoin&exact=1").content.decode()


def test_page_command_and_api_rank_alike(client: Client, library: dict[str, Any]) -> None:
    slug = library["fold"].slug
    page = [paper.title for paper, _ in client.get(f"/search/?q=cache&like={slug}&family=kv-cache").context["rows"]]
    api = client.get(f"/api/v1/search?q=cache&like={slug}&family=kv-cache").json()
    out = StringIO()
    call_command("search", "cache", like=["2501.00001"], family=["kv-cache"], json=True, stdout=out)
    command = json.loads(out.getvalue())
    assert page == [row["paper"]["title"] for row in api["results"]] == [row["title"] for row in command["results"]]
    assert api["total"] == command["total"] == len(page) == 2


def test_examples_can_be_taken_back_and_added_on_the_page(client: Client, library: dict[str, Any]) -> None:
    fold, thin = library["fold"], library["thin"]
    page = client.get(f"/search/?q=cache&like={fold.slug}")
    assert page.context["liked"] == [(fold, "?q=cache")]
    # Each row has two buttons of the form that holds what is asked, so that they add to it.
    text = page.content.decode()
    for name in ("like", "unlike"):
        assert re.search(rf'<button[^>]*\bform="[\w-]+"[^>]*\bname="{name}"[^>]*\bvalue="{thin.slug}"', text), name
    assert re.search(rf'<input[^>]*\bname="like"[^>]*\bvalue="{fold.slug}"', text)


def test_an_arxiv_id_leads_to_its_paper(client: Client, library: dict[str, Any]) -> None:
    for typed in ("2501.00001", "https://arxiv.org/abs/2501.00001v2"):
        answer = client.get("/search/", {"q": typed})
        assert (answer.status_code, answer["Location"]) == (302, library["fold"].get_absolute_url())
    assert client.get("/search/", {"q": "2501.99999"}).status_code == 200


def test_unknown_examples_are_named_everywhere(client: Client, library: dict[str, Any]) -> None:
    text = client.get("/search/?q=cache&like=nothing-here").content.decode()
    assert "No paper here is called “nothing-here”" in text
    answer = client.get("/api/v1/search?q=cache&unlike=nothing-here")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "unlike")
    with pytest.raises(CommandError, match="--like: no paper is called 'nothing-here'; use a slug or an arXiv id"):
        call_command("search", "cache", like=["nothing-here"])
    with pytest.raises(CommandError, match="--family: "):
        call_command("search", "cache", family=["magic"])


def test_odd_characters_are_text(client: Client, library: dict[str, Any]) -> None:
    for typed in ("\x00", "<script>alert(1)</script>", "' OR 1=1 --", "缓存 压缩", "🙂" * 50, "a" * 7000):
        answer = client.get("/search/", {"q": typed, "like": "\x00", "unlike": typed[:50]})
        assert answer.status_code == 200, typed
        assert "<script>alert(1)" not in answer.content.decode()


def test_a_paper_page_leads_to_papers_like_it(client: Client, library: dict[str, Any]) -> None:
    slug = library["fold"].slug
    assert f"/search/?like={slug}" in client.get(reverse("paper", args=[slug])).content.decode()


def test_an_unknown_example_is_an_error_of_the_index(build: Any, encoder: Any) -> None:
    index: Index = build()
    with pytest.raises(KeyError):
        index.search(Query("cache", like=(999,)), encoder)


def test_examples_alone_work_without_an_encoder(library: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert services.current_index().search(Query(like=(library["fold"].pk,)), None)[0].id == library["thin"].pk


def test_facets_count_what_is_found_on_page_and_api(client: Client, library: dict[str, Any]) -> None:
    def counts(query: str) -> dict[str, int]:
        groups = client.get(f"/search/?{query}").context["groups"]
        family = next(group for group in groups if group.name == "family")
        return {option.value: option.count for option in family.options if option.count}

    assert counts(f"q=cache&unlike={library['scene'].slug}") == {"kv-cache": 2, "quantization": 1}
    # Its own choice leaves the other values in sight.
    assert counts("q=cache&family=quantization") == {"kv-cache": 3, "quantization": 1}
    api = client.get("/api/v1/search?q=cache&family=quantization").json()
    assert api["facets"]["family"] == {"kv-cache": 3, "quantization": 1}
    assert api["total"] == 1


def test_a_page_with_filters_encodes_its_words_once(client: Client, library: dict[str, Any], encoder: Any) -> None:
    encoder.encoded.clear()
    client.get("/search/?q=cache+of+keys&family=kv-cache&modality=language&stage=inference")
    assert encoder.encoded == ["cache of keys"]
