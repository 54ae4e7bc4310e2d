"""Addresses of code, models and project pages in an abstract, cleaned of punctuation and of what LaTeX and line breaks leave.

Read as one address: `\\url{https://a.b/c}`, `https://a.b/c{https://a.b/c}`, `https://a.b/c\\_d`, `https: //a.b/c`, `https://a.b /c`,
`https://a.b/c- d/e`, and well-known hosts without "https://".
"""

from __future__ import annotations

import re

from .text import Document
from .words import trigger

_HOSTS = (
    r"(?:[\w-]+\.)?(?:github\.com|github\.io|gitlab\.com|huggingface\.co|bitbucket\.org|gitee\.com|kaggle\.com|modelscope\.cn|zenodo\.org"
    r"|sites\.google\.com|colab\.research\.google\.com|anonymous\.4open\.science|(?:[\w-]+\.)+(?:edu|ac\.uk)|bit\.ly|tinyurl\.com|goo\.gl|hf\.co)"
)
_URL = re.compile(
    rf"(?:https?://|www\.|(?<![\w/.@-]){_HOSTS}/)[^\s{{}}<>\"|\\^`“”‘’]+|(?<![\w/.@-])[\w-]+\.github\.io\b", re.I
)
_MAY_LINK = trigger(
    "http https www github gitlab huggingface bitbucket gitee kaggle modelscope zenodo sites colab 4open ly tinyurl goo hf edu uk"
)
"""Words of which a sentence must hold one to begin an address."""
_ESCAPED = re.compile(r"\\+([_%#&~])")
_BROKEN = (
    (re.compile(r"\b(https?)\s*:\s?/\s?/\s?(?=\w)", re.I), r"\1://"),
    (
        re.compile(
            r"((?:https?://|\b)(?:www\.)?(?:github|gitlab|huggingface|bitbucket))\s?\.\s?(com|co|org)\s?/\s?(?=\w)",
            re.I,
        ),
        r"\1.\2/",
    ),
    (re.compile(r"((?:https?://|\bgithub\.com/)[^\s{}]*[\w]-)\s(?=[A-Z\d][\w.-]*/\w)"), r"\1"),
)
_MAY_BE_BROKEN = re.compile(r"[/:]\s?[/:]?\s/|/\s|[ab]\s?\.\s|[abet]\s\.|\s/|\w-\s")
"""Blanks that line breaks have left inside an address. A hyphen at a line's end goes on only if a path follows."""
_TRAILING = ".,;:!?'*_-"
_PAIRS = {")": "(", "]": "["}


def find_code_urls(document: Document) -> tuple[str, ...]:
    """Each address of the abstract once, in order of appearance, with a scheme."""
    if not document.triggers & _MAY_LINK:
        return ()
    # Addresses stand at the end as a rule, so only what follows the first sentence with one is searched.
    start = next((sentence.start for sentence in document.sentences if sentence.triggers & _MAY_LINK), 0)
    return addresses_in(document.abstract[start:])


def addresses_in(text: str) -> tuple[str, ...]:
    """Each address of a text once, in order of appearance, with a scheme."""
    if "\\" in text:
        text = _ESCAPED.sub(r"\1", text)
    if _MAY_BE_BROKEN.search(text):
        for pattern, whole in _BROKEN:
            text = pattern.sub(whole, text)
    found: dict[str, str] = {}
    for match in _URL.finditer(text):
        url = _clean(match[0])
        if not url.lower().startswith("http"):
            url = "https://" + url
        if len(url) > len("https://a.b"):
            found.setdefault(_key(url), url)
    return tuple(found.values())


def _key(url: str) -> str:
    return re.sub(r"^https?://(?:www\.)?", "", url.lower()).rstrip("/").removesuffix(".git")


def _clean(url: str) -> str:
    """The address without a second one that follows it at once, and without marks and brackets that end a sentence."""
    for scheme in ("http://", "https://"):
        second = url.find(scheme, 8)
        if second > 0 and url[second - 1] not in "=?&/":
            url = url[:second]
    # Counted once: an address may end in as many brackets as someone cares to write.
    surplus = {closer: url.count(closer) - url.count(opener) for closer, opener in _PAIRS.items()}
    end = len(url)
    while end and (url[end - 1] in _TRAILING or surplus.get(url[end - 1], 0) > 0):
        surplus[url[end - 1]] = surplus.get(url[end - 1], 0) - 1
        end -= 1
    return url[:end]
