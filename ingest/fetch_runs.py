"""Runs of `manage.py ingest`: each target, wherever its papers come from, becomes reports of what it brought."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from ingest import fetch_services as kept
from ingest.fetching import arxiv, huggingface
from ingest.fetching.client import Fetcher
from ingest.fetching.clock import Clock, SystemClock
from ingest.fetching.downloads import Place, download
from ingest.fetching.errors import FetchError
from ingest.fetching.feed import Ask, Batch, Position
from ingest.services import PageReport, count_file, find_files, ingest_file
from ingest.sources import Cursor, ParsedPage
from ingest.sources.streams import START
from ingest.targets import (
    DailyTarget,
    HarvestTarget,
    HubPaperTarget,
    HubSearchTarget,
    PageTarget,
    PaperTarget,
    PathTarget,
    QueryTarget,
    Target,
)

USUAL_LIMIT = 100  # papers of a query, which may find a million

Progress = Callable[[str, int, int], None]
Feed = Callable[[Ask, Position], Iterator[Batch]]


@dataclass(frozen=True)
class Run:
    """How targets are read. limit: the most papers of each query, search or harvest. restart: forget versions and places.

    dry_run: parse and count; of all that is kept only the turns at hosts are written, since the hosts see no difference.
    """

    limit: int | None = None
    restart: bool = False
    dry_run: bool = False
    progress: Progress = lambda name, done, total: None
    clock: Clock = field(default_factory=SystemClock)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now(), UTC)

    @property
    def today(self) -> date:
        return self.now.date()


def read_targets(targets: Sequence[Target], run: Run) -> Iterator[PageReport]:
    """A report for each file and each batch, as soon as it is kept. A fetch that fails ends its target, not the run.

    Raises: FileNotFoundError where a file is gone that was there a moment ago.
    """
    for path in find_files([str(target.path) for target in targets if isinstance(target, PathTarget)]):
        yield _read_stored(path, path.name, str(path.resolve()), run)
    if any(not isinstance(target, PathTarget) for target in targets):
        with kept.open_fetcher(run.clock) as fetcher:
            for name, feed in _feeds(targets, run):
                yield from _read_feed(name, feed, fetcher, run)
            for target in targets:
                if isinstance(target, PageTarget):
                    yield _read_address(target.address, fetcher, run)


def fetch_pages(target: Target, run: Run) -> Iterator[tuple[str, BinaryIO | ParsedPage]]:
    """What a target brings, for someone to look at first: pages, or a whole file, each with its name. Nothing is kept.

    Raises: FetchError where a host does not give what was asked for.
    """
    with kept.open_fetcher(run.clock) as fetcher:
        if isinstance(target, PageTarget):
            folder = settings.DATA_DIR / "downloads"
            got = download(fetcher, target.address, folder, fetcher.limits)
            assert got.path is not None  # noqa: S101 - no version was named that could be the newest
            with got.path.open("rb") as file:
                yield target.name, file
            Place(folder, target.address).clear()
            return
        for name, feed in _feeds([target], run):
            for batch in feed(Ask(fetcher), {}):
                yield batch.name or name, batch.page


def _feeds(targets: Sequence[Target], run: Run) -> Iterator[tuple[str, Feed]]:
    """The name and the feed of each target; papers of arXiv that are named one by one are asked for together."""
    ids = [target.arxiv_id for target in targets if isinstance(target, PaperTarget)]
    if ids:
        digest = hashlib.sha256(",".join(ids).encode()).hexdigest()[:12]
        name = f"arxiv:{ids[0]}" if len(ids) == 1 else f"arxiv:{ids[0]} and {len(ids) - 1} others ({digest})"
        yield name, lambda ask, position: arxiv.papers(ask, settings.ARXIV_API_URL, ids, position)
    for target in targets:
        if (feed := _feed(target, run)) is not None:
            yield target.name, feed


def _feed(target: Target, run: Run) -> Feed | None:
    hub, api, oai = settings.HUGGINGFACE_URL, settings.ARXIV_API_URL, settings.ARXIV_OAI_URL
    match target:
        case DailyTarget(first, last):
            return lambda ask, position: huggingface.daily(ask, hub, first, last, position)
        case HubSearchTarget(words):
            return lambda ask, position: huggingface.search(ask, hub, words, run.limit)
        case HubPaperTarget(arxiv_id):
            return lambda ask, position: huggingface.paper(ask, hub, arxiv_id)
        case QueryTarget(query):
            return lambda ask, position: arxiv.query(ask, api, query, run.limit or USUAL_LIMIT, position)
        case HarvestTarget(category, begin, until):
            return lambda ask, position: arxiv.harvest(
                ask, oai, category, first=begin, until=until or run.today, position=position
            )
    return None


def _read_feed(name: str, feed: Feed, fetcher: Fetcher, run: Run) -> Iterator[PageReport]:
    fresh = run.restart or run.dry_run
    ask = Ask(fetcher) if fresh else Ask(fetcher, kept.known_version)
    taken = 0
    try:
        for batch in feed(ask, {} if fresh else kept.position_of(name)):
            report = kept.count_batch(batch) if run.dry_run else kept.store_batch(batch, name, run.now)
            yield report
            taken += report.read
            run.progress(name, taken, 0)
            if run.limit and taken >= run.limit:
                return
    except FetchError as fault:
        yield _unfinished(name, fault)


def _read_address(address: str, fetcher: Fetcher, run: Run) -> PageReport:
    """A page, file or dump of the web: stored whole first, read, and then taken away again."""
    folder = settings.DATA_DIR / "downloads"
    if run.restart:
        Place(folder, address).clear()
    known = None if run.restart or run.dry_run else kept.known_version(address)
    limits = replace(fetcher.limits, wall_s=settings.FETCH_DUMP_WALL_S, max_bytes=settings.FETCH_DUMP_MAX_BYTES)
    try:
        got = download(fetcher, address, folder, limits, known)
    except FetchError as fault:
        return _unfinished(address, fault)
    if got.path is None:
        return PageReport(name=address, layout=kept.UNCHANGED)
    report = _read_stored(got.path, address, address, run)
    # A file with faults is sent again next time: it may have been damaged on its way or at its source.
    if report.layout and not report.refused_count and not run.dry_run:
        kept.remember(address, 200, got.validators, run.now)
    Place(folder, address).clear()
    return report


def _read_stored(path: Path, name: str, target: str, run: Run) -> PageReport:
    """A file on the disk; a stream that was not read to its end goes on there, if it is still the same version of it."""
    if run.dry_run:
        return count_file(path, name)
    position = {} if run.restart else kept.position_of(target)
    version, start = _version(path), START
    if position and position.get("version") == version:
        start = Cursor(int(position["offset"]), int(position["line"]))

    def keep_place(cursor: Cursor) -> None:
        kept.move_cursor(target, {"version": version, "offset": cursor.offset, "line": cursor.line}, done=False)

    report = ingest_file(
        path,
        lambda done, total: run.progress(name, done, total),
        name=name,
        start=start,
        after_batch=keep_place,
    )
    kept.forget_cursor(target)
    return report


def _version(path: Path) -> str:
    try:
        about = path.stat()
    except OSError:  # reading it will say what is wrong
        return ""
    return f"{about.st_size} {about.st_mtime_ns}"


def _unfinished(name: str, fault: FetchError) -> PageReport:
    report = PageReport(name=name, unfinished=True)
    where = "" if fault.address == name else f"{fault.address}: "
    report.refuse(f"{where}{fault.problem}; {fault.remedy}")
    return report
