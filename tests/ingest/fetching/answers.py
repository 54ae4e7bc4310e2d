"""Answers of Hugging Face and arXiv about papers that do not exist."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from xml.sax.saxutils import escape

from tests.ingest.fetching.hosts import Answer, Seen, as_json


def title_of(arxiv_id: str) -> str:
    return f"Foldnet {arxiv_id.replace('/', ' ')}: Half the Work for the Same Answer"


def abstract_of(arxiv_id: str) -> str:
    return f"We propose Foldnet {arxiv_id.replace('/', ' ')}, a scheme of our own. It runs 2x faster than the plain network."


def hub_paper(arxiv_id: str, votes: int = 3) -> dict[str, Any]:
    return {
        "id": arxiv_id,
        "title": title_of(arxiv_id),
        "summary": abstract_of(arxiv_id),
        "authors": [{"name": "A. Rey"}],
        "publishedAt": "2025-06-12T00:00:00.000Z",
        "upvotes": votes,
    }


def hub_list(ids: Sequence[str], **headers: str) -> Answer:
    return as_json([{"paper": hub_paper(name), "title": title_of(name)} for name in ids], **headers)


def atom(ids: Sequence[str], total: int | None = None, start: int = 0) -> Answer:
    entries = "".join(
        f"<entry><id>http://arxiv.org/abs/{name}v1</id><title>{title_of(name)}</title>"
        f"<summary>{abstract_of(name)}</summary><published>2025-06-12T00:00:00Z</published>"
        "<author><name>A. Rey</name></author></entry>"
        for name in ids
    )
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" '
        'xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">'
        f"<opensearch:totalResults>{len(ids) if total is None else total}</opensearch:totalResults>"
        f"<opensearch:startIndex>{start}</opensearch:startIndex>{entries}</feed>"
    )
    return Answer(body=body.encode(), headers={"Content-Type": "application/atom+xml"})


def oai(ids: Sequence[str], token: str = "") -> Answer:
    records = "".join(
        f"<record><header><identifier>oai:arXiv.org:{name}</identifier><datestamp>2025-06-12</datestamp></header>"
        f'<metadata><arXiv xmlns="http://arxiv.org/OAI/arXiv/"><id>{name}</id><created>2025-06-12</created>'
        f"<authors><author><keyname>Rey</keyname><forenames>A.</forenames></author></authors>"
        f"<title>{title_of(name)}</title><categories>cs.LG</categories><abstract>{abstract_of(name)}</abstract>"
        "</arXiv></metadata></record>"
        for name in ids
    )
    told = f"<resumptionToken>{escape(token)}</resumptionToken>"
    return _oai(f"<ListRecords>{records}{told}</ListRecords>")


def oai_error(code: str) -> Answer:
    return _oai(f'<error code="{code}">said so</error>')


def _oai(inside: str) -> Answer:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
        f"<responseDate>2025-06-15T15:00:00Z</responseDate>{inside}</OAI-PMH>"
    )
    return Answer(body=body.encode(), headers={"Content-Type": "text/xml"})


class Archive:
    """arXiv's OAI-PMH interface over papers with days; a list goes page by page, and its tokens can expire."""

    def __init__(self, papers: dict[str, date], page: int = 2) -> None:
        self.papers, self.page = papers, page
        self.expired: set[str] = set()

    def __call__(self, seen: Seen) -> Answer:
        query = seen.query
        token = query.get("resumptionToken", "")
        if token in self.expired:
            return oai_error("badResumptionToken")
        if token:
            first, until, start = token.split("|")
        else:
            first, until, start = query["from"], query["until"], "0"
        found = sorted(
            name for name, day in self.papers.items() if date.fromisoformat(first) <= day <= date.fromisoformat(until)
        )
        if not found:
            return oai_error("noRecordsMatch")
        at = int(start)
        more = at + self.page < len(found)
        return oai(found[at : at + self.page], f"{first}|{until}|{at + self.page}" if more else "")
