"""Where the endpoint is and how it may be asked, and what is wrong with such settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

RESPONSE_FORMATS = ("json_schema", "json_object", "none")
_VERSION_SEGMENT = re.compile(r"v\d\w*")
_MOST_SECONDS, _MOST_AT_ONCE, _FEWEST_TOKENS = 3600, 64, 256


class WrongSetting(NamedTuple):
    """`setting` as it is spelled in the environment, what is wrong with it, and what would be right."""

    setting: str
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """`url` is the base address with or without "/v1"; an empty one means off.

    `response_format` is how the server is told to answer in JSON: json_schema (OpenAI, vLLM, llama.cpp, Ollama),
    json_object (servers that know no schema) or none (the prompt alone says it). `daily_limit` counts requests of
    one day in UTC, retries included. The key is left out of every repr.
    """

    url: str = ""
    model: str = ""
    api_key: str = field(default="", repr=False)
    timeout_s: float = 60.0
    concurrency: int = 2
    max_tokens: int = 4096
    daily_limit: int = 1000
    response_format: str = "json_schema"

    @property
    def is_on(self) -> bool:
        return bool(self.url)

    @property
    def completions_url(self) -> str:
        """The address that is asked: ".../v1/chat/completions", whichever way the base was written."""
        base = self.url.strip().rstrip("/").removesuffix("/chat/completions")
        segments = urlsplit(base).path.split("/")
        versioned = any(_VERSION_SEGMENT.fullmatch(segment) for segment in segments)
        return f"{base}{'' if versioned else '/v1'}/chat/completions"


def wrong_settings(config: EndpointConfig) -> list[WrongSetting]:
    """What keeps the endpoint from working; nothing where it is off. No value of a setting but the plain ones is told."""
    if not config.is_on:
        return []
    wrong = [*_wrong_url(config.url)]
    if not config.model.strip():
        wrong.append(WrongSetting("ENDPOINT_MODEL", "is empty", "Name a model that the endpoint serves."))
    if any(not " " < c <= "~" for c in config.api_key):
        hint = "A key is printable ASCII without blanks; look for a line break or quotation marks around it."
        wrong.append(WrongSetting("ENDPOINT_API_KEY", "holds a blank or a character that no header can carry", hint))
    if config.response_format not in RESPONSE_FORMATS:
        told = f"is {config.response_format!r}"
        wrong.append(WrongSetting("ENDPOINT_RESPONSE_FORMAT", told, f"Use one of {', '.join(RESPONSE_FORMATS)}."))
    for setting, value, low, high in (
        ("ENDPOINT_TIMEOUT_S", config.timeout_s, 1, _MOST_SECONDS),
        ("ENDPOINT_CONCURRENCY", config.concurrency, 1, _MOST_AT_ONCE),
        ("ENDPOINT_MAX_TOKENS", config.max_tokens, _FEWEST_TOKENS, 1_000_000),
        ("ENDPOINT_DAILY_LIMIT", config.daily_limit, 1, 10_000_000),
    ):
        if not low <= value <= high:
            wrong.append(WrongSetting(setting, f"is {value:g}", f"Use a number from {low} to {high}."))
    return wrong


def _wrong_url(url: str) -> list[WrongSetting]:
    hint = "Use the base address of the endpoint, such as http://127.0.0.1:8000/v1."
    try:
        parts: SplitResult | None = urlsplit(url.strip())
        port_is_right = parts is not None and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, port_is_right = None, False
    if parts is None or not port_is_right or parts.scheme not in {"http", "https"} or not parts.hostname:
        return [WrongSetting("ENDPOINT_URL", "is not an http or https address with a host", hint)]
    if parts.username is not None or parts.password is not None:
        told = "holds a user name or password, which would reach the logs"
        return [WrongSetting("ENDPOINT_URL", told, "Put the key into ENDPOINT_API_KEY.")]
    if parts.query or parts.fragment:
        return [WrongSetting("ENDPOINT_URL", 'holds a "?" or "#" part', hint)]
    return []
