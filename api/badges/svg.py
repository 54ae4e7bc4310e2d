"""A badge as SVG: two boxes with words, no font but the reader's own, no style or script."""

import re
from html import escape

from api.badges.words import Badge

_HEIGHT, _PAD, _SIZE = 20, 7, 11
_NARROW, _WIDE = frozenset("iljtfI.,:;'|!()[] "), frozenset("mwMW@%×")
_NOT_IN_XML = re.compile(r"[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def width_of(text: str) -> int:
    """About as wide as a sans-serif sets it; `textLength` makes it exact whatever the font."""
    units = sum(4.0 if sign in _NARROW else 9.5 if sign in _WIDE else 6.8 if sign < "\u2e80" else 11.5 for sign in text)
    return max(8, round(units))


def as_svg(badge: Badge) -> str:
    label, message = (_NOT_IN_XML.sub("", text) for text in (badge.label, badge.message))
    left, right = width_of(label) + 2 * _PAD, width_of(message) + 2 * _PAD
    title = escape(f"{label}: {message}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HEIGHT}" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<clipPath id="r"><rect width="{left + right}" height="{_HEIGHT}" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="{_HEIGHT}" fill="#24292f"/>'
        f'<rect x="{left}" width="{right}" height="{_HEIGHT}" fill="{escape(badge.colour)}"/></g>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="{_SIZE}" aria-hidden="true">'
        f"{_text(label, _PAD, left)}{_text(message, left + _PAD, right)}</g></svg>\n"
    )


def _text(words: str, x: int, box: int) -> str:
    return f'<text x="{x}" y="14" textLength="{box - 2 * _PAD}" lengthAdjust="spacingAndGlyphs">{escape(words)}</text>'
