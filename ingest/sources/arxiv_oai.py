"""arXiv's OAI-PMH answers (ListRecords, GetRecord) in the formats arXiv, arXivRaw and oai_dc, with the token to go on."""

import re
from dataclasses import dataclass, replace
from datetime import date
from xml.etree.ElementTree import Element

from ingest.sources.base import ParsedPage, ParsedPaper, ParseError, Problem, one_line
from ingest.sources.code_urls import links_in
from ingest.sources.identifiers import month_of, read_arxiv_id, read_day, read_doi, read_mail_day, trusted_day
from ingest.sources.xml_feed import begins_with, read_feed, text_of

NAME = "arxiv-oai"
EXPECTED = "an OAI-PMH answer of arXiv: an <OAI-PMH> with <record> elements in the format arXiv, arXivRaw or oai_dc"

_OAI = "{http://www.openarchives.org/OAI/2.0/}"
_ARXIV = "{http://arxiv.org/OAI/arXiv/}"
_RAW = "{http://arxiv.org/OAI/arXivRaw/}"
_DC_ROOT = "{http://www.openarchives.org/OAI/2.0/oai_dc/}dc"
_DC = "{http://purl.org/dc/elements/1.1/}"
_EMPTY_ANSWER = "noRecordsMatch"
_BETWEEN_NAMES = re.compile(r",?\s+and\s+|,\s*")
_AFFILIATION = re.compile(r"\s*\([^()]*\)")
_VERSION_REMARK = re.compile(r"^\s*Comment:\s*", re.IGNORECASE)


class OaiError(ParseError):
    """The archive answered with an error. code: as OAI-PMH names it, such as "badResumptionToken"."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"arXiv answered with the error {code}{f': {reason}' if reason else ''}")
        self.code = code


@dataclass(frozen=True, slots=True)
class OaiPage:
    """One answer. resumption_token: what to ask for next, None at the end of the list. deleted: ids that arXiv withdrew.

    list_size, list_cursor: of the whole list, and the place of this answer in it, where the archive says so. answered_on: the
    day of the archive's clock, from which the next harvest has to begin.
    """

    page: ParsedPage
    resumption_token: str | None = None
    list_size: int | None = None
    list_cursor: int | None = None
    answered_on: date | None = None
    deleted: tuple[str, ...] = ()


def accepts(raw: bytes) -> bool:
    """Whether raw begins like an answer of OAI-PMH."""
    return begins_with(raw, "OAI-PMH")


def parse(raw: bytes) -> ParsedPage:
    """Papers of one answer, without what a harvest needs to go on. Raises as `read` does."""
    return read(raw).page


def read(raw: bytes) -> OaiPage:
    """Papers of one answer; one that is cut is read up to the cut, and has no token. noRecordsMatch is an empty answer.

    Raises OaiError for any other error of the archive; ParseError if raw is too large, declares a document type, is not
    well-formed, or is no such answer.
    """
    wanted = [f"{_OAI}{name}" for name in ("record", "resumptionToken", "error", "responseDate")]
    feed = read_feed(raw, f"{_OAI}OAI-PMH", wanted, EXPECTED)
    for error in feed.named(f"{_OAI}error"):
        code = error.get("code", "").strip() or "without a code"
        if code != _EMPTY_ANSWER:
            raise OaiError(code, one_line("".join(error.itertext()))[:300])
    papers: list[ParsedPaper] = []
    problems: list[Problem] = []
    deleted: list[str] = []
    for record, line in zip(feed.named(f"{_OAI}record"), feed.lines_of("record"), strict=False):
        found = _read_record(record, line)
        if isinstance(found, ParsedPaper):
            papers.append(found)
        elif isinstance(found, Problem):
            problems.append(found)
        else:
            deleted.append(found)
    token = next(iter(feed.named(f"{_OAI}resumptionToken")), None)
    said = {name: _number(token.get(name)) for name in ("completeListSize", "cursor")} if token is not None else {}
    day = next((read_day(text) for e in feed.named(f"{_OAI}responseDate") if (text := (e.text or "").strip())), None)
    return OaiPage(
        ParsedPage(NAME, "oai-pmh", tuple(papers), (*problems, *([feed.cut] if feed.cut else []))),
        resumption_token=(one_line(token.text or "") or None) if token is not None else None,
        list_size=said.get("completeListSize"),
        list_cursor=said.get("cursor"),
        answered_on=day,
        deleted=tuple(deleted),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 12 else None


def _read_record(record: Element, line: int) -> ParsedPaper | Problem | str:
    """A paper, what is wrong with it, or the id of one that was deleted."""
    header = record.find(f"{_OAI}header")
    identifier = text_of(header, f"{_OAI}identifier") if header is not None else ""
    arxiv_id = read_arxiv_id(identifier.rpartition(":")[2])
    if header is not None and header.get("status") == "deleted":
        return arxiv_id or identifier
    metadata = record.find(f"{_OAI}metadata")
    for tag, reader in ((f"{_ARXIV}arXiv", _from_arxiv), (f"{_RAW}arXivRaw", _from_raw), (_DC_ROOT, _from_dublin_core)):
        if metadata is not None and (body := metadata.find(tag)) is not None:
            paper = reader(body, line, arxiv_id)
            missing = [name for name in ("title", "abstract") if not getattr(paper, name)]
            named = arxiv_id or identifier or "(without an id)"
            return Problem(line, f"the record {named} has no {' and no '.join(missing)}") if missing else paper
    return Problem(
        line, f"the record {identifier or '(without an id)'} is in none of the formats arXiv, arXivRaw and oai_dc"
    )


def _from_arxiv(body: Element, line: int, known: str | None) -> ParsedPaper:
    arxiv_id = read_arxiv_id(text_of(body, f"{_ARXIV}id")) or known
    names = (
        one_line(" ".join(text_of(author, f"{_ARXIV}{part}") for part in ("forenames", "keyname", "suffix")))
        for author in body.iterfind(f"{_ARXIV}authors/{_ARXIV}author")
    )
    created = read_day(text_of(body, f"{_ARXIV}created"))
    paper = _common(body, _ARXIV, line, arxiv_id)
    return with_authors_and_day(paper, tuple(filter(None, names)), created)


def _from_raw(body: Element, line: int, known: str | None) -> ParsedPaper:
    arxiv_id = read_arxiv_id(text_of(body, f"{_RAW}id")) or known
    first = next((v for v in body.iterfind(f"{_RAW}version") if v.get("version") == "v1"), None)
    created = read_mail_day(text_of(first, f"{_RAW}date")) if first is not None else None
    paper = _common(body, _RAW, line, arxiv_id)
    return with_authors_and_day(paper, split_names(text_of(body, f"{_RAW}authors")), created)


def with_authors_and_day(paper: ParsedPaper, authors: tuple[str, ...], created: date | None) -> ParsedPaper:
    """The paper with those, and with its year where the day is missing or is the latest version's."""
    day = trusted_day(created, paper.arxiv_id)
    year = month_of(paper.arxiv_id).year if day is None and paper.arxiv_id else None
    return replace(paper, authors=authors, author_count=len(authors) or None, published_on=day, year=year)


