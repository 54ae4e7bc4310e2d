"""BibTeX and BibLaTeX: what people export from their reference managers, with or without abstracts."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bibtexparser.entrypoint import parse_string
from bibtexparser.middlewares import LatexDecodingMiddleware
from bibtexparser.middlewares.enclosing import RemoveEnclosingMiddleware
from bibtexparser.middlewares.interpolate import ResolveStringReferencesMiddleware
from bibtexparser.middlewares.names import parse_single_name_into_parts, split_multiple_persons_names
from bibtexparser.model import Block, DuplicateBlockKeyBlock, DuplicateFieldKeyBlock, Entry, Field, ImplicitComment

from ingest.sources.base import CodeLink, ParsedPage, ParsedPaper, ParseError, Problem, decode, one_line
from ingest.sources.code_urls import code_link, group_links, links_in
from ingest.sources.identifiers import month_of, read_arxiv_id, read_day, read_doi, read_year

NAME = "bibtex"
EXPECTED = "BibTeX: entries such as @article{key, title = {...}, abstract = {...}}"
# It tells the console of each broken entry, and so do our problems.
logging.getLogger("bibtexparser").setLevel(logging.ERROR)

MAX_BYTES = 16 * 1024 * 1024  # some ten thousand entries with abstracts
MAX_DECODED = 20_000  # characters: LaTeX is decoded by a parser that follows every brace

_ENTRY = re.compile(
    r"^[ \t]*@(?:article|book|booklet|conference|dataset|electronic|in(?:book|collection|proceedings)|manual|mastersthesis|misc"
    r"|online|patent|phdthesis|preamble|proceedings|report|software|string|techreport|thesis|unpublished|www|comment)[ \t]*[{(]",
    re.IGNORECASE | re.MULTILINE,
)
_IN_LATEX = re.compile(r"[\\{}~]|--|``|''")
_CITATION = re.compile(r"[\s~]?\\[cC]ite\w{0,12}\*?(?:\[[^][]*\])*\{[^{}]*\}")
_SIGN = re.compile(
    r"\\text(less|greater)(?![a-zA-Z])(?:\s*\{\})?"
)  # the decoder knows them not, and numbers lean on them
_ABOUT = re.compile(r"\\~(?=\d)")  # an accent by its form; people write it for "about" and "to"
_SPECIAL = re.compile(r"(?<!\\)([%&#])")
_PARTS_OF_A_SUM = re.compile(r"\s*(?:\"(?P<quoted>[^\"]*)\"|\{(?P<braced>[^{}]*)\}|(?P<name>[^\s#\"{}]+))\s*(?:#|$)")
_LONGEST_NAME = 200
_TEXTS_WITH_LINKS = ("note", "howpublished", "annote", "annotation", "comment", "addendum")
_LINK_FIELDS = ("code", "github", "software", "repository", "url", "howpublished")


@dataclass(frozen=True, slots=True)
class _Values:
    """Fields of an entry by lower-case name, as written, without the braces around them."""

    fields: Mapping[str, str]

    def raw(self, *names: str) -> str:
        """The first of those fields that is there, on one line, LaTeX and all."""
        return next((value for name in names if (value := one_line(self.fields.get(name, "")))), "")

    def text(self, *names: str) -> str:
        return _decoded(self.raw(*names))


def accepts(raw: bytes) -> bool:
    """Whether an entry of a known kind begins in the first part of raw, and it is no JSON or XML that quotes one."""
    head = raw[: 64 * 1024].removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").replace("\r", "\n")
    return not head.lstrip().startswith(("{", "[", "<")) and _ENTRY.search(head) is not None


def parse(raw: bytes) -> ParsedPage:
    """Papers of the entries that have a title; those without an abstract are kept, since people list papers by title.

    Raises ParseError if raw is too large, is not text, or holds no entry.
    """
    if len(raw) > MAX_BYTES:
        raise ParseError(f"the file has {len(raw)} bytes, more than {MAX_BYTES}: split it")
    text, _ = decode(raw)
    library = parse_string(text, parse_stack=[ResolveStringReferencesMiddleware()])
    strings = {name.lower(): _unwrapped(string.value) for name, string in library.strings_dict.items()}
    papers: list[ParsedPaper] = []
    problems: list[Problem] = []
    for block in library.blocks:
        entry, problem = _entry_of(block)
        if problem is not None:
            problems.append(problem)
        if entry is None:
            continue
        found = _to_paper(entry, strings)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            papers.append(found)
    last = library.blocks[-1] if library.blocks else None
    if isinstance(last, ImplicitComment) and last.comment.startswith("@"):
        problems.append(Problem((last.start_line or 0) + 1, "the file ends where an entry begins"))
    if not papers and not problems:
        raise ParseError(f"expected {EXPECTED}; this file has no entry")
    return ParsedPage(NAME, "bibtex", tuple(papers), tuple(problems))


def _entry_of(block: Block) -> tuple[Entry | None, Problem | None]:
    """The entry in a block, and what is wrong with it. Two entries of one key are two entries."""
    line = (block.start_line or 0) + 1
    if isinstance(block, Entry):
        return block, None
    if isinstance(block, DuplicateBlockKeyBlock):
        twin = block.ignore_error_block
        return (twin if isinstance(twin, Entry) else None), None
    if isinstance(block, DuplicateFieldKeyBlock):
        twice = ", ".join(sorted(block.duplicate_keys))
        told = f"names {twice[:80]} more than once; the first of each is taken"
        entry = block.ignore_error_block
        return (entry if isinstance(entry, Entry) else None), Problem(line, f"the entry {told}")
    if (error := getattr(block, "error", None)) is not None:
        reason = getattr(error, "abort_reason", None) or str(error) or "it cannot be read"
        return None, Problem(line, f"the entry is broken: {one_line(reason)[:200]}")
    return None, None


def _to_paper(entry: Entry, strings: Mapping[str, str]) -> ParsedPaper | Problem:
    fields: dict[str, str] = {}
    for field in entry.fields:
        fields.setdefault(field.key.lower(), _value(field, strings))
    values, line = _Values(fields), (entry.start_line or 0) + 1
    title = values.text("title")
    if not title:
        return Problem(line, f"the entry {entry.key[:60] or '(without a key)'} has no title")
    arxiv_id = _arxiv_id(values)
    authors, is_whole = _authors(values.raw("author"))
    published_on = read_day(values.raw("date")) if len(values.raw("date")) == len("2021-05-03") else None
    year = read_year(values.raw("year", "date")) or (month_of(arxiv_id).year if arxiv_id else None)
    address = values.text("url")
    return ParsedPaper(
        title=title,
        abstract=values.text("abstract"),
        line=line,
        arxiv_id=arxiv_id,
        authors=authors,
        author_count=len(authors) if authors and is_whole else None,
        published_on=published_on,
        links=(address,) if address.startswith(("http://", "https://")) else (),
        doi=read_doi(values.text("doi")) or read_doi(address),
        year=None if published_on else year,
        code_links=_code_links(values),
        categories=tuple(values.raw("primaryclass", "eprintclass").split()[:1]) if arxiv_id else (),
    )


def _value(field: Field, strings: Mapping[str, str]) -> str:
    """The text of a field: what is in its braces or quotes, or a sum such as prefix # " of 2020"."""
    value = str(field.value).strip()
    bare = _unwrapped(value)
    if bare != value or "#" not in value:
        return bare
    parts, at = [], 0
    while at < len(value) and (part := _PARTS_OF_A_SUM.match(value, at)) and part.end() > at:
        name = part["name"]
        parts.append(strings.get(name.lower(), name) if name else part["quoted"] or part["braced"] or "")
        at = part.end()
    return "".join(parts) if at == len(value) else value


