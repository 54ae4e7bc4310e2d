"""Titles, labels, abstracts and snippets as a page prints them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django import template
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from papers.models import Claim
from papers.vocabulary import label_of

register = template.Library()
register.filter("label", label_of)

_GREEK = {
    **{"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ"},
    **{"iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ"},
    **{"tau": "τ", "upsilon": "υ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω"},
}
_SYMBOLS = {
    **_GREEK,
    **{name.capitalize(): letter.upper() for name, letter in _GREEK.items()},
    **{"times": "×", "sim": "~", "approx": "≈", "infty": "∞", "to": "→", "rightarrow": "→", "leq": "≤", "geq": "≥"},
    **{"cdot": "·", "ell": "ℓ", "pm": "±", "ldots": "…", "nabla": "∇", "le": "≤", "ge": "≥"},
}
_FUNCTIONS = frozenset({"log", "exp", "max", "min", "sin", "cos", "tanh"})
_SUPERSCRIPT = str.maketrans("0123456789n+-", "⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ⁺⁻")
_RAISED = re.compile(r"\^(?:\{([0-9n+-]+)\}|([0-9n+-]))")
_COMMAND = re.compile(r"\\([A-Za-z]+)\s*")
_ACCENT = re.compile(r"\\[\"'`^~=.]\{?([A-Za-z])\}?")
_ESCAPED = re.compile(r"\\([%&#_$])")


def _printed(command: re.Match[str]) -> str:
    if command[1] not in _FUNCTIONS:
        return _SYMBOLS.get(command[1], "")
    return command[1] + (" " if command.string[command.end() :][:1].isalnum() else "")


@register.filter
def plain_title(title: str) -> str:
    """A title without LaTeX: formulas become the letters they print, grouping and font commands go."""
    if not any(sign in title for sign in "\\$^{"):
        return title
    text = _ESCAPED.sub(r"\1", _ACCENT.sub(r"\1", title))
    text = _RAISED.sub(lambda m: (m[1] or m[2]).translate(_SUPERSCRIPT), text)
    text = _COMMAND.sub(_printed, text)
    return re.sub(r"\s+", " ", re.sub(r"[${}]", "", text)).strip()


@register.filter
def inline_label(value: str) -> str:
    """A label inside a sentence: "latency", but "FLOPs" and "KV cache"."""
    words = label_of(value)
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]


@register.filter
def spaced(value: str) -> str:
    """A key such as "out-of-memory" or "INCORRECT_SHAPE" as words."""
    return value.replace("-", " ").replace("_", " ").lower().capitalize()


@register.filter
def item(values: Mapping[Any, Any], key: Any) -> Any:
    """The value under a key that is itself a variable; nothing where there is none."""
    return values.get(key, "")


QUALITY = {
    "relative_l2": "relative L2 error at most",
    "cosine": "cosine similarity at least",
    "topk_overlap": "top-k overlap at least",
    "kl": "KL divergence at most",
}


@register.filter
def quality_words(measure: str) -> str:
    return QUALITY.get(measure, spaced(measure))


@register.filter
def training_words(training_free: bool | None) -> str:
    return {True: "Applies without training", False: "Needs training"}.get(training_free, "Not stated")  # type: ignore[arg-type]


# ── the claims in an abstract ───────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Span:
    """A claim's place in the text; `number` is what the reader finds at its row."""

    start: int
    end: int
    number: int
    key: int


def spans_of(text: str, claims: Iterable[Claim]) -> list[Span]:
    """Where each claim stands. One whose quote is elsewhere is found again; one that is nowhere gets no mark."""
    found = []
    for number, claim in enumerate(claims, 1):
        start, end = claim.start, claim.end
        if start is None or end is None:
            continue
        if claim.quote and text[start:end] != claim.quote:
            start = text.find(claim.quote)
            end = start + len(claim.quote)
        if 0 <= start < end <= len(text):
            found.append(Span(start, end, number, claim.pk))
    return found


def mark_spans(text: str, spans: list[Span]) -> SafeString:
    """Text with each span marked and linked to its row. Spans may overlap or nest.

    The text is cut at every border; a piece that belongs to several claims links to the shortest of them, and each
    claim's number stands at the end of its span, so that none is hidden.
    """
    borders = sorted({0, len(text), *(s.start for s in spans), *(s.end for s in spans)})
    pieces: list[SafeString] = []
    for start, end in pairwise(borders):
        piece = conditional_escape(text[start:end])
        around = [s for s in spans if s.start <= start and end <= s.end]
        if around:
            inner = min(around, key=lambda s: (s.end - s.start, s.number))
            deep = " claim-mark-deep" if len(around) > 1 else ""
            keys = " ".join(str(span.key) for span in around)
            html = '<mark class="claim-mark{}" data-claims="{}"><a href="#claim-{}">{}</a></mark>'
            piece = format_html(html, deep, keys, inner.key, piece)
        pieces.append(piece)
        for span in sorted((s for s in spans if s.end == end), key=lambda s: s.number):
            html = '<sup class="claim-number" id="span-{}" data-claims="{}"><a href="#claim-{}" aria-label="claim {}">{}</a></sup>'
            pieces.append(format_html(html, span.key, span.key, span.key, span.number, span.number))
    return mark_safe("".join(pieces))  # noqa: S308 - every piece was escaped above


@register.simple_tag
def abstract_with_claims(text: str, claims: Iterable[Claim]) -> SafeString:
    return mark_spans(text, spans_of(text, claims))


@register.simple_tag
def abstract_with_evidence(text: str, claim: Claim | None, others: Iterable[Claim] = ()) -> SafeString:
    """The abstract with the words of one claim marked strongly, and those of the others lightly. No links."""
    ours = spans_of(text, [claim] if claim else [])
    light = spans_of(text, others)
    borders = sorted({0, len(text), *(s.start for s in ours + light), *(s.end for s in ours + light)})
    pieces: list[SafeString] = []
    for start, end in pairwise(borders):
        piece = conditional_escape(text[start:end])
        if any(s.start <= start and end <= s.end for s in ours):
            piece = format_html('<mark class="claim-mark claim-mark-deep">{}</mark>', piece)
        elif any(s.start <= start and end <= s.end for s in light):
            piece = format_html('<mark class="claim-mark claim-mark-light">{}</mark>', piece)
        pieces.append(piece)
    return mark_safe("".join(pieces))  # noqa: S308 - every piece was escaped above


@register.simple_tag
def title_with_differences(title: str, words: Iterable[str]) -> SafeString:
    """A title whose words that the other title lacks are marked."""
    differing = set(words)
    pieces = re.split(r"([^\W_]+)", plain_title(title))
    return mark_safe(  # noqa: S308 - every piece is escaped here
        "".join(
            format_html("<mark>{}</mark>", piece) if piece.casefold() in differing else conditional_escape(piece)
            for piece in pieces
        )
    )


_BACKTICKS = re.compile(r"`([^`]+)`")


@register.filter
def with_code(words: str) -> SafeString:
    """A sentence of the API's schema; what stands between backticks is code."""
    return mark_safe(_BACKTICKS.sub(r"<code>\1</code>", str(conditional_escape(words))))  # noqa: S308 - escaped before


@register.filter
def marked(snippet: Iterable[tuple[str, bool]]) -> SafeString:
    """A search snippet, its matching words in `<mark>`."""
    return mark_safe(  # noqa: S308 - every piece is escaped here
        "".join(format_html("<mark>{}</mark>", t) if hit else conditional_escape(t) for t, hit in snippet)
    )
