"""Search and advice over the database's papers: keeps the index fresh, the encoder warm, and answers in plain values."""

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone

from papers.encoding.encoders import CACHE, Encoder, EncoderError, RememberedQueries, open_encoder
from papers.files import whole
from papers.filters import FacetGroup, PaperFilter
from papers.identifiers import bare_arxiv_id
from papers.models import Claim, Implementation, Paper, Verdict
from recommender.adapter import adapter_for
from recommender.advice import Advice, Need, advise
from recommender.documents import ClaimedGain, Document, MeasuredGain, ModelledEffect, Needs, Quality
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
from recommender.index_delta import MOST_ADDED, CannotAppend, append_index
from recommender.ranking import is_need
from recommender.versions import current_version

__all__ = [
    "Asked",
    "build_index",
    "facets_of",
    "knowledge",
    "papers_named",
    "recommend",
    "refresh_index",
    "search",
    "similar_papers",
    "this_machine",
]

logger = logging.getLogger(__name__)

AS_OF = "AS_OF"
# Longer than any abstract.
LONGEST_TEXT = 8_000
# A percentage in a sentence about quality is its loss where it says so and is no more than this.
LARGEST_LOSS = 20.0
_LOSS = re.compile(r"drop|loss|degrad|reduction|decrease", re.IGNORECASE)


@dataclass
class _Open:
    """What this process holds open for its life: one encoder for papers and one for needs; and the index version it last saw."""

    encoder: Encoder | None = None
    reader: Encoder | None = None
    encoder_fault: str = ""
    queries: RememberedQueries | None = None
    index: Index | None = None
    version: Path | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_open = _Open()


@dataclass(frozen=True)
class Asked:
    """A search as page, API and command ask it: words or a pasted abstract, papers wanted and unwanted, and filters.

    `allowed_ids` None means that nothing is filtered; `exact` takes words as they were typed.
    """

    text: str = ""
    like: tuple[int, ...] = ()
    unlike: tuple[int, ...] = ()
    allowed_ids: set[int] | None = None
    limit: int = 25
    offset: int = 0
    exact: bool = False


@dataclass(frozen=True)
class SearchResult:
    """Ranked hits; `note` says what the reader should know, such as an index that is being built.

    `corrected` is what was searched for instead of words that no paper has; blank where nothing was changed.
    """

    hits: list[Hit]
    total: int
    note: str = ""
    corrected: str = ""
    ids: list[int] = field(default_factory=list)


