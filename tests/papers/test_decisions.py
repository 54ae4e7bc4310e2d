"""What people decide, and that nothing which comes later undoes it."""

from typing import Any

import pytest

from papers.models import AuditEntry, Claim, Paper, Review, ReviewItem, ReviewState
from papers.services import (
    Doubt,
    FieldError,
    SeenPaper,
    add_claim,
    edit_paper,
    edit_technique,
    open_review_item,
    record_paper,
    review_claim,
    store_card_claims,
    store_record,
)
from papers.services.statements import read_one_number_twice
from tests.factories import make_user
from tests.papers.sample import ABSTRACT, a_claim, a_record, the_paper

pytestmark = pytest.mark.django_db


@pytest.fixture
def paper() -> Paper:
    paper = the_paper()
    store_record(paper, a_record(), "1")
    return paper


def again(paper: Paper, *claims: dict[str, Any]) -> list[tuple[float, str]]:
    """Extract once more, with these claims; what readers then see."""
    store_record(paper, a_record(claims=list(claims)), "2")
    return sorted((c.value, c.review) for c in Claim.objects.visible().filter(paper=paper))


# ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("decision", "fields", "shown"),
    [
        pytest.param("accept", None, [(3.0, "accepted")], id="accepted"),
        pytest.param("correct", {"value": 30, "phase": "training"}, [(30.0, "corrected")], id="corrected"),
        pytest.param("reject", None, [], id="rejected"),
    ],
)
@pytest.mark.parametrize(
    "found",
    [
        pytest.param([], id="not-found-again"),
        pytest.param([a_claim()], id="found-again"),
        pytest.param([a_claim(metric="throughput", baseline=None, rule="newer")], id="read-otherwise"),
        pytest.param([a_claim("runs 3x faster than plain decoding")], id="a-longer-quote"),
    ],
)
def test_extraction_leaves_a_decided_claim_alone(
    paper: Paper, decision: str, fields: dict[str, Any] | None, shown: Any, found: list[Any]
) -> None:
    claim = paper.claims.get()
    review_claim(claim, decision, None, fields=fields)
    claim.refresh_from_db()
    before = {f.name: getattr(claim, f.name) for f in Claim._meta.concrete_fields}
    assert again(paper, *found) == shown
    claim = paper.claims.get()
    assert {f.name: getattr(claim, f.name) for f in Claim._meta.concrete_fields} == before


def test_a_different_claim_in_the_same_words_is_still_found(paper: Paper) -> None:
    review_claim(paper.claims.get(), "reject", None)
    words = "2.5x less memory and runs 3x faster"
    assert again(paper, a_claim(), a_claim(words, metric="memory", value=2.5)) == [(2.5, "unreviewed")]


def test_two_metrics_with_one_number_each_meet_their_own_decision(paper: Paper) -> None:
    speed, memory = a_claim(), a_claim(metric="memory")
    again(paper, speed, memory)
    review_claim(paper.claims.get(metric="memory"), "reject", None)
    review_claim(paper.claims.get(metric="speedup"), "accept", None)
    again(paper, a_claim(metric="model_size"), speed)
    assert [(c.metric, c.review) for c in Claim.objects.visible()] == [("speedup", "accepted")]


def test_a_correction_keeps_what_follows_from_it_and_who_made_it(paper: Paper) -> None:
    again(paper, a_claim(ratio=3.0, base_value=12.0, base_unit="s", confidence=0.4, raw="3x"))
    editor, claim = make_user(), paper.claims.get()
    assert review_claim(claim, "correct", editor, fields={"value": "2", "qualifier": "up to"}, note="misread")
    claim.refresh_from_db()
    assert (claim.value, claim.ratio, claim.base_value, claim.base_unit) == (2.0, 2.0, 8.0, "s")
    assert (claim.corrected_fields, claim.reviewed_by, claim.review_note) == (["qualifier", "value"], editor, "misread")
    entry = AuditEntry.objects.get(action="review-claim")
    assert (entry.actor, entry.detail["before"]["value"], entry.detail["after"]["value"]) == (editor, 3.0, 2.0)


