"""Reads pages, feeds and dumps into the knowledge base. Parsing and extraction are pure and live beside this file."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from django.db import transaction
from django.db.models import Q

from ingest.endpoint import services as endpoint
from ingest.extraction import EXTRACTOR_VERSION, extract
from ingest.sources import Cursor, ParsedLinks, ParsedPage, ParsedPaper, ParseError, Problem, Reading, open_papers
from ingest.sources.code_urls import group_links, links_in
from ingest.sources.streams import START
from papers.folding import fold_title
from papers.models import Paper, PaperTitle
from papers.services import SeenLink, SeenPaper, find_paper, record_paper

BATCH = 500  # papers of a stream that are kept or lost together
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
        with transaction.atomic():
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


def store_page(page: ParsedPage, name: str) -> PageReport:
    """Keep the papers of a page that was read already, whole or not at all. name: the place that its papers list."""
    report = report_page(page, name)
    with transaction.atomic():
        _keep((*page.papers, *page.links), Reading(page.source, page.layout, True, iter(()), page.page_date), report)
    return report


def report_page(page: ParsedPage, name: str) -> PageReport:
    """What there is to read on a page. Nothing is written."""
    report = PageReport(name=name, layout=page.layout, read=len(page.papers) + len(page.links))
    for problem in page.problems:
        report.refuse(problem.reason, problem.line)
    return report


def _keep(
    items: Sequence[ParsedPaper | ParsedLinks],
    reading: Reading,
    report: PageReport,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    known = _known_keys(item for item in items if isinstance(item, ParsedLinks))
    for done, item in enumerate(items, 1):
        if isinstance(item, ParsedPaper):
            _ingest_paper(item, reading, report)
        elif known.isdisjoint(_keys(item)):
            report.unmatched += 1
        else:
            _ingest_links(item, reading, report)
        if reading.is_page:
            progress(done, len(items))


def _ingest_paper(parsed: ParsedPaper, reading: Reading, report: PageReport) -> None:
    seen = SeenPaper(
        title=parsed.title,
        abstract=parsed.abstract,
        arxiv_id=parsed.arxiv_id,
        doi=parsed.doi,
        published_on=parsed.published_on,
        year=parsed.year or (parsed.published_on.year if parsed.published_on else None),
        authors=parsed.authors,
        author_count=parsed.author_count,
        votes=parsed.votes,
        code_links=_seen_links(parsed),
        source_kind=reading.source,
        locator=report.name[:LONGEST_LOCATOR],
        line=parsed.line,
        page_date=reading.page_date or "",
    )
    _record(seen, report)


def _ingest_links(parsed: ParsedLinks, reading: Reading, report: PageReport) -> None:
    """Add code to the paper that is known under the id, DOI or title, and list the source with it."""
    paper = find_paper(parsed.title, parsed.arxiv_id, parsed.doi)
    if paper is None:
        report.unmatched += 1
        return
    seen = SeenPaper(
        title=paper.title,
        arxiv_id=paper.arxiv_id or parsed.arxiv_id,
        doi=paper.doi or parsed.doi,
        code_links=_seen_links(parsed),
        source_kind=reading.source,
        locator=report.name[:LONGEST_LOCATOR],
        line=parsed.line,
    )
    _record(seen, report)


def _record(seen: SeenPaper, report: PageReport) -> None:
    try:
        paper, change = record_paper(seen)
    except ValueError as fault:
        report.refuse(str(fault), seen.line)
        return
    if extract_paper(paper) and change == "unchanged":
        change = "updated"
    report.new += change == "new"
    report.updated += change == "updated"
    report.duplicate += change == "unchanged"


def _seen_links(parsed: ParsedPaper | ParsedLinks) -> tuple[SeenLink, ...]:
    """Links of the source and of the abstract, one for each address and place that names it."""
    own = links_in(parsed.abstract, "abstract") if isinstance(parsed, ParsedPaper) else ()
    return tuple(
        SeenLink(link.url, link.official, link.framework, place, link.kind, link.original)
        for link in group_links(own, parsed.code_links)
        for place in link.said_in.split(", ")
    )


def _keys(links: ParsedLinks) -> set[str]:
    return {key for key in (links.arxiv_id, links.doi, fold_title(links.title)) if key}


def _known_keys(batch: Iterable[ParsedLinks]) -> set[str]:
    """Which ids and folded titles of a batch some paper has: a dump names hundreds of thousands that we never saw."""
    keys = set().union(*map(_keys, batch))
    if not keys:
        return set()
    rows = Paper.objects.filter(Q(arxiv_id__in=keys) | Q(doi__in=keys) | Q(folded_title__in=keys))
    known = {key for row in rows.values_list("arxiv_id", "doi", "folded_title") for key in row if key}
    return known | set(PaperTitle.objects.filter(folded_title__in=keys).values_list("folded_title", flat=True))


def extract_paper(paper: Paper) -> bool:
    """Bring the paper's record up to the extractor that is here. True if the record changed."""
    if not paper.abstract:
        return False
    technique = getattr(paper, "technique", None)
    # A replaced abstract leaves its record without a version.
    if technique is not None and technique.extractor_version == EXTRACTOR_VERSION:
        return False
    record = extract(paper.title, paper.abstract).to_json()
    changed = endpoint.store_beside_reading(paper, record)
    endpoint.ask_after_commit(paper)
    return changed
