"""What a gain costs in quality: "with negligible accuracy loss", "0.2% accuracy drop", "without sacrificing quality"."""

from __future__ import annotations

import re
from typing import NamedTuple

from .record import QualityCost
from .text import Sentence
from .words import DIGIT, trigger

_QUALITY = (
    r"(?:[\w-]+ ){0,3}?(?:accuracy|accuracies|performance|quality|fidelity|mAP|AP|perplexity|results?|scores?|precision"
    r"|capabilit(?:y|ies)|effectiveness|mIoU|FID|PSNR|BLEU|WER|competitiveness|robustness|generalization|expressivity)"
)
_LEADS = r"(?:\\?sim|~|≈|(?:about|only|less than|under|within|merely|a|around|nearly|over|just|up to) )*"
_RANGE = re.compile(r"\d\s?(?:\\?%)?\s?(?:-|–|to|\\?~)\s?\Z")
_LEAD = re.compile(_LEADS + r"\Z", re.I)
_NUMBER = (
    r"(?P<value>\d+(?:\.\d+)?)\s?(?P<unit>\\?%|percentage points?|points?|pp|dB)"
    r"(?:,? (?:and|to|or|/) \d+(?:\.\d+)?\s?\\?%)?"
)
_DROP = r"(?:drop|loss|degradation|decrease|reduction|decline)"
_SMALL = r"(?:negligible|minimal|marginal|little|slight|minor|small|almost no|nearly no|limited|tiny)"
_LOWERED = r"(?:sacrific|compromis|degrad|hurt|los|harm|affect|reduc|impair|deteriorat)\w+"
_DROPS = trigger(starts="drop loss degradation decrease reduction decline")
_KEEPS = trigger(starts="retain maintain preserv recover keep")
_WITHOUT = trigger("without")


class _Pattern(NamedTuple):
    """`needed`: triggers all of which a sentence must pull before the pattern is tried. `beside` a claimed gain only: that a method
    is better than others says nothing of a cost where no gain is claimed."""

    regex: re.Pattern[str]
    lossless: bool | None
    needed: int
    beside: bool


def _pattern(lossless: bool | None, needed: int, *parts: str, beside: bool = False) -> _Pattern:
    return _Pattern(re.compile("|".join(parts), re.I), lossless, needed, beside)