def _unwrapped(value: str) -> str:
    """The value without the braces or quotes around all of it."""
    entry = Entry("misc", "key", [Field("value", value)])
    RemoveEnclosingMiddleware().transform_entry(entry, None)  # type: ignore[arg-type]  # it looks at the entry alone
    return str(entry.fields[0].value)


_DECODER = LatexDecodingMiddleware(keep_braced_groups=False, keep_math_mode=True)


def _decoded(value: str) -> str:
    """Text without braces, accents and commands; formulas stay as they are, and so does what cannot be decoded.

    Exports leave "%" bare in abstracts, where LaTeX would drop the rest of the line.
    """
    if not _IN_LATEX.search(value) or len(value) > MAX_DECODED:
        return value
    value = _ABOUT.sub(r"$\\sim$", value)
    plain = _SIGN.sub(lambda found: "<" if found[1] == "less" else ">", _CITATION.sub("", value))
    entry = Entry("misc", "key", [Field("value", _SPECIAL.sub(r"\\\1", plain))])
    decoded = _DECODER.transform_entry(entry, None)  # type: ignore[arg-type]  # it looks at the entry alone
    return one_line(str(entry.fields[0].value)) if isinstance(decoded, Entry) else value


def _authors(names: str) -> tuple[tuple[str, ...], bool]:
    """Names with the given name first, and whether the list is whole: "and others" says that it is not."""
    found, is_whole = [], True
    for name in split_multiple_persons_names(names[:MAX_DECODED]):
        if name.casefold() in ("others", "et al.", "et al"):
            is_whole = False
        elif name.casefold() != "and" and len(name) <= _LONGEST_NAME and (person := _person(name)):
            found.append(person)
    return tuple(found), is_whole and len(names) <= MAX_DECODED


def _person(name: str) -> str:
    return _decoded(parse_single_name_into_parts(name, strict=False).merge_first_name_first) if name.strip() else ""


def _arxiv_id(values: _Values) -> str | None:
    """From eprint, where the archive is arXiv or is not named, or from an address or "arXiv:..." in other fields."""
    archive = values.raw("archiveprefix", "eprinttype").casefold()
    if archive in ("", "arxiv") and (found := read_arxiv_id(values.raw("eprint"))):
        return found
    others = (
        values.text(name)
        for name in ("arxivid", "arxiv", "url", "doi", "journal", "journaltitle", "note", "howpublished", "number")
    )
    return next((found for value in others if (found := read_arxiv_id(value) if _names_arxiv(value) else None)), None)


def _names_arxiv(value: str) -> bool:
    return "arxiv" in value.casefold() or re.fullmatch(r"\d{4}\.\d{4,5}(?:v\d+)?", value) is not None


def _code_links(values: _Values) -> tuple[CodeLink, ...]:
    """Repositories in the fields for addresses, and links in the notes. The address of an entry is mostly the paper's page."""
    named = [
        link for name in _LINK_FIELDS if (link := code_link(values.text(name), said_in=name)) and link.kind != "page"
    ]
    noted = [link for name in _TEXTS_WITH_LINKS for link in links_in(values.text(name), name)]
    return group_links(named, noted)
