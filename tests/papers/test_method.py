"""The page that explains verdicts says what the harness does."""

import pytest
from django.test import Client

from papers.method_views import CLAIMED, EXAMPLES
from papers.models import Outcome
from tests.runners.bench.test_verdicts import CPU, GPU, measured, verdict


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.outcome)
def test_the_examples_are_judged_as_the_harness_would(example) -> None:  # type: ignore[no-untyped-def]
    found = [measured(example.low, example.ratio, example.high, band=0.01, kind="cuda" if example.decides else "cpu")]
    judged = verdict(found, GPU if example.decides else CPU, value=CLAIMED.value, qualifier="")
    assert judged.outcome == example.outcome


@pytest.mark.django_db
def test_every_outcome_has_a_place_that_verdicts_link_to(client: Client) -> None:
    page = client.get("/about/").content.decode()
    for outcome in (*Outcome.values, "untested"):
        assert f'id="outcome-{outcome}"' in page
    assert 'id="outcomes"' in page
    assert "interval-hollow" in page, "the example on a CPU is drawn as one that decides nothing"
