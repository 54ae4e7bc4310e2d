"""Saved pages of huggingface.co/papers: a day, week or month, a search, or one paper.

The site puts what it shows as JSON into an attribute, abstracts included; where a saved page lost that, its cards and headings
are read instead.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from html import unescape
from typing import Any

from lxml import etree

from ingest.sources.base import CodeLink, ParsedPage, ParsedPaper, ParseError, Problem, decode, one_line
from ingest.sources.code_urls import code_link
from ingest.sources.entries import PROSE_LENGTH
from ingest.sources.fields import text as text_value
from ingest.sources.hf_daily_json import items, to_paper
from ingest.sources.identifiers import month_of, read_arxiv_id, read_day
from ingest.sources.page_text import page_day

NAME = "hf-papers-html"
EXPECTED = "the HTML of a saved page of huggingface.co/papers"
MAX_BYTES = 32 * 1024 * 1024

_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_SIGNS = (b"DailyPapers", b'href="/papers/', b"huggingface.co/papers/")
_LISTS = ("dailyPapers", "searchResults", "papers")
_MADE_BY_A_MODEL = re.compile(r"\bAI[- ]generated summary", re.IGNORECASE)
_LIST_IN_ATTRIBUTE = re.compile(r"&quot;dailyPapers&quot;:\s*\[")
_PUBLISHED = re.compile(r"\bPublished on (?P<day>[A-Z][a-z]{2,8}\.? \d{1,2}, ?\d{4})")
_LONGEST_ANCESTRY = 4
_LONGEST_HEADING = 1_000
_LONGEST_ABSTRACT = 100_000


def accepts(raw: bytes) -> bool:
    """Whether raw begins like HTML and links to papers of Hugging Face."""
    head = raw[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith(b"<") and _HTML.search(head) is not None and any(sign in raw for sign in _SIGNS)


def parse(raw: bytes) -> ParsedPage:
    """Papers of the JSON in the page, then those that only its cards show. A card has no abstract, so it becomes a Problem.

    Raises ParseError if raw is too large, is not text, or names no paper at all.
    """
    if len(raw) > MAX_BYTES:
        raise ParseError(f"the page has {len(raw)} bytes, more than {MAX_BYTES}")
    text, cut = decode(raw)
    root = _tree(text)
    papers: dict[str, ParsedPaper] = {}
    problems: dict[str, Problem] = {}
    day: str | None = None
    entries: list[tuple[str, ParsedPaper | Problem]] = []
    for props, line in _embedded(root):
        day = day or text_value(props.get("dateString")) or None
        entries += _papers_of(props, line)
    if not entries:
        entries += _cut_list(text)
    for name, found in [*entries, *(_cards(root) or _one_paper(root))]:
        if isinstance(found, ParsedPaper):
            papers.setdefault(name, found)
        else:
            problems.setdefault(name, found)
    if not papers and not problems:
        raise ParseError(f"expected {EXPECTED}: this page shows no paper")
    left = [problem for name, problem in problems.items() if name not in papers]
    if cut or not re.search(r"</html\s*>\s*$", text, re.IGNORECASE):
        left.append(Problem(text.count("\n") + 1, "the page ends before </html>: what comes behind is missing"))
    return ParsedPage(NAME, "html", tuple(papers.values()), tuple(left), day)


def _tree(text: str) -> etree._Element:
    """The page as a tree. libxml2 loads nothing, expands no entities of a page's own, and bounds depth and length itself."""
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False, recover=True
    )
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ParseError(f"the page cannot be read as HTML: {one_line(str(error))[:120]}") from error
    if root is None:
        raise ParseError("the page cannot be read as HTML: it has no elements")
    return root


def _embedded(root: etree._Element) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Objects that the site hands to its scripts, with the line of their element."""
    for element in root.iter():
        props = element.get("data-props") if isinstance(element.tag, str) else None
        if props and ('"paper' in props or '"dailyPapers"' in props):
            try:
                value = json.loads(props)
            except (ValueError, RecursionError):
                continue  # cut or edited; the cards are still there
            if isinstance(value, Mapping):
                yield value, element.sourceline or 1


def _cut_list(text: str) -> Iterator[tuple[str, ParsedPaper | Problem]]:
    """Papers of a list whose attribute never ends, because the page was cut in it: those before the cut."""
    begin = _LIST_IN_ATTRIBUTE.search(text)
    if begin is None:
        return
    line = text.count("\n", 0, begin.start()) + 1
    try:
        for item in items(unescape(text[begin.end() - 1 :])):
            if isinstance(item.value, Mapping):
                yield from _papers_of(item.value, line)
    except ParseError:
        return  # what stands behind the list, or where it broke


def _papers_of(props: Mapping[str, Any], line: int) -> Iterator[tuple[str, ParsedPaper | Problem]]:
    """Papers of a page's lists, or of the page of one paper, each under its id or title."""
    listed = [item for key in _LISTS if isinstance(found := props.get(key), list) for item in found]
    for item in [*listed, props]:
        paper = item.get("paper") if isinstance(item, Mapping) else None
        if isinstance(paper, Mapping) and {"title", "summary"} & set(paper):
            name = text_value(paper.get("id")) or text_value(paper.get("title"))
            yield name, to_paper(paper, line)


