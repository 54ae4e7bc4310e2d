"""Search and advice over the database's papers: keeps the index fresh, the encoder warm, and answers in plain values."""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Prefetch
from django.utils import timezone

from papers.models import Claim, Implementation, Paper, Verdict
from recommender.advice import Advice, Need, advise
from recommender.documents import ClaimedGain, Document, MeasuredGain, ModelledEffect, Needs, Quality
from recommender.encoders import Encoder, EncoderError, open_encoder
from recommender.evidence import knowledge, this_machine
from recommender.index import (
    Hit,
    Index,
    IndexBusy,
    Manifest,
    MissingIndex,
    Query,
    StaleIndex,
    open_index,
    write_index,
)
from recommender.versions import current_version

__all__ = ["build_index", "knowledge", "recommend", "refresh_index", "search", "similar_papers", "this_machine"]

logger = logging.getLogger(__name__)

AS_OF = "AS_OF"
# A percentage in a sentence about quality is its loss where it says so and is no more than this.
LARGEST_LOSS = 20.0
_LOSS = re.compile(r"drop|loss|degrad|reduction|decrease", re.IGNORECASE)


@dataclass
class _Open:
    """What this process holds open: one encoder for its life, and the index version it last saw."""

    encoder: Encoder | None = None
    encoder_fault: str = ""
    index: Index | None = None
    version: Path | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_open = _Open()


@dataclass(frozen=True)
class SearchResult:
    """Ranked hits; `note` says what the reader should know, such as an index that is being built."""

    hits: list[Hit]
    total: int
    note: str = ""


# ── what the index holds ────────────────────────────────────────────────────────────────────────────────────────────
def documents() -> Iterator[Document]:
    """Every visible paper as the index sees it."""
    verdicts = Verdict.objects.current().decisive().select_related("run__device", "run__implementation")
    claims = Claim.objects.visible().prefetch_related(Prefetch("verdicts", verdicts, to_attr="decisive_verdicts"))
    papers = (
        Paper.objects.visible()
        .select_related("technique")
        .prefetch_related(
            "technique__labels",
            Prefetch("claims", claims, to_attr="visible_claims"),
            Prefetch(
                "implementations", Implementation.objects.filter(retired_at=None), to_attr="present_implementations"
            ),
        )
        .order_by("pk")
    )
    for paper in papers.iterator(chunk_size=500):
        yield document_of(paper)


def document_of(paper: Any) -> Document:
    """A paper with its prefetched record as one document."""
    technique = getattr(paper, "technique", None)
    implementation = next(iter(paper.present_implementations), None)
    card: dict[str, Any] = implementation.card if implementation else {}
    record = (
        {
            "name": technique.name,
            "families": tuple(technique.families),
            "modality": tuple(technique.modality),
            "stage": tuple(technique.stage),
            "hardware": tuple(technique.hardware),
            "training_free": technique.training_free,
            "kind": technique.kind,
        }
        if technique
        else {}
    )
    return Document(
        id=paper.pk,
        title=paper.title,
        text=paper.abstract or paper.summary,
        gains=tuple(_claimed(claim) for claim in paper.visible_claims),
        evidence=tuple(
            _measured(claim, verdict)
            for claim in paper.visible_claims
            for verdict in claim.decisive_verdicts
            if verdict.ratio is not None
        ),
        effects=_effects(card),
        needs=_needs(card),
        implementation=implementation.name if implementation else None,
        quality=_quality(card, getattr(technique, "quality_cost", None)),
        **record,
    )


def _claimed(claim: Claim) -> ClaimedGain:
    return ClaimedGain(
        metric=claim.metric,
        form=claim.form,
        direction=claim.direction,
        value=claim.value,
        value_max=claim.value_max,
        qualifier=claim.qualifier or None,
        baseline=claim.baseline or None,
        hardware=claim.hardware or None,
        phase=claim.phase or None,
        quote=claim.quote or claim.statement,
        scope=claim.scope,
    )


def _measured(claim: Claim, verdict: Verdict) -> MeasuredGain:
    return MeasuredGain(
        metric=claim.metric,
        median=verdict.ratio or 0.0,
        low=verdict.low if verdict.low is not None else verdict.ratio or 0.0,
        high=verdict.high if verdict.high is not None else verdict.ratio or 0.0,
        scope=verdict.run.implementation.card.get("scope", ""),
        device=verdict.run.device.name if verdict.run.device else "",
        outcome=verdict.outcome,
        baseline=verdict.baseline,
        workload=verdict.workload,
    )


def _effects(card: dict[str, Any]) -> tuple[ModelledEffect, ...]:
    effect = card.get("effect")
    if not effect:
        return ()
    return (
        ModelledEffect(
            term=effect["term"],
            resource=effect["resource"],
            low=effect["low"],
            high=effect["high"],
            stages=tuple(effect.get("stages") or ()),
            requires_training=effect.get("requires_training") or "none",
            architectures=tuple(effect.get("architectures") or ()),
        ),
    )


def _needs(card: dict[str, Any]) -> Needs | None:
    needs = card.get("needs")
    if needs is None:
        return None
    return Needs(
        triton=bool(needs.get("triton")),
        cuda_capability=needs.get("cuda_capability"),
        memory_gib=needs.get("memory_gib"),
    )


