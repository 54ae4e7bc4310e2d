"""What a gain costs in quality: "with negligible accuracy loss", "0.2% accuracy drop", "without sacrificing
quality"."""

from __future__ import annotations

import re
from typing import NamedTuple

from .record import QualityCost
from .text import Sentence

_QUALITY = (
    r"(?:[\w-]+ ){0,3}?(?:accuracy|accuracies|performance|quality|fidelity|mAP|AP|perplexity|results?|scores?|capabilit(?:y|ies)|precision|effectiveness|mIoU|FID|PSNR|BLEU|WER|"
    r"competitiveness|robustness|generalization|expressivity|degradation)"
)
_NUMBER = r"(?:\\?sim|~|≈|about |only |less than |under |within |merely |a |around |nearly |over |just )*(?P<value>\d+(?:\.\d+)?)\s?(?P<unit>\\?%|percentage points?|points?|pp|dB)"


class _Pattern(NamedTuple):
    regex: re.Pattern[str]
    lossless: bool | None


_PATTERNS: tuple[_Pattern, ...] = tuple(
    _Pattern(re.compile(pattern, re.I), lossless)
    for pattern, lossless in (
        (
            rf"{_NUMBER} (?:absolute |average |relative )?(?:{_QUALITY} )?(?:drop|loss|degradation|decrease|reduction)(?: (?:in|of) {_QUALITY})?",
            False,
        ),
        (rf"\b(?:drop|loss|degradation|decrease|reduction) (?:in|of) {_QUALITY} (?:of|by) {_NUMBER}", False),
        (
            rf"\b(?:accuracy|performance|quality) (?:drop|loss|degradation|reduction|decrease) (?:of|by) (?:less than |only |merely |just |up to )*{_NUMBER}",
            False,
        ),
        (
            rf"\b(?:retain|maintain|preserv|recover|keep|achiev)\w* (?:up to |over |about |more than |at least |nearly |approximately )*(?P<value>\d+(?:\.\d+)?)\s?(?P<unit>\\?%) of (?:the |its )?{_QUALITY}",
            False,
        ),
        (
            rf"\b(?:with |at |incur\w* |only |a )*(?:negligible|minimal|marginal|little|slight|minor|small|almost no|nearly no|limited|tiny)(?: \w+)? (?:{_QUALITY} )?"
            r"(?:drop|loss|degradation|decrease|sacrifice|cost|impact|reduction)(?: (?:in|of|on) [\w\s-]{3,30}?(?=[.,;]|$))?",
            False,
        ),
        (rf"\bnearly (?:maintain|lossless|preserv)\w*(?: the)?(?: {_QUALITY})?", False),
        (
            rf"\bwithout (?:\w+ ){{0,2}}?(?:sacrific|compromis|degrad|hurt|los|harm|affect|reduc|impair|deteriorat)\w+ (?:\w+ ){{0,3}}?{_QUALITY}",
            True,
        ),
        (
            rf"\bwithout (?:any |significant |noticeable |additional |fine-tuning or )*(?:{_QUALITY} )?(?:loss|degradation|drop|sacrifice)(?: (?:in|of) {_QUALITY})?",
            True,
        ),
        (r"\b(?:no|zero) (?:accuracy|performance|quality)? ?(?:loss|degradation|drop)\b|\blossless(?:ly)?\b", True),
        (
            rf"\b(?:maintain|preserv|retain|recover|keep)\w* (?:the |its |a |their |strong |full |high |comparable |competitive |similar |original |or even improving |model )*{_QUALITY}",
            True,
        ),
        (
            rf"\b(?:comparable|similar|same|equivalent|on-?par|on par|equal|matching|identical)\s(?:\w+ ){{0,2}}?{_QUALITY}",
            True,
        ),
        (
            rf"{_NUMBER} (?:higher|better|improvement|gain|increase)[\w\s-]{{0,25}}(?:accuracy|mAP|AP|performance|quality|score)?",
            True,
        ),
        (r"\b(?:outperform|surpass)(?:s|es|ed|ing)?\b[^.;,]{5,80}", True),
        (r"\b(?:match|on par with|comparable to|comparably|comparable or (?:superior|better))\w*[^.;,]{0,60}", True),
        (
            rf"\b(?:achiev|obtain|attain|deliver|yield)\w* (?:\w+ ){{0,2}}?(?:better|superior|higher|improved|state-of-the-art|SOTA) (?:\w+ ){{0,2}}?{_QUALITY}",
            True,
        ),
        (rf"\bcompetitive (?:\w+ ){{0,1}}?{_QUALITY}", None),
    )
)
_TRIGGER = re.compile(
    r"accurac|performance|quality|loss|degrad|drop|comparab|compet|outperform|surpass|match|maintain|preserv|retain|sacrific|compromis|fidelity|recover|on par|on-par|similar",
    re.I,
)


def find_quality_cost(sentences: list[Sentence]) -> QualityCost | None:
    """The strongest statement about quality in the paper's own part: a number before words, words before
    comparisons."""
    own = [s for s in sentences if s.own and _TRIGGER.search(s.text)]
    for pattern in _PATTERNS:
        for sentence in own:
            found = pattern.regex.search(sentence.text)
            if found:
                return _cost(found, pattern.lossless)
    return None


def _cost(found: re.Match[str], lossless: bool | None) -> QualityCost:
    groups = found.groupdict()
    value = groups.get("value")
    unit = (groups.get("unit") or "").lstrip("\\") or None
    quote = found[0].strip()
    if value is not None and float(value) == 0.0:
        lossless = True
    return QualityCost(float(value) if value is not None else None, unit, lossless, quote)
