"""Tokens of one sentence, with offsets into the abstract.

Flattened formulas are undone here and nowhere else: `2times`, `$2\\times$`, `2x` and `2X` are the number 2 with the
suffix "x"; `30\\%` is 30 with "%"; `sim2`, `~2` and `\\approx 2` are "~" and 2; `\\textless2MB` is "<" and 2 with
"MB". Words that only contain digits (ResNet-50, 8-bit, 3D, 256x256) are identifiers, so that no later rule takes
them for a value.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..words import folded
from .units import ATTACHED_UNITS

_TIMES = r"(?:\s?\\\(\s?\\times\s?\\\)|\{?\\texttimes\}?|\$?\s?\{?\\?times\}?|-times|\$?\s?\{?×\}?|[xX])"
_GLUE = r"\s?(?:\\?sim(?:eq)?|\\?~|\\?approx)"
_GLUED = "speedups?|speed-ups?|higher|lower|less|more|fewer|smaller|larger|improvements?|acceleration|reductions|compression|throughput|memory"
"""Words that a page may glue to the "times" before them, besides the little ones."""
_NUMBER = r"\d{1,3}(?:[ ]\d{3})+(?=\s?(?:\\?times|x)\b)|\d{1,3}(?:\{?,\}?\d{3})+(?:\.\d+)?|(?:\d(?:\.\d+)?\s?(?:x|×|\\?times|\\cdot)\s?)?10\s?\^\s?\{?\d{1,2}\}?|\d+(?:\.\d+)?|(?<![\w.])\.\d+"
_ATTACHED = "|".join(sorted(map(re.escape, ATTACHED_UNITS), key=len, reverse=True))
TOKEN = re.compile(
    rf"""
    \s*+(?:
    (?P<run>(?:(?!sim|approx|leq|geq|text|http|www)[A-Za-z]++(?:-[A-Za-z]++)*+\s)++)
  | (?P<plain>(?!sim|approx|leq|geq|text|http|www)[A-Za-z]++(?:-[A-Za-z]++)*+(?=[,;:)]|$|\.(?:\s|$)))
  | (?P<sym>[,;)])
  | (?P<wrap>\\[!,;:]|</?(?:b|i|em|strong|sup|sub|p|br)\s?/?>|\((?:[A-Z][A-Za-z]{{0,7}}[A-Z]s?|[A-Z]{{2,3}})\)|\\?(?:text(?:bf|it|tt|sc|rm|sf)|math(?:bf|rm|it|sf|cal)|emph|boldsymbol|underline|textcolor\{{\w+\}})(?=[\s\d.{{])\{{?)
  | (?P<url>https?://\S+|www\.\S+|\[email\S*\sprotected\])
  | (?P<dims>\d+(?:\.\d+)?(?:\s?(?:x|X|×|\*)\s?|\$?\\?times\s?|\{{\\?times\}}|\$?\s\\times\s)(?!10\s?\^)\d+(?!\d*\.?\d*\s?(?:x|times)\b)[\w.]*)
  | \$(?<!approx\$)(?<!sim\$)(?<![<>~≈∼]\$)(?P<money>{_NUMBER})(?=[\s;)]|[.,](?!\d)|[kKM]\b)(?![^$\s]*\$)(?!\s?[\\~])
  | (?:[xX×]|\$?\\times\s?)(?P<led>\d+(?:\.\d+)?)(?![\w.]*\w)\$?
  | (?P<num>{_NUMBER})(?P<plus>\+(?=[\s\d\\%xX×A-Za-z]))?
      (?:\}}?(?P<factor>×(?P=num)\\times|\s?\$?{_TIMES}(?![A-Za-z0-9])|{_TIMES}(?={_GLUE}|(?:without|with|while|when|over|than|compared|faster|speed|for|and|on|reduction|{_GLUED})\b)|\s?[-–]?\s?folds?\b)\$?
        |\$?(?P<percent>%percent\d+\\%\d*\s?%|\s?(?:\\,)?\\?%|\s?-?per\s?cent\b)\$?
        |(?:\s|\\,\s?|\\?~|\$\s?|-(?=(?:bytes?|[fF][pP][sS]|ms|[MG]B|hours?|minutes?|seconds?|milliseconds?|[MGT]FLOPs?|GMACs|m?W|mJ)\b))?(?P<unit>{_ATTACHED})(?![A-Za-z0-9&])
        |(?P<hyphen>-(?=(?:million|billion|thousand)\b))
        |(?P<scale>[kKMBGT]|bn|mn)(?![A-Za-z0-9])
        |(?P<tail>-?(?!(?:sim|fold|to)\b)[A-Za-z][\w-]*)
      )?
  | (?P<near>\\?(?:simeq|sim|approx)(?=[\s\d.$\\~}}])|\\?~|≈|∼)
  | (?P<rel>\\?(?:leqslant|geqslant|leq|geq|textless|textgreater)(?=[\s\d$])|[<>≤≥])
  | (?P<word>[^\W\d_](?:[\w]|['’+.&](?=[^\W_])|-(?=\w))*)
  | (?P<dash>--+|[-–—−])
  | (?P<skip>(?:[\s\\{{}}]|\$(?!\d))+|\$)
  | (?P<any>.)
    )
    """,
    re.X | re.S,
)
_OF_NUMBER = frozenset({"num", "hyphen", "plus", "factor", "percent", "unit", "scale", "tail"})
_MANTISSA = re.compile(r"\d(?:\.\d+)?(?=\D)")
_UNGROUPED = str.maketrans("", "", ", {}")
_SUFFIX = {"factor": "x", "percent": "%"}
_REL = {"leq": "≤", "leqslant": "≤", "textless": "<", "<": "<", "≤": "≤"}


class Token(NamedTuple):
    """`kind`: num, word, ident, url, dims, near, rel, dash or sym. `low`: the lower-case text, or a number's digits,
    with "+" behind them for "10+%".

    `suffix` of a number is "x", "%", an attached unit ("ms"), a scale ("M"), "$" or "". `parts` are the folded words of a word
    ("low-rank" has two); other kinds have one empty part.
    """

    kind: str
    low: str
    suffix: str
    parts: tuple[str, ...]


class Tokens(NamedTuple):
    """The tokens of a sentence and where they stand: a token knows no place, so that one serves for every mention of a word."""

    tokens: list[Token]
    starts: list[int]
    ends: dict[int, int]

    def start(self, index: int) -> int:
        return self.starts[index]

    def end(self, index: int) -> int:
        """The offset behind token `index`; for most it follows from their length."""
        return self.ends.get(index) or self.starts[index] + len(self.tokens[index][1])


_NOTHING = ("",)
_MOST_WORDS = 1 << 16


class _Words(dict[str, Token]):
    """Words met so far; emptied when hostile text has filled it."""

    def __missing__(self, low: str) -> Token:
        if len(self) >= _MOST_WORDS:
            self.clear()
        self[low] = token = Token("word", low, "", tuple(folded(low)) or _NOTHING)
        return token


_WORDS = _Words()
_word = _WORDS.__getitem__
_MARKS: dict[tuple[str, str], tuple[Token, int, int]] = {}
"""Numbers and marks met so far, by kind and text, with the part of that text that is theirs."""


def _digits(written: str) -> str:
    """The digits of a number without what groups them; "10^3" is 1000 and "1.5x10^3" is 1500."""
    plain = written.translate(_UNGROUPED)
    factor, _, power = plain.partition("^")
    if not power:
        return plain
    found = _MANTISSA.match(factor)
    return (
        f"{float(found[0]) * 10.0 ** int(power):.10g}" if found and found.end() < len(factor) else str(10 ** int(power))
    )


def tokenize(text: str, offset: int = 0) -> Tokens:
    """Tokens of `text`; `offset` is added to their places."""
    tokens: list[Token] = []
    starts: list[int] = []
    ends: dict[int, int] = {}
    for match in TOKEN.finditer(text.rstrip()):
        kind = match.lastgroup or "any"
        if kind == "run":
            # Words that one blank parts are cut here, many at once, as most of a sentence is made of them.
            words = match[0].lower().split()
            start = match.end() + offset - sum(map(len, words)) - len(words)
            tokens += map(_word, words)
            for low in words:
                starts.append(start)
                start += len(low) + 1
        elif kind not in {"skip", "wrap"}:
            whole = match[0]
            known = _MARKS.get((kind, whole))
            if known is None:
                if len(_MARKS) >= _MOST_WORDS:
                    _MARKS.clear()
                known = _MARKS[kind, whole] = _other(match, kind, text)
            token, first, last = known
            start = match.start() + offset
            if last - first != len(token[1]):
                ends[len(tokens)] = start + last
            starts.append(start + first)
            tokens.append(token)
    return Tokens(tokens, starts, ends)


def _other(match: re.Match[str], kind: str, text: str) -> tuple[Token, int, int]:
    """A token that is not in a run of words, and the part of the match that it stands for; told by `kind` and the match's text."""
    base, end = match.start(), match.end()
    if kind in _OF_NUMBER:
        start = match.start("num")
        if kind == "tail":
            low = text[start:end].lower()
            return Token("ident", low, "", tuple(folded(low)) or _NOTHING), start - base, end - base
        low = _digits(match["num"]) + (match["plus"] or "")
        suffix = _SUFFIX.get(kind) or match["unit"] or match["scale"] or ""
        return Token("num", low, suffix, _NOTHING), start - base, end - base
    if kind == "led":
        return Token("num", match["led"], "x", _NOTHING), len(match[0]) - len(match[0].lstrip()), end - base
    start, end = match.span(kind)
    low = match[kind].lower()
    if kind in {"word", "plain"}:
        return _word(low), start - base, end - base
    if kind == "money":
        return Token("num", _digits(low), "$", _NOTHING), start - 1 - base, end - base
    if kind == "near":
        low = "~"
    elif kind == "rel":
        low = _REL.get(low.lstrip("\\"), ">")
    return Token("sym" if kind == "any" else kind, low, "", _NOTHING), start - base, end - base
