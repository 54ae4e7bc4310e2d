"""What feeds have in common: they hand out batches of papers, each with the place from which to go on behind it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from xml.parsers import expat

from ingest.fetching.client import Fetched, Fetcher, Validators
from ingest.fetching.errors import FetchError
from ingest.sources import ParsedPage, ParseError

Position: TypeAlias = Mapping[str, str | int]
"""Where to go on: kept as JSON between runs, and read by the feed that wrote it alone."""

NOTHING = ParsedPage("", "", ())


@dataclass(frozen=True)
class Batch:
    """Papers that one answer, or a few that belong together, gave.

    name: the place where they were seen, the same each time they are fetched. fetched: answers that may be remembered, so
    that next time only what is newer is sent; only once the papers are kept. position: where to go on behind this batch. done:
    the feed ends here; then `position` is where a later run begins, and an empty one means at the beginning.
    """

    name: str
    page: ParsedPage
    position: Position
    done: bool
    fetched: tuple[Fetched, ...] = ()
    unchanged: bool = False


@dataclass(frozen=True)
class Ask:
    """The client, and what is known of addresses from earlier: `known` gives the version that was kept, if any."""

    fetcher: Fetcher
    known: Callable[[str], Validators | None] = lambda address: None


def read(fetched: Fetched, parse: Callable[[bytes], ParsedPage]) -> ParsedPage:
    """The papers of an answer.

    Raises: FetchError where the answer is whole and still not what was asked for.
    """
    try:
        return parse(fetched.body)
    except ParseError as fault:
        raise told(fetched.address, fault) from fault


def told(address: str, fault: ParseError) -> FetchError:
    return FetchError(address, fault.reason, "check what is asked for; if that is right, the host changed its format")


def whole_json(body: bytes) -> str | None:
    """What is wrong with a body that should be JSON. One that was cut must not be taken for the end of a list."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return "answered with something that is no JSON, or is cut"
    return None


def whole_xml(body: bytes) -> str | None:
    """What is wrong with a body that should be XML."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError):
        return "answered with something that is no XML, or is cut"
    return None


def _no_doctype(*declaration: object) -> None:
    """Entities of a document type may grow without bound, and no feed has one."""
    raise ValueError("document type")
