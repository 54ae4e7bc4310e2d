"""The numbers of an abstract as the grammar of claims reads them, to check a claimed number against."""

from __future__ import annotations

from typing import NamedTuple

from ingest.extraction.claims.tokens import Tokens, tokenize
from ingest.extraction.claims.units import SCALES
from ingest.extraction.claims.values import find_quantities
from ingest.extraction.text import split_sentences

from .locate import Span

_MOST_NUMBERS = 64
"""Numbers read in one sentence; the work grows with their square."""


def near(first: float, second: float) -> bool:
    return abs(first - second) <= 0.01 * max(abs(first), abs(second))


class Figure(NamedTuple):
    """A number that stands at `span` of the abstract. `scale` is what a letter such as "M" multiplied it by, else 1.

    `qualifiers` are those of its sentence: in "up to 3x and 2x" the first holds for both.
    """

    span: Span
    form: str
    value: float
    value_max: float | None
    unit: str
    qualifiers: frozenset[str]
    own_qualifier: str | None
    scale: float = 1.0
    scaled: str = ""


class Figures:
    """All numbers of one abstract, read when they are first asked for."""

    def __init__(self, abstract: str) -> None:
        self._abstract = abstract
        self._is_read = False
        self._found: list[Figure] = []
        self._bare: list[tuple[Span, float]] = []

    def within(self, span: Span) -> list[Figure]:
        """Numbers that stand in the span as a whole."""
        return [f for f in self._all() if span.start <= f.span.start and f.span.end <= span.end]

    def plain_within(self, span: Span) -> list[float]:
        """Numbers in digits there, whatever they count."""
        self._all()
        return [value for at, value in self._bare if span.start <= at.start and at.end <= span.end]

    def _all(self) -> list[Figure]:
        if not self._is_read:
            self._is_read = True
            for sentence in split_sentences(self._abstract):
                self._read(tokenize(sentence.text, sentence.start))
        return self._found

    def _read(self, places: Tokens) -> None:
        tokens = places.tokens
        self._bare += [
            (Span(places.start(at), places.end(at)), float(token.low.rstrip("+")))
            for at, token in enumerate(tokens)
            if token.kind == "num"
        ]
        quantities = find_quantities(tokens)[:_MOST_NUMBERS]
        qualifiers = frozenset(q.qualifier for q in quantities if q.qualifier)
        for q in quantities:
            numbers = [at for at in range(q.first, q.stop) if tokens[at].kind == "num"] or [q.first]
            end = places.end(numbers[-1] if q.value_max is not None else numbers[0])
            unit = {"factor": "x", "percent": "%"}.get(q.form) or (q.unit.unit if q.unit else "")
            figure = Figure(
                Span(places.start(q.first), end), q.form, q.value, q.value_max, unit, qualifiers, q.qualifier,
                SCALES[q.scaled] if q.scaled else 1.0, q.scaled,
            )  # fmt: skip
            self._found.append(figure)


class Reading(NamedTuple):
    """A claimed number as the text confirms it: its range is the text's, its unit the grammar's."""

    value: float
    value_max: float | None
    unit: str
    figure: Figure | None


def confirm(figures: list[Figure], form: str, value: float, value_max: float | None) -> Reading | None:
    """The first of `figures` that is the claimed number; None where the text does not have it.

    Either end of a range may be claimed without the other. An amount may be written out (5e9) or as it stands (5 for "5B").
    """
    for figure in figures:
        if figure.form != form:
            continue
        for scale in dict.fromkeys((figure.scale, 1.0)):
            low, high = figure.value / scale, None if figure.value_max is None else figure.value_max / scale
            if _says(low, high, value, value_max):
                lettered = scale != 1.0
                unit = f"{figure.scaled} {figure.unit}".strip() if lettered else figure.unit
                ends = (value, value_max) if high is None else (round(low, 9), round(high, 9))
                return Reading(*ends, unit, figure)
    return None


def _says(low: float, high: float | None, value: float, value_max: float | None) -> bool:
    if value_max is None:
        return near(low, value) or (high is not None and near(high, value))
    return near(low, value) and high is not None and near(high, value_max)
