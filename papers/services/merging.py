"""Two papers that turned out to be one become one; nothing that people may cite is lost."""

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from papers.models import (
    Claim,
    Implementation,
    Paper,
    PaperTitle,
    ReviewItem,
    Source,
    Technique,
    TwinCandidate,
    TwinState,
    Verdict,
)
from papers.services.claims import follow_abstract, nearest
from papers.services.code_links import SeenLink, record_code_links
from papers.services.common import Actor, FieldError, write_audit
from papers.services.papers import abstract_was_replaced
from papers.services.sights import longer
from papers.services.statements import place_of_row
from papers.services.techniques import FACET_FIELDS, edit_technique
from papers.services.twins import settle_twin

_FILLED = ("summary", "year", "published_on", "authors", "author_count")


def merge_papers(keep: Paper, drop: Paper, actor: Actor, note: str = "") -> bool:
    """Make `drop` part of `keep`: sources, claims, code links, titles and implementations move. False if it was so.

    `drop` leaves the lists, and its address leads to `keep`. The longer abstract stays, edits by people win, and the
    record is extracted anew where the abstract changed.

    Raises: FieldError where the two are one row, or either was withdrawn or merged into a third.
    """
    if keep.pk == drop.pk:
        raise FieldError("keep", "is the paper itself; name the other one")
    with transaction.atomic():
        rows = {p.pk: p for p in Paper.objects.select_for_update(of=("self",)).filter(pk__in=[keep.pk, drop.pk])}
        kept, dropped = rows[keep.pk], rows[drop.pk]
        if dropped.merged_into_id == kept.pk:
            return False
        for name, row in (("keep", kept), ("drop", dropped)):
            if row.withdrawn_at is not None:
                raise FieldError(name, f"{row.slug} was {'merged into another' if row.merged_into_id else 'withdrawn'}")
        _take_fields(kept, dropped)
        moved = _move_claims(kept, dropped)
        _move_rows(kept, dropped)
        _move_technique(kept, dropped, actor)
        _settle_pairs(kept, dropped, actor)
        write_audit(actor, "merge-papers", f"{dropped.slug} into {kept.slug}", claims=moved, note=note)
    keep.refresh_from_db()
    drop.refresh_from_db()
    return True


def _take_fields(kept: Paper, dropped: Paper) -> None:
    """What the kept one lacks, and what people set on the other; then the other one leaves the lists."""
    by_people = [n for n in dropped.edited_fields if n not in kept.edited_fields]
    taken: dict[str, Any] = {}
    for name in (*_FILLED, "arxiv_id", "doi"):
        offered = getattr(dropped, name)
        if offered and name not in kept.edited_fields and (not getattr(kept, name) or name in by_people):
            taken[name] = offered
    kept.votes = max((v for v in (kept.votes, dropped.votes) if v is not None), default=None)
    abstract = kept.abstract
    if "abstract" in by_people:
        abstract = dropped.abstract
    elif "abstract" not in kept.edited_fields:
        abstract = longer(kept.abstract, dropped.abstract)
    # Ids are unique: those that the kept one takes leave the other row, the rest stay there and lead here.
    for name in ("arxiv_id", "doi"):
        if name in taken:
            setattr(dropped, name, None)
    dropped.merged_into, dropped.withdrawn_at = kept, timezone.now()
    dropped.save()
    Paper.objects.filter(merged_into=dropped).update(merged_into=kept)
    given_up = {name: getattr(kept, name) for name in ("arxiv_id", "doi") if name in taken and getattr(kept, name)}
    for name, value in taken.items():
        setattr(kept, name, value)
    kept.edited_fields = sorted({*kept.edited_fields, *(n for n in by_people if n in taken or n == "abstract")})
    changed = abstract != kept.abstract
    kept.abstract = abstract
    kept.save()
    if given_up:
        Paper.objects.filter(pk=dropped.pk).update(**given_up)
    if changed:
        abstract_was_replaced(kept)


