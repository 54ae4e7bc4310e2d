"""What can go wrong between a paper and its answer."""

from __future__ import annotations

from enum import StrEnum

from .usage import Usage


class Fault(StrEnum):
    NOT_CONFIGURED = "not-configured"
    REFUSED = "refused"
    TIMED_OUT = "timed-out"
    UNAVAILABLE = "unavailable"
    MALFORMED = "malformed"
    OVER_LIMIT = "over-limit"


class EndpointError(Exception):
    """Why there is no answer, in a sentence for a person that never holds the key.

    `stops_all` where the next paper would meet the same fault: a wrong key, an unknown model, a limit.
    `usage` is what was spent all the same.
    """

    def __init__(self, fault: Fault, message: str, *, stops_all: bool = False, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.fault, self.message, self.stops_all, self.usage = fault, message, stops_all, usage or Usage()
