"""Papers of the Hugging Face hub: the Daily Papers of a day, what a search finds, one paper."""

from collections.abc import Iterator
from datetime import date, timedelta
from urllib.parse import quote, urlencode

from ingest.fetching.client import Fetched
from ingest.fetching.feed import NOTHING, Ask, Batch, Position, read, whole_json
from ingest.sources import ParsedPage, hf_daily_json

ASKED_FOR = 100
USUAL_PAGE = 50  # what the API hands out where it is not asked for a number; a shorter page is the last one
MOST_PAGES = 20
SEARCH_LIMIT = 120  # of the API


def daily(ask: Ask, endpoint: str, first: date, last: date, position: Position) -> Iterator[Batch]:
    """A batch for each day, the first and the last included. Days are those of the hub, in UTC."""
    day = max(first, date.fromisoformat(str(position["day"]))) if position else first
    while day <= last:
        following = day + timedelta(days=1)
        done = following > last
        page, fetched = _day(ask, endpoint, day)
        yield Batch(
            f"hf:{day}",
            page,
            {} if done else {"day": following.isoformat()},
            done,
            fetched=fetched,
            unchanged=page is NOTHING,
        )
        day = following


def _day(ask: Ask, endpoint: str, day: date) -> tuple[ParsedPage, tuple[Fetched, ...]]:
    """All pages of a day as one. A day that fits one page is remembered; a later page may change and the first one not."""
    pages: list[ParsedPage] = []
    seen: set[str] = set()
    for number in range(MOST_PAGES):
        query = {"date": day.isoformat(), "limit": ASKED_FOR} | ({"p": number} if number else {})
        address = f"{endpoint}/api/daily_papers?{urlencode(query)}"
        fetched = ask.fetcher.get(address, ask.known(address) if not number else None, whole_json)
        if fetched.is_unchanged:
            return NOTHING, ()
        page = read(fetched, hf_daily_json.parse)
        entries = len(page.papers) + len(page.problems)
        titles = {paper.arxiv_id or paper.title for paper in page.papers}
        if number and titles <= seen:
            break
        pages.append(page)
        seen |= titles
        if entries < USUAL_PAGE:
            break
    return _joined(pages), (fetched,) if len(pages) == 1 and not number else ()


def _joined(pages: list[ParsedPage]) -> ParsedPage:
    first = pages[0]
    return ParsedPage(
        first.source,
        first.layout,
        tuple(paper for page in pages for paper in page.papers),
        tuple(problem for page in pages for problem in page.problems),
        first.page_date,
    )


def search(ask: Ask, endpoint: str, words: str, limit: int | None) -> Iterator[Batch]:
    """What the hub's own search finds; at most SEARCH_LIMIT papers."""
    query = {"q": words, "limit": min(limit or SEARCH_LIMIT, SEARCH_LIMIT)}
    address = f"{endpoint}/api/papers/search?{urlencode(query)}"
    yield _single(ask, address, f"hf:search:{words}")


def paper(ask: Ask, endpoint: str, arxiv_id: str) -> Iterator[Batch]:
    yield _single(ask, f"{endpoint}/api/papers/{quote(arxiv_id)}", f"hf:{arxiv_id}")


def _single(ask: Ask, address: str, name: str) -> Batch:
    fetched = ask.fetcher.get(address, ask.known(address), whole_json)
    if fetched.is_unchanged:
        return Batch(name, NOTHING, {}, True, unchanged=True)
    return Batch(name, read(fetched, hf_daily_json.parse), {}, True, fetched=(fetched,))