def _quality(card: dict[str, Any], stated: dict[str, Any] | None) -> Quality | None:
    """What the card allows and the abstract states; a stated figure counts where it is plainly of a loss."""
    exact = {"exact": True, "approximate": False}.get(card.get("correctness", ""))
    budget = (card.get("check") or {}).get("budget") if exact is False else None
    # A similarity or an overlap is better when larger, and is no error.
    if (card.get("check") or {}).get("quality") not in ("relative_l2", "kl"):
        budget = None
    stated = stated or {}
    loss, quote = stated.get("value"), str(stated.get("quote") or "")
    is_loss = stated.get("unit") == "%" and stated.get("lossless") is False and _LOSS.search(quote)
    known_loss = loss / 100 if is_loss and loss is not None and loss <= LARGEST_LOSS else None
    if exact is None and budget is None and known_loss is None and stated.get("lossless") is None:
        return None
    return Quality(exact, budget, stated.get("lossless"), known_loss)


# ── keeping it ──────────────────────────────────────────────────────────────────────────────────────────────────────
def encoder() -> Encoder:
    """This process's encoder, loaded once. Raises: EncoderError with the way out."""
    with _open.lock:
        if _open.encoder is None:
            _open.encoder = open_encoder(settings.ENCODER)
        return _open.encoder


def build_index(progress: Callable[[int, int], None] | None = None) -> Manifest:
    """Write a new version from the database and swap it in; vectors of unchanged papers are kept.

    Raises: IndexBusy where another process is at it, EncoderError where the encoder cannot be loaded.
    """
    # What is written while the index is being built may or may not be in it: the stamp is from before.
    as_of = timezone.now()
    manifest = write_index(settings.INDEX_DIR, documents(), encoder(), progress)
    aside = settings.INDEX_DIR / f".as-of-{os.getpid()}"
    aside.write_text(as_of.isoformat())
    aside.replace(settings.INDEX_DIR / AS_OF)
    return manifest


def current_index() -> Index:
    """The newest version, reopened when it was swapped. Raises: MissingIndex, StaleIndex."""
    version = current_version(settings.INDEX_DIR)
    with _open.lock:
        if _open.index is None or version != _open.version:
            _open.index, _open.version = open_index(settings.INDEX_DIR, settings.ENCODER), version
        return _open.index


def index_is_behind() -> bool:
    """Whether a paper, or a verdict that documents show, was written since the index was built, or there is no usable index."""
    try:
        current_index()
        as_of = datetime.fromisoformat((settings.INDEX_DIR / AS_OF).read_text())
    except (MissingIndex, StaleIndex, OSError, ValueError):
        return True
    return (
        Paper.objects.filter(updated_at__gte=as_of).exists()
        or Paper.objects.filter(withdrawn_at__gte=as_of).exists()
        or Verdict.objects.decisive().filter(created_at__gte=as_of).exists()
        or Verdict.objects.decisive().filter(withdrawn_at__gte=as_of).exists()
    )


def refresh_index() -> bool:
    """Rebuild where something changed. False if nothing did, or another process is at it."""
    if not index_is_behind():
        return False
    try:
        build_index()
    except IndexBusy:
        return False
    return True


def ensure_index() -> Index:
    """An index to answer from now; built first where none can be opened (a lost or damaged one mends itself)."""
    try:
        return current_index()
    except (MissingIndex, StaleIndex) as fault:
        logger.warning("%s; building the index from the database", fault)
        build_index()
        return current_index()


def warm_up_in_background(after_s: float = 0.0) -> threading.Thread:
    """Load encoder and index in a thread, so that the first search of a web process does not wait for torch."""
    thread = threading.Timer(after_s, _warm_up)
    thread.name, thread.daemon = "warm-up", True
    thread.start()
    return thread


def _warm_up() -> None:
    try:
        encoder().encode(["warm up"])
        current_index()
    except (EncoderError, MissingIndex, StaleIndex) as fault:
        _open.encoder_fault = str(fault)
        logger.warning("warm-up: %s", fault)


# ── answering ───────────────────────────────────────────────────────────────────────────────────────────────────────
def search(text: str, allowed_ids: set[int] | None = None, limit: int = 25, offset: int = 0) -> SearchResult:
    """Papers for the words, best first, out of those allowed. Never raises for what a person may type."""
    try:
        index = ensure_index()
    except (EncoderError, IndexBusy) as fault:
        return SearchResult([], 0, f"Search is not ready: {fault}")
    note = ""
    query_encoder: Encoder | None = None
    try:
        query_encoder = encoder()
    except EncoderError as fault:
        note = f"Searching by words only: {fault}"
    hits = index.search(Query(text=text[:4000], allowed_ids=allowed_ids, limit=limit, offset=offset), query_encoder)
    total = len(index.documents) if allowed_ids is None else len(allowed_ids)
    return SearchResult(hits, total, note)


def similar_papers(paper_id: int, limit: int = 6) -> list[Hit]:
    """Papers whose text is nearest; empty where the index does not hold this paper yet."""
    try:
        return current_index().similar(paper_id, limit)
    except (MissingIndex, StaleIndex, KeyError):
        return []


def recommend(need: Need) -> Advice:
    """Advice for one need. Raises: EncoderError, IndexBusy, or ValueError that names the field at fault."""
    return advise(need, ensure_index(), encoder(), knowledge())
