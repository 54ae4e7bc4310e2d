"""Reads pages into the knowledge base. Parsing and extraction are pure and live beside this file."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from django.db import transaction

from ingest.endpoint import services as endpoint
from ingest.extraction import EXTRACTOR_VERSION, extract
from ingest.sources import ParsedPage, ParsedPaper, ParseError, parse_page
from papers.models import Paper
from papers.services import SeenPaper, record_paper

MAX_PAGE_BYTES = 64 * 1024 * 1024


@dataclass
class PageReport:
    """What reading one file did. `refused` names places and reasons; the rest are counts of entries."""

    name: str
    layout: str = ""
    read: int = 0
    new: int = 0
    updated: int = 0
    duplicate: int = 0
    refused: list[dict[str, str | int | None]] = field(default_factory=list)

    def refuse(self, reason: str, line: int | None = None) -> None:
        self.refused.append({"file": self.name, "line": line, "reason": reason})

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def find_files(targets: Iterable[str]) -> list[Path]:
    """Files named, and the text, XML and JSON files of folders named, in a stable order.

    Raises: FileNotFoundError naming the first target that is not there.
    """
    found: dict[Path, None] = {}
    for target in targets:
        path = Path(target)
        if path.is_dir():
            found |= dict.fromkeys(sorted(p for p in path.iterdir() if p.suffix in {".txt", ".xml", ".json"}))
        elif path.exists():
            found[path] = None
        else:
            raise FileNotFoundError(f"{target}: there is no such file or folder")
    return list(found)


def read_page(path: Path) -> tuple[ParsedPage | None, PageReport]:
    """Parse one file; a refusal is in the report, never an exception."""
    report = PageReport(name=path.name)
    try:
        if path.stat().st_size > MAX_PAGE_BYTES:
            report.refuse(f"is larger than {MAX_PAGE_BYTES // 2**20} MiB; a page of papers is smaller")
            return None, report
        page = parse_page(path.read_bytes())
    except OSError as fault:
        report.refuse(f"cannot be read: {fault.strerror}")
        return None, report
    except ParseError as fault:
        report.refuse(fault.reason, fault.line)
        return None, report
    report.layout, report.read = page.layout, len(page.papers)
    for problem in page.problems:
        report.refuse(problem.reason, problem.line)
    return page, report


def ingest_file(path: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> PageReport:
    """Read one file into the database, all of it or nothing; reading it again changes nothing.

    `progress` is told how many entries of how many are done.
    """
    page, report = read_page(path)
    if page is None:
        return report
    with transaction.atomic():
        for done, parsed in enumerate(page.papers, 1):
            _ingest_entry(parsed, page, report)
            progress(done, len(page.papers))
    return report


def _ingest_entry(parsed: ParsedPaper, page: ParsedPage, report: PageReport) -> None:
    try:
        paper, change = record_paper(
            SeenPaper(
                title=parsed.title,
                abstract=parsed.abstract,
                arxiv_id=parsed.arxiv_id,
                published_on=parsed.published_on,
                year=parsed.published_on.year if parsed.published_on else None,
                authors=parsed.authors,
                author_count=parsed.author_count,
                votes=parsed.votes,
                source_kind=page.source,
                locator=report.name,
                line=parsed.line,
                page_date=page.page_date or "",
            )
        )
    except ValueError as fault:
        report.refuse(str(fault), parsed.line)
        return
    if extract_paper(paper) and change == "unchanged":
        change = "updated"
    report.new += change == "new"
    report.updated += change == "updated"
    report.duplicate += change == "unchanged"


def extract_paper(paper: Paper) -> bool:
    """Bring the paper's record up to the extractor that is here. True if the record changed."""
    if not paper.abstract:
        return False
    technique = getattr(paper, "technique", None)
    known = technique is not None and technique.extractor_version == EXTRACTOR_VERSION
    if known and not _abstract_is_newer(paper):
        return False
    record = extract(paper.title, paper.abstract).to_json()
    changed = endpoint.store_beside_reading(paper, record)
    endpoint.ask_after_commit(paper)
    return changed


def _abstract_is_newer(paper: Paper) -> bool:
    """A span that no longer holds its quote shows that the abstract was replaced since it was read."""
    return any(
        paper.abstract[claim.start : claim.end] != claim.quote
        for claim in paper.claims.all()
        if claim.start is not None and claim.withdrawn_at is None
    )
