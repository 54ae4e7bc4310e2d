"""Reads pages, feeds and dumps into the knowledge base. Parsing and extraction are pure and live beside this file."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from django.db import transaction

from ingest.endpoint import services as endpoint
from ingest.extraction import EXTRACTOR_VERSION
from ingest.records import heard_ahead, records_of, wanted_version
from ingest.sources import Cursor, ParsedLinks, ParsedPage, ParsedPaper, ParseError, Problem, Reading, open_papers
from ingest.sources.code_urls import group_links, links_in
from ingest.sources.streams import START
from papers.batches import batched
from papers.folding import fold_title
from papers.models import Paper, Technique
from papers.services import SeenLink, SeenPaper, record_papers

BATCH = 500  # papers that are recorded together; of a stream, they are kept or lost together
LONGEST_LOCATOR = 300
REFUSALS_KEPT = 100  # the rest is counted
SUFFIXES = frozenset((".txt", ".xml", ".atom", ".json", ".jsonl", ".ndjson", ".html", ".htm", ".bib", ".gz"))


@dataclass
class PageReport:
    """What reading one file did. `refused` names places and reasons of the first refusals; the rest are counts of entries.

    unmatched: code links of papers that are not known, which is no fault of the file. unfinished: fetching broke off; what came
    before is kept, and the last refusal says why.
    """

    name: str
    layout: str = ""
    read: int = 0
    new: int = 0
    updated: int = 0
    duplicate: int = 0
    unmatched: int = 0
    refused_count: int = 0
    refused: list[dict[str, str | int | None]] = field(default_factory=list)
    unfinished: bool = False

    def refuse(self, reason: str, line: int | None = None) -> None:
        self.refused_count += 1
        if len(self.refused) < REFUSALS_KEPT:
            self.refused.append({"file": self.name, "line": line, "reason": reason})

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Entry:
    """What came of one entry of a page. change: new, updated, duplicate, unmatched or refused; reason: why it was refused."""

    title: str
    line: int | None
    change: str
    reason: str = ""
    paper: Paper | None = None


Told = Callable[[Entry], None]


def _tell_nobody(entry: Entry) -> None:
    pass


def find_files(targets: Iterable[str]) -> list[Path]:
    """Files named, and the files of folders named whose names end like pages, feeds or dumps, in a stable order.

    Raises: FileNotFoundError naming the first target that is not there.
    """
    found: dict[Path, None] = {}
    for target in targets:
        path = Path(target)
        if path.is_dir():
            inside = (p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
            found |= dict.fromkeys(sorted(inside))
        elif path.exists():
            found[path] = None
        else:
            raise FileNotFoundError(f"{target}: there is no such file or folder")
    return list(found)


class FileReading:
    """The papers and links of one file, in constant memory where its format is a stream. Whatever is wrong is in `report`.

    name: under which its papers list it, if not its own. start: where an earlier reading of a stream stopped; cursor: behind the
    last batch. bytes_done, bytes_total: of the file as it lies on the disk, which tell how far reading has come.
    """

    def __init__(self, path: Path, name: str = "", start: Cursor = START) -> None:
        self.path = path
        self.report = PageReport(name=name or path.name)
        self.cursor = start
        self.reading: Reading | None = None
        self.bytes_done = self.bytes_total = 0

    def __iter__(self) -> Iterator[ParsedPaper | ParsedLinks]:
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[list[ParsedPaper | ParsedLinks]]:
        """All of a page, or BATCH items of a stream at a time."""
        try:
            yield from self._batches()
        except OSError as fault:
            self.report.refuse(f"cannot be read: {fault.strerror}")
        except ParseError as fault:
            self.report.refuse(fault.reason, fault.line)

    def _batches(self) -> Iterator[list[ParsedPaper | ParsedLinks]]:
        self.bytes_total = self.path.stat().st_size
        with self.path.open("rb") as file:
            self.reading = open_papers(file, self.cursor)
            batch: list[ParsedPaper | ParsedLinks] = []
            for step in self.reading.steps:
                self.report.layout, self.cursor = self.reading.layout, step.cursor
                if isinstance(step.item, Problem):
                    self.report.refuse(step.item.reason, step.item.line)
                    continue
                self.report.read += 1
                batch.append(step.item)
                if len(batch) == BATCH and not self.reading.is_page:
                    self.bytes_done = file.tell()
                    yield batch
                    batch = []
            self.report.layout = self.reading.layout
            self.bytes_done = self.bytes_total
            yield batch


def read_abstracts(targets: Iterable[str]) -> dict[str, str]:
    """Folded titles of the papers in files and folders, with the abstract that is met first. Touches no database.

    Raises: FileNotFoundError naming the first target that is not there.
    """
    found: dict[str, str] = {}
    for path in find_files(targets):
        for item in FileReading(path):
            if isinstance(item, ParsedPaper) and item.abstract:
                found.setdefault(fold_title(item.title), item.abstract)
    return found


def ingest_file(
    path: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    name: str = "",
    start: Cursor = START,
    after_batch: Callable[[Cursor], None] = lambda cursor: None,
) -> PageReport:
    """Read one file into the database; reading it again changes nothing.

    A page is kept whole or not at all. A stream is kept batch by batch, so that a reading that was cut off has not been in vain.
    `progress` is told how many entries of a page are done, or bytes of a stream, of how many. name, start: as in FileReading.
    `after_batch` is told, in the transaction that keeps a batch of a stream, from where reading can go on.
    """
    file = FileReading(path, name, start)
    for batch in file.batches():
        if file.reading is None:
            break
        with heard_ahead(texts_to_read(batch)), transaction.atomic():
            _keep(batch, file.reading, file.report, progress)
            if not file.reading.is_page:
                after_batch(file.cursor)
        if not file.reading.is_page:
            progress(file.bytes_done, file.bytes_total)
    return file.report


def count_file(path: Path, name: str = "") -> PageReport:
    """What there is to read in a file. Nothing is written."""
    file = FileReading(path, name)
    for _ in file:
        pass
    return file.report


def store_page(page: ParsedPage, name: str, told: Told = _tell_nobody) -> PageReport:
    """Keep the papers of a page that was read already, whole or not at all. name: the place that its papers list.

    Inside `heard_ahead(texts_to_read(page.papers))`, which is for whoever opens the outermost transaction to enter.

    `told` hears of each entry, in the transaction that keeps it.
    """
    report = report_page(page, name)
    reading = Reading(page.source, page.layout, True, iter(()), page.page_date)
    with transaction.atomic():
        _keep((*page.papers, *page.links), reading, report, told=told)
    return report


def report_page(page: ParsedPage, name: str) -> PageReport:
    """What there is to read on a page. Nothing is written."""
    report = PageReport(name=name, layout=page.layout, read=len(page.papers) + len(page.links))
    for problem in page.problems:
        report.refuse(problem.reason, problem.line)
    return report


def texts_to_read(items: Iterable[ParsedPaper | ParsedLinks]) -> Iterator[tuple[str, str]]:
    """Title and abstract of those that a record may have to be made of; asks the database as it goes."""
    papers = (one for one in items if isinstance(one, ParsedPaper) and one.abstract)
    for some in batched(papers, BATCH):
        titles = {fold_title(one.title) for one in some}
        read = Paper.objects.filter(folded_title__in=titles, technique__extractor_version=EXTRACTOR_VERSION)
        known = dict(read.values_list("folded_title", "abstract"))
        # Of two abstracts of a paper the longer one is kept and read.
        yield from (
            (one.title, one.abstract) for one in some if len(known.get(fold_title(one.title), "")) < len(one.abstract)
        )


def _keep(
    items: Sequence[ParsedPaper | ParsedLinks],
    reading: Reading,
    report: PageReport,
    progress: Callable[[int, int], None] = lambda done, total: None,
    told: Told = _tell_nobody,
) -> None:
    """Record the items and read the papers, BATCH at a time, so that a long page needs no more memory than a stream."""
    for start in range(0, len(items), BATCH):
        part = items[start : start + BATCH]
        _record([_sight(item, reading, report.name[:LONGEST_LOCATOR]) for item in part], report, told)
        if reading.is_page:
            progress(start + len(part), len(items))


def _sight(parsed: ParsedPaper | ParsedLinks, reading: Reading, locator: str) -> SeenPaper:
    """The item as one of a page or feed. A dump of links names hundreds of thousands of papers that we never saw."""
    seen = SeenPaper(
        title=parsed.title,
        arxiv_id=parsed.arxiv_id,
        doi=parsed.doi,
        code_links=_seen_links(parsed),
        source_kind=reading.source,
        locator=locator,
        line=parsed.line,
        only_known=isinstance(parsed, ParsedLinks),
    )
    if isinstance(parsed, ParsedLinks):
        return seen
    return replace(
        seen,
        abstract=parsed.abstract,
        published_on=parsed.published_on,
        year=parsed.year or (parsed.published_on.year if parsed.published_on else None),
        authors=parsed.authors,
        author_count=parsed.author_count,
        votes=parsed.votes,
        page_date=reading.page_date or "",
    )


def _record(sights: Sequence[SeenPaper], report: PageReport, told: Told) -> None:
    rest = iter(sights)
    for recorded in record_papers(sights):
        changed = extract_papers({done.paper.pk: done.paper for done in recorded if done.paper is not None}.values())
        for done, seen in zip(recorded, rest, strict=False):
            if done.fault is not None:
                report.refuse(str(done.fault), seen.line)
                told(Entry(seen.title, seen.line, "refused", str(done.fault)))
                continue
            change = "unmatched"
            if done.paper is not None:
                # Of several sights of one paper, the first is the one whose text is read.
                is_read_anew = done.paper.pk in changed
                changed.discard(done.paper.pk)
                change = "updated" if done.change == "unchanged" and is_read_anew else done.change
                change = "duplicate" if change == "unchanged" else change
            setattr(report, change, getattr(report, change) + 1)
            told(Entry(seen.title, seen.line, change, paper=done.paper))


def _seen_links(parsed: ParsedPaper | ParsedLinks) -> tuple[SeenLink, ...]:
    """Links of the source and of the abstract, one for each address and place that names it."""
    own = links_in(parsed.abstract, "abstract") if isinstance(parsed, ParsedPaper) else ()
    return tuple(
        SeenLink(link.url, link.official, link.framework, place, link.kind, link.original)
        for link in group_links(own, parsed.code_links)
        for place in link.said_in.split(", ")
    )


def extract_paper(paper: Paper) -> bool:
    """Bring the paper's record up to the extractor that is here. True if the record changed."""
    return bool(extract_papers([paper]))


def extract_papers(papers: Iterable[Paper]) -> set[int]:
    """`extract_paper` for each of different papers; the keys of those whose records changed."""
    papers = [paper for paper in papers if paper.abstract]
    versions = Technique.objects.filter(paper__in=papers).order_by().values_list("paper_id", "extractor_version")
    # A replaced abstract leaves its record without a version.
    current = {pk for pk, version in versions if version in {EXTRACTOR_VERSION, wanted_version()}}
    stale = [paper for paper in papers if paper.pk not in current]
    if not stale:
        return set()
    read = records_of((paper.title, paper.abstract) for paper in stale)
    records = [(paper, record.to_json()) for paper, record in zip(stale, read, strict=True)]
    changes = endpoint.store_beside_readings(records)
    endpoint.ask_after_commit(stale)
    return {paper.pk for paper, is_changed in zip(stale, changes, strict=True) if is_changed}
