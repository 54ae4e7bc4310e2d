"""What people hand in by the page of ingest: every write to it, and the reading, showing and keeping of it.

Something handed in is read into pages; a preview keeps those pages in a transaction that is taken back, so that it tells
what keeping them would do; once its owner confirms, the same pages are kept, one by one, each whole or not at all.
"""

import hashlib
import io
import logging
import uuid
from datetime import timedelta
from pathlib import PurePath
from typing import Any, BinaryIO

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from ingest.fetching.errors import FetchError
from ingest.kept_pages import page_from_json, page_to_json
from ingest.models import Submission, SubmissionKind, SubmissionState
from ingest.previews import CHANGES, count_of, entries_in, preview_of
from ingest.records import heard_ahead
from ingest.services import BATCH, SUFFIXES, store_page, texts_to_read
from ingest.sources import ParsedLinks, ParsedPage, ParsedPaper, ParseError, Problem, open_papers
from ingest.targets import TargetError, parse_remote_target
from papers.services import Actor, FieldError, write_audit

logger = logging.getLogger(__name__)

TAKEN_SUFFIXES = SUFFIXES - {".gz"}
AT_ONCE = 60  # entries that are worked on while the person waits; more are left to a worker
LEASE = timedelta(minutes=10)
MOST_ATTEMPTS = 3
GZIP = b"\x1f\x8b"


# ── handing in ──────────────────────────────────────────────────────────────────────────────────────────────────────
def submit_file(owner: Actor, name: str, raw: bytes) -> Submission:
    """Raises: FieldError about the file; then nothing is kept of it."""
    name = PurePath(name.replace("\\", "/")).name[:200] or "file"
    if PurePath(name).suffix.lower() not in TAKEN_SUFFIXES:
        kinds = ", ".join(sorted(TAKEN_SUFFIXES))
        raise FieldError("file", f"{name} is of no kind that is read here; its name has to end in one of {kinds}")
    return _submit_bytes(owner, SubmissionKind.FILE, name, raw)


def submit_text(owner: Actor, text: str) -> Submission:
    """Raises: FieldError about the text; then nothing is kept of it."""
    if not text.strip():
        raise FieldError("text", "is blank; paste a page of papers")
    raw = text.encode("utf-8", "replace")
    name = f"pasted-{hashlib.sha256(raw).hexdigest()[:10]}"
    return _submit_bytes(owner, SubmissionKind.TEXT, name, raw)


def submit_target(owner: Actor, text: str) -> Submission:
    """Fetching is left to a worker. Raises: FieldError where text is no target."""
    try:
        target = parse_remote_target(text, timezone.now().date())
    except TargetError as fault:
        raise FieldError("target", str(fault)) from None
    name = target.name[:300]
    found = _create(owner, SubmissionKind.TARGET, name, name.encode())
    if found.state == SubmissionState.READING:
        _ring_after_commit(found)
    return found


def _submit_bytes(owner: Actor, kind: str, name: str, raw: bytes) -> Submission:
    most = settings.INGEST_UPLOAD_MAX_BYTES
    if not raw:
        raise FieldError(kind, "is empty")
    if len(raw) > most:
        raise FieldError(kind, f"has more than {most / 2**20:g} MiB, which is the most here; use manage.py ingest")
    if raw.startswith(GZIP):
        raise FieldError(kind, "is packed with gzip; unpack it first, or read it with manage.py ingest")
    try:
        pages = _read_pages(io.BytesIO(raw))
    except (ParseError, _TooMany) as fault:
        raise FieldError(kind, str(fault)) from None
    named = [{"name": name, "page": page_to_json(page)} for page in pages]
    found = _create(owner, kind, name, raw, pages=named)
    if found.state == SubmissionState.READING:
        _now_or_later(found, sum(entries_in(page) for page in pages))
    return found