def test_the_same_decision_twice_is_one(paper: Paper) -> None:
    claim = paper.claims.get()
    assert [review_claim(claim, "accept", None), review_claim(claim, "accept", None)] == ["updated", "unchanged"]
    assert AuditEntry.objects.filter(action="review-claim").count() == 1
    assert review_claim(claim, "reject", None) == "updated", "a person may decide otherwise"


def test_a_correction_that_changes_nothing_is_an_acceptance(paper: Paper) -> None:
    review_claim(paper.claims.get(), "correct", None, fields={"value": 3, "quote": "3x faster"})
    assert paper.claims.get().review == Review.ACCEPTED


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"metric": "speed"}, "metric", id="metric"),
        pytest.param({"phase": ""}, "phase", id="phase"),
        pytest.param({"value": "three"}, "value", id="value-no-number"),
        pytest.param({"value": "nan"}, "value", id="value-nan"),
        pytest.param({"value": ""}, "value", id="value-missing"),
        pytest.param({"value_max": 2}, "value_max", id="range-turned-round"),
        pytest.param({"form": "absolute"}, "direction", id="an-amount-has-no-direction"),
        pytest.param({"qualifier": "perhaps"}, "qualifier", id="qualifier"),
        pytest.param({"baseline": "x" * 301}, "baseline", id="too-long"),
        pytest.param({"quote": "3x quicker"}, "quote", id="quote-not-in-the-abstract"),
        pytest.param({"quote": " "}, "quote", id="quote-blank"),
        pytest.param({"rule": "mine"}, "rule", id="not-settable"),
    ],
)
def test_a_bad_correction_names_its_field_and_writes_nothing(paper: Paper, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldError) as fault:
        review_claim(paper.claims.get(), "correct", None, fields=fields)
    assert fault.value.field == field
    assert paper.claims.get().review == Review.UNREVIEWED
    assert not AuditEntry.objects.exists()


def test_a_correction_onto_another_claim_is_refused(paper: Paper) -> None:
    again(paper, a_claim(), a_claim(value=4.0))
    with pytest.raises(FieldError, match=r"value: claim \d+ says the same"):
        review_claim(paper.claims.get(value=4.0), "correct", None, fields={"value": 3})


def test_a_missed_claim_is_added_by_its_words_and_extraction_finds_no_second(paper: Paper) -> None:
    fields = {"metric": "memory", "form": "factor", "value": "2.5", "unit": "x", "quote": "2.5x less memory"}
    claim, change = add_claim(paper, fields, None)
    assert (change, claim.review, claim.ratio) == ("new", "accepted", 2.5)
    assert ABSTRACT[claim.start : claim.end] == "2.5x less memory"
    assert add_claim(paper, fields, None) == (claim, "unchanged")
    assert again(paper, a_claim("needs 2.5x less memory", metric="memory", value=2.5)) == [(2.5, "accepted")]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"quote": "not there"}, "quote"), ({"metric": ""}, "metric"), ({"value": None}, "value"), ({"end": 3}, "end")],
)
def test_a_missed_claim_that_is_not_whole_is_refused(paper: Paper, change: dict[str, Any], field: str) -> None:
    fields = {"metric": "memory", "form": "factor", "value": 2.5, "quote": "2.5x less memory"}
    with pytest.raises(FieldError) as fault:
        add_claim(paper, fields | change, None)
    assert fault.value.field == field
    assert paper.claims.count() == 1


# ── cards ───────────────────────────────────────────────────────────────────────────────────────────────────────────
CARD = {"key": "speed", "statement": "Three times.", "metric": "speedup", "phase": "inference", "form": "factor",
        "direction": "better", "value": 3.0, "unit": "x", "baseline_text": "plain", "scope": "kernel"}  # fmt: skip


def test_a_card_does_not_undo_a_correction_and_a_rejected_claim_is_not_its(paper: Paper) -> None:
    store_card_claims(paper, "twocache", [CARD])
    review_claim(paper.claims.get(), "correct", None, fields={"value": 2.9})
    store_card_claims(paper, "twocache", [CARD])
    assert (paper.claims.get().value, paper.claims.get().scope) == (2.9, "kernel")

    other = the_paper("Another")
    store_record(other, a_record(), "1")
    review_claim(other.claims.get(), "reject", None)
    store_card_claims(other, "other", [CARD])
    store_record(other, a_record(), "2")
    assert sorted((c.review, c.card_key) for c in other.claims.all()) == [
        ("rejected", None), ("unreviewed", "other/speed"),
    ]  # fmt: skip