# ── what the index holds ────────────────────────────────────────────────────────────────────────────────────────────
def documents(among: QuerySet[Paper] | None = None) -> Iterator[Document]:
    """Visible papers, or some of them, as the index sees them."""
    verdicts = Verdict.objects.current().decisive().select_related("run__device", "run__implementation")
    claims = Claim.objects.visible().prefetch_related(Prefetch("verdicts", verdicts, to_attr="decisive_verdicts"))
    papers = (
        (Paper.objects.visible() if among is None else among)
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
            if verdict.ratio is not None and verdict.run.is_current
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
            _open.encoder = open_encoder(settings.ENCODER, settings.DATA_DIR / CACHE)
        return _open.encoder


def needs_reader() -> Encoder:
    """What this process reads needs by: the encoder with its adapter, where one was fitted for it. Raises: EncoderError."""
    adapter = adapter_for(settings.ENCODER)
    if adapter is None:
        return encoder()
    with _open.lock:
        if _open.reader is None:
            _open.reader = open_encoder(settings.ENCODER, settings.DATA_DIR / CACHE, adapter)
        return _open.reader


def reader_of(text: str) -> Encoder:
    """What a text is read by: a name of one or two words as papers are, anything longer as a need. Raises: EncoderError."""
    return needs_reader() if is_need(text) else encoder()


def build_index(progress: Callable[[int, int], None] | None = None) -> Manifest:
    """Write a new version from the database and swap it in; vectors of unchanged papers are kept.

    Raises: IndexBusy where another process is at it, EncoderError where the encoder cannot be loaded.
    """
    # What is written while the index is being built may or may not be in it: the stamp is from before.
    as_of = timezone.now()
    manifest = write_index(settings.INDEX_DIR, documents(), encoder(), progress)
    _write_as_of(as_of)
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
    as_of = _as_of()
    return as_of is None or _has_changed(Paper.objects.all(), as_of)


def _as_of() -> datetime | None:
    """Since when the index may be behind; None where no index can be used."""
    try:
        current_index()
        return datetime.fromisoformat((settings.INDEX_DIR / AS_OF).read_text())
    except (MissingIndex, StaleIndex, OSError, ValueError):
        return None


def _has_changed(papers: QuerySet[Paper], as_of: datetime) -> bool:
    return (
        papers.filter(updated_at__gte=as_of).exists()
        or papers.filter(withdrawn_at__gte=as_of).exists()
        or Verdict.objects.decisive().filter(created_at__gte=as_of).exists()
        or Verdict.objects.decisive().filter(withdrawn_at__gte=as_of).exists()
    )


def refresh_index(rebuild_after_s: float = 0.0) -> bool:
    """New papers are put beside the index at once; where others changed it is built again, if the last change of the index
    is that long ago. False if nothing was done, or another process is at it."""
    as_of = _as_of()
    try:
        if as_of is not None:
            if _append_new(as_of):
                return True
            recent = timezone.now() - as_of < timedelta(seconds=rebuild_after_s)
            if recent or not _has_changed(Paper.objects.all(), as_of):
                return False
        build_index()
    except IndexBusy:
        return False
    return True


def _append_new(as_of: datetime) -> bool:
    """Whether all that is new are papers that the index has never seen, and they are in it now."""
    largest = current_index().largest_id
    new = Paper.objects.visible().filter(pk__gt=largest)
    count = new.count()
    if not largest or not 0 < count <= MOST_ADDED or _has_changed(Paper.objects.filter(pk__lte=largest), as_of):
        return False
    now = timezone.now()
    try:
        append_index(settings.INDEX_DIR, documents(new), encoder())
    except CannotAppend as why:
        logger.info("index: %s; building it again", why)
        return False
    _write_as_of(now)
    return True


def _write_as_of(as_of: datetime) -> None:
    with whole(settings.INDEX_DIR / AS_OF) as aside:
        aside.write_text(as_of.isoformat())


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
        needs_reader().encode(["warm up"])
        current_index()
    except (EncoderError, MissingIndex, StaleIndex) as fault:
        _open.encoder_fault = str(fault)
        logger.warning("warm-up: %s", fault)


# ── answering ───────────────────────────────────────────────────────────────────────────────────────────────────────
def search(asked: Asked) -> SearchResult:
    """Papers for what is asked, best first, out of those allowed. Never raises for what a person may type."""
    try:
        index = ensure_index()
    except (EncoderError, IndexBusy) as fault:
        return SearchResult([], 0, f"Search is not ready: {fault}")
    notes = []
    query_encoder: Encoder | None = None
    text = asked.text.replace("\x00", " ").strip()[:LONGEST_TEXT]
    try:
        query_encoder = _remembering(reader_of(text))
    except EncoderError as fault:
        notes.append(f"Searching by words only: {fault}")
    like, unlike = (tuple(i for i in ids if i in index) for ids in (asked.like, asked.unlike))
    if missing := len(asked.like) + len(asked.unlike) - len(like) - len(unlike):
        notes.append(f"{missing} of the example papers are too new to be searched by; they will be in seconds.")
    corrected = "" if asked.exact else index.spelling.corrected(text) or ""
    query = Query(
        text=corrected or text, like=like, unlike=unlike, allowed_ids=asked.allowed_ids, limit=asked.limit,
        offset=asked.offset,
    )  # fmt: skip
    found = index.find(query, query_encoder)
    return SearchResult(found.hits, len(found.ids), " ".join(notes), corrected, found.ids)


def _remembering(encoder: Encoder) -> Encoder:
    """The encoder with the vectors of the last queries: facets ask the same words again for each filter that is chosen."""
    with _open.lock:
        if _open.queries is None or _open.queries.encoder is not encoder:
            _open.queries = RememberedQueries(encoder)
        return _open.queries


def facets_of(asked: Asked, found: SearchResult, chosen: PaperFilter) -> list[FacetGroup]:
    """Facets counted among what was found; a facet's own choice does not narrow its other values."""
    within = {}
    for name, value in chosen.form.cleaned_data.items():
        if value:
            wider = search(replace(asked, allowed_ids=chosen.passing_without(name), limit=0))
            within[name] = [*{*wider.ids, *found.ids}]
    return chosen.facets(lambda name: within.get(name, found.ids))


def papers_named(names: Iterable[str]) -> tuple[list[Paper], list[str]]:
    """The papers that slugs or arXiv ids name, in that order, each once; and the names of which there is none."""
    wanted = list(dict.fromkeys(name.strip() for name in names if name.strip() and "\x00" not in name))
    ids = {name: _arxiv_id_in(name) for name in wanted}
    papers = Paper.objects.visible().filter(Q(slug__in=wanted) | Q(arxiv_id__in=[i for i in ids.values() if i]))
    by_name: dict[str, Paper] = {}
    for paper in papers:
        by_name[paper.slug] = paper
        if paper.arxiv_id:
            by_name[paper.arxiv_id] = paper
    found = {name: by_name.get(name) or by_name.get(ids[name] or "") for name in wanted}
    named = {paper.pk: paper for paper in found.values() if paper}
    return list(named.values()), [name for name, paper in found.items() if paper is None]


def paper_with_id(text: str) -> Paper | None:
    """The paper whose arXiv id or address is all that was typed."""
    known = _arxiv_id_in(text)
    return Paper.objects.visible().filter(arxiv_id=known).first() if known else None


def _arxiv_id_in(text: str) -> str | None:
    try:
        return bare_arxiv_id(text)
    except ValueError:
        return None


def similar_papers(paper_id: int, limit: int = 6) -> list[Hit]:
    """Papers whose text is nearest; empty where the index does not hold this paper yet."""
    try:
        return current_index().similar(paper_id, limit)
    except (MissingIndex, StaleIndex, KeyError):
        return []


def recommend(need: Need) -> Advice:
    """Advice for one need. Raises: EncoderError, IndexBusy, or ValueError that names the field at fault."""
    return advise(need, ensure_index(), reader_of(need.text), knowledge())
