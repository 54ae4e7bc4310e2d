"""JSON of the Hugging Face papers API: the daily list, a search, or one paper, as {"paper": {"id", "title", "summary", ...}}.

The list is decoded item by item, so that one that was cut gives the items before the cut and each item knows its line.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ingest.sources.base import ParsedPage, ParsedPaper, ParseError, Problem, decode
from ingest.sources.code_urls import code_link
from ingest.sources.fields import count, people, text
from ingest.sources.identifiers import month_of, read_arxiv_id, read_day
from ingest.sources.json_head import json_head

NAME = "hf-daily-json"
EXPECTED = 'JSON of the Hugging Face Daily Papers API: a list of {"paper": {"id", "title", "summary", ...}}'
MAX_BYTES = 32 * 1024 * 1024

_KEYS = frozenset(("paper", "title", "summary", "error"))
_KEYS_OF_OTHERS = frozenset(("abstract", "code_snippet_url", "repo_url"))
_BLANK = re.compile(r"[ \t\n\r]*")
_BEGINNING_OF_LITERAL = re.compile(r"-|t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?|")
_ESCAPE_AT_END = re.compile(r"\\(?:u[0-9a-fA-F]{0,4})?$")


class _Item(NamedTuple):
    line: int
    value: Any


def accepts(raw: bytes) -> bool:
    """Whether raw begins like a JSON list of such papers, or like one of them. A list of other things is none."""
    head = json_head(raw)
    if head is None:
        return False
    if not head.keys:
        return head.is_array
    return bool(head.keys & _KEYS) and head.keys.isdisjoint(_KEYS_OF_OTHERS)


def parse(raw: bytes) -> ParsedPage:
    """Papers of the list, or the one paper of an object; a list that is cut is read up to the cut.

    Raises ParseError if raw is too large, is not JSON, or holds something other than such items.
    """
    if len(raw) > MAX_BYTES:
        raise ParseError(f"the list has {len(raw)} bytes, more than {MAX_BYTES}")
    page, _ = decode(raw)
    papers: list[ParsedPaper] = []
    problems: list[Problem] = []
    for item in items(page):
        paper = item.value if isinstance(item.value, Problem) else _to_paper(item)
        if isinstance(paper, Problem):
            problems.append(paper)
        else:
            papers.append(paper)
    return ParsedPage(NAME, "json", tuple(papers), tuple(problems))


def items(text: str) -> Iterator[_Item]:
    """The items of the list in text, each with its line; where the list is cut, a Problem comes last."""
    decoder = json.JSONDecoder()
    at = _skip_blank(text, 0)
    in_list = text[at : at + 1] == "["
    at = _skip_blank(text, at + 1) if in_list else at
    line, counted = 1, 0
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except RecursionError as error:
            raise ParseError("the JSON is nested too deeply", line) from error
        except json.JSONDecodeError as error:
            if not in_list or not _is_cut(text, error):
                raise ParseError(f"not JSON: {error.msg}", error.lineno) from error
            yield _Item(line, Problem(line, "the list ends in the middle of this item"))
            return
        except ValueError as error:  # an integer of thousands of digits
            raise ParseError(f"not JSON that can be read: {error}", line) from error
        yield _Item(line, value)
        at = _skip_blank(text, at)
        if not in_list:
            break
        if text[at : at + 1] == ",":
            at = _skip_blank(text, at + 1)
        elif at == len(text):
            yield _Item(line, Problem(line, "the list ends behind this item, without its closing bracket"))
            return
        elif text[at] != "]":
            raise ParseError('not JSON: expected "," or "]" behind an item', text.count("\n", 0, at) + 1)
    end = _skip_blank(text, at + 1 if in_list else at)
    if end < len(text):
        raise ParseError("not JSON: more text stands behind its end", text.count("\n", 0, end) + 1)


def _is_cut(text: str, error: json.JSONDecodeError) -> bool:
    """Whether the text just ends: in a string, in an escape, or with at most the beginning of a literal."""
    if error.msg.startswith("Unterminated string"):
        return True
    if error.msg.startswith("Invalid \\"):  # also where a whole escape is the very end
        return _ESCAPE_AT_END.search(text) is not None
    return _BEGINNING_OF_LITERAL.fullmatch(text[error.pos :].strip()) is not None


def _skip_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _to_paper(item: _Item) -> ParsedPaper | Problem:
    if not isinstance(item.value, Mapping):
        raise ParseError(f"expected {EXPECTED}; found {type(item.value).__name__}", item.line)
    paper = item.value.get("paper", item.value)
    if not isinstance(paper, Mapping) or not {"title", "summary"} & set(paper):
        if reason := text(item.value.get("error")):
            raise ParseError(f"Hugging Face answered with an error: {reason[:300]}", item.line)
        raise ParseError(f"expected {EXPECTED}; this item has no such paper", item.line)
    return to_paper(paper, item.line)


def to_paper(paper: Mapping[str, Any], line: int | None) -> ParsedPaper | Problem:
    """The paper of a "paper" object, which the lists, the search, the one paper and the site's pages share.

    Its "ai_summary" is written by a model and is no abstract. "projectPage" and "githubRepo" are links that people and the
    site add, which does not make them the authors' own.
    """
    title, abstract, name = (text(paper.get(key)) for key in ("title", "summary", "id"))
    missing = [key for key, value in (("title", title), ("summary", abstract)) if not value]
    if missing:
        return Problem(line, f"the paper {name or '(without an id)'} has no {' and no '.join(missing)}")
    arxiv_id = read_arxiv_id(name)
    authors = people(paper.get("authors"))
    published_on = read_day(paper.get("publishedAt"))
    links = (code_link(text(paper.get(field)), said_in=field) for field in ("githubRepo", "projectPage"))
    return ParsedPaper(
        title=title,
        abstract=abstract,
        line=line,
        arxiv_id=arxiv_id,
        authors=authors,
        author_count=len(authors) or None,
        published_on=published_on,
        votes=count(paper.get("upvotes")),
        links=(f"https://arxiv.org/abs/{arxiv_id}",) if arxiv_id else (),
        year=month_of(arxiv_id).year if arxiv_id and published_on is None else None,
        code_links=tuple(link for link in links if link is not None),
    )
