"""What a title and an abstract offer to the trained weights: phrases and words by place, cues of kind, claims.

A signal is a group and a key ("title", "mamba"), with a strength in 64ths. Strengths and weights are whole numbers, so
that these sums are the same on every machine.
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
from .vocabulary import BACKGROUND, LEXICON, OWN, TITLE, Found, Weights, loudness
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


def read_signals(document: Document, claims: Sequence[ExtractedClaim], hardware: bool, numbering: Numbering) -> Signals:
    """All signals of a paper. `hardware`: whether it names any."""
    signals = Signals([], [])
    title, told = [word[3] for word in document.title_words], [word[3] for word in document.words]
    background, own = told[: document.own_word], told[document.own_word :]
    for found, strength in (
        (numbering.words("title", title), _HALF),
        (numbering.words("own", own), _THIRD),
        (numbering.words("background", background), _SIXTH),
        (numbering.words("anywhere", title + told), _THIRD),
        (numbering.pairs("title pair", title), _HALF),
        (numbering.pairs("own pair", own), _THIRD),
    ):
        signals.numbers.extend(found)
        signals.strengths.extend([strength] * len(found))
    title_words = document.title_words
    head = next((at for at, word in enumerate(title_words) if at and word[0] in _HEAD_ENDS), len(title_words))
    for field, table in TABLES.items():
        _phrases(signals, numbering, field, document.found[table], head)
    _kinds(signals, numbering.keys, document)
    _claims(signals, numbering.keys, claims, hardware)
    return signals


Heard = tuple[int | None, int | None, tuple[tuple[str, float, float, float, float], ...]]
"""A phrase that stands so often in each place: its numbers in the title and in the paper's own part, and what it says for each
label by scope (`SCOPES`)."""
_MOST_HEARD = 1 << 14
_BITS = 24
_ONCE = (1, 1 << _BITS, 1 << 2 * _BITS)
"""Once in the title, the background and the own part; how often a phrase stands in each place is one whole number."""
_ONCE_IN_HEAD = 1 << 3 * _BITS


class Numbering:
    """The numbers of signals. What was found out about a phrase is kept, since papers repeat each other's phrases."""

    def __init__(self, keys: Mapping[str, Keys]) -> None:
        self.keys = keys
        self.heard: dict[str, dict[tuple[str, int], Heard]] = {field: {} for field in FIELDS}
        self._labels: dict[str, dict[str, tuple[int | None, ...]]] = {field: {} for field in FIELDS}

    def hear(self, field: str, phrase: str, count: int, weights: Weights) -> Heard:
        """What is known of a phrase that stands so often; kept in `heard`."""
        title, background, own, head = (
            _REPEATS[min(count >> place * _BITS & (1 << _BITS) - 1, 4)] for place in range(4)
        )
        whole = own + _BACKGROUND_FACTOR * background
        if title:
            whole += _TITLE_FACTOR * title
        said = tuple((label, w * whole, w * title, w * head, w * own) for label, w in weights)
        in_title = self.keys["title phrase"].get(phrase) if title else None
        known = in_title, self.keys["own phrase"].get(phrase) if own else None, said
        if len(self.heard[field]) >= _MOST_HEARD:
            self.heard[field].clear()
        self.heard[field][phrase, count] = known
        return known

    def of_label(self, field: str, label: str) -> tuple[int | None, ...]:
        """The numbers of a label's loudness and of its shares by scope."""
        known = self._labels[field].get(label)
        if known is None:
            known = tuple(self.keys[f"{field} {how}"].get(label) for how in ("loud", *SCOPES))
            self._labels[field][label] = known
        return known

    def words(self, group: str, words: list[str]) -> list[int]:
        """The numbers of words, each once, in order; "" has none."""
        once = dict.fromkeys(words)
        once.pop("", None)
        return [number for number in map(self.keys[group].get, once) if number is not None]

    def pairs(self, group: str, words: list[str]) -> list[int]:
        """The numbers of pairs of neighbouring words, each once, in order; no pair has "" in it."""
        return self.words(group, [f"{one} {two}" if one and two else "" for one, two in pairwise(words)])


