"""Browsing papers: facets, their counts, order, and what happens to values that make no sense."""

import gzip
import html
import re
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from papers.filters import PaperFilter, TechniqueFilter
from papers.models import Paper, Technique
from tests.factories import (
    make_claim,
    make_implementation,
    make_paper,
    make_run,
    make_technique,
    make_verdict,
)

pytestmark = pytest.mark.django_db


def filtered(query: str) -> PaperFilter:
    return PaperFilter(QueryDict(query), queryset=Paper.objects.visible())


def titles(query: str) -> list[str]:
    return [paper.title for paper in filtered(query).qs]


@pytest.fixture
def three_papers() -> None:
    """Fast: language, quantization, a claim and a GPU verdict. Small: vision, quantization. Old: vision, pruning."""
    fast = make_paper(title="Fast", year=2024, votes=3)
    make_technique(fast, families=("quantization", "kv-cache"), modality=("language",), hardware=("A100",))
    implementation = make_implementation(fast, "fast")
    make_verdict(fast.claims.get(), make_run(implementation))
    small = make_paper(title="Small", year=2025, abstract="Tiny networks for cameras.")
    make_technique(small, families=("quantization",), modality=("vision",), stage=("training",), training_free=None)
    make_claim(small, metric="memory", form="percent", value=40, unit="%")
    make_claim(small, metric="latency", value=3)
    old = make_paper(title="Old", year=2019, votes=40)
    make_technique(old, families=("sparsity-pruning",), modality=("vision",), kind="survey", training_free=False)
    make_technique(make_paper(title="Gone", withdrawn_at="2026-01-01T00:00Z"), families=("quantization",))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("", ["Small", "Fast", "Old"], id="newest-first"),
        pytest.param("family=quantization", ["Small", "Fast"], id="one-facet"),
        pytest.param("family=kv-cache&family=sparsity-pruning", ["Fast", "Old"], id="alternatives-within-a-facet"),
        pytest.param("family=quantization&modality=vision", ["Small"], id="facets-hold-together"),
        pytest.param("stage=training", ["Small"], id="stage"),
        pytest.param("hardware=A100", ["Fast"], id="hardware"),
        pytest.param("metric=memory", ["Small"], id="metric"),
        pytest.param("kind=survey", ["Old"], id="kind"),
        pytest.param("training=free", ["Fast"], id="training-free"),
        pytest.param("training=needed&training=unclear", ["Small", "Old"], id="training-needed-or-unclear"),
        pytest.param("runnable=true", ["Fast"], id="runnable"),
        pytest.param("runnable=false", ["Small", "Old"], id="not-runnable"),
        pytest.param("verified=true", ["Fast"], id="verified"),
        pytest.param("verified=false", ["Small", "Old"], id="not-verified"),
        pytest.param("year=2019", ["Old"], id="year"),
        pytest.param("q=tiny+cameras", ["Small"], id="words"),
        pytest.param("ordering=votes", ["Old", "Fast", "Small"], id="by-votes"),
        pytest.param("ordering=claims", ["Small", "Fast", "Old"], id="by-claims"),
        pytest.param("ordering=title", ["Fast", "Old", "Small"], id="by-title"),
    ],
)
def test_filters_and_order(three_papers: None, query: str, found: list[str]) -> None:
    assert titles(query) == found


def test_ordering_by_claims_counts_them() -> None:
    one, two = make_paper(title="One"), make_paper(title="Two")
    make_claim(one)
    make_claim(two)
    make_claim(two, value=5)
    make_claim(make_paper(title="Rejected"), review="rejected")
    assert titles("ordering=claims") == ["Two", "One", "Rejected"]


def counts(query: str, facet: str) -> dict[str, int]:
    group = next(group for group in filtered(query).facets() if group.name == facet)
    return {option.value: option.count for option in group.options if option.count}


def test_facets_count_with_the_other_facets_applied(three_papers: None) -> None:
    assert counts("", "family") == {"quantization": 2, "kv-cache": 1, "sparsity-pruning": 1}
    assert counts("modality=vision", "family") == {"quantization": 1, "sparsity-pruning": 1}
    # A facet's own choice does not narrow it: the other values stay on offer.
    assert counts("family=kv-cache", "family") == counts("", "family")
    assert counts("family=quantization", "runnable") == {"true": 1, "false": 1}
    assert counts("", "verified") == {"true": 1, "false": 2}
    assert counts("", "metric") == {"memory": 1, "latency": 1, "speedup": 1}
    assert counts("", "kind") == {"technique": 2, "survey": 1}
    assert counts("", "training") == {"free": 1, "needed": 1, "unclear": 1}
    assert counts("q=tiny", "stage") == {"training": 1}


def test_every_count_is_what_choosing_it_would_show(three_papers: None) -> None:
    for group in filtered("modality=vision").facets():
        for option in group.options:
            if group.name != "modality":
                shown = titles(f"modality=vision&{group.name}={option.value}") if option.count else []
                assert len(shown) == option.count, (group.name, option.value)


