"""What a title and an abstract offer to the trained weights: phrases and words by place, cues of kind, claims.

A signal is a group and a key ("title", "mamba"), with a strength in 64ths. Strengths and weights are whole numbers, so
that sums, and with them every decision, are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log1p
from typing import Any, NamedTuple, Protocol

from .kind_cues import weigh_kinds
from .lexicon import read_phrases
from .record import ExtractedClaim
from .text import Document
from .vocabulary import BACKGROUND, LEXICON, TITLE, Evidence, Weights
from .words import Word, trigger, word_set

UNIT = 64
"""The strength of a signal of 1.0."""
FIELDS = ("families", "modalities", "stages", "kinds")
TABLES = {field: LEXICON.add(read_phrases(field)) for field in FIELDS}
GROUPS = (
    "title", "own", "background", "anywhere", "title pair", "own pair", "title phrase", "own phrase",
    *(f"{field} {how}" for field in FIELDS for how in ("score", "share", "title", "proposal", "proposal share", "head")),
    "kind score", "kind share", "cue", "metric", "phase", "other",
)  # fmt: skip
_PLACES = (3.0, 0.35, 1.0)
"""Of a phrase in the title, the background and the paper's own part."""
_WORD, _PHRASE = (
    {"title": 32, "own": 19, "background": 10, "anywhere": 19, "title pair": 32, "own pair": 19},
    (32, 0, 19),
)
_COMMON = word_set(
    """
    the of and to a in for with on is that we by as are this an which be from it our at or can these has have their its while
    than such into also not but been
    """
)
_PROPOSER = trigger("we us paper work study article report letter our")
_PROPOSES = trigger(starts="propos introduc present develop describ design devis releas build create offer unveil explor study "
                           "investigat show")  # fmt: skip
_HEAD_ENDS = word_set("for with via in on using from through by toward to at under based without of")


Found = tuple[int, Weights, str]


class Keys(Protocol):
    """Numbers of keys; a trained set of them knows some keys, one that is being trained numbers each new one."""

    def get(self, key: Any, /) -> int | None: ...


class Signals(NamedTuple):
    """Parallel lists: the number of each signal and its strength in 64ths."""

    numbers: list[int]
    strengths: list[int]

    def add(self, number: int | None, strength: float) -> None:
        if number is not None:
            self.numbers.append(number)
            self.strengths.append(round(strength * UNIT))


def read_signals(
    document: Document, claims: Sequence[ExtractedClaim], hardware: bool, keys: Mapping[str, Keys]
) -> Signals:
    """All signals of a paper. `hardware`: whether it names any."""
    signals = Signals([], [])
    title = [word[0] for word in document.title_words]
    words = [word[0] for word in document.words]
    background, own = words[: document.own_word], words[document.own_word :]
    _words(signals, keys, "title", title)
    _words(signals, keys, "own", own)
    _words(signals, keys, "background", background)
    _words(signals, keys, "anywhere", title + words)
    _pairs(signals, keys["title pair"], title, _WORD["title pair"])
    _pairs(signals, keys["own pair"], own, _WORD["own pair"])
    proposal = LEXICON.find([], _proposals(document), 0)
    head = LEXICON.find(_title_head(document), [], 0)
    for field, table in TABLES.items():
        _phrases(signals, keys, field, _Said(document.found[table], proposal[table], head[table]))
    scores, cues = weigh_kinds(document)
    total = sum(score for score in scores.values() if score > 0) or 1.0
    for kind, score in scores.items():
        if score > 0:
            signals.add(keys["kind score"].get(kind), log1p(score))
            signals.add(keys["kind share"].get(kind), score / total)
    for cue in cues:
        signals.add(keys["cue"].get(cue), 1.0)
    _claims(signals, keys, claims, hardware)
    return signals


