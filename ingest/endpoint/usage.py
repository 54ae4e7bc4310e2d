"""What asking has cost."""

from __future__ import annotations

from typing import Any, NamedTuple


class Usage(NamedTuple):
    """Requests that were sent, retries included, and the tokens that the endpoint counted."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def plus(self, other: Usage) -> Usage:
        return Usage(*(mine + more for mine, more in zip(self, other, strict=True)))


def tokens_of(answer: Any) -> Usage:
    """Tokens of one answer's "usage"; servers that leave it out, or fill it with nonsense, count as nothing."""
    counted = answer.get("usage") if isinstance(answer, dict) else None
    counted = counted if isinstance(counted, dict) else {}
    return Usage(0, _count(counted.get("prompt_tokens")), _count(counted.get("completion_tokens")))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else 0
