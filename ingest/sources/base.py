"""What every source hands over, and the one error that it raises. Needs no file, network, settings or database."""

import re
from dataclasses import dataclass
from datetime import date

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
    """An entry that was left out, or a part of one, while the rest of the page was read."""

    line: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedPaper:
    """One entry of a page. Title and abstract are never blank and are single lines, whatever the page wrapped.

    line: 1-based line of the page where the title starts. author_count: as the page states it, which may exceed the
    authors that it names. published_on: None where the page does not give day, month and year.
    """

    title: str
    abstract: str
    line: int
    arxiv_id: str | None = None
    authors: tuple[str, ...] = ()
    author_count: int | None = None
    published_on: date | None = None
    votes: int | None = None
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """Papers in the order of the page, twins included. page_date: as the page prints it, often without a year."""

    source: str
    layout: str
    papers: tuple[ParsedPaper, ...]
    problems: tuple[Problem, ...] = ()
    page_date: str | None = None


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