def _cards(root: etree._Element) -> list[tuple[str, ParsedPaper | Problem]]:
    """What the cards of a list show: a heading with a link, and a paragraph where the layout has one."""
    found: list[tuple[str, ParsedPaper | Problem]] = []
    for card in root.iter("article"):
        links = [(name, a) for a in card.iter("a") if (name := _paper_id(a))]
        if not links or next(card.iterancestors("article"), None) is not None:
            continue
        headed = [(name, a) for name, a in links if next(a.iterancestors("h3"), None) is not None]
        name, link = (headed or links)[0]
        title, line = _said(link, _LONGEST_HEADING), card.sourceline or 1
        if not title:
            found.append((name, Problem(line, f"the card of {name} shows no title")))
            continue
        abstract = max((_said(p) for p in card.iter("p") if not _is_machine_made(p, card)), key=len, default="")
        if len(abstract) < PROSE_LENGTH:
            told = "a summary and no abstract" if abstract else "no abstract"
            found.append((name, Problem(line, f'the card of "{title[:60]}" ({name}) shows {told}')))
        else:
            found.append((name, _paper(name, title, abstract, line)))
    return found


def _one_paper(root: etree._Element) -> list[tuple[str, ParsedPaper | Problem]]:
    """The page of one paper: its main heading, and the paragraphs below the heading "Abstract"."""
    title = next((said for h1 in root.iter("h1") if (said := _said(h1, _LONGEST_HEADING))), "")
    heading = next((h for h in root.iter("h2", "h3") if _said(h, _LONGEST_HEADING).casefold() == "abstract"), None)
    places = [e.get("href") or "" for e in root.iter("link") if e.get("rel") == "canonical"]
    places += [e.get("content") or "" for e in root.iter("meta") if e.get("property") == "og:url"]
    name = next((arxiv_id for place in places if (arxiv_id := read_arxiv_id(place))), "")
    if not title or (heading is None and not name):
        return []
    line = (heading.sourceline if heading is not None else None) or 1
    box = heading.getparent() if heading is not None else None
    parts = [] if box is None else [_said(p) for p in box.iter("p") if not _is_machine_made(p, box)]
    if not (abstract := one_line(" ".join(parts))):
        return [(name or title, Problem(line, f'the page of "{title[:60]}" shows no abstract'))]
    published_on = next((day for t in root.iter("time") if (day := read_day(t.get("datetime")))), None) or _published(
        root
    )
    marked = [span for span in root.iter("span") if "author" in (span.get("class") or "").split()]
    authors = tuple(dict.fromkeys(filter(None, (_said(span, _LONGEST_HEADING).strip(", ") for span in marked))))
    links = dict.fromkeys(link for a in root.iter("a") if (link := _code(a)) is not None)
    paper = _paper(name, title, abstract, line)
    year = None if published_on else paper.year
    paper = replace(paper, authors=authors, author_count=len(authors) or None, published_on=published_on, year=year)
    return [(name or title, replace(paper, code_links=tuple(links)))]


def _paper(name: str, title: str, abstract: str, line: int) -> ParsedPaper:
    arxiv_id = read_arxiv_id(name)
    return ParsedPaper(
        title=title,
        abstract=abstract,
        line=line,
        arxiv_id=arxiv_id,
        links=(f"https://arxiv.org/abs/{arxiv_id}",) if arxiv_id else (),
        year=month_of(arxiv_id).year if arxiv_id else None,
    )


def _paper_id(link: etree._Element) -> str:
    """The id of the paper that a link leads to; "" for the links to days, people and the rest of the site."""
    href = link.get("href") or ""
    return read_arxiv_id(f"huggingface.co{href}" if href.startswith("/papers/") else href) or ""


def _code(link: etree._Element) -> CodeLink | None:
    """A link of the page that says of itself that it leads to the code or to the project."""
    label = _said(link, _LONGEST_HEADING).casefold()
    if not label.startswith(("github", "project page", "code")) or len(label) > 60:
        return None
    return code_link(link.get("href") or "", said_in="projectPage" if label.startswith("project") else "githubRepo")


def _published(root: etree._Element) -> date | None:
    found = next((m for e in root.iter("div", "span", "p") if (m := _PUBLISHED.search(e.text or ""))), None)
    return page_day(found["day"]) if found else None


def _is_machine_made(paragraph: etree._Element, box: etree._Element) -> bool:
    """Whether a paragraph, or a box around it within `box`, is labelled as the summary of a model."""
    element: etree._Element | None = paragraph
    for _ in range(_LONGEST_ANCESTRY):
        if element is None or element is box:
            return False
        if _MADE_BY_A_MODEL.search(_said(element, _LONGEST_HEADING)[:_LONGEST_HEADING]):
            return True
        element = element.getparent()
    return False


def _said(element: etree._Element, most: int = _LONGEST_ABSTRACT) -> str:
    """The text in an element, up to about that many characters: boxes within boxes shall not be read over and over."""
    parts, length = [], 0
    for part in element.itertext():
        parts.append(part)
        length += len(part)
        if length > most:
            break
    return one_line("".join(parts))
