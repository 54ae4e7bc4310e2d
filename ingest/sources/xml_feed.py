"""Feeds of XML entries: read without entities or document types, up to where they are cut, each entry with its line."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast
from xml.etree.ElementTree import Element, XMLPullParser
from xml.etree.ElementTree import ParseError as XmlError

from ingest.sources.base import ParseError, Problem, decode, one_line

MAX_BYTES = 32 * 1024 * 1024  # some ten thousand entries, more than one answer of arXiv holds

_DECLARATION = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Feed:
    """Whole elements of the names that were asked for, in order, and where the feed was cut if it was."""

    elements: tuple[Element, ...]
    text: str
    cut: Problem | None

    def named(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def lines_of(self, name: str) -> list[int]:
        """Line of each element of that name without namespace. ElementTree does not tell; only a comment that holds such
        a tag would shift them."""
        lines, line, at = [], 1, 0
        for start in re.finditer(rf"<(?:\w+:)?{name}[\s>/]", self.text):
            line, at = line + self.text.count("\n", at, start.start()), start.start()
            lines.append(line)
        return lines


def begins_with(raw: bytes, name: str) -> bool:
    """Whether raw begins like XML whose first element, behind a declaration, has that name without namespace."""
    head = raw[:4096].removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    return head.lstrip().startswith("<") and re.search(rf"<(?:\w+:)?{name}\b", head) is not None


def read_feed(raw: bytes, root: str, wanted: Iterable[str], expected: str) -> Feed:
    """Elements of the names wanted. Raises ParseError if raw is too large, declares a document type (whose entities may grow
    without bound), is not well-formed before its end, or has another root."""
    if len(raw) > MAX_BYTES:
        raise ParseError(f"the feed has {len(raw)} bytes, more than {MAX_BYTES}: ask for fewer results")
    text, _ = decode(raw)
    if found := _DECLARATION.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ParseError("the feed declares a document type or an entity, which no feed of arXiv does", line)
    parser: XMLPullParser[Element] = XMLPullParser(["start", "end"])
    try:
        parser.feed(text)
        events = list(cast(Iterable[tuple[str, Element]], parser.read_events()))
    except XmlError as error:
        what = str(error).split(":", maxsplit=1)[0]  # behind the colon it repeats the position
        raise ParseError(f"the feed is not well-formed XML: {what}", error.position[0]) from error
    if not events or events[0][1].tag != root:
        raise ParseError(f"expected {expected}", 1)
    names = frozenset(wanted)
    elements = tuple(element for event, element in events if event == "end" and element.tag in names)
    try:
        parser.close()
    except XmlError as error:
        reason = "the feed ends in its middle: what comes behind this line is missing"
        return Feed(elements, text, Problem(error.position[0], reason))
    return Feed(elements, text, None)


def text_of(parent: Element, tag: str) -> str:
    """All text of the first child of that name, on one line; "" without one."""
    return one_line("".join(child.itertext())) if (child := parent.find(tag)) is not None else ""
