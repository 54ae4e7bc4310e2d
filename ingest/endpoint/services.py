"""Every write about the endpoint: who asks about which paper, what it cost, and what its answer does to the record."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, NamedTuple

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from ingest.endpoint.check import CheckedRecord, check
from ingest.endpoint.compare import AGREED_CONFIDENCE, DETAILS, Comparison, compare, same_claim
from ingest.endpoint.config import EndpointConfig
from ingest.endpoint.configured import endpoint_config
from ingest.endpoint.errors import EndpointError
from ingest.endpoint.parts import Remark
from ingest.endpoint.prompt import PROMPT_VERSION, text_hash
from ingest.endpoint.usage import Usage
from ingest.models import EndpointDay, EndpointReading, ReadingOutcome
from ingest.models.endpoint import lately_stopped, unread
from ingest.records import heard_ahead, record_of, version
from papers.models import Claim, Paper, ReviewItem, ReviewReason, ReviewState
from papers.services import CORRECTABLE, Doubt, open_review_items, store_record, store_records
from papers.services.claims import CLAIM_FIELDS
from papers.services.queue import GONE, close_review_items
from papers.services.statements import place_of, place_of_row

logger = logging.getLogger(__name__)
_RINGS_AT_ONCE = 50
_QUIET_MINUTES = 30


# ── the limit of a day ──────────────────────────────────────────────────────────────────────────────────────────────
class Allowance(NamedTuple):
    """Requests of one day that a reading may use; what it did not use is given back."""

    day: date
    requests: int


def requests_left(daily_limit: int) -> int:
    today = EndpointDay.objects.filter(day=timezone.now().date()).first()
    return max(0, daily_limit - (today.requests if today else 0))


def reserve_requests(wanted: int, daily_limit: int) -> Allowance:
    """As many of the day's requests as are left, at most `wanted`; they count as used until they are given back.

    Processes that reserve at once never go over the limit together. One that dies loses the day what it had reserved.
    """
    day = timezone.now().date()
    EndpointDay.objects.get_or_create(day=day)
    while True:
        used = EndpointDay.objects.get(day=day).requests
        granted = min(wanted, daily_limit - used)
        if granted <= 0:
            return Allowance(day, 0)
        if EndpointDay.objects.filter(day=day, requests=used).update(requests=used + granted):
            return Allowance(day, granted)


def settle(allowance: Allowance, usage: Usage) -> None:
    """Give back what was not used, and count the tokens."""
    EndpointDay.objects.filter(day=allowance.day).update(
        requests=F("requests") - max(0, allowance.requests - usage.requests),
        prompt_tokens=F("prompt_tokens") + usage.prompt_tokens,
        completion_tokens=F("completion_tokens") + usage.completion_tokens,
    )


# ── who asks ────────────────────────────────────────────────────────────────────────────────────────────────────────
def current_readings(papers: Iterable[Paper], config: EndpointConfig) -> set[int]:
    """The keys of those papers about whose very text this model answered, asked in the present words."""
    texts = {paper.pk: text_hash(paper.title, paper.abstract) for paper in papers}
    rows = EndpointReading.objects.filter(paper__in=texts).answered_with(config.model, PROMPT_VERSION)
    return {pk for pk, text in rows.values_list("paper_id", "text_hash") if text == texts[pk]}


def is_current(paper: Paper, config: EndpointConfig) -> bool:
    """Whether this model answered about this very text, asked in the present words."""
    return bool(current_readings([paper], config))


def take(paper: Paper, config: EndpointConfig) -> bool:
    """Claim the right to ask about a paper; False while somebody else holds it. It runs out if its holder dies."""
    EndpointReading.objects.get_or_create(paper=paper)
    now = timezone.now()
    free = EndpointReading.objects.filter(Q(claimed_until=None) | Q(claimed_until__lt=now), paper=paper)
    # Four attempts that each take as long as they may, and the pauses between them.
    return bool(free.update(claimed_until=now + timedelta(seconds=4 * config.timeout_s + 600)))


def release(paper_id: int) -> None:
    """Let others ask, as if nobody had."""
    EndpointReading.objects.filter(paper_id=paper_id).update(claimed_until=None)


def confirm_reading(paper: Paper) -> None:
    """Note that a paper which changed still has the text that was read."""
    EndpointReading.objects.filter(paper=paper).update(read_at=timezone.now(), claimed_until=None)


# ── what came of it ─────────────────────────────────────────────────────────────────────────────────────────────────
class Effect(NamedTuple):
    """What an answer did: claims and fields on which both agree, questions that it opened, parts that were refused."""

    agreed_claims: int = 0
    agreed_fields: int = 0
    differing: int = 0
    proposals: int = 0
    opened: int = 0
    refused: int = 0


class TextChanged(Exception):
    """The paper's text is no longer the one that was asked about; the answer is of no use."""