def _create(owner: Actor, kind: str, name: str, raw: bytes, **fields: Any) -> Submission:
    """A row for it, or the one that its owner has open for the very same thing."""
    expire_submissions()
    digest = hashlib.sha256(raw).hexdigest()
    waiting = (SubmissionState.READING, SubmissionState.READY, SubmissionState.APPLYING)
    owner_id = getattr(owner, "pk", None)
    with transaction.atomic():
        mine = Submission.objects.filter(owner_id=owner_id, state__in=waiting)
        if same := mine.filter(digest=digest, kind=kind, name=name).first():
            return same
        if mine.count() >= settings.INGEST_OPEN_MAX:
            raise FieldError(
                kind,
                f"{settings.INGEST_OPEN_MAX} of yours wait for your word; keep or throw away one of them first",
            )
        return Submission.objects.create(
            owner_id=owner_id, kind=kind, name=name, digest=digest, size=len(raw),
            expires_at=timezone.now() + timedelta(hours=settings.INGEST_KEEP_HOURS), **fields,
        )  # fmt: skip


class _TooMany(ValueError):
    def __init__(self) -> None:
        super().__init__(
            f"brings more than {settings.INGEST_MAX_ENTRIES} entries; hand in less at once, or use manage.py ingest"
        )


def _read_pages(file: BinaryIO) -> list[ParsedPage]:
    """All of a file; a stream is cut into pages of BATCH entries. Raises: ParseError, _TooMany."""
    reading = open_papers(file)
    pages: list[ParsedPage] = []
    batch: list[ParsedPaper | ParsedLinks | Problem] = []

    def page() -> ParsedPage:
        return ParsedPage(
            reading.source,
            reading.layout,
            tuple(item for item in batch if isinstance(item, ParsedPaper)),
            tuple(item for item in batch if isinstance(item, Problem)),
            reading.page_date,
            tuple(item for item in batch if isinstance(item, ParsedLinks)),
        )

    for number, step in enumerate(reading.steps, 1):
        if number > settings.INGEST_MAX_ENTRIES:
            raise _TooMany
        batch.append(step.item)
        if len(batch) == BATCH and not reading.is_page:
            pages.append(page())
            batch = []
    return [*pages, page()] if batch or not pages else pages


# ── deciding ────────────────────────────────────────────────────────────────────────────────────────────────────────
def confirm(submission: Submission, actor: Actor) -> bool:
    """Keep what was shown. False where that was said before, or it is no longer there; a second word changes nothing."""
    now = timezone.now()
    with transaction.atomic():
        ready = Submission.objects.filter(pk=submission.pk, state=SubmissionState.READY, expires_at__gte=now)
        taken = ready.update(
            state=SubmissionState.APPLYING, decided_at=now, attempts=0, steps_done=0, steps=len(submission.pages)
        )
        if taken:
            write_audit(actor, "confirm-ingest", submission.name, submission=submission.pk)
    if taken:
        submission.refresh_from_db()
        _now_or_later(submission, submission.preview.get("entries", 0))
    return bool(taken)


def discard(submission: Submission, actor: Actor) -> bool:
    """Throw away what was handed in. False where it was decided on before."""
    with transaction.atomic():
        open_ones = Submission.objects.filter(
            pk=submission.pk, state__in=(SubmissionState.READY, SubmissionState.READING)
        )
        done = open_ones.update(**_ended(SubmissionState.DISCARDED), decided_at=timezone.now())
        if done:
            write_audit(actor, "discard-ingest", submission.name, submission=submission.pk)
    return bool(done)


def expire_submissions() -> int:
    """Forget what nobody decided on in time."""
    return Submission.objects.stale(timezone.now()).update(**_ended(SubmissionState.EXPIRED))


def _ended(state: str) -> dict[str, Any]:
    now = timezone.now()
    return {"state": state, "finished_at": now, "pages": [], "lease_until": None, "lease_token": ""}


# ── working ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _now_or_later(submission: Submission, entries: int) -> None:
    if entries <= AT_ONCE:
        work_on(submission.pk)
    else:
        _ring_after_commit(submission)


def _ring_after_commit(submission: Submission) -> None:
    transaction.on_commit(lambda: ring(submission.pk))


def ring(pk: int) -> None:
    """Wake a worker. A broker that is away costs nothing but time: whoever looks at the page rings again."""
    try:
        current_app.send_task("ingest.work_on_submission", args=[pk], queue="default", expires=120, retry=False)
    except Exception as fault:  # every transport raises its own kind; the row stays as it is whatever it was
        logger.warning("submission %s waits, the broker did not answer: %s", pk, fault)


