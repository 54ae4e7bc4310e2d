"""Tokens of one sentence, with offsets into the abstract.

Flattened formulas are undone here and nowhere else: `2times`, `$2\\times$`, `2x` and `2X` are the number 2 with the
suffix "x"; `30\\%` is 30 with "%"; `sim2`, `~2` and `\\approx 2` are "~" and 2; `\\textless2MB` is "<" and 2 with
"MB". Words that only contain digits (ResNet-50, 8-bit, 3D, 256x256) are identifiers, so that no later rule takes
them for a value.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .units import ATTACHED_UNITS

_TIMES = r"(?:\$?\s?\{?\\?times\}?|-times|\$?\s?\{?×\}?|[xX])"
_GLUE = r"\s?(?:\\?sim(?:eq)?|\\?~|\\?approx)"
_NUMBER = r"\d{1,3}(?:[ ]\d{3})+(?=\s?(?:\\?times|x)\b)|\d{1,3}(?:\{?,\}?\d{3})+(?:\.\d+)?|10\s?\^\s?\{?\d\}?|\d+(?:\.\d+)?|(?<![\w.])\.\d+"
_ATTACHED = "|".join(sorted(map(re.escape, ATTACHED_UNITS), key=len, reverse=True))
TOKEN = re.compile(
    rf"""
    \s*+(?:
    (?P<run>(?:(?!sim|approx|leq|geq|text|http|www)[A-Za-z]++(?:-[A-Za-z]++)*+\s)++)
  | (?P<plain>(?!sim|approx|leq|geq|text|http|www)[A-Za-z]++(?:-[A-Za-z]++)*+(?=[,;:)]|$|\.(?:\s|$)))
  | (?P<url>https?://\S+|www\.\S+|\[email\S*\sprotected\])
  | (?P<dims>\d+(?:\.\d+)?(?:\s?(?:x|X|×|\*)\s?|\$?\\?times\s?|\$?\s\\times\s)\d+(?!\d*\.?\d*\s?(?:x|times)\b)[\w.]*)
  | \$(?P<money>{_NUMBER})(?=[\s,;.)]|[kKM]\b)(?![^$\s]*\$)
  | (?:[xX×]|\$?\\times\s?)(?P<led>\d+(?:\.\d+)?)(?![\w.]*\w)\$?
  | (?P<num>{_NUMBER})(?P<plus>\+(?=[\s\d\\%xX×A-Za-z]))?
      (?:\}}?(?P<factor>\s?\$?{_TIMES}(?![A-Za-z0-9])|{_TIMES}(?={_GLUE})|\s?[-–]?\s?folds?\b)\$?
        |\$?(?P<percent>\s?(?:\\,)?\\?%|\s?-?per\s?cent\b)\$?
        |(?:\s|-(?=(?:bytes?|[fF][pP][sS]|ms|[MG]B)\b))?(?P<unit>{_ATTACHED})(?![A-Za-z0-9&])
        |(?P<scale>[kKMBGT]|bn|mn)(?![A-Za-z0-9])
        |(?P<tail>-?(?!(?:sim|fold|to)\b)[A-Za-z][\w-]*)
      )?
  | (?P<near>\\?(?:simeq|sim|approx)(?=[\s\d.$\\~}}])|\\?~|≈|∼)
  | (?P<rel>\\?(?:leqslant|geqslant|leq|geq|textless|textgreater)(?=[\s\d$])|[<>≤≥])
  | (?P<word>[^\W\d_](?:[\w]|['’+.&](?=[^\W_])|-(?=\w))*)
  | (?P<dash>--+|[-–—−])
  | (?P<skip>(?:[\s\\{{}}]|\$(?!\d))+|\$)
  | (?P<sym>.)
    )
    """,
    re.X | re.S,
)
_OF_NUMBER = frozenset({"num", "plus", "factor", "percent", "unit", "scale", "tail"})
_UNGROUPED = str.maketrans("", "", ", {}")
_SUFFIX = {"factor": "x", "percent": "%"}
_REL = {"leq": "<", "leqslant": "<", "textless": "<", "<": "<", "≤": "<"}


class Token(NamedTuple):
    """`kind`: num, word, ident, url, dims, near, rel, dash or sym. `low`: the lower-case text, or a number's digits,
    with "+" behind them for "10+%".

    `suffix` of a number is "x", "%", an attached unit ("ms"), a scale ("M"), "$" or "".
    """

    kind: str
    low: str
    suffix: str
    start: int
    end: int


def _digits(written: str) -> str:
    """The digits of a number without what groups them; "10^3" is 1000."""
    plain = written.translate(_UNGROUPED)
    base, _, power = plain.partition("^")
    return str(int(base) ** int(power)) if power else plain


def tokenize(text: str, offset: int = 0) -> list[Token]:
    """Tokens of `text`; `offset` is added to their places."""
    tokens: list[Token] = []
    new = tuple.__new__
    for match in TOKEN.finditer(text.rstrip()):
        kind = match.lastgroup or "sym"
        if kind == "run":
            # Words that one blank parts are cut here, many at once, as most of a sentence is made of them.
            start = match.start("run") + offset
            for low in match["run"].lower().split():
                end = start + len(low)
                tokens.append(new(Token, ("word", low, "", start, end)))
                start = end + 1
            continue
        if kind == "skip":
            continue
        suffix = ""
        if kind in _OF_NUMBER:
            start, end = match.start("num"), match.end()
            if kind == "tail":
                kind, low = "ident", text[start:end].lower()
            else:
                low = _digits(match["num"]) + (match["plus"] or "")
                kind, suffix = "num", _SUFFIX.get(kind) or match["unit"] or match["scale"] or ""
        else:
            start, end = match.span(kind)
            low = match[kind].lower()
            if kind == "plain":
                kind = "word"
            elif kind == "near":
                low = "~"
            elif kind == "rel":
                low = _REL.get(low.lstrip("\\"), ">")
            elif kind == "money":
                kind, low, suffix, start = "num", _digits(low), "$", start - 1
            elif kind == "led":
                kind, suffix, (start, end) = "num", "x", match.span()
                start += len(match[0]) - len(match[0].lstrip())
        tokens.append(new(Token, (kind, low, suffix, start + offset, end + offset)))
    return tokens
