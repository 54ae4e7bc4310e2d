"""Answers to the questions of the review queue, for pages, API and admin alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from papers.models import ReviewItem, ReviewReason, ReviewState
from papers.models.review import ReviewItemQuerySet
from papers.services.common import Actor, Change, FieldError, one_of, write_audit
from papers.services.merging import merge_papers
from papers.services.people import CORRECTABLE, add_claim, review_claim
from papers.services.queue import close_review_items
from papers.services.techniques import edit_technique
from papers.services.twins import keep_apart

# What can be answered to what is asked. "take" sets what the endpoint said.
ANSWERS = {
    "claim": ("accept", "correct", "reject", "take"),
    "proposal": ("accept", "correct", "reject"),
    "field": ("accept", "correct", "take"),
    "twin": ("merge", "distinct"),
}


class AlreadyDecided(FieldError):
    """Somebody answered the question otherwise in the meantime."""


def subject_of(item: ReviewItem) -> str:
    """What the question is about, a key of `ANSWERS`."""
    if item.twin_id is not None:
        return "twin"
    if item.claim_id is not None:
        return "claim"
    return "field" if item.field else "proposal"


def answers_to(item: ReviewItem) -> tuple[str, ...]:
    """What can be answered to this very question."""
    answers = ANSWERS[subject_of(item)]
    return answers if _said_by_endpoint(item) else tuple(answer for answer in answers if answer != "take")


def open_questions() -> ReviewItemQuerySet:
    """The questions that wait, those about papers that left the lists or claims that are gone left out."""
    asked = ReviewItem.objects.open().filter(paper__withdrawn_at=None)
    asked = asked.filter(Q(claim=None) | Q(claim__withdrawn_at=None))
    return asked.filter(Q(twin=None) | Q(twin__second__withdrawn_at=None))


def decide(
    item: ReviewItem,
    decision: str,
    actor: Actor,
    *,
    fields: Mapping[str, Any] | None = None,
    note: str = "",
    keep: str = "",
    again: bool = False,
) -> Change:
    """Answer a question. The same answer twice is one; `again` allows another answer than the one that was given.

    `fields`: what a correction sets, of a claim its fields, of a technique's field {"value": ...}. `keep`: for a merge,
    the slug of the paper that stays.

    Raises: AlreadyDecided; FieldError naming the field. Then nothing is written.
    """
    one_of("decision", decision, answers_to(item))
    if decision == "correct" and not fields:
        raise FieldError("fields", "is empty; a correction says what to set")
    with transaction.atomic():
        row = ReviewItem.objects.select_for_update(of=("self",)).get(pk=item.pk)
        if row.state != ReviewState.OPEN and not again:
            if row.decision == decision and decision != "correct":
                return "unchanged"
            by = f" by {row.decided_by}" if row.decided_by else ""
            raise AlreadyDecided("decision", f"was made already{by}: {row.decision or row.get_state_display()}")
        # Closed first: the service that is called closes what is still open on the same subject, in its own words.
        ReviewItem.objects.filter(pk=row.pk).update(state=ReviewState.OPEN)
        close_review_items(ReviewItem.objects.filter(pk=row.pk), decision, actor, _state_after(row, decision))
        answer = _Answer(decision, actor, dict(fields or {}) if decision == "correct" else {}, note, keep)
        change = _ANSWER[subject_of(row)](row, answer)
    item.refresh_from_db()
    return change


def _state_after(item: ReviewItem, decision: str) -> ReviewState:
    is_refused = decision == "reject" and item.claim_id is None
    return ReviewState.DISMISSED if is_refused else ReviewState.DONE


def _said_by_endpoint(item: ReviewItem) -> dict[str, Any] | None:
    """The values that "take" would set."""
    said = item.details.get("endpoint") if item.reason == ReviewReason.ENDPOINT_DISAGREES else None
    if not isinstance(said, dict):
        return None
    if item.field:
        return {"value": said["value"]} if "value" in said else None
    names = item.details.get("differs") or ()
    return {name: said[name] for name in names if name in CORRECTABLE and name in said} or None


@dataclass(frozen=True)
class _Answer:
    decision: str
    actor: Actor
    fields: dict[str, Any]
    note: str
    keep: str


def _on_claim(item: ReviewItem, answer: _Answer) -> Change:
    claim = item.claim
    assert claim is not None  # noqa: S101 - by subject_of
    decision = "correct" if answer.decision == "take" else answer.decision
    fields = {"take": _said_by_endpoint(item), "correct": answer.fields}.get(answer.decision)
    return review_claim(claim, decision, answer.actor, fields=fields, note=answer.note)


def _on_proposal(item: ReviewItem, answer: _Answer) -> Change:
    if answer.decision == "reject":
        write_audit(answer.actor, "refuse-proposal", item.paper.slug, item=item.pk, note=answer.note)
        return "updated"
    proposal = {name: value for name, value in item.details.get("proposal", {}).items() if name in CORRECTABLE}
    return add_claim(item.paper, proposal | answer.fields, answer.actor, answer.note)[1]


def _on_field(item: ReviewItem, answer: _Answer) -> Change:
    """To accept is to confirm what the record says, so that it stays."""
    said: dict[str, Any] | None = answer.fields
    technique = getattr(item.paper, "technique", None)
    if technique is None:
        raise FieldError("decision", "is about a record that is not there yet")
    if answer.decision == "accept":
        said = {"value": getattr(technique, item.field)}
    elif answer.decision == "take":
        said = _said_by_endpoint(item)
    if said is None or set(said) != {"value"}:
        raise FieldError("fields", "a correction of a record's field gives its 'value' alone")
    return edit_technique(item.paper, {item.field: said["value"]}, answer.actor, answer.note)


def _on_twin(item: ReviewItem, answer: _Answer) -> Change:
    twin = item.twin
    assert twin is not None  # noqa: S101 - by subject_of
    if answer.decision == "distinct":
        return "updated" if keep_apart(twin, answer.actor, answer.note) else "unchanged"
    pair = {twin.first.slug: (twin.first, twin.second), twin.second.slug: (twin.second, twin.first)}
    if answer.keep not in pair:
        raise FieldError("keep", f"is {answer.keep[:60]!r}; name the paper that stays: {' or '.join(pair)}")
    kept, dropped = pair[answer.keep]
    return "updated" if merge_papers(kept, dropped, answer.actor, answer.note) else "unchanged"


_ANSWER = {"claim": _on_claim, "proposal": _on_proposal, "field": _on_field, "twin": _on_twin}
