"""Claims as extraction and cards give them. What a person decided is never touched here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.utils import timezone

from papers.models import Claim, Paper, Review, ReviewReason
from papers.ratios import ratio_of
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


@dataclass
class ClaimPlan:
    """What finding these claims changes. The rows in it say already what they will; nothing is saved."""

    paper: Paper
    known: list[Claim]
    moved: list[Claim] = field(default_factory=list)
    new: list[Claim] = field(default_factory=list)
    changed: list[Claim] = field(default_factory=list)
    restored: list[Claim] = field(default_factory=list)
    withdrawn: list[Claim] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.moved, self.new, self.changed, self.restored, self.withdrawn))


def claims_of(papers: Iterable[Paper]) -> dict[int, list[Claim]]:
    """The claims of each paper by its key, withdrawn ones included."""
    claims: dict[int, list[Claim]] = {paper.pk: [] for paper in papers if paper.pk}
    if claims:
        for claim in Claim.objects.filter(paper__in=claims):
            claims[claim.paper_id].append(claim)
    return claims


def plan_claims(paper: Paper, found: Iterable[Mapping[str, Any]], known: list[Claim]) -> ClaimPlan:
    """What `sync_claims` would do. known: all claims of the paper."""
    plan = ClaimPlan(paper, known)
    _follow(plan)
    wanted = _not_decided({place_of(c): c for c in found}, [c for c in known if c.is_reviewed])
    rows = _Rows([c for c in known if not c.is_reviewed])
    kept = {rows.take(paper, place, _fields_of(claim), plan).pk for place, claim in wanted.items()}
    for row in rows.known:
        if row.pk not in kept and row.start is not None and not row.card_key and row.withdrawn_at is None:
            row.withdrawn_at = timezone.now()
            plan.withdrawn.append(row)
    return plan


def sync_claims(found: Iterable[tuple[Paper, Iterable[Mapping[str, Any]]]]) -> set[int]:
    """Make the unreviewed claims of each paper be those that were found. The keys of the papers where anything changed.

    Claims are matched by their place; ones that are no longer found are withdrawn, not deleted.
    """
    found = list(found)
    known = claims_of(paper for paper, _ in found)
    plans = [plan for paper, claims in found if (plan := plan_claims(paper, claims, known[paper.pk]))]
    _carry_out(plans)
    question_claims((plan.paper, [*plan.known, *plan.new]) for plan in plans)
    return {plan.paper.pk for plan in plans}


def _carry_out(plans: Iterable[ClaimPlan]) -> None:
    """Withdrawals come first: they free the places that others move to."""
    gone: list[Claim] = []
    for plan in plans:
        for row in plan.withdrawn:
            row.save()
        for row in (*plan.moved, *plan.changed, *plan.restored):
            _save(row)
        gone += [row for row in (*plan.withdrawn, *plan.moved) if row.withdrawn_at is not None]
    Claim.objects.bulk_create([row for plan in plans for row in plan.new])
    if gone:
        claims_are_gone(gone)
    open_review_items(doubt for plan in plans for doubt in plan.doubts)


def _fields_of(claim: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {n: claim.get(n) if n in NULLABLE else (claim.get(n) or "") for n in CLAIM_FIELDS}
    for name, blank in ADDED_FIELDS.items():
        if name in claim:
            fields[name] = claim[name] if claim[name] is not None else blank
    return fields


class _Rows:
    """The unreviewed claims of a paper, found by what an extracted claim says."""

    def __init__(self, known: list[Claim]) -> None:
        self.known = known
        placed = sorted((c for c in known if c.start is not None), key=lambda c: c.withdrawn_at is None)
        self.by_place = {place_of_row(c): c for c in placed}  # of two at one place, the one that is not withdrawn
        self.joined = [c for c in known if c.card_key and c.start is not None]
        self.unplaced = [c for c in known if c.card_key and c.start is None]

    def take(self, paper: Paper, place: tuple[Any, ...], fields: dict[str, Any], plan: ClaimPlan) -> Claim:
        """The row that is this claim, made or brought to say so."""
        row = self.by_place.get(place) or next((c for c in self.joined if _same_span(c, fields)), None)
        if row is None:
            row = self._join(fields)
            plan.changed += [row] if row else []
        elif row.withdrawn_at is not None or any(getattr(row, n) != v for n, v in _said(row, fields).items()):
            (plan.changed if row.withdrawn_at is None else plan.restored).append(row)
            row.withdrawn_at = None
            for name, value in _said(row, fields).items():
                setattr(row, name, value)
        if row is None:
            row = Claim(paper=paper, **fields)
            plan.new.append(row)
        return row

    def _join(self, fields: Mapping[str, Any]) -> Claim | None:
        """A card's claim that is found in the abstract now."""
        row = next((c for c in self.unplaced if same_statement(c, fields)), None)
        if row is not None:
            self.unplaced.remove(row)
            for name in _EVIDENCE:
                if name in fields:
                    setattr(row, name, fields[name])
        return row


def _said(row: Claim, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """A card's claim that was found in the abstract keeps the card's own figures."""
    return {n: v for n, v in fields.items() if n in ("raw", "confidence")} if row.card_key else fields


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
    return bool(follow_abstracts([paper]))


def follow_abstracts(papers: Sequence[Paper]) -> set[int]:
    """`follow_abstract` for each; the keys of the papers where anything changed."""
    known = claims_of(papers)
    plans = [ClaimPlan(paper, known[paper.pk]) for paper in papers]
    for plan in plans:
        _follow(plan)
    _carry_out(plans)
    return {plan.paper.pk for plan in plans if plan}


def _follow(plan: ClaimPlan) -> None:
    paper = plan.paper
    for claim in plan.known:
        if claim.start is None or claim.withdrawn_at is not None:
            continue
        if paper.abstract[claim.start : claim.end] == claim.quote:
            continue
        start = nearest(paper.abstract, claim.quote, claim.start)
        if claim.extracted:
            claim.extracted = _moved(claim.extracted, paper.abstract)
        if start is not None:
            claim.start, claim.end = start, start + len(claim.quote)
        elif claim.is_reviewed:
            plan.doubts += [] if claim.review == Review.REJECTED else [_span_lost(paper, claim)]
            claim.start = claim.end = None
        elif claim.card_key:
            claim.quote, claim.rule, claim.raw, claim.start, claim.end = "", "", "", None, None
        else:
            claim.withdrawn_at = timezone.now()
        plan.moved.append(claim)


def _span_lost(paper: Paper, claim: Claim) -> Doubt:
    digest = sha256(paper.abstract.encode()).hexdigest()[:12]
    details = {"stood_at": [claim.start, claim.end]}
    return Doubt(ReviewReason.SPAN_LOST, paper, f"claim:{claim.pk}:{digest}", claim, details=details)


def _save(claim: Claim) -> None:
    """A claim that comes to the place of a live twin steps aside for it."""
    if claim.start is not None and claim.withdrawn_at is None:
        twin = Claim.objects.filter(
            paper_id=claim.paper_id, start=claim.start, end=claim.end, metric=claim.metric, form=claim.form,
            value=claim.value, baseline=claim.baseline, withdrawn_at=None,
        ).exclude(pk=claim.pk)  # fmt: skip
        if twin.exists():
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
        question_claims([(paper, paper.claims.all())])