def _common(body: Element, space: str, line: int, arxiv_id: str | None) -> ParsedPaper:
    comment, journal = text_of(body, f"{space}comments"), text_of(body, f"{space}journal-ref")
    return ParsedPaper(
        title=text_of(body, f"{space}title"),
        abstract=text_of(body, f"{space}abstract"),
        line=line,
        arxiv_id=arxiv_id,
        links=(f"https://arxiv.org/abs/{arxiv_id}",) if arxiv_id else (),
        doi=read_doi(text_of(body, f"{space}doi")),
        code_links=links_in(f"{comment} ; {journal}", "comment"),
        categories=tuple(dict.fromkeys(text_of(body, f"{space}categories").split())),
    )


def _from_dublin_core(body: Element, line: int, known: str | None) -> ParsedPaper:
    """The format that every archive has: descriptions are the abstract, then comments; dates are of each version."""
    told = {
        name: [one_line("".join(e.itertext())) for e in body.iterfind(f"{_DC}{name}")]
        for name in ("title", "creator", "description", "date", "identifier")
    }
    remarks = [_VERSION_REMARK.sub("", text) for text in told["description"] if _VERSION_REMARK.match(text)]
    abstracts = [text for text in told["description"] if text and not _VERSION_REMARK.match(text)]
    arxiv_id = next((found for text in told["identifier"] if (found := read_arxiv_id(text))), known)
    names = tuple(" ".join(reversed(name.split(", ", 1))) for name in told["creator"] if name)
    paper = ParsedPaper(
        title=next(filter(None, told["title"]), ""),
        abstract=abstracts[0] if abstracts else "",
        line=line,
        arxiv_id=arxiv_id,
        links=(f"https://arxiv.org/abs/{arxiv_id}",) if arxiv_id else (),
        doi=next((found for text in told["identifier"] if (found := read_doi(text))), None),
        code_links=links_in(" ; ".join(remarks), "comment"),
    )
    created = min((day for text in told["date"] if (day := read_day(text))), default=None)
    return with_authors_and_day(paper, names, created)


def split_names(names: str) -> tuple[str, ...]:
    """Names of a list such as "A. Rey (Somewhere, Elsewhere), B. Doe and C. Li", without their affiliations."""
    return tuple(filter(None, (one_line(name) for name in _BETWEEN_NAMES.split(_AFFILIATION.sub("", names)))))
