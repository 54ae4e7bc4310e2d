"""What can go wrong, as exceptions that read as one sentence."""

from typing import Any


class SpeedproofError(Exception):
    """Anything that a caller may want to tell a person."""


class NotReachable(SpeedproofError):
    """No answer came: the server is away, or its name is wrong."""


class ApiError(SpeedproofError):
    """A problem that the server answered with (RFC 9457). `errors` names the fields at fault."""

    def __init__(self, status: int, title: str, detail: str, errors: list[dict[str, str]]) -> None:
        super().__init__(detail or title)
        self.status, self.title, self.detail, self.errors = status, title, detail, errors


class NotFound(ApiError):
    """404."""


class NotAllowed(ApiError):
    """401 or 403: no token, or one that does not allow it."""


class TooManyRequests(ApiError):
    """429, after the client waited as often as it was told to."""


def error_of(status: int, body: Any) -> ApiError:
    """The exception for an answer; a body that is no problem, as of a proxy, still gives one."""
    given = body if isinstance(body, dict) else {}
    kinds: dict[int, type[ApiError]] = {401: NotAllowed, 403: NotAllowed, 404: NotFound, 429: TooManyRequests}
    errors = [one for one in given.get("errors") or [] if isinstance(one, dict)]
    title = str(given.get("title") or f"status {status}")
    detail = str(given.get("detail") or f"The server answered with status {status}.")
    return kinds.get(status, ApiError)(status, title, detail, errors)
