"""What every source hands over, and the one error that it raises. Needs no file, network, settings or database."""

import re
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff\ufeff\u200b]")


class ParseError(ValueError):
    """The bytes are not such a page, or nothing of it can be trusted. Whoever knows the file's name adds it.

    line: 1-based line where it went wrong, None where no line is at fault. reason: what was wrong, what would be right.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry that was left out, or a part of one, while the rest of the page was read.

    line: as in ParsedPaper; None where no line is at fault, or the format has none to count.
    """

    line: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class CodeLink:
    """Where a paper's code is, or the page about it, as a source names it. `code_urls` makes them.

    url: in canonical form, so that two spellings of one repository are equal. original: the address as it was given where
    that says more than url (a folder or file of the repository, capitals in its name), else "". kind: "github", "gitlab", "bitbucket", "huggingface",
    "kaggle", "colab" or "page". official: whether it is the authors' own, None where the source does not say. framework: as
    the source names it, else "". said_in: "abstract", "comment", or the field of the source that holds it.
    """

    url: str
    kind: str
    official: bool | None = None
    framework: str = ""
    said_in: str = ""
    original: str = ""


@dataclass(frozen=True, slots=True)
class ParsedPaper:
    """One entry of a page. The title is never blank; both it and the abstract are single lines, whatever the page wrapped.

    abstract: "" only from the formats in which people list papers by title (BibTeX, our own JSON lines); the feeds and pages
    promise one, so there an entry without it is a Problem. line: 1-based line of the page where the entry starts, None where
    the format has no lines to count. author_count: as the page states it, which may exceed the authors that it names.
    published_on: None where the page does not give day, month and year. year: given where the page knows no more than that,
    and beside published_on. arxiv_id: canonical, without version. doi: lower case, without address. categories: of arXiv,
    the first one first.
    """

    title: str
    abstract: str
    line: int | None
    arxiv_id: str | None = None
    authors: tuple[str, ...] = ()
    author_count: int | None = None
    published_on: date | None = None
    votes: int | None = None
    links: tuple[str, ...] = ()
    doi: str | None = None
    year: int | None = None
    code_links: tuple[CodeLink, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedLinks:
    """Code of a paper that the source names without its abstract: it adds to a paper that is known and makes no new one.

    At least one of title, arxiv_id and doi is there, and at least one link. line: as in ParsedPaper.
    """

    title: str
    code_links: tuple[CodeLink, ...]
    line: int | None
    arxiv_id: str | None = None
    doi: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """Papers in the order of the page, twins included. page_date: as the page prints it, often without a year.

    links: what the source says of papers whose abstracts it does not give.
    """

    source: str
    layout: str
    papers: tuple[ParsedPaper, ...]
    problems: tuple[Problem, ...] = ()
    page_date: str | None = None
    links: tuple[ParsedLinks, ...] = ()


Item: TypeAlias = ParsedPaper | ParsedLinks | Problem


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a stream was read: hand it back to `stream`, and reading goes on behind that item.

    offset: bytes of the file that are done, counted after unpacking; where the format cannot be entered in its middle (a JSON
    array) it is 0, and the items that are done are read again and dropped. line: lines done, or items of an array.
    """

    offset: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One item of a stream, and the cursor behind it."""

    item: Item
    cursor: Cursor


def one_line(text: str) -> str:
    """The words of text with single spaces, without what a database would choke on (NUL, lone surrogates)."""
    return " ".join(_UNPRINTABLE.sub("", text).split())


def decode(raw: bytes) -> tuple[str, bool]:
    """Text of a page with "\\n" line ends, and whether the last character was cut in the middle of its bytes.

    Raises ParseError if the bytes are empty, hold a NUL or are not UTF-8.
    """
    if not raw.strip():
        raise ParseError("the page is empty")
    if b"\0" in raw:
        raise ParseError(
            "the page holds NUL bytes: expected text in UTF-8, not a binary file", _line_at(raw, raw.index(b"\0"))
        )
    cut = False
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + (
            3 if raw.startswith(b"\xef\xbb\xbf") else 0
        )  # the codec counts from behind the byte order mark
        if error.reason != "unexpected end of data":
            raise ParseError("the page is not text in UTF-8", _line_at(raw, at)) from error
        text, cut = raw[:at].decode("utf-8-sig"), True
    return text.replace("\r\n", "\n").replace("\r", "\n"), cut


def _line_at(raw: bytes, offset: int) -> int:
    return raw.count(b"\n", 0, offset) + 1
