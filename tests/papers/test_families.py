"""Families: every one is explained, and what is said of its claims is what GPUs measured."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from papers.families import families, words_of_families
from papers.models import DeviceKind, Outcome, Technique
from papers.vocabulary import FAMILY_LABELS
from tests.factories import (
    make_claim,
    make_device,
    make_implementation,
    make_paper,
    make_run,
    make_technique,
    make_verdict,
)


def read(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return re.sub(r"\s+", " ", unescape(answer.content.decode()))


def judged(value: float, ratio: float, outcome: str = Outcome.CONFIRMED, **run: Any) -> None:
    """A technique of kv-cache whose claim of `value` was measured at `ratio`."""
    implementation = make_implementation()
    claim = implementation.paper.claims.get()
    claim.value = claim.ratio = value
    claim.save()
    made = make_run(implementation, **run)
    make_verdict(claim, made, outcome, ratio=ratio, low=ratio * 0.98, high=ratio * 1.02)


def test_every_family_is_told_in_words() -> None:
    words = words_of_families()
    assert list(words) == list(FAMILY_LABELS)
    assert all(text.endswith(".") for each in words.values() for text in (each.what, each.gains, each.watch))


@pytest.mark.django_db
def test_claims_by_outcome_and_the_median_of_what_was_reached() -> None:
    judged(2.0, 2.0)
    judged(2.0, 1.0, Outcome.NO_GAIN)
    judged(4.0, 3.0, Outcome.BELOW_CLAIM)
    judged(2.0, 9.0, Outcome.NOT_COMPARABLE)
    judged(2.0, 9.0, Outcome.NOT_COMPARABLE, device_kind=DeviceKind.CPU)
    [family] = families(Technique.objects.all(), "kv-cache")
    assert family.outcomes == {"confirmed": 1, "below-claim": 1, "no-gain": 1, "not-comparable": 1}
    assert sorted(family.shares) == [0.5, 0.75, 1.0]
    assert (family.median_share, family.techniques, family.runnable, family.claims) == (0.75, 5, 5, 5)
    assert family.metrics == [("speedup", 5)]


@pytest.mark.django_db
def test_a_loss_that_a_paper_admits_is_no_share_of_a_gain() -> None:
    judged(0.5, 0.5)
    from papers.models import Claim

    Claim.objects.update(direction="worse")
    [family] = families(Technique.objects.all(), "kv-cache")
    assert family.shares == []


@pytest.mark.django_db
def test_no_measurement_is_said_plainly(client: Client) -> None:
    make_claim(make_technique(families=("peft",)).paper)
    page = read(client, "/families/")
    assert "No measurement yet; 1 claim to judge." in page
    page = read(client, "/families/peft/")
    assert "Nothing of this family can be run here yet." in page
    assert "Evicting entries" not in page


@pytest.mark.django_db
def test_a_cpu_run_leaves_a_family_without_measurement(client: Client) -> None:
    judged(2.0, 2.0, Outcome.NOT_COMPARABLE, device_kind=DeviceKind.CPU)
    assert "No measurement yet; 1 claim to judge." in read(client, "/families/kv-cache/")


@pytest.mark.django_db
def test_a_family_shows_what_runs_and_what_is_known(client: Client) -> None:
    judged(2.0, 2.1)
    make_technique(make_paper(title="Only on paper"))
    page = read(client, "/families/kv-cache/")
    assert 'Median of measured ÷ claimed: <span class="figure">1.05</span>, over 1 claim' in page
    assert "Folded Pages" in page or "Foldcache" in page
    assert "Only on paper" in page
    assert 'name="t"' in page


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["nothing", "KV-cache"])
def test_what_is_no_family_is_not_found(client: Client, name: str) -> None:
    read(client, f"/families/{name}/", 404)


@pytest.mark.django_db
def test_families_cost_the_same_for_many(client: Client, admin_user: Any, django_assert_max_num_queries: Any) -> None:
    client.force_login(admin_user)
    judged(2.0, 2.1, device=make_device())
    costs: list[int] = []
    for _ in range(2):
        for address in ("/families/", "/families/kv-cache/"):
            with django_assert_max_num_queries(12) as asked:
                client.get(address)
            costs.append(len(asked))
        for _ in range(5):
            judged(2.0, 1.5)
    assert costs[:2] == costs[2:]


@pytest.mark.django_db
def test_the_picture_stands_above_the_list_once_a_gpu_judged_a_claim(client: Client) -> None:
    judged(2.0, 1.0, Outcome.NO_GAIN, device_kind=DeviceKind.CPU)
    assert "outcomes-by-family" not in read(client, "/families/")
    judged(2.0, 1.0, Outcome.NO_GAIN)
    page = read(client, "/families/")
    assert 'data-rows="/api/v1/figures/outcomes-by-family"' in page
    assert "charts/vega" in page