def _move_claims(kept: Paper, dropped: Paper) -> list[int]:
    """Claims go to where their quote stands in the kept abstract; of two that are the same, a reviewed one stays."""
    taken = {place_of_row(c): c for c in kept.claims.filter(withdrawn_at=None, start__isnull=False)}
    moved = []
    for claim in dropped.claims.filter(withdrawn_at=None):
        start = nearest(kept.abstract, claim.quote, claim.start or 0) if claim.start is not None else None
        if start is not None:
            claim.start, claim.end = start, start + len(claim.quote)
        elif claim.start is not None and not claim.is_reviewed and not claim.card_key:
            _leave(claim)  # extraction of the kept abstract decides whether it is claimed there
            continue
        twin = taken.get(place_of_row(claim)) if claim.start is not None else None
        if twin is not None and claim.is_reviewed and not twin.is_reviewed:
            _leave(twin)
            _hand_over(twin, claim)
            twin = None
        if twin is not None:
            Claim.objects.filter(pk=claim.pk).update(card_key=None, withdrawn_at=timezone.now())
            _hand_over(claim, twin)
            continue
        claim.paper = kept
        claim.save()
        ReviewItem.objects.filter(claim=claim).update(paper=kept)
        moved.append(claim.pk)
    follow_abstract(kept)  # a decided claim whose quote was only in the other abstract is asked about
    return moved


def _leave(claim: Claim) -> None:
    claim.withdrawn_at = timezone.now()
    claim.save()


def _hand_over(source: Claim, target: Claim) -> None:
    """Verdicts and the card of one claim go to the other one."""
    judged = Verdict.objects.filter(claim=target).values("run")
    Verdict.objects.filter(claim=source).exclude(run__in=judged).update(claim=target)
    key = source.card_key
    if key and not target.card_key:
        Claim.objects.filter(pk=source.pk).update(card_key=None)
        target.card_key = key
        target.save()


def _move_rows(kept: Paper, dropped: Paper) -> None:
    places = {(s.kind, s.locator) for s in kept.sources.all()}
    moving = [s.pk for s in dropped.sources.all() if (s.kind, s.locator) not in places]
    Source.objects.filter(pk__in=moving).update(paper=kept)
    links = dropped.code_links.all()
    for link in links:
        record_code_links(
            kept,
            [
                SeenLink(link.url, link.official, link.framework, said, link.kind, link.original)
                for said in (link.said_by or [""])
            ],
        )
    Implementation.objects.filter(paper=dropped).update(paper=kept)
    PaperTitle.objects.filter(paper=dropped).update(paper=kept)
    PaperTitle.objects.get_or_create(
        folded_title=dropped.folded_title, defaults={"paper": kept, "title": dropped.title}
    )


def _move_technique(kept: Paper, dropped: Paper, actor: Actor) -> None:
    ours = Technique.objects.filter(paper=kept).first()
    theirs = Technique.objects.filter(paper=dropped).first()
    if theirs is None:
        return
    if ours is None:
        theirs.paper = kept
        theirs.save()
        return
    missing = theirs.set_by_people - set(ours.edited_fields)
    if missing:
        said = {name: getattr(theirs, name) for name in missing}
        plain = {n: v for n, v in said.items() if n in FACET_FIELDS or n != "quality_cost" or _holds(kept, v)}
        if plain:
            edit_technique(kept, plain, actor, note=f"from {dropped.slug}")


def _holds(kept: Paper, cost: dict[str, Any] | None) -> bool:
    return cost is None or cost.get("quote", "") in kept.abstract


def _settle_pairs(kept: Paper, dropped: Paper, actor: Actor) -> None:
    """The pair is decided; other questions about the dropped paper are asked about the kept one."""
    for twin in TwinCandidate.objects.filter(Q(first=dropped) | Q(second=dropped)):
        other = twin.second if twin.first_id == dropped.pk else twin.first
        if other.pk == kept.pk:
            settle_twin(twin, TwinState.MERGED, actor)
            continue
        first, second = sorted((kept, other), key=lambda p: p.pk)
        if TwinCandidate.objects.filter(first=first, second=second).exists() or other.withdrawn_at is not None:
            settle_twin(twin, TwinState.MERGED, actor) if twin.state == TwinState.OPEN else None
            continue
        TwinCandidate.objects.filter(pk=twin.pk).update(first=first, second=second)
        ReviewItem.objects.filter(twin=twin).update(paper=first)
    ReviewItem.objects.filter(paper=dropped, claim=None, twin=None).update(paper=kept)
