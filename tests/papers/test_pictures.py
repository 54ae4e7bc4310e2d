"""The pictures of claims and what was found, and the rows that they are drawn from."""

import pytest
from django.test import Client

from papers.models import DeviceKind, Outcome
from papers.pictures import claims_against_measurements, outcomes_by_family
from tests.factories import make_device, make_implementation, make_paper, make_run, make_verdict

pytestmark = pytest.mark.django_db


def judged(name: str, kind: str, outcome: str = Outcome.BELOW_CLAIM, **figures: float):
    paper = make_paper(title=f"{name}: a paper")
    implementation = make_implementation(paper, name)
    run = make_run(implementation, device=make_device(kind), device_kind=kind)
    figures = {"ratio": 1.5, "low": 1.4, "high": 1.6, **figures}
    claim = paper.claims.get()
    claim.ratio = 2.3
    claim.save()
    return make_verdict(claim, run, outcome, **figures)


def test_what_a_gpu_measured_is_drawn_and_what_a_cpu_did_is_not(client: Client):
    judged("foldcache", DeviceKind.CUDA)
    judged("thinlayer", DeviceKind.CPU)
    (point,) = claims_against_measurements()
    assert (point.measured, point.low, point.high, point.outcome) == (1.5, 1.4, 1.6, "Below the claim")
    answer = client.get("/api/v1/figures/claims-against-measurements").json()
    assert answer["rows"] == [point.to_dict()]
    assert outcomes_by_family() == [{"family": "KV cache", "outcome": "Below the claim", "claims": 1}]
    assert client.get("/api/v1/figures/outcomes-by-family").json()["rows"] == outcomes_by_family()
    page = client.get("/").content.decode()
    assert "1.50×" in page
    assert "charts/vega.js" in page


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.NOT_COMPARABLE])
def test_what_was_rejected_or_speaks_of_something_else_is_no_point(outcome: str):
    judged("foldcache", DeviceKind.CUDA, outcome)
    assert claims_against_measurements() == []


def test_without_a_gpu_the_page_says_so_and_loads_no_charts(client: Client):
    judged("thinlayer", DeviceKind.CPU, Outcome.NOT_COMPARABLE)
    page = client.get("/").content.decode()
    assert "No claim has been judged on a GPU here yet." in page
    assert "Of 1 implementation, the answers of 1 were checked on a CPU" in page
    assert "vega.js" not in page


def test_the_front_page_costs_the_same_for_many_papers(client: Client, django_assert_max_num_queries):
    for number in range(12):
        judged(f"system-{number}", DeviceKind.CUDA)
    with django_assert_max_num_queries(12):
        client.get("/")
