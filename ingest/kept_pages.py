"""Pages that were read, as JSON and back: what waits for a person's word is kept like this. Needs no database."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from ingest.sources import CodeLink, ParsedLinks, ParsedPage, ParsedPaper, Problem


def page_to_json(page: ParsedPage) -> dict[str, Any]:
    """All of the page; days become text."""
    kept = asdict(page)
    for paper in kept["papers"]:
        day = paper["published_on"]
        paper["published_on"] = day.isoformat() if day else None
    return kept


def page_from_json(kept: Mapping[str, Any]) -> ParsedPage:
    """The page that `page_to_json` was given."""
    return ParsedPage(
        source=kept["source"],
        layout=kept["layout"],
        papers=tuple(_paper(paper) for paper in kept["papers"]),
        problems=tuple(Problem(**problem) for problem in kept["problems"]),
        page_date=kept["page_date"],
        links=tuple(ParsedLinks(**{**links, "code_links": _links(links)}) for links in kept["links"]),
    )


def _paper(kept: Mapping[str, Any]) -> ParsedPaper:
    day = kept["published_on"]
    tuples = {name: tuple(kept[name]) for name in ("authors", "links", "categories")}
    return ParsedPaper(
        **{
            **kept,
            **tuples,
            "published_on": date.fromisoformat(day) if day else None,
            "code_links": _links(kept),
        }
    )


def _links(kept: Mapping[str, Any]) -> tuple[CodeLink, ...]:
    return tuple(CodeLink(**link) for link in kept["code_links"])