def ring_for_idle() -> int:
    """Wake a worker for each submission that waits, or whose worker was lost."""
    waiting = list(Submission.objects.idle(timezone.now()).values_list("pk", flat=True))
    for pk in waiting:
        ring(pk)
    return len(waiting)


def ring_if_idle(pk: int) -> None:
    if Submission.objects.idle(timezone.now()).filter(pk=pk).exists():
        ring(pk)


def work_on(pk: int) -> None:
    """Read it for its preview, or keep it, whichever it waits for; nothing where another is at it."""
    row = _take(pk)
    if row is None:
        return
    try:
        if row.state == SubmissionState.READING:
            _prepare(row)
        else:
            _apply(row)
    except (FetchError, _TooMany, ParseError) as fault:
        _fail(row, f"{fault.problem}; {fault.remedy}" if isinstance(fault, FetchError) else str(fault))
    except Exception as fault:
        logger.exception("submission %s: it could not be read or kept", pk)
        _fail(row, f"It could not be read: {type(fault).__name__}. The operator’s log has the details.")
        raise


def _take(pk: int) -> Submission | None:
    now = timezone.now()
    token = str(uuid.uuid4())
    taken = (
        Submission.objects.idle(now)
        .filter(pk=pk)
        .update(lease_until=now + LEASE, lease_token=token, attempts=F("attempts") + 1)
    )
    if not taken:
        return None
    row = Submission.objects.get(pk=pk)
    if row.attempts > MOST_ATTEMPTS:
        _fail(row, f"Its worker was lost {MOST_ATTEMPTS} times; it was not tried again.")
        return None
    return row


def _mine(row: Submission) -> Any:
    return Submission.objects.filter(pk=row.pk, lease_token=row.lease_token)


def _fail(row: Submission, reason: str) -> None:
    _mine(row).update(**_ended(SubmissionState.FAILED), failure=reason[:2000])


def _prepare(row: Submission) -> None:
    if row.kind == SubmissionKind.TARGET and not row.pages:
        row.pages = _fetched(row)
    preview = preview_of([(each["name"], page_from_json(each["page"])) for each in row.pages])
    _mine(row).update(
        state=SubmissionState.READY, pages=row.pages, preview=preview, lease_until=None, lease_token="", attempts=0
    )


def _fetched(row: Submission) -> list[dict[str, Any]]:
    """The pages of a target. Raises: FetchError, ParseError, _TooMany."""
    # With fetching comes an HTTP library, which a web process need not load.
    from ingest.fetch_runs import Run, fetch_pages

    target = parse_remote_target(row.name, timezone.now().date())
    found: list[dict[str, Any]] = []
    entries = 0
    for name, got in fetch_pages(target, Run(limit=settings.INGEST_MAX_ENTRIES + 1)):
        for page in [got] if isinstance(got, ParsedPage) else _read_pages(got):
            entries += entries_in(page)
            if entries > settings.INGEST_MAX_ENTRIES:
                raise _TooMany
            if entries_in(page):
                found.append({"name": name, "page": page_to_json(page)})
        _mine(row).update(steps_done=entries, lease_until=timezone.now() + LEASE)
    return found


def _apply(row: Submission) -> None:
    """Keep page after page, each with the place behind it: a worker that is lost leaves whole pages, and another goes on."""
    counts: dict[str, int] = {change: row.counts.get(change, 0) for change in CHANGES}
    for number in range(row.steps_done, len(row.pages)):
        each = row.pages[number]
        page = page_from_json(each["page"])
        with heard_ahead(texts_to_read(page.papers)), transaction.atomic():
            report = store_page(page, each["name"])
            counts = {change: counts[change] + count_of(report, change) for change in CHANGES}
            is_mine = _mine(row).update(
                steps_done=number + 1, counts=counts, lease_until=timezone.now() + LEASE, attempts=1
            )
            if not is_mine:  # given to another worker meanwhile: what was just written is taken back
                transaction.set_rollback(True)
                return
    with transaction.atomic():
        if _mine(row).update(**_ended(SubmissionState.DONE)):
            write_audit(row.owner, "ingest", row.name, submission=row.pk, **counts)
