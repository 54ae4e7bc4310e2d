"""Addresses of code, checked for form and brought to one spelling, so that links from many sources can be grouped."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from ingest.extraction.code_links import addresses_in
from ingest.sources.base import CodeLink

_LONGEST = 500  # no repository has a longer address; what has is a query that someone copied along
_HOST = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[a-z]{2,24}")
_OWNER = re.compile(r"[a-z0-9][a-z0-9-]{0,38}", re.IGNORECASE)
_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)
_TRACKING = re.compile(r"utm_\w+|ref|ref_src|fbclid|gclid|mc_cid|mc_eid|trk|si", re.IGNORECASE)

# First parts of a path that are the site's own pages and no owner of code.
_NO_OWNER = re.compile(
    r"about|apps|blog|collections|contact|docs|events|explore|features|issues|join|learn|login|marketplace|notifications|orgs"
    r"|papers|pricing|pulls|search|settings|signup|site|sponsors|topics|trending|users",
    re.IGNORECASE,
)
_NO_CODE = (
    "arxiv.org",
    "doi.org",
    "creativecommons.org",
    "paperswithcode.com",
    "semanticscholar.org",
    "openreview.net",
)
_HUGGING_FACE_KINDS = frozenset(("datasets", "spaces", "collections"))
_KAGGLE_KINDS = frozenset(("code", "datasets", "models", "competitions", "kernels"))
_INSIDE = re.compile(
    r"tree|blob|raw|edit|commits?|issues|pulls?|releases|wiki|src|actions|discussions|resolve|branches|tags|-"
)

_BORROWED = re.compile(
    r"\b(?:buil(?:t|ds?|ding)|based|rel(?:y|ies|ying)|on top|fork(?:ed|s)?|borrow\w*|adapt(?:ed|s)?|modif\w+|extends?|compar\w+)\b"
    r"[^.!?]{0,60}$",
    re.IGNORECASE,
)
_RELEASE_WORDS = re.compile(
    r"\b(?:codes?|project|software|implementations?|repositor(?:y|ies)|repo|models?|weights|data|datasets?|demos?|web ?(?:site|page)|page)\b"
    r"[^.!?]{0,80}$",
    re.IGNORECASE,
)
_ONE_CASE = frozenset(("github", "gitlab", "bitbucket"))  # they do not tell upper from lower case
_ORDER = {"github": 0, "gitlab": 0, "bitbucket": 0, "huggingface": 1, "kaggle": 1, "colab": 1, "page": 2}


def code_link(address: str, *, official: bool | None = None, framework: str = "", said_in: str = "") -> CodeLink | None:
    """The link that a field of a source holds; None where it is no address of code or of a page about it."""
    text = address.strip()
    if text and not text.lower().startswith(("http://", "https://")):
        text = f"https://{text}"
    found = addresses_in(text[: 4 * _LONGEST])
    known = _canonical(found[0]) if found else None
    if known is None or len(known[0]) > _LONGEST:
        return None
    url, kind = known
    url = url.lower() if kind in _ONE_CASE else url
    return CodeLink(url, kind, official, framework, said_in, "" if _same(found[0], url) else found[0])


def links_in(text: str, said_in: str) -> tuple[CodeLink, ...]:
    """Links of an abstract or of the authors' comment, official unless the sentence says that it builds on them.

    In a comment, which also names the pages of conferences, a page counts only where a word such as "code" stands before it.
    """
    links = []
    lower, behind = text.lower(), 0
    for address in addresses_in(text):
        bare = address.lower().removeprefix("https://").removeprefix("http://")
        at = max(behind, lower.find(bare, behind))
        before, behind = text[max(0, at - 120) : at], at
        link = code_link(address, official=True, said_in=said_in)
        if link is None:
            continue
        before = before.removesuffix("https://").removesuffix("http://")
        if link.kind == "page" and said_in != "abstract" and not _RELEASE_WORDS.search(before):
            continue
        links.append(replace(link, official=None) if _BORROWED.search(before) else link)
    return tuple(links)


def group_links(*sources: Iterable[CodeLink]) -> tuple[CodeLink, ...]:
    """One link for each address: official where any source says so, with every place that named it.

    The authors' own come first, repositories before models and pages, else the order in which they were named.
    """
    grouped: dict[str, CodeLink] = {}
    for link in (link for source in sources for link in source):
        known = grouped.setdefault(link.url, link)
        if known is not link:
            grouped[link.url] = _merge(known, link)
    return tuple(sorted(grouped.values(), key=lambda link: (link.official is not True, _ORDER.get(link.kind, 3))))


def _merge(known: CodeLink, again: CodeLink) -> CodeLink:
    said = [known.official, again.official]
    places = dict.fromkeys(place for link in (known, again) for place in link.said_in.split(", ") if place)
    return replace(
        known,
        official=True if True in said else False if False in said else None,
        framework=known.framework or again.framework,
        said_in=", ".join(places),
        original=known.original or again.original,
    )


def _kind(host: str) -> str:
    if host in ("github.com", "gist.github.com", "raw.githubusercontent.com"):
        return "github"
    if host == "gitlab.com" or host.startswith("gitlab."):
        return "gitlab"
    kinds = {"bitbucket.org": "bitbucket", "kaggle.com": "kaggle", "colab.research.google.com": "colab"}
    return "huggingface" if host in ("huggingface.co", "hf.co") else kinds.get(host, "page")


def _canonical(address: str) -> tuple[str, str] | None:
    """The one spelling of an address, and what kind of place it is."""
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").rstrip(".").removeprefix("www."), parts.port
    except ValueError:  # a bracket or a port that is none
        return None
    if not _HOST.fullmatch(host) or parts.username or port not in (None, 80, 443) or len(address) > _LONGEST:
        return None
    if any(host == site or host.endswith(f".{site}") for site in _NO_CODE):
        return None
    kind = _kind(host)
    steps = [step for step in parts.path.split("/") if step]
    if kind == "page":
        return _page(host, parts), kind
    if kind == "colab":
        return (f"https://{host}/{'/'.join(steps)}", kind) if len(steps) >= 2 else None
    kept = list(
        {"github": _github, "kaggle": _kaggle, "huggingface": _hugging_face}.get(kind, _repository)(host, steps)
    )
    host = {"hf.co": "huggingface.co", "raw.githubusercontent.com": "github.com"}.get(host, host)
    if not kept or not all(_NAME.fullmatch(step) and step.strip(".") for step in kept):
        return None
    # An owner without a repository is a page about the people, not code.
    alone = len(kept) == 1 and kind != "huggingface"
    return f"https://{host}/{'/'.join(kept)}", "page" if alone else kind


def _repository(host: str, steps: list[str]) -> Iterator[str]:
    """Owner, groups and name; what lies inside the repository is cut off."""
    if not steps or _NO_OWNER.fullmatch(steps[0]) or not _OWNER.fullmatch(steps[0].replace("_", "-").replace(".", "-")):
        return
    depth = len(steps) if host.startswith("gitlab") else 2
    for position, step in enumerate(steps[:depth]):
        if position >= 2 and _INSIDE.fullmatch(step):
            return
        yield step.removesuffix(".git")


def _github(host: str, steps: list[str]) -> Iterator[str]:
    if not steps or _OWNER.fullmatch(steps[0]):
        yield from _repository(host, steps)


def _hugging_face(host: str, steps: list[str]) -> Iterator[str]:
    if steps and steps[0] in _HUGGING_FACE_KINDS:
        if len(steps) >= 3:
            yield from steps[:3]
    else:
        yield from _repository(host, steps)


def _kaggle(_host: str, steps: list[str]) -> Iterator[str]:
    if len(steps) >= 2:
        yield from steps[: 3 if steps[0] in _KAGGLE_KINDS else 2]


def _page(host: str, parts: SplitResult) -> str:
    query = [
        (name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.fullmatch(name)
    ]
    route = f"#{parts.fragment}" if parts.fragment.startswith(("/", "!")) else ""  # the page of a page made by script
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/").removesuffix("/index.html")
    return f"https://{host}{path}{'?' + urlencode(query) if query else ''}{route}"


def _same(given: str, url: str) -> bool:
    """Whether the address as it was given says no more than the canonical one."""
    plain = given.partition("://")[2].removeprefix("www.").partition("#")[0].partition("?")[0]
    host, _, path = plain.rstrip("/").removesuffix(".git").removesuffix("/index.html").partition("/")
    host = {"hf.co": "huggingface.co"}.get(host.lower().removeprefix("www."), host.lower().removeprefix("www."))
    return f"{host}/{path}".rstrip("/") == url.removeprefix("https://").partition("?")[0].partition("#")[0]
