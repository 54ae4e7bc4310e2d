"""Techniques side by side."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from papers.models import Device, DeviceKind, Implementation
from tests.factories import (
    make_card,
    make_claim,
    make_device,
    make_implementation,
    make_measurement,
    make_paper,
    make_run,
    make_technique,
)

pytestmark = pytest.mark.django_db


def read(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", unescape(answer.content.decode()))


def address(*papers: Any, extra: str = "") -> str:
    return "/compare/?" + "&".join(f"t={paper.slug}" for paper in papers) + extra


@pytest.fixture
def gpu() -> Device:
    return make_device()


def technique(name: str, device: Device | None = None, ratio: float = 2.0, **card: Any) -> Implementation:
    paper = make_paper(title=f"{name}: a scheme", year=2024)
    make_technique(paper, name=name)
    made = make_implementation(paper, name.lower(), card=make_card(name.lower(), summary=f"{name} in short.", **card))
    if device:
        run = make_run(made, device=device, device_kind=device.kind)
        make_measurement(run, ratio=ratio, ratio_low=ratio * 0.98, ratio_high=ratio * 1.02)
        make_measurement(run, ratio=ratio / 2, baseline="library")
        make_measurement(run, measure="peak_memory", unit="bytes", median=2 * 2**30, ratio=1.5)
    return made


def rows(client: Client, where: str) -> dict[str, Any]:
    return {row.title: row for group in client.get(where).context["groups"] for row in group.rows}


def test_claims_gains_and_needs_stand_side_by_side(client: Client, gpu: Device) -> None:
    first, second = technique("Alpha", gpu), technique("Beta", gpu, 3.0, correctness="approximate",
                                                       check={"quality": "relative_l2", "budget": 0.02})  # fmt: skip
    make_claim(first.paper, quote="40% less memory", metric="memory", form="percent", value=40, unit="%")
    where = address(first.paper, second.paper)
    page = read(client, where)
    for words in (
        "Alpha in short.",
        "Beta in short.",
        "2.00×",
        "3.00×",
        "2.94–3.06×",
        "NVIDIA H200",
        "40 %",
        "2.00 GiB",
    ):
        assert words in page
    found = rows(client, where)
    assert (found["Answer"].differs, found["Stage"].differs) == (True, False)
    assert [cell.quiet for cell in found["Memory"].cells] == [False, False]
    eager = found["Eager"]
    assert eager.scale[1] > 3.06, "both bars have room on one scale"


def test_a_cpu_decides_nothing_and_gives_way_to_a_gpu(client: Client, gpu: Device) -> None:
    cpu = make_device(DeviceKind.CPU)
    both = [technique("Alpha", cpu, 7.0).paper, technique("Beta", cpu).paper]
    page = read(client, address(*both))
    assert "A CPU’s figures decide nothing" in page
    assert "interval-hollow" in page
    page = read(client, address(both[0], technique("Gamma", gpu).paper))
    assert "7.00×" not in page
    assert "A CPU’s figures decide nothing" not in page


def test_memory_is_told_beside_the_first_rung_and_not_the_one_that_flatters(client: Client, gpu: Device) -> None:
    made = technique("Alpha", gpu)
    make_measurement(
        made.runs.get(), measure="peak_memory", unit="bytes", median=2 * 2**30, ratio=9.0, baseline="library"
    )
    found = rows(client, address(made.paper, technique("Beta").paper))["Peak memory"]
    assert found.cells[0].value.baseline == "eager"
    assert found.cells[1].quiet


def test_nonsense_is_told_and_left_out(client: Client) -> None:
    page = read(client, address(technique("Alpha").paper, extra="&t=no-such&t=%00x&t=<b>"))
    assert "no technique has this address: <code>no-such</code>" in page
    assert "Chosen so far" in page
    assert "<b></code>" not in client.get("/compare/?t=<b>").content.decode()


def test_a_paper_without_technique_is_nothing_to_compare(client: Client) -> None:
    assert "no technique has this address" in read(client, address(make_paper()))


def test_four_fit(client: Client) -> None:
    papers = [technique(name).paper for name in ("Alpha", "Beta", "Gamma", "Delta", "Omega")]
    page = read(client, address(*papers, papers[0]))
    assert "Only 4 fit side by side. Left out: Omega." in page
    assert page.count('class="compare-remove"') == 4
    assert "Add another" not in page


def test_none_and_one_say_how_to_go_on(client: Client) -> None:
    made = technique("Alpha")
    page = read(client, "/compare/")
    assert "Up to 4 techniques side by side" in page
    assert f'href="/compare/?t={made.paper.slug}"' in page
    assert "Add one more" in read(client, address(made.paper))


def test_words_find_what_to_add_and_the_address_keeps_all(client: Client) -> None:
    first, second = technique("Alpha"), make_technique(make_paper(title="Betanet on paper"), name="Betanet").paper
    page = read(client, address(first.paper, extra="&q=betanet"))
    assert f'href="/compare/?t={first.paper.slug}&t={second.slug}"' in page
    assert "No technique has all of these words" in read(client, "/compare/?q=zzz")
    both = read(client, address(first.paper, second))
    assert f'href="/compare/?t={second.slug}" aria-label="Remove Alpha"' in both
    assert "not yet" in both


def test_the_number_of_queries_does_not_grow(client: Client, gpu: Device, django_assert_max_num_queries: Any) -> None:
    papers = [technique(name, gpu).paper for name in ("Alpha", "Beta", "Gamma")]
    with django_assert_max_num_queries(12) as two:
        client.get(address(*papers[:2]))
    for paper in papers:
        for value in range(5):
            make_claim(paper, value=value + 3)
    with django_assert_max_num_queries(12) as three:
        client.get(address(*papers))
    assert len(two) == len(three)
