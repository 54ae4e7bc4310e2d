"""The page of components shows every part, and what is hostile in it as text."""

import re

import pytest
from django.test import Client

from papers.models import Outcome
from papers.templatetags.figures import EVIDENCE, evidence

pytestmark = pytest.mark.django_db


def test_every_outcome_and_kind_of_evidence_is_shown_with_its_word(client: Client) -> None:
    page = client.get("/components/").content.decode()
    for word in (*Outcome.labels, "Not tested", *(evidence(kind)["word"] for kind in EVIDENCE)):
        assert re.search(rf"</svg>\s*{word}</span>", page)
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; are shown as text" in page


def test_kinds_of_evidence_differ_by_shape_and_not_by_colour_alone(client: Client) -> None:
    page = client.get("/components/").content.decode()
    badges = re.findall(r'<span class="badge source-(\w+)"[^>]*>(<svg.*?</svg>)', page)
    shapes = dict(badges)
    assert set(shapes) == set(EVIDENCE)
    assert len(set(shapes.values())) == len(EVIDENCE)