def _claims(signals: Signals, keys: Mapping[str, Keys], claims: Sequence[ExtractedClaim], hardware: bool) -> None:
    for metric in dict.fromkeys(claim.metric for claim in claims):
        signals.add(keys["metric"].get(metric), 1.0)
    for phase in dict.fromkeys(claim.phase for claim in claims):
        signals.add(keys["phase"].get(phase), 1.0)
    if claims:
        signals.add(keys["other"].get("claims"), 1.0)
        signals.add(keys["other"].get("number of claims"), min(len(claims), 5) / 5)
    if hardware:
        signals.add(keys["other"].get("hardware"), 1.0)


def _words(signals: Signals, keys: Mapping[str, Keys], group: str, words: list[str]) -> None:
    get, strength = keys[group].get, _WORD[group]
    for word in dict.fromkeys(words):
        if word in _COMMON or word.isdigit():
            continue
        number = get(word)
        if number is not None:
            signals.numbers.append(number)
            signals.strengths.append(strength)


def _pairs(signals: Signals, keys: Keys, words: list[str], strength: int) -> None:
    get = keys.get
    seen = set()
    before = ""
    for word in words:
        if word in _COMMON or word.isdigit():
            before = ""
            continue
        if before and (pair := f"{before} {word}") not in seen:
            seen.add(pair)
            number = get(pair)
            if number is not None:
                signals.numbers.append(number)
                signals.strengths.append(strength)
        before = word


def _proposals(document: Document) -> list[Word]:
    """The words of the sentences that say what the paper does."""
    found: list[Word] = []
    for sentence in document.sentences:
        if sentence.triggers & _PROPOSER and sentence.triggers & _PROPOSES:
            found += sentence.words
    return found


def _title_head(document: Document) -> list[Word]:
    """The words of the title before its first preposition: what the paper offers, without what it is for."""
    words = document.title_words
    for at, word in enumerate(words):
        if at and word[0] in _HEAD_ENDS:
            return words[:at]
    return words


class _Said(NamedTuple):
    """The phrases of one field: all of them, those of the sentences that propose, those of the title's head."""

    everywhere: list[Found]
    proposal: list[Found]
    head: list[Found]


def _phrases(signals: Signals, keys: Mapping[str, Keys], field: str, said: _Said) -> None:
    everywhere, proposal, head = said
    evidence = _evidence(everywhere, _PLACES)
    total = sum(evidence.scores.values()) or 1.0
    for label, score in evidence.scores.items():
        signals.add(keys[f"{field} score"].get(label), 2.0 * log1p(score))
        signals.add(keys[f"{field} share"].get(label), 2.0 * score / total)
    for how, found in (("title", [f for f in everywhere if f[0] == TITLE]), ("head", head)):
        for label, score in _evidence(found, (1.0, 0.0, 0.0)).scores.items():
            signals.add(keys[f"{field} {how}"].get(label), 2.0 * min(score, 3.0) / 3.0)
    proposed = _evidence(proposal, (1.0, 1.0, 1.0))
    total = sum(proposed.scores.values()) or 1.0
    for label, score in proposed.scores.items():
        signals.add(keys[f"{field} proposal"].get(label), 2.0 * log1p(score))
        signals.add(keys[f"{field} proposal share"].get(label), 2.0 * score / total)
    seen = set()
    for place, weights, phrase in everywhere:
        if weights and place != BACKGROUND and (place, phrase) not in seen:
            seen.add((place, phrase))
            number = keys["title phrase" if place == TITLE else "own phrase"].get(phrase)
            if number is not None:
                signals.numbers.append(number)
                signals.strengths.append(_PHRASE[place])


def _evidence(found: list[Found], factors: tuple[float, float, float]) -> Evidence:
    evidence = Evidence()
    evidence.weigh(found, factors)
    return evidence


def weigh_phrases(found: list[Found]) -> dict[str, float]:
    """How loudly phrases speak for each label, wherever they stand."""
    return _evidence(found, _PLACES).scores