def test_a_chosen_value_without_papers_can_still_be_taken_back(three_papers: None) -> None:
    group = next(g for g in filtered("family=kv-cache&modality=vision").facets() if g.name == "family")
    chosen = [option for option in group.options if option.chosen]
    assert [(option.value, option.count) for option in chosen] == [("kv-cache", 0)]


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        pytest.param("family=quantisation", "family", "“quantisation” is not one of: quantization,", id="family"),
        pytest.param("modality=smell", "modality", "“smell” is not one of: language,", id="modality"),
        pytest.param("hardware=abacus", "hardware", "No paper names the hardware “abacus”.", id="hardware"),
        pytest.param("metric=x", "metric", "“x” is not one of: latency,", id="metric"),
        pytest.param("verified=maybe", "verified", "“maybe” is not one of: true, false.", id="verified"),
        pytest.param("year=soon", "year", "Enter a whole number.", id="year"),
        pytest.param("year=12", "year", "greater than or equal to 1950", id="year-too-early"),
        pytest.param(
            "ordering=best", "ordering", "“best” is not one of: newest, claimed, measured, gap,", id="ordering"
        ),
    ],
)
def test_a_bad_value_is_told_beside_its_field_and_the_rest_still_applies(
    three_papers: None, client: Client, query: str, field: str, words: str
) -> None:
    chosen = filtered(f"{query}&stage=training" if field != "stage" else query)
    assert words in str(chosen.form.errors[field])
    assert [paper.title for paper in chosen.qs] == ["Small"]
    page = client.get(f"/papers/?{query}").content.decode()
    assert page.count(words.replace('"', "&quot;")) >= 2, "above the results and beside the field"


@pytest.mark.parametrize(
    "query",
    [
        "family=%00",
        "hardware=%00",
        "q=%00",
        "hardware=%F0%9F%98%80",
        "page=-3",
        "page=x",
        "year=1e999",
        "q=" + "a" * 5000,
    ],
)
def test_odd_input_is_no_server_error(three_papers: None, client: Client, query: str) -> None:
    assert client.get(f"/papers/?{query}").status_code == 200


def test_techniques_take_the_same_parameters(three_papers: None) -> None:
    found = TechniqueFilter(QueryDict("family=quantization&runnable=true"), queryset=Technique.objects.all()).qs
    assert [technique.paper.title for technique in found] == ["Fast"]


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_page_works_without_script(three_papers: None, client: Client) -> None:
    page = client.get("/papers/?family=quantization").content.decode()
    assert '<form class="facets"' in page
    assert 'method="get"' in page
    assert "2 papers" in page
    assert "Sparsity and pruning" in page


def test_a_swap_gets_the_part_and_an_address_without_blanks(three_papers: None, client: Client) -> None:
    answer = client.get("/papers/?q=&family=kv-cache&year=&ordering=", headers={"HX-Request": "true"})
    assert "<html" not in answer.content.decode()
    assert 'id="browse"' in answer.content.decode()
    assert answer.headers["HX-Push-Url"] == "/papers/?family=kv-cache"
    assert "HX-Request" in answer.headers["Vary"]


def test_history_gets_the_whole_page(three_papers: None, client: Client) -> None:
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<html" in client.get("/papers/", headers=headers).content.decode()


def test_pages_hold_25_and_do_not_overlap(client: Client) -> None:
    for number in range(30):
        make_paper(title=f"Paper {number}")
    first = client.get("/papers/").context["papers"]
    second = client.get("/papers/?page=2").context["papers"]
    assert (len(first), len(second)) == (25, 5)
    assert not {p.pk for p in first} & {p.pk for p in second}


def test_a_long_facet_shows_its_frequent_values_and_the_chosen_until_all_are_asked_for(client: Client) -> None:
    for number in range(14):
        names = tuple(f"Card {other:02}" for other in range(number + 1))
        make_technique(make_paper(title=f"Paper {number}"), hardware=names)  # Card 00 is named most, Card 13 once

    def offered(query: str) -> list[str]:
        return re.findall(r'name="hardware" value="([^"]+)"', client.get(f"/papers/?{query}").content.decode())

    assert offered("") == [f"Card {number:02}" for number in range(8)]
    assert offered("hardware=Card+12") == [*(f"Card {number:02}" for number in range(8)), "Card 12"]
    assert offered("more=hardware") == [f"Card {number:02}" for number in range(14)]
    page = client.get("/papers/").content.decode()
    assert "Show all 14" in page
    assert page.count('name="more"') == 1, "short facets are shown whole"
    told = html.unescape(client.get("/papers/?more=colour").content.decode())
    assert "Ignored: <code>more=colour</code> (colour is no filter; known: runnable," in told


def test_a_page_is_packed_for_whoever_takes_it(three_papers: None, client: Client) -> None:
    plain = client.get("/papers/")
    packed = client.get("/papers/", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert len(packed.content) < len(plain.content) / 3
    assert "Small" in gzip.decompress(packed.content).decode()
    assert "Content-Encoding" not in client.get("/api/v1/papers", headers={"Accept-Encoding": "gzip"}).headers


def test_nothing_found_says_what_to_do(three_papers: None, client: Client) -> None:
    assert "No paper matches" in client.get("/papers/?q=unheardof").content.decode()


@pytest.mark.parametrize(
    "address", ["/", "/papers/", "/papers/?family=kv-cache&modality=language&ordering=claims", "/techniques/"]
)
def test_lists_cost_the_same_queries_for_many_rows(
    address: str, client: Client, admin_user: Any, django_assert_max_num_queries: Any
) -> None:
    client.force_login(admin_user)

    def grow(number: int) -> None:
        for _ in range(number):
            implementation = make_implementation()
            make_claim(implementation.paper, quote="40% less memory", metric="memory")
            make_verdict(implementation.paper.claims.first(), make_run(implementation))

    grow(2)
    with django_assert_max_num_queries(12) as few:
        client.get(address)
    grow(12)
    with django_assert_max_num_queries(12) as many:
        client.get(address)
    assert len(many) == len(few)
