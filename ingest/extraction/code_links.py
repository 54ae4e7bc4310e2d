"""Addresses of code, models and project pages in an abstract, cleaned of punctuation and of LaTeX's doubled links."""

from __future__ import annotations

import re

_URL = re.compile(
    r"(?:https?://|www\.|(?<![\w/.])(?:github\.com|huggingface\.co|gitlab\.com|bit\.ly)/)[^\s{}<>\"|\\^`]+", re.I
)
_STARTS = ("http://", "https://", "www.", "github.com/", "huggingface.co/", "gitlab.com/", "bit.ly/")
_TRAILING = ".,;:!?'*_"
_PAIRS = {")": "(", "]": "["}


def find_code_urls(abstract: str) -> tuple[str, ...]:
    """Each address once, in order of appearance, with a scheme."""
    lower = abstract.lower()
    starts = [at for start in _STARTS if (at := lower.find(start)) >= 0]
    if not starts:
        return ()
    found: dict[str, str] = {}
    for match in _URL.finditer(abstract, min(starts) if len(lower) == len(abstract) else 0):
        url = _clean(match[0])
        if not url.startswith("http"):
            url = "https://" + url
        if len(url) > len("https://a.b"):
            found.setdefault(url.lower().rstrip("/").removesuffix(".git"), url)
    return tuple(found.values())


def _clean(url: str) -> str:
    for scheme in ("http://", "https://"):
        second = url.find(scheme, 8)
        if second > 0:
            url = url[:second]
    # Counted once: an address may end in as many brackets as someone cares to write.
    surplus = {closer: url.count(closer) - url.count(opener) for closer, opener in _PAIRS.items()}
    end = len(url)
    while end and (url[end - 1] in _TRAILING or surplus.get(url[end - 1], 0) > 0):
        surplus[url[end - 1]] = surplus.get(url[end - 1], 0) - 1
        end -= 1
    return url[:end]