_PATTERNS: tuple[_Pattern, ...] = (
    _pattern(
        False,
        _DROPS | DIGIT,
        rf"{_NUMBER} (?:absolute |average |relative )?(?:{_QUALITY} {_DROP}|{_DROP} (?:in|of) {_QUALITY})",
    ),
    _pattern(False, _DROPS | DIGIT, rf"{_NUMBER} (?:drop|degradation)\b"),
    _pattern(False, _DROPS | DIGIT, rf"\b{_DROP} (?:in|of) {_QUALITY} (?:of|by) {_LEADS}{_NUMBER}"),
    _pattern(False, _DROPS | DIGIT, rf"\b{_QUALITY} {_DROP} (?:of|by) {_LEADS}{_NUMBER}"),
    _pattern(
        False,
        DIGIT | trigger(starts="retain maintain preserv recover keep achiev secur"),
        r"\b(?:(?:retain|maintain|preserv|recover|keep|secur)\w*|(?P<achieved>achiev\w*)) "
        r"(?:(?:up to|over|about|more than|at least|nearly|approximately|around) )*"
        rf"(?P<value>\d+(?:\.\d+)?)\s?(?P<unit>\\?%) (?(achieved)of |(?:of )?)(?:the |its )?{_QUALITY}",
        rf"\b(?:maintain|preserv|retain|keep)\w* (?:the |its )?{_QUALITY} (?:to )?within (?P<value2>\d+(?:\.\d+)?)\s?(?P<unit2>\\?%)",
    ),
    _pattern(
        True,
        DIGIT | trigger(starts="higher better improvement gain increase"),
        rf"{_NUMBER} (?:(?:top-1 )?(?:accuracy|mAP|AP) (?:improvement|gain|increase)"
        r"|(?:higher|better|improvement|gain|increase)\b[\w\s-]{0,25}?\b(?:accuracy|mAP|AP|performance|quality|score)\b)",
    ),
    _pattern(
        False,
        trigger(starts="drop loss degradation decrease reduction decline sacrifice impact")
        | trigger("negligible minimal marginal little slight minor small almost nearly limited tiny"),
        rf"\b(?:(?:with|at|only|a) )*{_SMALL}(?: \w+)? (?:{_QUALITY} )?(?:{_DROP}|sacrifice|impact)"
        r"(?: (?:in|of|on) [\w\s-]{3,30}?(?=[.,;]|$))?",
    ),
    _pattern(False, trigger("nearly"), rf"\bnearly (?:maintain|lossless|preserv)\w*(?: the)?(?: {_QUALITY})?"),
    _pattern(
        False,
        _WITHOUT,
        rf"\bwithout (?:\w+ ){{0,2}}?(?:significant|substantial|noticeabl|notabl|much|major|considerabl|sever)\w* (?:{_LOWERED}|(?:{_QUALITY} )?{_DROP})"
        rf"(?: (?:\w+ ){{0,3}}?{_QUALITY})?",
        rf"\bwithout (?:\w+ ){{0,2}}?{_LOWERED} (?:\w+ ){{0,3}}?{_QUALITY} (?:as|too|that) much\b",
    ),
    _pattern(True, _WITHOUT, rf"\bwithout (?:\w+ ){{0,2}}?{_LOWERED} (?:\w+ ){{0,3}}?{_QUALITY}"),
    _pattern(
        True,
        _WITHOUT,
        rf"\bwithout (?:[\w-]+ ){{0,3}}?(?:{_QUALITY} )?(?:loss|degradation|drop|sacrifice)\b(?: (?:in|of) {_QUALITY})?",
    ),
    _pattern(
        True,
        trigger("no zero", starts="lossless"),
        r"\b(?:no|zero) (?:(?:accuracy|performance|quality) )?(?:loss|degradation|drop)\b|\blossless(?:ly)?\b",
    ),
    _pattern(
        True,
        _KEEPS,
        rf"\b(?:maintain|preserv|retain|recover|keep)\w* (?:(?:the|its|a|their|or even improving) )*{_QUALITY}",
    ),
    _pattern(
        True,
        trigger("comparable similar same equivalent par onpar equal matching identical"),
        rf"\b(?:comparable|similar|same|equivalent|on-?par|on par|equal|matching|identical)\s(?:\w+ ){{0,2}}?{_QUALITY}",
    ),
    _pattern(
        True,
        trigger(starts="outperform surpass"),
        r"\b(?:outperform|surpass)(?:s|es|ed|ing)?\b[^.;,]{5,80}?\bby (?:(?:an|average|of|more|than|up|to|about|over|margins?) )*(?P<value>\d+(?:\.\d+)?)\s?(?P<unit>\\?%|points?)(?![\d-])"
        r"|\b(?:outperform|surpass)(?:s|es|ed|ing)?\b[^.;,]{5,80}",
        beside=True,
    ),
    _pattern(
        True,
        trigger("par", starts="match comparab"),
        r"\b(?:match|on par with|comparable to|comparably|comparable or (?:superior|better))\w*[^.;,]{0,60}",
    ),
    _pattern(
        True,
        trigger("better superior higher improved art sota", starts="sota")
        | trigger(starts="achiev obtain attain deliver yield"),
        r"\b(?:achiev|obtain|attain|deliver|yield)\w* (?:\w+ ){0,2}?(?:better|superior|higher|improved|state-of-the-art|SOTA)"
        rf" (?:\w+ ){{0,2}}?{_QUALITY}",
        beside=True,
    ),
    _pattern(None, trigger("competitive"), rf"\bcompetitive (?:\w+ ){{0,1}}?{_QUALITY}"),
)
"""In order of preference: a number before words, words of loss before comparisons."""


def find_quality_cost(sentences: list[Sentence], claimed: bool = True) -> QualityCost | None:
    """The strongest statement about quality in the paper's own part, or None; `claimed` where the paper claims a gain in numbers."""
    own = [(sentence.triggers, sentence.text) for sentence in sentences if sentence.own]
    together = 0
    for triggers, _ in own:
        together |= triggers
    for regex, lossless, needed, beside in _PATTERNS:
        if together & needed != needed or (beside and not claimed):
            continue
        for triggers, text in own:
            if triggers & needed == needed and (found := regex.search(text)):
                return _cost(found, lossless)
    return None


def _cost(found: re.Match[str], lossless: bool | None) -> QualityCost:
    groups = found.groupdict()
    value = groups.get("value") or groups.get("value2")
    unit = (groups.get("unit") or groups.get("unit2") or "").lstrip("\\") or None
    start = found.start()
    if value is not None and found.start("value") == start:
        # Patterns that begin with the number leave out what leads up to it, since digits are found faster.
        lead = _LEAD.search(found.string, max(0, start - 60), start)
        start = lead.start() if lead else start
    if value is not None and _RANGE.search(
        found.string, max(0, start - 12), found.start("value") if groups.get("value") else start
    ):
        value = unit = None  # of "2-4%" neither end is the cost
    if value is not None and float(value) == 0.0:
        lossless = True
    quote = found.string[start : found.end()].strip()
    return QualityCost(float(value) if value is not None else None, unit, lossless, quote)
