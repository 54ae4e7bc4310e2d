"""From the body of a response to the JSON object that the model wrote."""

from __future__ import annotations

import json
import re
from typing import Any

from .errors import EndpointError, Fault

_MOST_STARTS = 200
"""Braces at which an object may begin; a page full of braces is not an answer."""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


_LONE_BACKSLASH = re.compile(r'\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|(?=.))', re.S)
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def content_of(body: Any) -> str:
    """The text of the first choice. Raises: EndpointError where there is none, it was cut off, or the model declined."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _malformed('the response holds no "choices"; is ENDPOINT_URL the address of chat completions?')
    choice = choices[0]
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if choice.get("finish_reason") == "length":
        raise _malformed("the answer was cut off at the longest length; a higher ENDPOINT_MAX_TOKENS lets it end")
    if choice.get("finish_reason") == "content_filter" or (isinstance(message, dict) and message.get("refusal")):
        raise EndpointError(Fault.REFUSED, "the model declined to describe this text")
    if not isinstance(content, str) or not content.strip():
        raise _malformed("the answer is empty")
    return content


def object_in(content: str) -> dict[str, Any]:
    """The JSON object of an answer, also from within prose or a fence of Markdown. Raises: EndpointError if there is none.

    Of several objects the one that begins first counts, provided that it looks like a record.
    """
    found = _first_object(content) or _first_object(_LONE_BACKSLASH.sub(_escaped, content))
    if found is None:
        raise _malformed("the answer holds no JSON object of a record")
    return found


def _escaped(match: re.Match[str]) -> str:
    """A backslash that begins no escape of JSON, as in an uncared-for "30\\%", stands for itself."""
    return match[0] if match[1] else "\\\\"


def _first_object(content: str) -> dict[str, Any] | None:
    at, tried = content.find("{"), 0
    while at >= 0 and tried < _MOST_STARTS:
        try:
            found, _ = _DECODER.raw_decode(content, at)
        except (ValueError, RecursionError):
            pass
        else:
            if isinstance(found, dict) and {"kind", "claims"} <= found.keys():
                return found
        at, tried = content.find("{", at + 1), tried + 1
    return None


def _malformed(message: str) -> EndpointError:
    return EndpointError(Fault.MALFORMED, message)
