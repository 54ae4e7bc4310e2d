"""Two runs side by side, and what can be taken away of one."""

import json
import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from papers.models import Run
from tests.factories import make_device, make_implementation, make_measurement, make_run, make_verdict

pytestmark = pytest.mark.django_db
ENVIRONMENT = {"device_name": "NVIDIA H200", "torch": "2.12.0", "load_average": 0.3}


def read(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", unescape(answer.content.decode()))


@pytest.fixture
def pair() -> tuple[Run, Run]:
    """Two runs of one implementation: another torch, and one of two ratios changed."""
    implementation, device = make_implementation(), make_device()
    old = make_run(implementation, device=device, environment=ENVIRONMENT)
    new = make_run(
        implementation, device=device, environment={**ENVIRONMENT, "torch": "2.13.0", "load_average": 1.3}, seed=8
    )
    for run, ratio in ((old, 2.0), (new, 1.2)):
        make_measurement(run, ratio=ratio, ratio_low=ratio * 0.98, ratio_high=ratio * 1.02)
        make_measurement(run, ratio=1.5, ratio_low=1.48, ratio_high=1.52, baseline="library")
    return old, new


def test_figures_and_what_changed_between_two_runs(client: Client, pair: tuple[Run, Run]) -> None:
    page = read(client, f"/runs/compare/?a={pair[0].pk}&b={pair[1].pk}")
    assert "1 of 2 ratios agree. Between the runs changed: Torch." in page
    for words in ("2.12.0", "2.13.0", "2.00×", "1.20×", "1.96–2.04×"):
        assert words in page
    assert "State of the machine" in page
    assert "interval-hollow" not in page


def test_the_page_of_a_run_leads_to_the_one_before_it(client: Client, pair: tuple[Run, Run]) -> None:
    assert f"/runs/compare/?a={pair[0].pk}&b={pair[1].pk}" in read(client, pair[1].get_absolute_url())
    assert "Compare with run" not in read(client, pair[0].get_absolute_url())


def test_the_same_twice_says_so(client: Client, pair: tuple[Run, Run]) -> None:
    page = read(client, f"/runs/compare/?a={pair[0].pk}&b={pair[0].pk}")
    assert "Every ratio agrees. Nothing changed but the state of the machine." in page


def test_two_implementations_are_told_apart(client: Client, pair: tuple[Run, Run]) -> None:
    other = make_run(make_implementation(name="other"))
    page = read(client, f"/runs/compare/?a={pair[0].pk}&b={other.pk}")
    assert "Two different implementations" in page
    assert "not timed" in page
    assert "No ratio was measured by both." in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "Newest finished runs"),
        ("a=lost&b=7", "“lost” is not the number of a run"),
        ("a=%00&b=-1", "“-1” is not the number of a run"),
        ("a=99999999999999999999&b=1", "is not the number of a run"),
        ("a=4711", "There is no run 4711"),
    ],
)
def test_what_is_no_run_is_told(client: Client, pair: tuple[Run, Run], query: str, words: str) -> None:
    assert words in read(client, f"/runs/compare/?{query}")


def test_the_bundle_holds_run_card_verdicts_and_records(client: Client) -> None:
    implementation = make_implementation(name="foldcache")
    run = make_run(implementation, records=[{"card": "foldcache"}], environment=ENVIRONMENT)
    make_verdict(implementation.paper.claims.get(), run)
    answer = client.get(reverse("run-bundle", args=[run.pk]))
    bundle = json.loads(answer.content)
    assert bundle["records"] == [{"card": "foldcache"}]
    assert bundle["card"]["name"] == "foldcache"
    assert bundle["card_is_the_one_it_ran_with"] is True
    assert [each["outcome"] for each in bundle["verdicts"]] == ["confirmed"]
    assert (bundle["run"]["seed"], bundle["run"]["environment"]) == (7, ENVIRONMENT)
    assert "attachment" in answer.headers["Content-Disposition"]
    assert f"replay speedproof-run-{run.pk}.jsonl" in read(client, run.get_absolute_url())


def test_comparing_costs_the_same_for_many_figures(
    client: Client, pair: Any, django_assert_max_num_queries: Any
) -> None:
    address = f"/runs/compare/?a={pair[0].pk}&b={pair[1].pk}"
    with django_assert_max_num_queries(12) as few:
        client.get(address)
    for number in range(20):
        make_measurement(pair[0], workload=f"w{number}")
    with django_assert_max_num_queries(12) as many:
        client.get(address)
    assert len(few) == len(many)
