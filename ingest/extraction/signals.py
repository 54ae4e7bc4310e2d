"""What a title and an abstract offer to the trained weights: phrases and words by place, cues of kind, claims.

A signal is a group and a key ("title", "mamba"), with a strength in 64ths. Strengths and weights are whole numbers, so
that sums, and with them every decision, are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log1p
from typing import Any, NamedTuple, Protocol

from .kind_cues import weigh_kinds
from .lexicon import read_phrases
from .record import ExtractedClaim
from .text import Document
from .vocabulary import BACKGROUND, LEXICON, OWN, TITLE, Evidence, Found, Weights
from .words import word_set

UNIT = 64
"""The strength of a signal of 1.0."""
FIELDS = ("families", "modalities", "stages", "kinds", "training")
TABLES = {field: LEXICON.add(read_phrases(field)) for field in FIELDS}
SCOPES = ("whole", "title", "head", "own")
"""Where phrases are summed up: title and abstract, the title, its part before the first preposition, the paper's own part."""
GROUPS = (
    "title", "own", "background", "anywhere", "title pair", "own pair", "title phrase", "own phrase",
    *(f"{field} {how}" for field in FIELDS for how in ("loud", *SCOPES)),
    "kind score", "kind share", "cue", "metric", "phase", "other",
)  # fmt: skip
_HALF, _THIRD, _SIXTH = UNIT // 2, 19, 10
_COMMON = word_set(
    """
    the of and to a in for with on is that we by as are this an which be from it our at or can these has have their its while
    than such into also not but been
    """
)
_HEAD_ENDS = word_set("for with via in on using from through by toward to at under based without of")
_TITLE_FACTOR, _BACKGROUND_FACTOR = 3.0, 0.35
"""How much a phrase counts there, beside 1 in the paper's own part."""
_MOST = 2.0
_REPEATS = (0.0, 1.0, 1.5, 1.8, _MOST)
"""What a phrase counts that stands so many times in one place, and at most."""


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
    title_words, words = [word[0] for word in document.title_words], [word[0] for word in document.words]
    title, told = _telling(title_words), _telling(words)
    background, own = told[: document.own_word], told[document.own_word :]
    for group, here, strength in (
        ("title", title, _HALF),
        ("own", own, _THIRD),
        ("background", background, _SIXTH),
        ("anywhere", title + told, _THIRD),
        ("title pair", _pairs(title), _HALF),
        ("own pair", _pairs(own), _THIRD),
    ):
        _add_words(signals, keys[group], here, strength)
    head = next((at for at, word in enumerate(title_words) if at and word in _HEAD_ENDS), len(title_words))
    for field, table in TABLES.items():
        _phrases(signals, keys, field, _hear(document.found[table], head))
    _kinds(signals, keys, document)
    _claims(signals, keys, claims, hardware)
    return signals


def _telling(words: list[str]) -> list[str]:
    """The words, with "" in the place of those that tell nothing."""
    return ["" if word in _COMMON or word.isdigit() else word for word in words]


def _pairs(words: list[str]) -> list[str]:
    return [f"{one} {two}" if one and two else "" for one, two in pairwise(words)]


def _add_words(signals: Signals, keys: Keys, words: list[str], strength: int) -> None:
    once = dict.fromkeys(words)
    once.pop("", None)
    found = [number for number in map(keys.get, once) if number is not None]
    signals.numbers.extend(found)
    signals.strengths.extend([strength] * len(found))


class _Heard:
    """How often a phrase stands in the background, the title, its head, and the paper's own part."""

    __slots__ = ("background", "head", "own", "title", "weights")

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.background = self.head = self.own = self.title = 0


def _hear(found: list[Found], head: int) -> dict[str, _Heard]:
    """Where each phrase of a table was heard; those that are ignored are left out. The title's head ends at word `head`."""
    heard: dict[str, _Heard] = {}
    for place, weights, phrase, at in found:
        if not weights:
            continue
        one = heard.get(phrase)
        if one is None:
            one = heard[phrase] = _Heard(weights)
        if place == OWN:
            one.own += 1
        elif place == TITLE:
            one.title += 1
            one.head += at < head
        else:
            one.background += 1
    return heard


def _phrases(signals: Signals, keys: Mapping[str, Keys], field: str, heard: dict[str, _Heard]) -> None:
    """Each phrase of title and own part, and for each label how much of all that is said is said for it, by scope."""
    title_phrase, own_phrase = keys["title phrase"].get, keys["own phrase"].get
    numbers, strengths = signals
    sums: dict[str, list[float]] = {}
    for phrase, one in heard.items():
        own = _REPEATS[one.own] if one.own < 4 else _MOST
        title = head = 0.0
        whole = own + _BACKGROUND_FACTOR * (_REPEATS[one.background] if one.background < 4 else _MOST)
        if one.title:
            title, head = _REPEATS[min(one.title, 4)], _REPEATS[min(one.head, 4)]
            whole += _TITLE_FACTOR * title
        for label, weight in one.weights:
            row = sums.get(label)
            if row is None:
                row = sums[label] = [0.0, 0.0, 0.0, 0.0]
            row[0] += weight * whole
            row[3] += weight * own
            if title:
                row[1] += weight * title
                row[2] += weight * head
        if title and (number := title_phrase(phrase)) is not None:
            numbers.append(number)
            strengths.append(_HALF)
        if own and (number := own_phrase(phrase)) is not None:
            numbers.append(number)
            strengths.append(_THIRD)
    loud = keys[f"{field} loud"].get
    for label, row in sums.items():
        signals.add(loud(label), log1p(row[0]))
    for column, scope in enumerate(SCOPES):
        get, said = keys[f"{field} {scope}"].get, [(label, row[column]) for label, row in sums.items() if row[column]]
        full = 2.0 * UNIT / (sum([value for _, value in said]) or 1.0)
        for label, value in said:
            if (number := get(label)) is not None:
                numbers.append(number)
                strengths.append(round(full * value))


def _kinds(signals: Signals, keys: Mapping[str, Keys], document: Document) -> None:
    scores, cues = weigh_kinds(document)
    total = sum(score for score in scores.values() if score > 0) or 1.0
    for kind, score in scores.items():
        if score > 0:
            signals.add(keys["kind score"].get(kind), log1p(score))
            signals.add(keys["kind share"].get(kind), 2.0 * score / total)
    for cue in cues:
        signals.add(keys["cue"].get(cue), 1.0)


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


def readable(group: str, key: str, document: Document) -> list[str]:
    """What a signal is called before a person: words of the paper where it has any, none where others say the same."""
    table, _, scope = group.partition(" ")
    if table in TABLES and scope:
        return _loudest(document.found[TABLES[table]], key)
    if group in {"kind score", "kind share"}:
        return []
    return [f"{group}: {key}"] if group in {"metric", "phase"} else [key]


_LOUD = {TITLE: 4.0, OWN: 1.0, BACKGROUND: 0.0}


def _loudest(found: list[Found], label: str, count: int = 2) -> list[str]:
    """The phrases that speak for a label most: those of the title before others, those that mean it alone before others."""
    heard = [
        (-_LOUD[place] - weight, phrase)
        for place, weights, phrase, _ in found
        for own, weight in weights
        if own == label
    ]
    return list(dict.fromkeys([phrase for _, phrase in sorted(heard)]))[:count]


def weigh_phrases(found: list[Found]) -> dict[str, float]:
    """How loudly phrases speak for each label, wherever they stand."""
    evidence = Evidence()
    evidence.weigh(found, (_TITLE_FACTOR, _BACKGROUND_FACTOR, 1.0))
    return evidence.scores
