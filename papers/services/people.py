"""What people decide about claims and papers. Each decision is checked, audited, and wins over what comes later."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from papers.folding import fold_title
from papers.identifiers import bare_arxiv_id, bare_doi
from papers.models import (
    QUALIFIERS,
    Claim,
    Direction,
    Form,
    Paper,
    PaperTitle,
    Phase,
    Review,
    ReviewItem,
)
from papers.ratios import ratio_of
from papers.services.claims import CLAIM_FIELDS, nearest
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
from papers.services.papers import abstract_was_replaced
from papers.services.queue import close_review_items
from papers.services.sights import check_title
from papers.services.twins import find_twins
from papers.vocabulary import METRIC_LABELS

# The words of a decision, and the state that it leaves.
DECISIONS = {"accept": Review.ACCEPTED, "correct": Review.CORRECTED, "reject": Review.REJECTED}
CORRECTABLE = (
    "metric",
    "phase",
    "form",
    "direction",
    "value",
    "value_max",
    "unit",
    "qualifier",
    "baseline",
    "hardware",
    "quote",
)
ADDED_RULE = "added-by-a-person"
PAPER_FIELDS = ("title", "abstract", "summary", "arxiv_id", "doi", "year", "published_on", "authors")
_LONGEST = {"unit": 40, "baseline": 300, "hardware": 120}
_MUST = ("metric", "form", "value", "quote")


# ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def review_claim(
    claim: Claim, decision: str, actor: Actor, *, fields: Mapping[str, Any] | None = None, note: str = ""
) -> Change:
    """Accept, correct or reject a claim. From now on extraction leaves it alone, and a rejected one stays away.

    `fields` are what a correction sets; a correction that changes nothing is an acceptance. The same decision again
    changes nothing. A person may decide again otherwise.

    Raises: FieldError naming the field; then nothing is written.
    """
    one_of("decision", decision, DECISIONS)
    note = text_of("note", note, 2000)
    if decision == "correct" and not fields:
        raise FieldError("fields", f"is empty; what can be corrected: {', '.join(CORRECTABLE)}")
    if fields and decision != "correct":
        raise FieldError("decision", f"is {decision!r}, which sets no field; use 'correct'")
    with transaction.atomic():
        row = Claim.objects.select_for_update(of=("self",)).select_related("paper").get(pk=claim.pk)
        if row.withdrawn_at is not None and decision != "reject":
            raise FieldError("claim", "was withdrawn: what it says is no longer found in the abstract")
        clean = _checked_claim(row.paper, fields or {}, row) if decision == "correct" else {}
        changed = {name: value for name, value in clean.items() if getattr(row, name) != value}
        state = DECISIONS[decision]
        if decision == "correct" and not changed:
            state = Review.CORRECTED if row.review == Review.CORRECTED else Review.ACCEPTED
        if decision == "accept" and row.review == Review.CORRECTED:
            state = Review.CORRECTED  # what a person corrected is accepted as corrected
        same = row.review == state and not changed and note in ("", row.review_note)
        _close_items(row, decision, actor)
        if same:
            return "unchanged"
        before = {name: getattr(row, name) for name in changed}
        _correct(row, changed)
        _sign(row, state, actor, note or row.review_note)
        write_audit(
            actor, "review-claim", f"{row.paper.slug} {row.pk}", decision=state, before=before, after=changed, note=note
        )
    return "updated"


def add_claim(paper: Paper, fields: Mapping[str, Any], actor: Actor, note: str = "") -> tuple[Claim, Change]:
    """A claim that extraction missed, by an exact piece of the abstract. One that is there already is accepted.

    Raises: FieldError naming the field; then nothing is written.
    """
    check_known(fields, CORRECTABLE)
    if missing := [name for name in _MUST if fields.get(name) in (None, "")]:
        raise FieldError(missing[0], f"is missing; a claim needs {', '.join(_MUST)}")
    note = text_of("note", note, 2000)
    form = fields["form"]
    direction = Direction.NONE if form == Form.ABSOLUTE else Direction.BETTER
    blank = Claim(paper=paper, phase=Phase.OTHER, direction=fields.get("direction") or direction, rule=ADDED_RULE)
    clean = _checked_claim(paper, fields, blank)
    with transaction.atomic():
        same = paper.claims.filter(
            start=clean["start"], end=clean["end"], metric=clean["metric"], form=clean["form"], value=clean["value"],
            baseline=clean.get("baseline", ""),
        )  # fmt: skip
        known = (
            same.order_by("withdrawn_at").last() if not same.filter(withdrawn_at=None) else same.get(withdrawn_at=None)
        )
        if known is not None:
            Claim.objects.filter(pk=known.pk).update(withdrawn_at=None)
            return known, review_claim(known, "correct", actor, fields=fields, note=note)
        for name, value in clean.items():
            setattr(blank, name, value)
        blank.ratio = ratio_of(blank.metric, blank.form, blank.direction, blank.value)
        _sign(blank, Review.ACCEPTED, actor, note)
        write_audit(actor, "add-claim", f"{paper.slug} {blank.pk}", fields=clean, note=note)
    return blank, "new"


def _sign(row: Claim, state: str, actor: Actor, note: str) -> None:
    row.review, row.review_note = state, note
    row.reviewed_by_id, row.reviewed_at = getattr(actor, "pk", None), timezone.now()
    row.save()
    Paper.objects.filter(pk=row.paper_id).update(updated_at=timezone.now())


def _close_items(row: Claim, decision: str, actor: Actor) -> None:
    close_review_items(ReviewItem.objects.filter(claim=row), decision, actor)


def _correct(row: Claim, changed: Mapping[str, Any]) -> None:
    """Set what changed, remember what extraction said, and bring the figures that follow from it along."""
    if not changed:
        return
    if not row.extracted and row.start is not None:
        row.extracted = {name: getattr(row, name) for name in CLAIM_FIELDS}
    if row.base_value is not None and ("unit" in changed or "form" in changed or not row.value):
        row.base_value, row.base_unit = None, ""
    elif row.base_value is not None and "value" in changed:
        row.base_value *= changed["value"] / row.value
    for name, value in changed.items():
        setattr(row, name, value)
    row.ratio = ratio_of(row.metric, row.form, row.direction, row.value)
    named = set(changed) & set(CORRECTABLE)
    row.corrected_fields = sorted({*row.corrected_fields, *named})


def _checked_claim(paper: Paper, fields: Mapping[str, Any], row: Claim) -> dict[str, Any]:
    """The fields as they are stored, with the span of a quote. Raises: FieldError naming the field."""
    check_known(fields, CORRECTABLE)
    words = {"metric": METRIC_LABELS, "phase": Phase.values, "form": Form.values, "direction": Direction.values}
    clean: dict[str, Any] = {}
    for name, value in fields.items():
        if name in words:
            clean[name] = one_of(name, value, words[name])
        elif name == "qualifier":
            clean[name] = one_of(name, value or "", ("", *QUALIFIERS))
        elif name in _LONGEST:
            clean[name] = text_of(name, value, _LONGEST[name])
        elif name in ("value", "value_max"):
            clean[name] = number_of(name, value)
    if "value" in clean and clean["value"] is None:
        raise FieldError("value", "is missing; a claim has a number")
    final = {name: clean.get(name, getattr(row, name)) for name in ("form", "direction", "value", "value_max")}
    if (final["form"] == Form.ABSOLUTE) != (final["direction"] == Direction.NONE):
        raise FieldError("direction", "is 'none' for an absolute figure, and for no other form")
    if final["value_max"] is not None and final["value_max"] < final["value"]:
        raise FieldError("value_max", f"is {final['value_max']:g}, below the value {final['value']:g}")
    if "quote" in fields:
        clean |= _checked_quote(paper, fields["quote"], row)
    _check_place_is_free(row, clean)
    return clean


def _checked_quote(paper: Paper, value: Any, row: Claim) -> dict[str, Any]:
    if not isinstance(value, str) or not value.strip():
        raise FieldError("quote", "is blank; give the piece of the abstract that says it")
    if value == row.quote and row.start is not None:
        return {}
    # A browser sends line breaks in a form as CR LF.
    quote = value.replace("\r\n", "\n")
    quote = quote if quote in paper.abstract else quote.strip()
    start = nearest(paper.abstract, quote, row.start or 0)
    if start is None:
        raise FieldError("quote", f"{quote[:60]!r} is not an exact piece of the abstract")
    return {"quote": quote, "start": start, "end": start + len(quote)}


def _check_place_is_free(row: Claim, clean: Mapping[str, Any]) -> None:
    if row.pk is None:
        return
    names = ("start", "end", "metric", "form", "value", "baseline")
    place = {name: clean.get(name, getattr(row, name)) for name in names}
    if place["start"] is not None:
        same = Claim.objects.filter(paper_id=row.paper_id, withdrawn_at=None, **place).exclude(pk=row.pk)
        if other := same.first():
            raise FieldError("value", f"claim {other.pk} says the same at the same place; reject one of them")


# ── papers ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def edit_paper(paper: Paper, fields: Mapping[str, Any], actor: Actor, note: str = "") -> Change:
    """Set fields of a paper; from now on they win over every source. An old title still leads to the paper.

    Raises: FieldError naming the field; then nothing is written.
    """
    check_known(fields, PAPER_FIELDS)
    if not fields:
        raise FieldError("fields", f"is empty; what can be set: {', '.join(PAPER_FIELDS)}")
    clean = {name: _checked_field(name, value) for name, value in fields.items()}
    with transaction.atomic():
        row = Paper.objects.select_for_update(of=("self",)).get(pk=paper.pk)
        _check_unique(row, clean)
        before = {name: getattr(row, name) for name in clean}
        if before == clean and set(clean) <= set(row.edited_fields):
            return "unchanged"
        if "title" in clean and clean["title"] != row.title:
            _rename(row, clean["title"])
        for name, value in clean.items():
            setattr(row, name, value)
        row.edited_fields = sorted({*row.edited_fields, *clean})
        row.save()
        if clean.get("abstract", row.abstract) != before.get("abstract", row.abstract):
            abstract_was_replaced(row)
        if "title" in clean:
            find_twins(row)
        shown = {name: str(value) if isinstance(value, date) else value for name, value in clean.items()}
        was = {name: str(value) if isinstance(value, date) else value for name, value in before.items()}
        write_audit(actor, "edit-paper", row.slug, before=was, after=shown, note=note)
    paper.refresh_from_db()
    return "updated"


def _rename(row: Paper, title: str) -> None:
    key = fold_title(title)
    PaperTitle.objects.filter(paper=row, folded_title=key).delete()  # it becomes the paper's own again
    if key != row.folded_title:
        PaperTitle.objects.get_or_create(folded_title=row.folded_title, defaults={"paper": row, "title": row.title})
        row.homonym = ""


def _checked_field(name: str, value: Any) -> Any:
    if name == "title":
        title = " ".join(text_of(name, value, 500, blank=False).split())
        try:
            check_title(title)
        except ValueError as fault:
            raise FieldError(name, str(fault).partition(": ")[2]) from None
        return title
    if name in ("arxiv_id", "doi"):
        text = text_of(name, value, 300)
        try:
            return (bare_arxiv_id if name == "arxiv_id" else bare_doi)(text) if text else None
        except ValueError as fault:
            raise FieldError(name, str(fault).partition(": ")[2]) from None
    if name == "year":
        year = number_of(name, value)
        if year is not None and not (year.is_integer() and 1900 <= year <= 2100):
            raise FieldError(name, f"{value!r} is not a year from 1900 to 2100")
        return None if year is None else int(year)
    if name == "published_on":
        return _checked_day(value)
    if name == "authors":
        return words_of(name, value, 200, 5000)
    return text_of(name, value, 20_000)


def _checked_day(value: Any) -> date | None:
    if value is None or value == "" or isinstance(value, date):
        return value or None
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise FieldError("published_on", f"{str(value)[:40]!r} is not a day such as 2025-03-13") from None


def _check_unique(row: Paper, clean: Mapping[str, Any]) -> None:
    others = Paper.objects.exclude(pk=row.pk)
    for name in ("arxiv_id", "doi"):
        if clean.get(name) and (other := others.filter(**{name: clean[name]}).first()):
            raise FieldError(name, f"{clean[name]} belongs to the paper {other.slug}; merge the two instead")
    if "title" in clean:
        key = fold_title(clean["title"])
        taken = others.filter(Q(folded_title=key) | Q(other_titles__folded_title=key)).first()
        if taken is not None and key != fold_title(row.title):
            raise FieldError("title", f"belongs to the paper {taken.slug}; merge the two instead")
