"""Holds an answer against the text. What the text does not bear out is refused, with a reason, and never stored.

An answer is the output of a model that read a stranger's abstract: nothing in it is believed. Values are of the vocabulary,
numbers and quotes are found again in the abstract, and it is the abstract's own words that are kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ingest.extraction.code_links import addresses_in
from ingest.extraction.record import FAMILIES, KINDS, MODALITIES, STAGES, VERIFY

from .check_claims import check_claims
from .figures import near
from .parts import Refused, Remark, Text, number_or_none, one_of, shown, text_or_none
from .schema import EVIDENCED, RECORD_SCHEMA

_LONGEST_NAME, _LONGEST_SENTENCE, _MOST_LISTED = 80, 400, 12
_WORDS = {"families": (FAMILIES, 3), "modality": (MODALITIES, 2), "stage": (STAGES, len(STAGES))}


class CheckedRecord(NamedTuple):
    """What is left of an answer.

    `record` has the fields of a technique record that the text bears out; one that was refused is absent. `evidence` maps
    fields to the exact words that decided them. `refused` names what was left out, `corrected` what the text changed.
    """

    record: dict[str, Any]
    evidence: dict[str, str]
    refused: list[Remark]
    corrected: list[Remark]


def check(title: str, abstract: str, answer: dict[str, Any], model: str) -> CheckedRecord:
    """The record that is left of `answer`. Never raises: a worthless answer leaves an empty record and its reasons."""
    text, checked = Text(title, abstract), CheckedRecord({}, {}, [], [])
    unknown = sorted(answer.keys() - RECORD_SCHEMA["properties"].keys())
    checked.refused.extend(Remark(shown(key), "is no field of a record") for key in unknown[:_MOST_LISTED])
    evidence = answer.get("evidence")
    evidence = evidence if isinstance(evidence, dict) else {}
    for field, examine in (
        ("kind", _kind),
        ("name", _name),
        ("families", _words),
        ("modality", _words),
        ("stage", _words),
        ("training_free", _training_free),
        ("hardware", _hardware),
        ("code_urls", _code_urls),
        ("quality_cost", _quality_cost),
        ("verify", _verify),
        ("mechanism", _mechanism),
    ):
        try:
            if field not in answer:
                raise Refused(field, "is missing")
            value = examine(field, answer[field], text, checked)
            if field in EVIDENCED and value not in (None, []):
                checked.evidence[field] = _evidence(field, evidence.get(field), text)
            checked.record[field] = value
        except Refused as fault:
            checked.refused.append(fault.remark)
    checked.record["claims"] = check_claims(answer.get("claims"), text, model, checked.refused, checked.corrected)
    return checked


def _evidence(field: str, said: Any, text: Text) -> str:
    """Raises: Refused where a value has no evidence in the text: then the value itself is worth nothing."""
    where = f"evidence.{field}"
    if not isinstance(said, str) or not said.strip():
        raise Refused(where, "is missing; a value needs words of the text")
    words = text.words_of(said)
    if words is None:
        raise Refused(where, f"{shown(said)} does not stand in title or abstract")
    return words


def _kind(field: str, value: Any, text: Text, checked: CheckedRecord) -> str:
    return one_of(field, value, KINDS)


def _verify(field: str, value: Any, text: Text, checked: CheckedRecord) -> str:
    return one_of(field, value, VERIFY)


def _training_free(field: str, value: Any, text: Text, checked: CheckedRecord) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise Refused(field, f"{shown(value)} is neither true, false nor null")
    return value


def _listed(field: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Refused(field, f"is {shown(value)}; a list is expected")
    if len(value) > _MOST_LISTED:
        raise Refused(field, f"has {len(value)} entries; at most {_MOST_LISTED} are expected")
    return value


def _words(field: str, value: Any, text: Text, checked: CheckedRecord) -> list[str]:
    """One word that is not of the vocabulary refuses the field: an order with a hole has another first."""
    vocabulary, most = _WORDS[field]
    words = list(dict.fromkeys(one_of(field, word, vocabulary) for word in _listed(field, value)))
    if len(words) > most:
        raise Refused(field, f"has {len(words)} words; at most {most} are expected")
    return words


def _name(field: str, value: Any, text: Text, checked: CheckedRecord) -> str | None:
    name = text_or_none(field, value, _LONGEST_NAME)
    if name is None:
        return None
    words = text.words_of(name)
    if words is None:
        raise Refused(field, f"{shown(name)} does not stand in title or abstract")
    checked.evidence[field] = words
    return words


def _hardware(field: str, value: Any, text: Text, checked: CheckedRecord) -> list[str]:
    found: dict[str, str] = {}
    for at, said in enumerate(_listed(field, value)):
        device = text.device(said) if isinstance(said, str) and len(said) <= _LONGEST_NAME else None
        if device is None:
            checked.refused.append(Remark(f"{field}[{at}]", f"{shown(said)} is no device that the text names"))
        else:
            found.setdefault(device.casefold(), device)
    return list(found.values())


def url_key(url: str) -> str:
    """An address without what may differ between two writings of it."""
    key = url.strip().lower().removeprefix("https://").removeprefix("http://").removeprefix("www.")
    return key.rstrip("/.,;:)]}").removesuffix(".git")


def _code_urls(field: str, value: Any, text: Text, checked: CheckedRecord) -> list[str]:
    known = {url_key(url): url for url in addresses_in(f"{text.title}\n{text.abstract}")}
    found: dict[str, str] = {}
    for at, said in enumerate(_listed(field, value)):
        url = known.get(url_key(said)) if isinstance(said, str) else None
        if url is None:
            checked.refused.append(Remark(f"{field}[{at}]", f"{shown(said)} is no address that the text gives"))
        else:
            found.setdefault(url_key(url), url)
    return list(found.values())


def _quality_cost(field: str, value: Any, text: Text, checked: CheckedRecord) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Refused(field, f"is {shown(value)}; an object or null is expected")
    quote = text_or_none(f"{field}.quote", value.get("quote"), 1000) or ""
    spans = text.folded.find(quote)
    if not spans:
        raise Refused(f"{field}.quote", f"{shown(quote)} does not stand in the abstract")
    number = number_or_none(f"{field}.value", value.get("value"))
    if number is not None:
        spans = [s for s in spans if any(near(abs(number), found) for found in text.figures.plain_within(s))]
        if not spans:
            raise Refused(f"{field}.value", f"{number:g} does not stand in the quote")
    words = text.abstract[spans[0].start : spans[0].end]
    unit = text_or_none(f"{field}.unit", value.get("unit"), 40)
    if unit is not None and (number is None or (unit not in words and text.words_of(unit) is None)):
        checked.corrected.append(Remark(f"{field}.unit", f"{shown(unit)} does not stand in the text"))
        unit = None
    lossless = _training_free(f"{field}.lossless", value.get("lossless"), text, checked)
    checked.evidence[field] = words
    return {"value": number, "unit": unit, "lossless": lossless, "quote": words}


def _mechanism(field: str, value: Any, text: Text, checked: CheckedRecord) -> str | None:
    """The only words of the model's own: one line, without anything that a page or a database would trip over."""
    said = text_or_none(field, value, _LONGEST_SENTENCE)
    return None if said is None else " ".join("".join(c if c.isprintable() else " " for c in said).split()) or None
