"""Papers of arXiv: by id, by query (both from its export API), and whole sets by day (OAI-PMH).

arXiv asks for at most one request in three seconds on one connection; the client's pace sees to that.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import urlencode

from ingest.fetching.bodies import Check
from ingest.fetching.feed import NOTHING, Ask, Batch, Position, read, told, whole_xml
from ingest.sources import ParseError, Problem, arxiv_atom, arxiv_oai
from ingest.sources.identifiers import read_arxiv_id

IDS_AT_ONCE = 100
PAGE = 100
MOST_OF_A_QUERY = 30_000  # of the API; whoever wants more harvests a set

WINDOW = timedelta(days=30)  # a harvest goes window by window, so that a token which expired costs one window at most
EARLIEST = date(2005, 9, 16)  # the first day that arXiv's OAI-PMH interface knows
MOST_RESTARTS = 3  # of one window
_EXPIRED = "badResumptionToken"

_TOTAL = re.compile(rb"<(?:\w+:)?totalResults\b[^>]*>\s*(\d{1,9})\s*<")
_ENTRY = re.compile(rb"<(?:\w+:)?entry[\s>]")
# Archives that stand below "physics" in the names of sets; every other archive is a group of its own.
_PHYSICS = frozenset(
    [
        "astro-ph",
        "cond-mat",
        "gr-qc",
        "hep-ex",
        "hep-lat",
        "hep-ph",
        "hep-th",
        "math-ph",
        "nlin",
        "nucl-ex",
        "nucl-th",
        "physics",
        "quant-ph",
    ]
)


# ── the export API ──────────────────────────────────────────────────────────────────────────────────────────────────
def papers(ask: Ask, endpoint: str, ids: Sequence[str], position: Position) -> Iterator[Batch]:
    """The papers with these ids, many at once; an id may name a version. One that arXiv does not know becomes a problem."""
    start = int(position["start"]) if position else 0
    for at in range(start, len(ids), IDS_AT_ONCE):
        wanted = ids[at : at + IDS_AT_ONCE]
        query = {"id_list": ",".join(wanted), "max_results": len(wanted)}
        fetched = ask.fetcher.get(f"{endpoint}?{urlencode(query, safe=',/')}", None, whole_xml)
        page = read(fetched, arxiv_atom.parse)
        found = {paper.arxiv_id for paper in page.papers}
        unknown = [Problem(None, f"arXiv knows no paper {name}") for name in wanted if read_arxiv_id(name) not in found]
        # The feed has an empty entry for what it does not know, which says less than the id.
        page = replace(page, problems=(*(p for p in page.problems if not unknown), *unknown))
        done = at + IDS_AT_ONCE >= len(ids)
        yield Batch("arXiv", page, {} if done else {"start": at + IDS_AT_ONCE}, done)


def query(ask: Ask, endpoint: str, words: str, limit: int, position: Position) -> Iterator[Batch]:
    """What a query finds, the latest first, at most `limit` papers.

    New papers move the others back, so that a query which goes on later meets some again and misses none.
    """
    limit = min(limit, MOST_OF_A_QUERY)
    start = int(position["start"]) if position else 0
    start = start if start < limit else 0  # it went further than this run shall go
    while start < limit:
        size = min(PAGE, limit - start)
        asked = {
            "search_query": words,
            "start": start,
            "max_results": size,
            "sortBy": "submittedDate",
            "sortOrder": "descending",
        }
        fetched = ask.fetcher.get(f"{endpoint}?{urlencode(asked)}", None, _checked_page(start))
        page = read(fetched, arxiv_atom.parse)
        start += size
        done = start >= min(limit, _total(fetched.body) or 0)
        yield Batch(f"arxiv:query:{words}", page, {} if done else {"start": start}, done)
        if done:
            return


def _checked_page(start: int) -> Check:
    """arXiv now and then sends an empty page where there are results; asking again helps."""

    def check(body: bytes) -> str | None:
        if wrong := whole_xml(body):
            return wrong
        total = _total(body)
        if total is not None and start < total and not _ENTRY.search(body):
            return f"answered with an empty page, {total} results notwithstanding"
        return None

    return check


def _total(body: bytes) -> int | None:
    found = _TOTAL.search(body)
    return int(found[1]) if found else None


# ── OAI-PMH ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def set_of(category: str) -> str:
    """The name of the OAI-PMH set of a category: "cs.LG" is "cs:cs:LG", "hep-th" is "physics:hep-th", "cs" is "cs"."""
    if ":" in category:
        return category
    archive, dot, subject = category.partition(".")
    group = "physics" if archive in _PHYSICS else archive
    if dot:
        return f"{group}:{archive}:{subject}"
    return archive if archive == group else f"{group}:{archive}"


@dataclass(frozen=True)
class _Place:
    """Where a harvest is: in the window that begins at `begins`, behind `token`; it ends with the day `until`."""

    begins: date
    until: date
    token: str = ""

    @property
    def ends(self) -> date:
        return min(self.begins + WINDOW - timedelta(days=1), self.until)

    def as_position(self) -> Position:
        return {"begins": self.begins.isoformat(), "until": self.until.isoformat(), "token": self.token}


def harvest(
    ask: Ask, endpoint: str, category: str, *, first: date | None, until: date, position: Position
) -> Iterator[Batch]:
    """Every paper of a category (or "" for all) whose record changed from `first` to `until`, both included.

    A harvest that was ended goes on behind the last token. One that was done begins at the last day of the one before,
    because records of that day may have come behind it.
    """
    place = _place_of(position, first or EARLIEST, until)
    name = f"arxiv:oai:{category}" if category else "arxiv:oai"
    if place.begins > place.until:
        yield Batch(name, NOTHING, position, True)
    restarts = 0
    while place.begins <= place.until:
        address = _address(endpoint, category, place)
        try:
            answer = arxiv_oai.read(ask.fetcher.get(address, None, whole_xml).body)
        except arxiv_oai.OaiError as fault:
            if fault.code != _EXPIRED or not place.token or restarts >= MOST_RESTARTS:
                raise told(address, fault) from fault
            # The token expired while we were away. What the window gave so far does no harm when it comes again.
            place, restarts = replace(place, token=""), restarts + 1
            continue
        except ParseError as fault:
            raise told(address, fault) from fault
        if answer.resumption_token:
            place = replace(place, token=answer.resumption_token)
        else:
            place, restarts = _Place(place.ends + timedelta(days=1), place.until), 0
        done = place.begins > place.until
        yield Batch(name, answer.page, {"from": place.until.isoformat()} if done else place.as_position(), done)


def _place_of(position: Position, first: date, until: date) -> _Place:
    if "begins" in position:
        begins, ends = (date.fromisoformat(str(position[key])) for key in ("begins", "until"))
        return _Place(begins, ends, str(position["token"]))
    return _Place(date.fromisoformat(str(position["from"])) if "from" in position else first, until)


def _address(endpoint: str, category: str, place: _Place) -> str:
    asked = {"verb": "ListRecords"}
    if place.token:
        asked["resumptionToken"] = place.token
    else:
        asked |= {"metadataPrefix": "arXiv", "from": place.begins.isoformat(), "until": place.ends.isoformat()}
        asked |= {"set": set_of(category)} if category else {}
    return f"{endpoint}?{urlencode(asked)}"
