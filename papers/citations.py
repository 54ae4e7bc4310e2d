"""How to cite a paper: plain text, BibTeX, CSL-JSON and RIS, from what is known of it. Nothing that is not known is made up."""

import re
import unicodedata
from typing import Any

from bibtexparser.library import Library
from bibtexparser.middlewares import BlockMiddleware, LatexEncodingMiddleware
from bibtexparser.model import Entry, Field
from bibtexparser.writer import write

from papers.models import Paper
from papers.templatetags.text import plain_title

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_SMALL_WORDS = frozenset(("a", "an", "the", "on", "in", "of", "for", "to", "towards", "with", "and"))
MOST_NAMED = 10
MEDIA_TYPES = {
    "bib": "application/x-bibtex; charset=utf-8",
    "json": "application/vnd.citationstyles.csl+json",
    "ris": "application/x-research-info-systems; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}


def _line(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())


def _address(paper: Paper, here: str) -> str:
    if paper.doi:
        return f"https://doi.org/{paper.doi}"
    return f"https://arxiv.org/abs/{paper.arxiv_id}" if paper.arxiv_id else here


def _year(paper: Paper) -> int | None:
    return paper.published_on.year if paper.published_on else paper.year


def citation_key(paper: Paper) -> str:
    """Such as "dao2022flashattention": letters and digits only."""
    family = paper.authors[0].split(",")[0].split()[-1:] if paper.authors else []
    words = [
        word for word in re.split(r"\W+", plain_title(paper.title)) if word.casefold() not in _SMALL_WORDS and word
    ]
    parts = [*family, str(_year(paper) or ""), *words[:1]]
    plain = unicodedata.normalize("NFKD", "".join(parts)).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]", "", plain).lower() or f"paper{paper.pk}"


def as_text(paper: Paper, here: str) -> str:
    """One line for a list of references: who, when, what, where; what is not known is left out."""
    names = [_line(name) for name in paper.authors[:MOST_NAMED]]
    if len(names) < max(len(paper.authors), paper.author_count or 0):
        who = ", ".join([*names, "et al."]) if names else ""
    else:
        who = ", ".join([*names[:-2], " and ".join(names[-2:])])
    year = _year(paper)
    when = f"({year})" if year else ""
    title = _line(plain_title(paper.title))
    ids = [f"arXiv:{paper.arxiv_id}"] if paper.arxiv_id else []
    parts = [" ".join(part for part in (who, when) if part), title, *ids]
    closed = [part if part[-1] in ".?!" else f"{part}." for part in parts if part]
    return " ".join([*closed, _address(paper, here)])


class _KeepCapitals(BlockMiddleware):
    """A second pair of braces around the title."""

    def transform_entry(self, entry: Entry, *args: Any, **kwargs: Any) -> Entry:
        entry.fields_dict["title"].value = f"{{{entry.fields_dict['title'].value}}}"
        return entry


def as_bibtex(paper: Paper, here: str) -> str:
    # BibTeX counts braces whether they are escaped or not.
    title = _line(plain_title(paper.title)).replace("{", "(").replace("}", ")")
    names = [_line(name).replace("{", "(").replace("}", ")").replace(" and ", " & ") for name in paper.authors]
    fields = [Field("title", title)]
    if names:
        others = paper.author_count is not None and paper.author_count > len(names)
        fields.append(Field("author", " and ".join([*names, *(["others"] if others else [])])))
    if year := _year(paper):
        fields.append(Field("year", str(year)))
    plain: list[Field] = []  # addresses and ids are not LaTeX
    if paper.doi:
        plain.append(Field("doi", paper.doi))
    if paper.arxiv_id:
        plain += [Field("eprint", paper.arxiv_id), Field("archiveprefix", "arXiv")]
    plain.append(Field("url", _address(paper, here)))
    entry = Entry("misc", citation_key(paper), fields)
    library = Library([entry])
    for step in (LatexEncodingMiddleware(), _KeepCapitals()):
        library = step.transform(library)
    done = library.entries[0]
    for field in plain:
        done.set_field(field)
    for field in done.fields:
        field.value = f"{{{field.value}}}"
    return str(write(library))


def as_csl(paper: Paper, here: str) -> dict[str, Any]:
    """One item; names are literal, since nobody said which part of them is the family name."""
    item: dict[str, Any] = {
        "id": citation_key(paper),
        "type": "article",
        "title": _line(plain_title(paper.title)),
        "URL": _address(paper, here),
    }
    if paper.authors:
        item["author"] = [{"literal": _line(name)} for name in paper.authors]
    if paper.published_on:
        day = paper.published_on
        item["issued"] = {"date-parts": [[day.year, day.month, day.day]]}
    elif paper.year:
        item["issued"] = {"date-parts": [[paper.year]]}
    if paper.doi:
        item["DOI"] = paper.doi
    if paper.arxiv_id:
        item |= {"number": f"arXiv:{paper.arxiv_id}", "archive": "arXiv"}
    return item


def as_ris(paper: Paper, here: str) -> str:
    lines = [("TY", "UNPB" if not paper.doi else "GEN"), ("TI", _line(plain_title(paper.title)))]
    lines += [("AU", _line(name)) for name in paper.authors]
    if year := _year(paper):
        lines.append(("PY", str(year)))
    if paper.published_on:
        lines.append(("DA", paper.published_on.strftime("%Y/%m/%d")))
    if paper.doi:
        lines.append(("DO", paper.doi))
    if paper.arxiv_id:
        lines.append(("M1", f"arXiv:{paper.arxiv_id}"))
    lines += [("UR", _address(paper, here)), ("ER", "")]
    return "".join(f"{tag}  - {text}\r\n" for tag, text in lines)
