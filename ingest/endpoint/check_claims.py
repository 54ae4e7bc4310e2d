"""Holds each claim of an answer against the abstract: the quote must stand there, and the number in the quote."""

from __future__ import annotations

from typing import Any

from ingest.extraction.record import DIRECTIONS, FORMS, METRICS, PHASES

from .figures import Reading, confirm, near
from .locate import Span
from .parts import Refused, Remark, Text, number_or_none, one_of, shown, text_or_none
from .schema import CLAIM_SCHEMA, QUALIFIERS

MOST_CLAIMS = 64
_LONGEST_QUOTE, _LONGEST_TEXT, _LONGEST_UNIT, _LONGEST_DEVICE = 600, 300, 40, 120


def check_claims(
    said: Any, text: Text, model: str, refused: list[Remark], corrected: list[Remark]
) -> list[dict[str, Any]]:
    """Claims that the abstract bears out, in the order of the text and each once; the others are told in `refused`."""
    if not isinstance(said, list):
        refused.append(Remark("claims", "is missing" if said is None else f"is {shown(said)}; a list is expected"))
        return []
    if len(said) > MOST_CLAIMS:
        refused.append(Remark("claims", f"has {len(said)} entries; those after the first {MOST_CLAIMS} are left out"))
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for at, claim in enumerate(said[:MOST_CLAIMS]):
        notes: list[Remark] = []
        try:
            kept, number = _check(f"claims[{at}]", claim, text, notes)
        except Refused as fault:
            refused.append(fault.remark)
            continue
        kept["rule"] = f"endpoint:{model}"[:80]
        key = (kept["start"], kept["end"], kept["metric"], kept["form"], kept["baseline"], number)
        if key not in found:
            found[key] = kept
            corrected += notes
    return sorted(found.values(), key=lambda c: (c["start"], c["end"]))


def _check(where: str, claim: Any, text: Text, notes: list[Remark]) -> tuple[dict[str, Any], Any]:
    """The claim as the text has it, and which number of the text it is, however that was written."""
    if not isinstance(claim, dict):
        raise Refused(where, f"is {shown(claim)}; an object is expected")
    if unknown := sorted(claim.keys() - CLAIM_SCHEMA["properties"].keys()):
        notes.append(Remark(where, f"{shown(unknown[0])} is no field of a claim"))
    metric = one_of(f"{where}.metric", claim.get("metric"), METRICS)
    phase = one_of(f"{where}.phase", claim.get("phase"), PHASES)
    form = one_of(f"{where}.form", claim.get("form"), FORMS)
    direction = _direction(where, claim.get("direction"), form, notes)
    qualifier = claim.get("qualifier")
    if qualifier is not None:
        qualifier = one_of(f"{where}.qualifier", qualifier, QUALIFIERS)
    unit = text_or_none(f"{where}.unit", claim.get("unit"), _LONGEST_UNIT) or ""
    span, reading = _evidence(where, claim, form, unit, text)
    if reading.figure is not None and qualifier not in {None, *reading.figure.qualifiers}:
        notes.append(Remark(f"{where}.qualifier", f"{shown(qualifier)} does not stand with the number"))
        qualifier = reading.figure.own_qualifier
    kept = {
        "metric": metric,
        "phase": phase,
        "form": form,
        "direction": direction,
        "value": reading.value,
        "value_max": reading.value_max,
        "unit": reading.unit,
        "qualifier": qualifier,
        "baseline": _words(f"{where}.baseline", claim.get("baseline"), text, notes),
        "hardware": _device(f"{where}.hardware", claim.get("hardware"), text, notes),
        "quote": text.abstract[span.start : span.end],
        "start": span.start,
        "end": span.end,
    }
    return kept, reading.figure.span if reading.figure else reading.value


def _direction(where: str, said: Any, form: str, notes: list[Remark]) -> str:
    direction = one_of(f"{where}.direction", said, DIRECTIONS)
    if form == "absolute" and direction != "none":
        notes.append(Remark(f"{where}.direction", "is none for an amount"))
        return "none"
    if form != "absolute" and direction == "none":
        raise Refused(f"{where}.direction", "is none, which only an amount has")
    return direction


def _evidence(where: str, claim: dict[str, Any], form: str, unit: str, text: Text) -> tuple[Span, Reading]:
    """The place of the quote where the number stands, and the number as the text has it."""
    quote = text_or_none(f"{where}.quote", claim.get("quote"), _LONGEST_QUOTE)
    value = number_or_none(f"{where}.value", claim.get("value"))
    high = number_or_none(f"{where}.value_max", claim.get("value_max"))
    if quote is None:
        raise Refused(f"{where}.quote", "is missing")
    if value is None or value < 0:
        raise Refused(f"{where}.value", f"{shown(claim.get('value'))} is no number that a claim has")
    high = None if high == value else high
    if high is not None and high < value:
        raise Refused(f"{where}.value_max", f"{high:g} is less than the value {value:g}")
    spans = text.folded.find(quote)
    if not spans:
        raise Refused(f"{where}.quote", f"{shown(quote)} does not stand in the abstract")
    for span in spans:
        reading = confirm(text.figures.within(span), form, value, high)
        if reading is None and form == "absolute" and high is None and unit:
            reading = _counted(text, span, value, unit)
        if reading is not None:
            return span, reading
    told = f"{value:g}" if high is None else f"{value:g} to {high:g}"
    raise Refused(f"{where}.value", f"{told} does not stand in the quote as {_FORM_NAMES[form]}")


_FORM_NAMES = {"factor": "a factor", "percent": "a percentage", "absolute": "an amount"}


def _counted(text: Text, span: Span, value: float, unit: str) -> Reading | None:
    """An amount of something that the grammar has no unit for: number and unit must both stand in the quote."""
    quote = text.abstract[span.start : span.end].casefold()
    if unit.casefold() not in quote or text.figures.within(span):
        return None
    stands = any(near(value, found) for found in text.figures.plain_within(span))
    return Reading(value, None, unit, None) if stands else None


def _words(where: str, said: Any, text: Text, notes: list[Remark]) -> str | None:
    """The exact words of the text, or None with a note: a claim is one without its baseline, too."""
    try:
        wanted = text_or_none(where, said, _LONGEST_TEXT)
    except Refused as fault:
        notes.append(fault.remark)
        return None
    words = None if wanted is None else text.words_of(wanted)
    if words is not None and len(words) > _LONGEST_TEXT:
        words = None
    if wanted is not None and words is None:
        notes.append(Remark(where, f"{shown(wanted)} does not stand in title or abstract"))
    return words


def _device(where: str, said: Any, text: Text, notes: list[Remark]) -> str | None:
    if said is None or (isinstance(said, str) and not said.strip()):
        return None
    device = text.device(said) if isinstance(said, str) and len(said) <= _LONGEST_DEVICE else None
    if device is None or len(device) > _LONGEST_DEVICE:
        notes.append(Remark(where, f"{shown(said)} is no device that the text names"))
        return None
    return device
