"""What every answer under /api/ has: a validator, a word on caching, rates; and no fault that is a page."""

import hashlib
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import quote_etag

from api.problems import as_problem, problem

UNDER = "/api/"
SAFE = ("GET", "HEAD")
REVALIDATE, PRIVATE, NEVER = "no-cache", "private, no-cache", "no-store"


class ApiProtocol:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(UNDER):
            return self.get_response(request)
        response = as_problem(request, self.get_response(request))
        patch_vary_headers(response, ("Accept", "Authorization", "Cookie"))
        _note_rate(request, response)
        if "Cache-Control" not in response:
            response["Cache-Control"] = _caching(request, response)
        return conditional(request, response)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """Refuse a body that is too large before anything reads it; without a length there is no body."""
        if not request.path.startswith(UNDER):
            return None
        given = request.META.get("CONTENT_LENGTH") or "0"
        most = getattr(getattr(view, "cls", None), "max_body_bytes", settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if given.isascii() and given.isdigit() and int(given[:15]) > most:
            return problem(413, f"The body has {int(given[:15])} bytes; at most {most} are taken.")
        return None


def conditional(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """304 where the client has this representation already; 412 where it insists on another."""
    if request.method not in SAFE or response.status_code != 200 or not isinstance(response, HttpResponse):
        return response
    if "no-store" in response["Cache-Control"]:
        return response
    if "ETag" not in response:
        response["ETag"] = etag_of(response.content)
    rate = {name: value for name, value in response.items() if name.startswith("RateLimit-")}
    answer = get_conditional_response(request, etag=response["ETag"], response=response)
    if answer is None or answer is response:
        return response
    if answer.status_code == 412:
        answer = problem(412, "The record is no longer as If-Match says.", "If-Match")
    for name, value in rate.items():
        answer[name] = value
    return answer


def etag_of(content: bytes) -> str:
    """A strong validator: equal content, equal tag."""
    return quote_etag(hashlib.blake2b(content, digest_size=12).hexdigest())


def _caching(request: HttpRequest, response: HttpResponseBase) -> str:
    if request.method not in SAFE or response.status_code >= 400:
        return NEVER
    known = "HTTP_AUTHORIZATION" in request.META or request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return PRIVATE if known else REVALIDATE


def _note_rate(request: HttpRequest, response: HttpResponseBase) -> None:
    if rate := getattr(request, "rate_limit", None):
        limit, remaining, reset = rate
        response["RateLimit-Limit"] = str(limit)
        response["RateLimit-Remaining"] = str(remaining)
        response["RateLimit-Reset"] = str(reset)