# ── fields of techniques and papers ─────────────────────────────────────────────────────────────────────────────────
def test_an_edit_wins_over_extraction_and_over_the_card(paper: Paper) -> None:
    store_record(paper, {"kind": "system", "name": "Card"}, "1", edited=["kind", "name"])
    edit_technique(paper, {"name": "Person", "families": ["peft"], "training_free": None}, None)
    store_record(paper, {"kind": "architecture", "name": "Card 2"}, "1", edited=["kind", "name"])
    store_record(paper, a_record(), "3")
    record = Paper.objects.get().technique
    assert (record.name, record.kind, record.families, record.training_free) == (
        "Person", "architecture", ["peft"], None,
    )  # fmt: skip
    assert record.set_by_people == {"name", "families", "training_free"}


def test_the_same_edit_twice_is_one_and_confirming_a_value_guards_it(paper: Paper) -> None:
    assert edit_technique(paper, {"kind": "technique"}, None) == "updated"
    assert edit_technique(paper, {"kind": "technique"}, None) == "unchanged"
    store_record(paper, a_record(kind="system"), "2")
    assert Paper.objects.get().technique.kind == "technique"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({}, "fields", id="nothing"),
        pytest.param({"kind": "method"}, "kind", id="kind"),
        pytest.param({"families": ["kv-cache", "speed"]}, "families", id="family"),
        pytest.param({"families": "kv-cache"}, "families", id="no-list"),
        pytest.param({"families": ["peft", "nas", "kv-cache", "low-rank"]}, "families", id="too-many"),
        pytest.param({"training_free": "yes"}, "training_free", id="no-boolean"),
        pytest.param({"code_urls": ["ftp://x"]}, "code_urls", id="url"),
        pytest.param({"quality_cost": {"quote": "not there"}}, "quality_cost", id="cost-quote"),
        pytest.param({"reasons": {}}, "reasons", id="not-settable"),
        pytest.param({"name": "x" * 201}, "name", id="too-long"),
        pytest.param({"name": "a\x00b"}, "name", id="nul"),
    ],
)
def test_a_bad_edit_names_its_field_and_writes_nothing(paper: Paper, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldError) as fault:
        edit_technique(paper, {"verify": "none", **fields} if fields else fields, None)
    assert fault.value.field == field
    assert Paper.objects.get().technique.verify == "kernel"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": " "}, "title"), ({"title": "Taken"}, "title"), ({"arxiv_id": "2101.00001"}, "arxiv_id"),
        ({"arxiv_id": "x"}, "arxiv_id"), ({"doi": "x"}, "doi"), ({"year": "soon"}, "year"), ({"year": 1066}, "year"),
        ({"published_on": "13 March"}, "published_on"), ({"authors": "Ada"}, "authors"), ({"votes": 3}, "votes"),
    ],
)  # fmt: skip
def test_a_bad_edit_of_a_paper_names_its_field(paper: Paper, fields: dict[str, Any], field: str) -> None:
    record_paper(SeenPaper(title="Taken", arxiv_id="2101.00001"))
    with pytest.raises(FieldError) as fault:
        edit_paper(paper, fields, None)
    assert fault.value.field == field


def test_renaming_and_back_keeps_both_titles_leading_to_the_paper(paper: Paper) -> None:
    edit_paper(paper, {"title": "Another name"}, None)
    edit_paper(paper, {"title": "TwoCache: half a cache"}, None)
    for title in ("Another name", "TwoCache: half a cache"):
        assert record_paper(SeenPaper(title=title)) == (paper, "unchanged")


# ── what waits in the queue ─────────────────────────────────────────────────────────────────────────────────────────
def queue() -> list[tuple[str, str]]:
    return sorted(ReviewItem.objects.values_list("reason", "state"))


