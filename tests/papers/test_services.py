"""What the knowledge base keeps of papers, records and claims."""

import pytest

from papers.models import AuditEntry, Claim, Paper, Source
from papers.services import SeenPaper, record_paper, store_card_claims, store_record, withdraw_paper
from tests.papers.sample import ABSTRACT, a_record, the_paper

pytestmark = pytest.mark.django_db


def test_the_same_sight_twice_changes_nothing() -> None:
    seen = SeenPaper(title="TwoCache", abstract=ABSTRACT, votes=3, source_kind="page", locator="a.txt", line=4)
    assert [record_paper(seen)[1], record_paper(seen)[1]] == ["new", "unchanged"]
    assert (Paper.objects.count(), Source.objects.count()) == (1, 1)


def test_latex_remains_make_no_twin_and_two_places_are_two_sources() -> None:
    record_paper(SeenPaper(title="HyperZ$\\cdot$Z$\\cdot$W", abstract="One.", source_kind="page", locator="a.txt"))
    paper, change = record_paper(
        SeenPaper(title="HyperZcdotZcdotW", abstract="Two.", source_kind="page", locator="b.txt")
    )
    assert change == "unchanged"
    assert paper.abstract == "One."
    assert paper.sources.count() == 2


def test_a_later_sight_fills_what_was_missing_and_votes_only_rise() -> None:
    record_paper(SeenPaper(title="TwoCache", votes=5))
    paper, change = record_paper(SeenPaper(title="TwoCache", abstract=ABSTRACT, arxiv_id="2101.00001", votes=2))
    assert (change, paper.abstract, paper.arxiv_id, paper.votes) == ("updated", ABSTRACT, "2101.00001", 5)


def test_papers_with_like_titles_get_addresses_of_their_own() -> None:
    first, second = the_paper("A+ B"), the_paper("A - B!!c")
    third = the_paper("A B")  # folds like the first
    assert first.slug != second.slug
    assert third.pk == first.pk


@pytest.mark.parametrize("title", [pytest.param("  ", id="blank"), pytest.param("long " * 200, id="too-long")])
def test_what_is_no_title_is_refused_and_nothing_is_written(title: str) -> None:
    with pytest.raises(ValueError, match="title: "):
        record_paper(SeenPaper(title=title))
    assert not Paper.objects.exists()


def test_a_record_is_stored_and_storing_it_again_changes_nothing() -> None:
    paper = the_paper()
    assert store_record(paper, a_record(), "1") == "new"
    paper.refresh_from_db()
    assert paper.technique.families == ["kv-cache", "quantization"]
    assert store_record(paper, a_record(), "1") == "unchanged"
    assert paper.claims.count() == 1


def test_a_claim_that_is_no_longer_found_is_withdrawn_and_comes_back() -> None:
    paper = the_paper()
    store_record(paper, a_record(), "1")
    store_record(paper, a_record(claims=[]), "2")
    claim = paper.claims.get()
    assert claim.withdrawn_at is not None
    assert not Claim.objects.visible().exists()
    store_record(paper, a_record(), "3")
    claim.refresh_from_db()
    assert claim.withdrawn_at is None


def test_what_a_person_set_wins_over_a_later_extraction() -> None:
    paper = the_paper()
    store_record(paper, a_record(name="Edited", families=["peft"]), "1", edited=["name", "families"])
    store_record(paper, a_record(kind="system"), "2")
    paper = Paper.objects.get()
    assert (paper.technique.name, paper.technique.families) == ("Edited", ["peft"])
    assert paper.technique.kind == "system"


CARD_CLAIM = {
    "key": "speed", "statement": "Three times as fast.", "metric": "latency", "phase": "inference", "form": "factor",
    "direction": "better", "value": 3.0, "unit": "x", "baseline_text": "plain decoding", "scope": "kernel", "hardware": "",
}  # fmt: skip


@pytest.mark.parametrize("card_first", [True, False], ids=["card-first", "extraction-first"])
def test_a_cards_claim_and_the_extracted_one_are_one_row(card_first: bool) -> None:
    paper = the_paper()
    steps = [lambda: store_card_claims(paper, "twocache", [CARD_CLAIM]), lambda: store_record(paper, a_record(), "1")]
    for step in steps if card_first else reversed(steps):
        step()
    store_record(paper, a_record(), "2")
    store_card_claims(paper, "twocache", [CARD_CLAIM])
    claim = paper.claims.get()
    assert claim.card_key == "twocache/speed"
    assert ABSTRACT[claim.start : claim.end] == claim.quote == "3x faster"


def test_a_claim_that_left_its_card_stays_only_where_the_abstract_makes_it() -> None:
    paper = the_paper()
    other = CARD_CLAIM | {"key": "memory", "metric": "memory", "value": 7.0}
    store_record(paper, a_record(), "1")
    store_card_claims(paper, "twocache", [CARD_CLAIM, other])
    store_card_claims(paper, "twocache", [])
    assert [c.card_key for c in Claim.objects.visible()] == [None]
    assert paper.claims.count() == 2


def test_withdrawing_leaves_the_address_and_writes_who_did_it() -> None:
    paper = the_paper()
    withdraw_paper(paper, None, reason="wrong paper")
    assert not Paper.objects.visible().exists()
    assert Paper.objects.get(slug=paper.slug).withdrawn_at is not None
    assert AuditEntry.objects.get().detail == {"reason": "wrong paper"}
