"""Order by what is claimed and what was measured, the table view, and choosing what to compare."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from papers.models import DeviceKind, Outcome, Paper
from papers.rankings import Figures, figures_of
from tests.factories import make_claim, make_implementation, make_paper, make_run, make_technique, make_verdict

pytestmark = pytest.mark.django_db


def measured(
    title: str, claimed: float, *found: tuple[float, str], kind: str = DeviceKind.CUDA, **fields: Any
) -> Paper:
    """A paper with one claimed ratio, and verdicts on it from the oldest to the newest."""
    paper = make_paper(title=title, **fields)
    make_technique(paper, name=title)
    claim = make_claim(paper, value=claimed, ratio=claimed)
    for ratio, outcome in found:
        implementation = paper.implementations.first() or make_implementation(paper)
        make_verdict(claim, make_run(implementation, device_kind=kind), outcome, ratio=ratio)
    return paper


@pytest.fixture
def six() -> dict[str, Paper]:
    """Half: half of 8 was found. Whole: all of 3. Cpu, Odd: nothing that decides. Bare: a claim alone. Mute: no claim."""
    papers = [
        measured("Half", 8.0, (4.0, Outcome.BELOW_CLAIM), year=2020),
        measured(
            "Whole", 3.0, (9.0, Outcome.CONFIRMED), (3.0, Outcome.CONFIRMED), (7.0, Outcome.INCONCLUSIVE), year=2021
        ),
        measured("Cpu", 2.0, (50.0, Outcome.CONFIRMED), kind=DeviceKind.CPU, year=2022),
        measured("Odd", 2.5, (60.0, Outcome.NOT_COMPARABLE), year=2023),
        measured("Bare", 90.0, year=2024),
        make_technique(make_paper(title="Mute", year=2025), name="Mute").paper,
    ]
    return {paper.title: paper for paper in papers}


BY_FIGURE = [
    pytest.param(
        "measured", ["Half", "Whole", "Mute", "Bare", "Odd", "Cpu"], id="the-newest-deciding-verdict-of-a-gpu"
    ),
    pytest.param("gap", ["Half", "Whole", "Mute", "Bare", "Odd", "Cpu"], id="claimed-over-measured"),
    pytest.param("claimed", ["Bare", "Half", "Whole", "Odd", "Cpu", "Mute"], id="claimed"),
    pytest.param("newest", ["Mute", "Bare", "Odd", "Cpu", "Whole", "Half"], id="newest"),
]


@pytest.mark.parametrize(("ordering", "found"), BY_FIGURE)
@pytest.mark.parametrize("address", ["/papers/", "/techniques/", "/api/v1/papers", "/api/v1/techniques"])
def test_pages_and_api_share_their_orders(
    six: dict[str, Paper], client: Client, address: str, ordering: str, found: list[str]
) -> None:
    answer = client.get(address, {"ordering": ordering})
    assert answer.status_code == 200
    if address.startswith("/api"):
        titles = [row.get("title") or row["name"] for row in answer.json()["results"]]
    elif address == "/papers/":
        titles = [paper.title for paper in answer.context["papers"]]
    else:
        titles = [row.name for row in answer.context["page"]]
    assert titles == found


def test_a_verdict_that_was_withdrawn_and_a_claim_that_got_worse_rank_nothing(client: Client) -> None:
    withdrawn = measured("Withdrawn", 2.0, (5.0, Outcome.CONFIRMED))
    withdrawn.claims.get(card_key=None).verdicts.update(withdrawn_at=timezone.now())
    worse = measured("Worse", 2.0, (5.0, Outcome.CONFIRMED))
    worse.claims.update(direction="worse")
    rejected = measured("Rejected", 2.0, (5.0, Outcome.CONFIRMED))
    rejected.claims.update(review="rejected")
    kept = measured("Kept", 2.0, (1.5, Outcome.BELOW_CLAIM))
    found = figures_of([withdrawn.pk, worse.pk, rejected.pk, kept.pk])
    assert found[kept.pk] == Figures(2.0, 1.5, 2.0 / 1.5)
    assert found[withdrawn.pk].measured is None
    assert found[worse.pk] == found[rejected.pk] == Figures()


def test_the_page_says_who_comes_last_and_why(six: dict[str, Paper], client: Client) -> None:
    page = client.get("/papers/?ordering=measured").content.decode()
    assert "2 have a deciding verdict from a GPU; the other 4 come last, newest first." in page
    assert 'measured <span class="figure">4.00×</span>' in page
    assert "50.0×" not in page, "a CPU's figure is no measurement"
    gap = client.get("/techniques/?ordering=gap").content.decode()
    assert 'claimed ÷ measured <span class="figure">2.00×</span>' in gap
    assert "come last" not in client.get("/techniques/").content.decode()
    assert "deciding verdict" not in client.get("/papers/?ordering=title").content.decode()


@pytest.mark.parametrize("address", ["/papers/", "/techniques/"])
def test_the_table_is_kept_in_the_address_alone(six: dict[str, Paper], client: Client, address: str) -> None:
    listed, table = client.get(address).content.decode(), client.get(address + "?view=table&q=half").content.decode()
    assert 'class="table table-tight compact"' in table
    assert 'class="table table-tight compact"' not in listed
    assert '<td class="number">8.00×</td><td class="number">4.00×</td><td class="number">2.00×</td>' in table
    assert '<input type="hidden" name="view" value="table">' in table, "a further filter keeps the view"
    assert "?view=table" in listed
    assert not client.cookies, "nothing is remembered elsewhere"


def test_techniques_are_chosen_for_comparison_without_script(six: dict[str, Paper], client: Client) -> None:
    for address in ("/techniques/", "/techniques/?view=table"):
        page = client.get(address).content.decode()
        assert '<form class="choose" action="/compare/" method="get"' in page
        assert page.count('type="checkbox" name="t"') == 6
        assert f'value="{six["Half"].slug}" aria-label="Compare Half"' in page
    chosen = client.get("/compare/", {"t": [six["Half"].slug, six["Whole"].slug]})
    assert [column.paper.title for column, _ in chosen.context["columns"]] == ["Half", "Whole"]


@pytest.mark.parametrize("address", ["/papers/?view=table&ordering=gap", "/techniques/?view=table&ordering=measured"])
def test_tables_cost_the_same_queries_for_many_rows(
    address: str, client: Client, django_assert_max_num_queries: Any
) -> None:
    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            measured(f"Paper {number}", 2.0, (1.5, Outcome.CONFIRMED))

    grow(0, 2)
    with django_assert_max_num_queries(12) as few:
        client.get(address)
    grow(2, 9)
    with django_assert_max_num_queries(12) as many:
        client.get(address)
    assert len(many) == len(few)