def test_little_confidence_is_asked_about_once(paper: Paper) -> None:
    doubtful = a_claim(confidence=0.5)
    again(paper, doubtful)
    again(paper, doubtful)
    assert queue() == [("low-confidence", "open")]
    again(paper)
    assert queue() == [("low-confidence", "dismissed")], "nobody needs to decide on what is gone"
    again(paper, doubtful)
    assert queue() == [("low-confidence", "open")], "it is back"
    review_claim(paper.claims.get(), "accept", make_user())
    again(paper, doubtful | {"confidence": 0.2})
    assert queue() == [("low-confidence", "done")]


def test_the_threshold_is_a_setting(paper: Paper, settings: Any) -> None:
    settings.REVIEW_BELOW = 0.3
    again(paper, a_claim(confidence=0.5))
    assert queue() == []


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        pytest.param((3.0, "3x", "3x faster"), (30.0, "3x", "runs 3x faster"), True, id="one-number-read-twice"),
        pytest.param((2.0, "2x", "2x and 3x less"), (3.0, "3x", "2x and 3x less"), False, id="a-list"),
        pytest.param((60.0, "", "to 40%"), (40.0, "", "to 40%"), True, id="a-number-that-is-not-written"),
        pytest.param((2.0, "", "2x or 3x"), (3.0, "", "2x or 3x"), False, id="both-are-written"),
        pytest.param((3.0, "3x", "3x faster"), (3.0, "3x", "runs 3x faster"), False, id="the-same"),
    ],
)
def test_what_a_conflict_is(first: tuple[float, str, str], second: tuple[float, str, str], conflict: bool) -> None:
    rows = [
        Claim(metric="memory", form="factor", value=value, raw=raw, quote=quote, start=5, end=5 + len(quote))
        for value, raw, quote in (first, second)
    ]
    assert read_one_number_twice(*rows) is conflict


def test_two_readings_of_one_number_are_both_asked_about(paper: Paper) -> None:
    again(paper, a_claim(raw="3x"), a_claim("runs 3x faster", value=30.0, raw="3x"))
    assert queue() == [("conflict", "open"), ("conflict", "open")]
    item = ReviewItem.objects.get(claim__value=30)
    assert [other["figure"] for other in item.details["with"]] == ["3×"]


@pytest.mark.parametrize(("said", "asked"), [(3.0, 0), (5.0, 1)], ids=["agrees", "contradicts"])
def test_a_card_that_the_abstract_contradicts_is_asked_about(said: float, asked: int) -> None:
    paper = the_paper()
    store_card_claims(paper, "twocache", [CARD | {"value": said}])
    store_record(paper, a_record(), "1")
    assert ReviewItem.objects.filter(reason="conflict").count() == asked


def test_lost_evidence_of_a_decided_claim_is_asked_about(paper: Paper) -> None:
    review_claim(paper.claims.get(), "correct", None, fields={"value": 2.9})
    record_paper(SeenPaper(title=paper.title, abstract="Nothing of that is said here any more. " * 5))
    claim = paper.claims.get()
    assert (claim.start, claim.quote, claim.value, claim.withdrawn_at) == (None, "3x faster", 2.9, None)
    assert queue() == [("span-lost", "open")]
    assert Paper.objects.get().technique.extractor_version == ""


def test_a_decided_claim_moves_with_its_words_and_is_known_again_there(paper: Paper) -> None:
    review_claim(paper.claims.get(), "reject", None)
    moved = (
        "We say more now: in our tests on many machines, this cache of ours, which is new, runs 3x faster than plain."
    )
    paper, _ = record_paper(SeenPaper(title=paper.title, abstract=moved))
    store_record(paper, a_record(claims=[a_claim(abstract=moved)]), "2")
    claim = paper.claims.get()
    assert (claim.review, moved[claim.start : claim.end]) == ("rejected", "3x faster")
    assert queue() == []


def test_a_question_about_a_field_closes_when_the_field_is_set(paper: Paper) -> None:
    doubt = Doubt("endpoint-disagrees", paper, "kind", field="kind", details={"said": "system"})  # type: ignore[arg-type]
    assert [open_review_item(doubt), open_review_item(doubt)] == [True, False]
    edit_technique(paper, {"kind": "system"}, make_user())
    item = ReviewItem.objects.get()
    assert (item.state, item.decision, item.decided_by is not None) == (ReviewState.DONE, "correct", True)
