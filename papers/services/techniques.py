"""Technique records, as extraction, cards and people give them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from papers.models import Facet, Paper, ReviewItem, Technique, TechniqueLabel
from papers.services.claims import ClaimPlan, plan_claims, sync_claims
from papers.services.common import (
    Actor,
    Change,
    FieldError,
    check_known,
    number_of,
    one_of,
    text_of,
    words_of,
    write_audit,
)
from papers.services.queue import close_review_items
from papers.vocabulary import FAMILY_LABELS, KIND_LABELS, MODALITY_LABELS, STAGE_LABELS, VERIFY_LABELS

FACET_FIELDS = {"families": Facet.FAMILY, "modality": Facet.MODALITY, "stage": Facet.STAGE, "hardware": Facet.HARDWARE}
PLAIN_FIELDS = ("kind", "name", "training_free", "code_urls", "quality_cost", "verify", "mechanism", "reasons")
EDITABLE = (*FACET_FIELDS, *(name for name in PLAIN_FIELDS if name != "reasons"))
_VOCABULARY = {"families": FAMILY_LABELS, "modality": MODALITY_LABELS, "stage": STAGE_LABELS}
_MOST = {"families": 3, "modality": 3, "stage": len(STAGE_LABELS)}


@dataclass(frozen=True)
class RecordDiff:
    """What storing a record would change: of each field what it says and what it would say, and the claims."""

    is_new: bool
    fields: dict[str, tuple[Any, Any]]
    claims: ClaimPlan


def diff_record(paper: Paper, record: Mapping[str, Any]) -> RecordDiff:
    """What `store_record` would do with what extraction says. Writes nothing."""
    known = _techniques_of([paper]).get(paper.pk)
    technique = known or Technique(paper=paper)
    fields = _field_changes(technique, record, set(technique.edited_fields))
    return RecordDiff(known is None, fields, plan_claims(paper, record.get("claims", ()), list(paper.claims.all())))


def store_record(
    paper: Paper, record: Mapping[str, Any], extractor_version: str, *, edited: Iterable[str] = ()
) -> Change:
    """Make the paper's technique and extracted claims say what `record` says (schema of the labelled records).

    Fields that a person or a card set stay as they are. Claims are matched by their place; ones that are no longer
    found are withdrawn, not deleted, and what a person decided is not touched. `edited` names fields of this record
    that a card sets: they win over later extractions, and lose to people.
    """
    return store_records([(paper, record)], extractor_version, edited=edited)[0]


def store_records(
    records: Sequence[tuple[Paper, Mapping[str, Any]]], extractor_version: str, *, edited: Iterable[str] = ()
) -> list[Change]:
    """`store_record` for each of different papers, in few queries and one transaction."""
    edited = set(edited)
    with transaction.atomic():
        known = _techniques_of(paper for paper, _ in records)
        plans = [_plan(paper, known.get(paper.pk), record, extractor_version, edited) for paper, record in records]
        Technique.objects.bulk_create(plan.technique for plan in plans if plan.is_new)
        for plan in plans:
            if plan.is_changed and not plan.is_new:
                plan.technique.save()
        _set_labels((plan.technique, plan.labels, plan.is_new) for plan in plans)
        changed = sync_claims((paper, record["claims"]) for paper, record in records if "claims" in record)
        changed |= {plan.technique.paper_id for plan in plans if plan.is_changed}
        touched = changed & known.keys()
        if touched:
            Paper.objects.filter(pk__in=touched).update(updated_at=timezone.now())
    return [
        "new" if paper.pk not in known else "updated" if paper.pk in changed else "unchanged" for paper, _ in records
    ]


def _techniques_of(papers: Iterable[Paper]) -> dict[int, Technique]:
    rows = Technique.objects.filter(paper__in=[paper.pk for paper in papers]).order_by().prefetch_related("labels")
    return {row.paper_id: row for row in rows}


@dataclass(frozen=True)
class _Plan:
    """A technique that says already what it will, with the labels of the facets that change; nothing is saved."""

    technique: Technique
    labels: dict[Facet, list[str]]
    is_new: bool
    is_changed: bool


def _plan(
    paper: Paper, known: Technique | None, record: Mapping[str, Any], extractor_version: str, edited: set[str]
) -> _Plan:
    technique = known or Technique(paper=paper)
    guarded = technique.set_by_people if edited else set(technique.edited_fields)
    marks = ("extractor_version", "edited_fields", "card_fields")
    before = [getattr(technique, name) for name in marks]
    changes = _field_changes(technique, record, guarded)
    for name in changes.keys() & set(PLAIN_FIELDS):
        setattr(technique, name, changes[name][1])
    technique.extractor_version = extractor_version
    technique.edited_fields = sorted(set(technique.edited_fields) | edited)
    technique.card_fields = sorted(set(technique.card_fields) | (edited - guarded))
    is_changed = bool(changes) or before != [getattr(technique, name) for name in marks]
    labels = {facet: changes[name][1] for name, facet in FACET_FIELDS.items() if name in changes}
    return _Plan(technique, labels, known is None, is_changed)


def _field_changes(technique: Technique, record: Mapping[str, Any], guarded: set[str]) -> dict[str, tuple[Any, Any]]:
    """Of each field that the record would change: what it says now and what it would say."""
    said: dict[str, Any] = {}
    for name in PLAIN_FIELDS:
        if name in record:
            said[name] = (
                ("" if name in ("name", "mechanism", "verify") else None) if record[name] is None else record[name]
            )
    for name in FACET_FIELDS:
        if name in record:
            said[name] = list(dict.fromkeys(str(value)[:80] for value in record[name] or () if value))
    now = {name: getattr(technique, name) if technique.pk or name in PLAIN_FIELDS else [] for name in said}
    return {name: (now[name], value) for name, value in said.items() if name not in guarded and value != now[name]}


def _set_labels(wanted: Iterable[tuple[Technique, Mapping[Facet, Iterable[str]], bool]]) -> None:
    """Make the labels of the facets named be these, in this order. Each with whether the technique is new."""
    new: list[TechniqueLabel] = []
    stale: dict[frozenset[Facet], list[Technique]] = {}
    for technique, labels, is_new in wanted:
        if labels and not is_new:
            stale.setdefault(frozenset(labels), []).append(technique)
        new += [
            TechniqueLabel(technique=technique, facet=facet, value=value, position=position)
            for facet, values in labels.items()
            for position, value in enumerate(values)
        ]
    for facets, techniques in stale.items():
        TechniqueLabel.objects.filter(technique__in=techniques, facet__in=facets).delete()
    TechniqueLabel.objects.bulk_create(new)


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def edit_technique(paper: Paper, fields: Mapping[str, Any], actor: Actor, note: str = "") -> Change:
    """Set fields of the paper's technique; from now on they win over extraction and cards. Made where there is none.

    A field that is set to what it says already is confirmed: it will stay so.

    Raises: FieldError where a field is unknown or its value outside the vocabulary; then nothing is written.
    """
    check_known(fields, EDITABLE)
    if not fields:
        raise FieldError("fields", f"is empty; what can be set: {', '.join(EDITABLE)}")
    clean = {name: _checked(paper, name, value) for name, value in fields.items()}
    with transaction.atomic():
        technique = Technique.objects.select_for_update().filter(paper=paper).first()
        change: Change = "updated" if technique else "new"
        if technique is None:
            if "kind" not in clean:
                raise FieldError("kind", f"is missing; a record starts with one of: {', '.join(KIND_LABELS)}")
            technique = Technique(paper=paper)
        before = {name: getattr(technique, name) for name in clean} if technique.pk else {}
        if before == clean and set(clean) <= technique.set_by_people:
            return "unchanged"
        for name, value in clean.items():
            if name not in FACET_FIELDS:
                setattr(technique, name, value)
        technique.edited_fields = sorted({*technique.edited_fields, *clean})
        technique.card_fields = sorted(set(technique.card_fields) - set(clean))
        technique.save()
        labels = {FACET_FIELDS[name]: value for name, value in clean.items() if name in FACET_FIELDS}
        _set_labels([(technique, labels, change == "new")])
        Paper.objects.filter(pk=paper.pk).update(updated_at=timezone.now())
        close_review_items(ReviewItem.objects.filter(paper=paper, field__in=list(clean)), "correct", actor)
        write_audit(actor, "edit-technique", paper.slug, before=before, after=clean, note=note)
    return change


def _checked(paper: Paper, name: str, value: Any) -> Any:
    """The value as it is stored. Raises: FieldError naming the field."""
    if name in _VOCABULARY:
        words = words_of(name, value, 80, _MOST[name])
        return [one_of(name, word, _VOCABULARY[name]) for word in words]
    if name == "hardware":
        return words_of(name, value, 80, 20)
    if name == "kind":
        return one_of(name, value, KIND_LABELS)
    if name == "verify":
        return one_of(name, value or "", ("", *VERIFY_LABELS))
    if name == "training_free":
        if value is not None and not isinstance(value, bool):
            raise FieldError(name, f"{str(value)[:40]!r} is not true, false or null")
        return value
    if name == "code_urls":
        return _checked_urls(value)
    if name == "quality_cost":
        return _checked_cost(paper, value)
    return text_of(name, value, 200 if name == "name" else 2000)


def _checked_urls(value: Any) -> list[str]:
    urls = words_of("code_urls", value, 500, 20)
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise FieldError("code_urls", f"{url[:60]!r} does not start with http:// or https://")
    return urls


def _checked_cost(paper: Paper, value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise FieldError("quality_cost", "is neither null nor an object with value, unit, lossless and quote")
    check_known(value, ("value", "unit", "lossless", "quote"))
    lossless = value.get("lossless")
    if lossless is not None and not isinstance(lossless, bool):
        raise FieldError("quality_cost", "lossless is not true, false or null")
    quote = text_of("quality_cost", value.get("quote"), 2000)
    if not quote or quote not in paper.abstract:
        raise FieldError("quality_cost", "quote is not an exact piece of the abstract")
    return {
        "value": number_of("quality_cost", value.get("value")),
        "unit": text_of("quality_cost", value.get("unit"), 40) or None,
        "lossless": lossless,
        "quote": quote,
    }