def store_answer(
    paper_id: int, asked_hash: str, config: EndpointConfig, answer: dict[str, Any], usage: Usage
) -> Effect:
    """Check an answer, keep what is left of it, and let it bear on the record. All of it or nothing.

    Raises: TextChanged; then the paper may be asked about again.
    """
    texts = Paper.objects.filter(pk=paper_id).values_list("title", "abstract")
    try:
        with heard_ahead(texts), transaction.atomic():
            paper = Paper.objects.select_for_update(of=("self",)).get(pk=paper_id)
            if text_hash(paper.title, paper.abstract) != asked_hash:
                raise TextChanged
            checked = check(paper.title, paper.abstract, answer, config.model)
            reading = EndpointReading.objects.get(paper=paper)
            reading.outcome, reading.message, reading.failures = ReadingOutcome.ANSWERED, "", 0
            reading.text_hash, reading.answer = asked_hash, _to_json(checked)
            _sign(reading, config, usage)
            return _bear(paper, _rules_record(paper), reading, checked)[1]
    except TextChanged:
        release(paper_id)
        raise


def store_failure(paper_id: int, asked_hash: str, config: EndpointConfig, fault: EndpointError) -> None:
    """Note why there is no answer. An earlier answer about the same text stays; a fault of the endpoint itself is not the paper's."""
    with transaction.atomic():
        reading = EndpointReading.objects.select_for_update().get(paper_id=paper_id)
        reading.outcome, reading.message = ReadingOutcome(str(fault.fault)), fault.message
        reading.failures += not fault.stops_all
        if reading.text_hash != asked_hash:
            reading.text_hash, reading.answer = asked_hash, None
        _sign(reading, config, fault.usage)


def _sign(reading: EndpointReading, config: EndpointConfig, usage: Usage) -> None:
    reading.model, reading.prompt_version = config.model, PROMPT_VERSION
    reading.requests, reading.prompt_tokens, reading.completion_tokens = usage
    reading.read_at, reading.claimed_until = timezone.now(), None
    reading.save()


def store_beside_readings(records: Sequence[tuple[Paper, dict[str, Any]]]) -> list[bool]:
    """Store what the rules found in different papers, with what earlier answers about the same texts make of it.

    Of each: whether the record changed.
    """
    with transaction.atomic():
        readings = _readings_of([paper for paper, _ in records])
        plain = [(paper, record) for paper, record in records if paper.pk not in readings]
        changes = store_records(plain, version())
        changed = {paper.pk for (paper, _), change in zip(plain, changes, strict=True) if change != "unchanged"}
        for paper, record in records:
            reading = readings.get(paper.pk)
            if reading is not None and _bear(paper, record, reading, _from_json(reading.answer))[0]:
                changed.add(paper.pk)
    return [paper.pk in changed for paper, _ in records]


def raise_confidence(paper: Paper, record: dict[str, Any]) -> dict[str, Any]:
    """The rules' record as `store_beside_readings` would store it, for a preview. Writes nothing to the database."""
    reading = _readings_of([paper]).get(paper.pk)
    if reading is not None:
        _raise_agreed(compare(record, _from_json(reading.answer)))
    return record


def _readings_of(papers: Iterable[Paper]) -> dict[int, EndpointReading]:
    """By a paper's key, the reading whose answer is about its present text."""
    texts = {paper.pk: text_hash(paper.title, paper.abstract) for paper in papers}
    rows = EndpointReading.objects.filter(paper__in=texts).exclude(answer=None)
    return {row.paper_id: row for row in rows if row.text_hash == texts[row.paper_id]}


def _raise_agreed(found: Comparison) -> None:
    for claim in found.agreed_claims:
        # The comparison hands out the record's own objects.
        claim["confidence"] = max(claim.get("confidence") or 0.0, AGREED_CONFIDENCE)  # type: ignore[index]


def _rules_record(paper: Paper) -> dict[str, Any]:
    return record_of(paper.title, paper.abstract).to_json()


def _to_json(checked: CheckedRecord) -> dict[str, Any]:
    remarks = {name: [remark._asdict() for remark in getattr(checked, name)] for name in ("refused", "corrected")}
    return {"record": checked.record, "evidence": checked.evidence, **remarks}


def _from_json(answer: Any) -> CheckedRecord:
    refused, corrected = ([Remark(**remark) for remark in answer[name]] for name in ("refused", "corrected"))
    return CheckedRecord(answer["record"], answer["evidence"], refused, corrected)


