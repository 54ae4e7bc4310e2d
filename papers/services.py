"""Every write to papers, techniques and claims. Called alike by pages, API, tasks and commands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.utils import timezone

from papers.folding import fold_title
from papers.models import AuditEntry, Claim, Facet, Paper, Source, Technique, TechniqueLabel
from papers.vocabulary import METRIC_GROUPS

Actor = AbstractBaseUser | AnonymousUser | None  # a person, a token's owner, or a command
Change = Literal["new", "updated", "unchanged"]
MAX_TITLE = 500
FACET_FIELDS = {"families": Facet.FAMILY, "modality": Facet.MODALITY, "stage": Facet.STAGE, "hardware": Facet.HARDWARE}
PLAIN_FIELDS = ("kind", "name", "training_free", "code_urls", "quality_cost", "verify", "mechanism", "reasons")


@dataclass(frozen=True)
class SeenPaper:
    """A paper as some page, feed or card shows it."""

    title: str
    abstract: str = ""
    summary: str = ""
    arxiv_id: str | None = None
    year: int | None = None
    published_on: date | None = None
    authors: tuple[str, ...] = ()
    author_count: int | None = None
    votes: int | None = None
    source_kind: str = ""
    locator: str = ""
    line: int | None = None
    page_date: str = ""


def record_paper(seen: SeenPaper) -> tuple[Paper, Change]:
    """Add the paper, or fill what the known one lacks; the same sight twice changes nothing.

    Raises: ValueError where the title is blank or longer than a title can be.
    """
    key = fold_title(seen.title)
    if not key:
        raise ValueError("title: is blank; a paper is known by its title")
    if max(len(seen.title), len(key)) > MAX_TITLE:
        raise ValueError(
            f"title: {seen.title[:40]!r}… has {len(seen.title)} characters; at most {MAX_TITLE} are a title"
        )
    with transaction.atomic():
        paper = Paper.objects.filter(folded_title=key).first()
        change: Change = "unchanged"
        if paper is None:
            paper, change = Paper(title=seen.title), "new"
            _fill(paper, seen)
            paper.save()
        elif _fill(paper, seen):
            paper.save()
            change = "updated"
        if seen.locator:
            place = {"paper": paper, "kind": seen.source_kind, "locator": seen.locator}
            if change == "new" or not Source.objects.filter(**place).exists():
                Source.objects.create(**place, line=seen.line, page_date=seen.page_date)
    return paper, change


def _fill(paper: Paper, seen: SeenPaper) -> bool:
    """Set what the paper lacks; votes only rise. True if anything changed."""
    before = [getattr(paper, name) for name in _FILLED]
    for name in _FILLED:
        offered = getattr(seen, name)
        offered = list(offered) if isinstance(offered, tuple) else offered
        if name == "votes":
            paper.votes = max((v for v in (paper.votes, seen.votes) if v is not None), default=None)
        elif name == "arxiv_id" and offered and Paper.objects.filter(arxiv_id=offered).exclude(pk=paper.pk).exists():
            continue  # another title holds this id: keep both papers, claim nothing
        elif offered and not getattr(paper, name):
            setattr(paper, name, offered)
    return before != [getattr(paper, name) for name in _FILLED]


_FILLED = ("abstract", "summary", "arxiv_id", "year", "published_on", "authors", "author_count", "votes")


def store_record(
    paper: Paper, record: Mapping[str, Any], extractor_version: str, *, edited: Iterable[str] = ()
) -> Change:
    """Make the paper's technique and extracted claims say what `record` says (schema of the labelled records).

    Fields that a person or a card set stay as they are. Claims are matched by their place; ones that are no longer
    found are withdrawn, not deleted. `edited` names fields of this record that shall win over later extractions.
    """
    with transaction.atomic():
        technique = Technique.objects.filter(paper=paper).first()
        change: Change = "unchanged" if technique else "new"
        technique = technique or Technique(paper=paper)
        guarded = set() if edited else set(technique.edited_fields)
        before = {name: getattr(technique, name) for name in (*PLAIN_FIELDS, "extractor_version", "edited_fields")}
        for name in PLAIN_FIELDS:
            if name in record and name not in guarded:
                blank: Any = "" if name in ("name", "mechanism", "verify") else None
                value = record[name]
                setattr(technique, name, blank if value is None and blank is not None else value)
        technique.extractor_version = extractor_version
        technique.edited_fields = sorted(set(technique.edited_fields) | set(edited))
        if change == "new" or before != {name: getattr(technique, name) for name in before}:
            technique.save()
            change = change if change == "new" else "updated"
        wanted = {f: record[n] or () for n, f in FACET_FIELDS.items() if n in record and n not in guarded}
        if _set_labels(technique, wanted, is_new=change == "new"):
            change = change if change == "new" else "updated"
        if "claims" in record and _sync_claims(paper, record["claims"]):
            change = change if change == "new" else "updated"
        if change == "updated":
            Paper.objects.filter(pk=paper.pk).update(updated_at=timezone.now())
    return change


def _set_labels(technique: Technique, wanted: Mapping[Facet, Iterable[str]], *, is_new: bool) -> bool:
    """Make the labels of the facets named be these, in this order. True if any facet changed."""
    present: dict[str, list[str]] = {}
    if not is_new:
        for label in technique.labels.order_by("position"):
            present.setdefault(label.facet, []).append(label.value)
    lists = {facet: list(dict.fromkeys(str(v)[:80] for v in values if v)) for facet, values in wanted.items()}
    changed = {facet: values for facet, values in lists.items() if values != present.get(facet, [])}
    if any(facet in present for facet in changed):
        technique.labels.filter(facet__in=list(changed)).delete()
    TechniqueLabel.objects.bulk_create(
        TechniqueLabel(technique=technique, facet=facet, value=value, position=position)
        for facet, values in changed.items()
        for position, value in enumerate(values)
    )
    return bool(changed)


def _place(claim: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        claim["start"],
        claim["end"],
        claim["metric"],
        claim["form"],
        float(claim["value"]),
        claim.get("baseline") or "",
    )


_CLAIM_FIELDS = (
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
_NULLABLE = {"value", "value_max", "start", "end"}


def _sync_claims(paper: Paper, found: Iterable[Mapping[str, Any]]) -> bool:
    known = list(paper.claims.all())
    by_place = {(c.start, c.end, c.metric, c.form, c.value, c.baseline): c for c in known if c.start is not None}
    unplaced = [c for c in known if c.card_key and c.start is None]
    joined = [c for c in known if c.card_key and c.start is not None]
    changed, kept = False, set()
    for claim in {_place(c): c for c in found}.values():
        fields: dict[str, Any] = {n: claim.get(n) if n in _NULLABLE else (claim.get(n) or "") for n in _CLAIM_FIELDS}
        row = by_place.get(_place(claim)) or next((c for c in joined if _same_span(c, fields)), None)
        if row is None:
            row = next((c for c in unplaced if same_statement(c, fields)), None)
            if row is not None:  # a card's claim, found in the abstract: the card's own figures stay
                unplaced.remove(row)
                row.quote, row.start, row.end, row.rule = (
                    fields["quote"],
                    fields["start"],
                    fields["end"],
                    fields["rule"],
                )
                row.save()
            else:
                row = paper.claims.create(**fields)
            changed = True
        elif row.withdrawn_at is not None:
            row.withdrawn_at = None
            row.save()
            changed = True
        elif not row.card_key and any(getattr(row, n) != fields[n] for n in _CLAIM_FIELDS):
            for name, value in fields.items():
                setattr(row, name, value)
            row.save()
            changed = True
        kept.add(row.pk)
    for row in known:
        if row.pk not in kept and row.start is not None and not row.card_key and row.withdrawn_at is None:
            row.withdrawn_at = timezone.now()
            row.save()
            changed = True
    return changed


def _same_span(claim: Claim, other: Mapping[str, Any]) -> bool:
    return (claim.start, claim.end) == (other["start"], other["end"]) and same_statement(claim, other)


def same_statement(claim: Claim, other: Mapping[str, Any]) -> bool:
    """Whether two readings of a paper mean one claim: same form and value, and metrics that can say the same."""
    if claim.form != other["form"] or METRIC_GROUPS.get(claim.metric) != METRIC_GROUPS.get(other["metric"]):
        return False
    value = float(other["value"])
    return abs(claim.value - value) <= 0.01 * max(abs(claim.value), abs(value))


def store_card_claims(paper: Paper, card_name: str, claims: Iterable[Mapping[str, Any]]) -> None:
    """Make the claims that a card judges exist, each joined with the extracted claim that says the same."""
    names = (
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
    with transaction.atomic():
        keys = []
        for claim in claims:
            key = f"{card_name}/{claim['key']}"
            keys.append(key)
            fields: dict[str, Any] = {n: claim.get(n) if n in _NULLABLE else (claim.get(n) or "") for n in names}
            fields["baseline"] = claim.get("baseline_text") or ""
            row = Claim.objects.filter(card_key=key).first() or next(
                (c for c in paper.claims.filter(card_key=None, withdrawn_at=None) if same_statement(c, fields)), None
            )
            if row is None:
                Claim.objects.create(paper=paper, card_key=key, **fields)
                continue
            row.card_key, row.withdrawn_at = key, None
            for name, value in fields.items():
                setattr(row, name, value)
            row.save()
        gone = paper.claims.filter(card_key__startswith=f"{card_name}/", withdrawn_at=None).exclude(card_key__in=keys)
        gone.filter(start=None).update(withdrawn_at=timezone.now())
        gone.filter(start__isnull=False).update(card_key=None)


def withdraw_paper(paper: Paper, actor: Actor, reason: str) -> None:
    """Take a paper out of the lists; its address keeps answering and says that it was withdrawn."""
    with transaction.atomic():
        Paper.objects.filter(pk=paper.pk, withdrawn_at=None).update(
            withdrawn_at=timezone.now(), updated_at=timezone.now()
        )
        write_audit(actor, "withdraw-paper", paper.slug, reason=reason)


def write_audit(actor: Actor, action: str, target: str, **detail: Any) -> None:
    """Note who did what; a token acts as its owner, a command as nobody."""
    AuditEntry.objects.create(actor_id=getattr(actor, "pk", None), action=action, target=target[:200], detail=detail)
