"""Links to a paper's code as a page shows them: the authors' own, and what others offer."""

from dataclasses import dataclass

from papers.models import CodeLink, Paper, Technique


@dataclass(frozen=True)
class ShownLink:
    url: str
    words: str
    framework: str
    said_by: tuple[str, ...]


def code_groups(paper: Paper, technique: Technique | None) -> dict[str, list[ShownLink]]:
    """ "official" and "other" links. An address in the abstract is the authors' own word. Reads what was prefetched."""
    groups: dict[str, list[ShownLink]] = {"official": [], "other": []}
    links = list(paper.code_links.all())
    in_abstract = [url for url in (technique.code_urls if technique else []) if url.startswith(("http://", "https://"))]
    own = {_key(url) for url in in_abstract}
    for link in links:
        group = "official" if link.official or _key(link.url) in own else "other"
        groups[group].append(_shown(link))
    known = {_key(link.url) for link in links}
    for url in in_abstract:
        if _key(url) not in known:
            groups["official"].append(ShownLink(url, _words(url), "", ("abstract",)))
    return groups


def _shown(link: CodeLink) -> ShownLink:
    return ShownLink(link.original or link.url, _words(link.url), link.framework, tuple(link.said_by))


def _key(url: str) -> str:
    return _words(url).casefold().removesuffix(".git")


def _words(url: str) -> str:
    return url.partition("://")[2].removeprefix("www.").rstrip("/")
