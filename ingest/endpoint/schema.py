"""The JSON schema of an answer, made from the vocabulary, within what strict modes of servers accept.

Every property is required (what is not there is null), no other is allowed, and lengths are left to `check`, since several
servers refuse a schema that holds them.
"""

from __future__ import annotations

from typing import Any, Final

from ingest.extraction.record import (
    DIRECTIONS,
    FAMILIES,
    FORMS,
    KINDS,
    METRICS,
    MODALITIES,
    PHASES,
    STAGES,
    VERIFY,
)

QUALIFIERS: Final = ("up to", "at least", "about", "average")
SCHEMA_NAME: Final = "technique_record"
EVIDENCED: Final = ("kind", "families", "modality", "stage", "training_free")
"""Fields whose value follows from words of the text; `evidence` of an answer quotes them."""

_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_NUMBER_OR_NULL: Final = {"type": ["number", "null"]}
_BOOLEAN_OR_NULL: Final = {"type": ["boolean", "null"]}


def _one_of(*words: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(properties: dict[str, Any], *, nullable: bool = False) -> dict[str, Any]:
    return {
        "type": ["object", "null"] if nullable else "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


CLAIM_SCHEMA: Final = _object(
    {
        "quote": _TEXT,
        "value": {"type": "number"},
        "value_max": _NUMBER_OR_NULL,
        "form": _one_of(*FORMS),
        "unit": _TEXT,
        "metric": _one_of(*METRICS),
        "phase": _one_of(*PHASES),
        "direction": _one_of(*DIRECTIONS),
        "qualifier": {"type": ["string", "null"], "enum": [*QUALIFIERS, None]},
        "baseline": _TEXT_OR_NULL,
        "hardware": _TEXT_OR_NULL,
    }
)
QUALITY_SCHEMA: Final = _object(
    {"quote": _TEXT, "value": _NUMBER_OR_NULL, "unit": _TEXT_OR_NULL, "lossless": _BOOLEAN_OR_NULL}, nullable=True
)
RECORD_SCHEMA: Final = _object(
    {
        "kind": _one_of(*KINDS),
        "name": _TEXT_OR_NULL,
        "families": _list_of(_one_of(*FAMILIES)),
        "modality": _list_of(_one_of(*MODALITIES)),
        "stage": _list_of(_one_of(*STAGES)),
        "training_free": _BOOLEAN_OR_NULL,
        "evidence": _object(dict.fromkeys(EVIDENCED, _TEXT_OR_NULL)),
        "hardware": _list_of(_TEXT),
        "code_urls": _list_of(_TEXT),
        "claims": _list_of(CLAIM_SCHEMA),
        "quality_cost": QUALITY_SCHEMA,
        "verify": _one_of(*VERIFY),
        "mechanism": _TEXT_OR_NULL,
    }
)