def _bear(
    paper: Paper, record: dict[str, Any], reading: EndpointReading, checked: CheckedRecord
) -> tuple[bool, Effect]:
    """Store the rules' record with the confidence that agreement gives it, and ask people about the rest."""
    found = compare(record, checked)
    _raise_agreed(found)
    changed = store_record(paper, record, version()) != "unchanged"
    rows = list(paper.claims.all())
    live = {place_of_row(row): row for row in rows if row.withdrawn_at is None}
    doubts = [*_field_doubts(paper, found), *_claim_doubts(paper, found, live), *_proposals(paper, found, rows)]
    opened = open_review_items(doubts)
    _close_settled(paper, {doubt.key for doubt in doubts}, [live.get(place_of(c)) for c in found.agreed_claims])
    # After the record, whose writing touches the paper: a paper that changed later than this is looked at again.
    reading.extractor_version, reading.read_at = version(), timezone.now()
    reading.save(update_fields=["extractor_version", "read_at"])
    differing = len(found.differing_fields) + sum(bool(pair.differs) for pair in found.pairs) + len(found.only_rules)
    agreed_fields = len(found.fields) - len(found.differing_fields)
    counts = len(found.agreed_claims), agreed_fields, differing, len(found.only_endpoint), opened, len(checked.refused)
    return changed, Effect(*counts)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _field_doubts(paper: Paper, found: Comparison) -> Iterable[Doubt]:
    technique = getattr(Paper.objects.select_related("technique").get(pk=paper.pk), "technique", None)
    decided = set(technique.edited_fields) if technique else set()
    for field in found.differing_fields:
        if field.field not in decided:
            sides = {
                "rules": {"value": field.rules, "words": field.rules_words},
                "endpoint": {"value": field.endpoint, "words": [field.endpoint_words] if field.endpoint_words else []},
            }
            about = f"{paper.pk}:{field.field}:{_digest(field.endpoint)}"
            yield Doubt(ReviewReason.ENDPOINT_DISAGREES, paper, about, field=field.field, details=sides)


def _claim_doubts(paper: Paper, found: Comparison, live: Mapping[Any, Claim]) -> Iterable[Doubt]:
    """Claims of the rules that the endpoint reads otherwise, or does not see; those that a person decided on are settled."""
    for pair in found.pairs:
        row = live.get(place_of(pair.rules))
        if pair.differs and row is not None and not row.is_reviewed:
            other = _said(pair.endpoint)
            details = {"rules": _said(pair.rules), "endpoint": other, "differs": list(pair.differs)}
            said = {name: other[name] for name in DETAILS}
            yield Doubt(ReviewReason.ENDPOINT_DISAGREES, paper, f"claim:{row.pk}:{_digest(said)}", row, details=details)
    for claim in found.only_rules:
        row = live.get(place_of(claim))
        if row is not None and not row.is_reviewed:
            unseen: dict[str, Any] = {"rules": _said(claim), "endpoint": None}
            yield Doubt(ReviewReason.ENDPOINT_DISAGREES, paper, f"claim:{row.pk}:unseen", row, details=unseen)


def _proposals(paper: Paper, found: Comparison, rows: list[Claim]) -> Iterable[Doubt]:
    """Claims that only the endpoint found. They wait for a person, who may have said yes or no to the same before."""
    known = [
        {name: getattr(row, name) for name in CLAIM_FIELDS} for row in rows if row.start is not None and row.is_reviewed
    ]
    for claim in found.only_endpoint:
        if not any(same_claim(other, claim) for other in known):
            proposal = {name: claim[name] for name in CORRECTABLE}
            details = {"rules": None, "endpoint": _said(claim), "proposal": proposal}
            about = f"{paper.pk}:proposal:{_digest(place_of(claim))}"
            yield Doubt(ReviewReason.ENDPOINT_DISAGREES, paper, about, details=details)


def _said(claim: Mapping[str, Any]) -> dict[str, Any]:
    return {name: claim.get(name) for name in CLAIM_FIELDS}


def _close_settled(paper: Paper, asked: set[str], agreed: list[Claim | None]) -> None:
    """Nobody needs to decide on what is no longer in doubt; should the doubt come back, the question opens again."""
    mine = ReviewItem.objects.filter(paper=paper, reason=ReviewReason.ENDPOINT_DISAGREES).exclude(key__in=asked)
    close_review_items(mine, GONE, state=ReviewState.DISMISSED)
    sure = ReviewItem.objects.filter(reason=ReviewReason.LOW_CONFIDENCE, claim__in=[row for row in agreed if row])
    close_review_items(sure, GONE, state=ReviewState.DISMISSED)


# ── doorbells ───────────────────────────────────────────────────────────────────────────────────────────────────────
def ask_after_commit(papers: Iterable[Paper]) -> None:
    """Have a worker ask about the papers once their texts are in the database, unless they were read or the endpoint is off."""
    if not settings.ENDPOINT_URL:
        return
    papers = list(papers)
    current = current_readings(papers, endpoint_config())
    for paper in papers:
        if paper.pk not in current:
            transaction.on_commit(partial(ring, paper.pk))


def ring(paper_id: int) -> None:
    """A broker that is away costs nothing but time: the beat job rings again."""
    try:
        current_app.send_task("ingest.read_with_endpoint", args=[paper_id], expires=3600, retry=False)
    except Exception as fault:  # every transport raises its own kind
        logger.warning("paper %s waits for the endpoint, the broker did not answer: %s", paper_id, fault)


def ring_for_unread() -> int:
    """Ring for papers whose message was lost, or whose answer did not come; how many. One alone while the endpoint is at fault."""
    config = endpoint_config()
    left = requests_left(config.daily_limit) if config.is_on else 0
    most = min(left, 1 if lately_stopped(_QUIET_MINUTES) else _RINGS_AT_ONCE)
    papers = list(unread(Paper.objects.all(), config.model, PROMPT_VERSION).values_list("pk", flat=True)[:most])
    for paper_id in papers:
        ring(paper_id)
    return len(papers)