class FixedNumbering(Numbering):
    """Numbers that no longer grow: a word that begins no known pair is passed over at once."""

    def __init__(self, keys: Mapping[str, Mapping[str, int]]) -> None:
        super().__init__(keys)
        self._pairs: dict[str, dict[str, dict[str, int]]] = {}
        for group in ("title pair", "own pair"):
            firsts: dict[str, dict[str, int]] = {}
            for pair, number in keys[group].items():
                one, _, two = pair.partition(" ")
                firsts.setdefault(one, {})[two] = number
            self._pairs[group] = firsts

    def pairs(self, group: str, words: list[str]) -> list[int]:
        begun = zip(map(self._pairs[group].get, words), words[1:], strict=False)
        return list(dict.fromkeys([known[two] for known, two in begun if known and two in known]))


def _phrases(signals: Signals, numbering: Numbering, field: str, found: list[Found], head: int) -> None:
    """Each phrase of title and own part, and for each label how much of all that is said is said for it, by scope.

    Phrases without weights are ignored. The title's head ends at word `head`.
    """
    counts: dict[str, int] = {}
    payload: dict[str, Weights] = {}
    for place, weights, phrase, at in found:
        if weights:
            once = _ONCE[place]
            if place == TITLE and at < head:
                once += _ONCE_IN_HEAD
            counts[phrase] = counts.get(phrase, 0) + once
            payload[phrase] = weights
    if not counts:
        return
    numbers, strengths = signals
    heard = numbering.heard[field]
    sums: dict[str, list[float]] = {}
    for item in counts.items():
        known = heard.get(item)
        if known is None:
            known = numbering.hear(field, *item, payload[item[0]])
        in_title, in_own, said = known
        for label, whole, title, first, own in said:
            row = sums.get(label)
            if row is None:
                sums[label] = [whole, title, first, own]
                continue
            row[0] += whole
            row[1] += title
            row[2] += first
            row[3] += own
        if in_title is not None:
            numbers.append(in_title)
            strengths.append(_HALF)
        if in_own is not None:
            numbers.append(in_own)
            strengths.append(_THIRD)
    _shares(signals, [(numbering.of_label(field, label), row) for label, row in sums.items()])


def _shares(signals: Signals, rows: list[tuple[tuple[int | None, ...], list[float]]]) -> None:
    """How loudly each label is spoken for, and its share by scope, from its numbers and sums."""
    numbers, strengths = signals
    for known, row in rows:
        if (number := known[0]) is not None:
            numbers.append(number)
            strengths.append(round(log1p(row[0]) * UNIT))
    for scope in range(len(SCOPES)):
        total = sum([row[scope] for _, row in rows])
        if not total:
            continue
        full = 2.0 * UNIT / total
        for known, row in rows:
            if (value := row[scope]) and (number := known[scope + 1]) is not None:
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


Voices = dict[tuple[str, str], list[str]]
"""By table and label: the phrases of one paper that speak loudest for the label."""


def table_of(group: str) -> str:
    """The table whose phrases a group of signals sums up by label, "" for a group of other things."""
    table, _, scope = group.partition(" ")
    return table if table in TABLES and scope else ""


def readable(group: str, key: str) -> list[str]:
    """What a signal that no table sums up is called before a person; nothing where others say the same."""
    if group in {"kind score", "kind share"}:
        return []
    return [f"{group}: {key}"] if group in {"metric", "phase"} else [key]


_LOUD = {TITLE: 4.0, OWN: 1.0, BACKGROUND: 0.0}


def loudest_phrases(found: list[Found], label: str, count: int = 2) -> list[str]:
    """The phrases that speak for a label most: those of the title before others, those that mean it alone before others."""
    heard = [
        (-_LOUD[place] - weight, phrase)
        for place, weights, phrase, _ in found
        for own, weight in weights
        if own == label
    ]
    heard.sort()
    return list(dict.fromkeys([phrase for _, phrase in heard]))[:count]


def weigh_phrases(found: list[Found]) -> dict[str, float]:
    """How loudly phrases speak for each label, wherever they stand."""
    return loudness(found, (_TITLE_FACTOR, _BACKGROUND_FACTOR, 1.0))
