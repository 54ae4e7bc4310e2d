"""Claims as extraction and cards give them. What a person decided is never touched here."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.utils import timezone

from papers.models import Claim, Paper, Review, ReviewReason
from papers.ratio import ratio_of
from papers.services.queue import Doubt, claims_are_gone, open_review_items, question_claims
from papers.services.statements import near, overlap, place_of, place_of_row, same_statement

NULLABLE = {"value", "value_max", "start", "end"}
CLAIM_FIELDS = (
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
    "start",
    "end",
    "rule",
)
# What only newer extractors say; a record without one of them leaves it as it is.
ADDED_FIELDS = {"confidence": None, "ratio": None, "base_value": None, "base_unit": "", "raw": ""}
_EVIDENCE = ("quote", "start", "end", "rule", "raw", "confidence")
_CARD_FIELDS = (
    "statement",
    "metric",
    "phase",
    "form",
    "direction",
    "value",
    "value_max",
    "unit",
    "qualifier",
    "hardware",
    "scope",
)


def sync_claims(paper: Paper, found: Iterable[Mapping[str, Any]]) -> bool:
    """Make the paper's unreviewed claims be those that were found. True if anything changed.

    Claims are matched by their place; ones that are no longer found are withdrawn, not deleted.
    """
    known = list(paper.claims.all())
    changed = _follow(paper, known)
    wanted = _not_decided({place_of(c): c for c in found}, [c for c in known if c.is_reviewed])
    rows = _Rows([c for c in known if not c.is_reviewed])
    kept = set()
    for place, claim in wanted.items():
        row, is_changed = rows.take(paper, place, _fields_of(claim))
        changed |= is_changed
        kept.add(row.pk)
    gone = [c for c in rows.known if c.pk not in kept and c.start is not None and not c.card_key]
    changed |= _withdraw(c for c in gone if c.withdrawn_at is None)
    if changed:
        question_claims(paper)
    return changed


def _fields_of(claim: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {n: claim.get(n) if n in NULLABLE else (claim.get(n) or "") for n in CLAIM_FIELDS}
    for name, blank in ADDED_FIELDS.items():
        if name in claim:
            fields[name] = claim[name] if claim[name] is not None else blank
    return fields


def _withdraw(claims: Iterable[Claim]) -> bool:
    gone = list(claims)
    for row in gone:
        row.withdrawn_at = timezone.now()
        row.save(update_fields=["withdrawn_at"])
    if gone:
        claims_are_gone(gone)
    return bool(gone)


class _Rows:
    """The unreviewed claims of a paper, found by what an extracted claim says."""

    def __init__(self, known: list[Claim]) -> None:
        self.known = known
        placed = sorted((c for c in known if c.start is not None), key=lambda c: c.withdrawn_at is None)
        self.by_place = {place_of_row(c): c for c in placed}  # of two at one place, the one that is not withdrawn
        self.joined = [c for c in known if c.card_key and c.start is not None]
        self.unplaced = [c for c in known if c.card_key and c.start is None]

    def take(self, paper: Paper, place: tuple[Any, ...], fields: dict[str, Any]) -> tuple[Claim, bool]:
        """The row that is this claim, made or updated to say so, and whether it changed."""
        row = self.by_place.get(place) or next((c for c in self.joined if _same_span(c, fields)), None)
        if row is None:
            return self._join(fields) or paper.claims.create(**fields), True
        # A card's claim that was found in the abstract keeps the card's own figures.
        said = {n: v for n, v in fields.items() if n in ("raw", "confidence")} if row.card_key else fields
        if row.withdrawn_at is None and all(getattr(row, n) == v for n, v in said.items()):
            return row, False
        row.withdrawn_at = None
        for name, value in said.items():
            setattr(row, name, value)
        row.save()
        return row, True

    def _join(self, fields: Mapping[str, Any]) -> Claim | None:
        row = next((c for c in self.unplaced if same_statement(c, fields)), None)
        if row is not None:
            self.unplaced.remove(row)
            for name in _EVIDENCE:
                if name in fields:
                    setattr(row, name, fields[name])
            row.save()
        return row


def _same_span(claim: Claim, other: Mapping[str, Any]) -> bool:
    return (claim.start, claim.end) == (other["start"], other["end"]) and same_statement(claim, other)


# ── what people decided ─────────────────────────────────────────────────────────────────────────────────────────────
def _not_decided(found: dict[tuple[Any, ...], Mapping[str, Any]], decided: list[Claim]) -> dict[tuple[Any, ...], Any]:
    """What was found without what a person has decided on: one decision covers one found claim.

    Claims at the very place of a decision are matched before those that only say the same of the same words, so that
    of two metrics with one number each meets its own decision.
    """
    rest = dict(found)
    left = list(decided)
    for agrees in (_at_its_place, _says_the_same):
        for row in list(left):
            place = next((place for place, claim in rest.items() if agrees(row, place, claim)), None)
            if place is not None:
                del rest[place]
                left.remove(row)
    return rest


def _at_its_place(row: Claim, place: tuple[Any, ...], claim: Mapping[str, Any]) -> bool:
    return place == place_of_row(row) or bool(row.extracted and place == place_of(row.extracted))


def _says_the_same(row: Claim, place: tuple[Any, ...], claim: Mapping[str, Any]) -> bool:
    if row.start is None and same_statement(row, claim):  # its words are lost, so any that say it will do
        return True
    readings = [(row.form, row.value, row.start, row.end)]
    if row.extracted:
        readings.append(tuple(row.extracted[n] for n in ("form", "value", "start", "end")))
    return any(
        form == claim["form"] and near(value, float(claim["value"])) and overlap((start, end), (place[0], place[1]))
        for form, value, start, end in readings
    )


# ── a replaced abstract ─────────────────────────────────────────────────────────────────────────────────────────────
def follow_abstract(paper: Paper) -> bool:
    """Bring every claim's span to where its quote stands in the abstract that is here now. True if any changed.

    A quote that is nowhere leaves no span behind: an unreviewed claim of extraction is withdrawn until it is found
    again, a card's claim goes on without evidence, and one that a person decided on is asked about.
    """
    return _follow(paper, list(paper.claims.all()))


def _follow(paper: Paper, claims: list[Claim]) -> bool:
    moved = [
        c
        for c in claims
        if c.start is not None and c.withdrawn_at is None and paper.abstract[c.start : c.end] != c.quote
    ]
    doubts: list[Doubt] = []
    for claim in moved:
        start = nearest(paper.abstract, claim.quote, claim.start or 0)
        if claim.extracted:
            claim.extracted = _moved(claim.extracted, paper.abstract)
        if start is not None:
            claim.start, claim.end = start, start + len(claim.quote)
        elif claim.is_reviewed:
            doubts += [] if claim.review == Review.REJECTED else [_span_lost(paper, claim)]
            claim.start = claim.end = None
        elif claim.card_key:
            claim.quote, claim.rule, claim.raw, claim.start, claim.end = "", "", "", None, None
        else:
            claim.withdrawn_at = timezone.now()
        _save_moved(claim)
    if lost := [c for c in moved if c.withdrawn_at is not None]:
        claims_are_gone(lost)
    open_review_items(doubts)
    return bool(moved)


def _span_lost(paper: Paper, claim: Claim) -> Doubt:
    digest = sha256(paper.abstract.encode()).hexdigest()[:12]
    details = {"stood_at": [claim.start, claim.end]}
    return Doubt(ReviewReason.SPAN_LOST, paper, f"claim:{claim.pk}:{digest}", claim, details=details)


def _save_moved(claim: Claim) -> None:
    """A claim that moves onto a live twin steps aside for it."""
    same = Claim.objects.filter(
        paper_id=claim.paper_id, start=claim.start, end=claim.end, metric=claim.metric, form=claim.form,
        value=claim.value, baseline=claim.baseline, withdrawn_at=None,
    ).exclude(pk=claim.pk)  # fmt: skip
    if claim.start is not None and claim.withdrawn_at is None and same.exists():
        claim.withdrawn_at = timezone.now()
    claim.save()


def _moved(extracted: dict[str, Any], abstract: str) -> dict[str, Any]:
    start = nearest(abstract, extracted["quote"], extracted["start"] or 0)
    return extracted | {"start": start, "end": None if start is None else start + len(extracted["quote"])}


def nearest(text: str, quote: str, at: int) -> int | None:
    """Where the quote stands in the text, nearest to `at`; None where it does not."""
    if not quote:
        return None
    after, before = text.find(quote, at), text.rfind(quote, 0, at + len(quote))
    places = [place for place in (before, after) if place >= 0]
    return min(places, key=lambda place: abs(place - at), default=None)


# ── cards ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def store_card_claims(paper: Paper, card_name: str, claims: Iterable[Mapping[str, Any]]) -> None:
    """Make the claims that a card judges exist, each joined with the extracted claim that says the same."""
    with transaction.atomic():
        keys = []
        for claim in claims:
            key = f"{card_name}/{claim['key']}"
            keys.append(key)
            fields: dict[str, Any] = {n: claim.get(n) if n in NULLABLE else (claim.get(n) or "") for n in _CARD_FIELDS}
            fields["baseline"] = claim.get("baseline_text") or ""
            fields["ratio"] = ratio_of(fields["metric"], fields["form"], fields["direction"], float(fields["value"]))
            joinable = paper.claims.filter(card_key=None, withdrawn_at=None).exclude(review=Review.REJECTED)
            row = Claim.objects.filter(card_key=key).first() or next(
                (c for c in joinable if same_statement(c, fields)), None
            )
            if row is None:
                paper.claims.create(card_key=key, **fields)
                continue
            row.card_key, row.withdrawn_at = key, None
            # A person's figures stay; the card's words and scope are its own.
            said = ("statement", "scope") if row.is_reviewed else tuple(fields)
            for name in said:
                setattr(row, name, fields[name])
            row.save()
        gone = paper.claims.filter(card_key__startswith=f"{card_name}/", withdrawn_at=None).exclude(card_key__in=keys)
        gone.filter(start=None, review=Review.UNREVIEWED).update(withdrawn_at=timezone.now())
        gone.update(card_key=None)
        question_claims(paper)
