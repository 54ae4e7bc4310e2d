"""What every request passes through."""

import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

from papers.services import note_sign_in

# All that text may hold but tabs, line feeds and carriage returns; no part of a longer character of UTF-8.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
Answer = Callable[[HttpRequest], HttpResponse]


def is_page(answer: HttpResponseBase) -> bool:
    return not answer.streaming and answer.headers.get("Content-Type", "").startswith("text/html")


class PackPages(GZipMiddleware):
    """Packs pages, which shrink to a sixth; files are left alone, so that parts of them can be asked for.

    Whether a secret stands in a page cannot be told from its size: Django hides tokens anew each time and pads what it packs.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return super().process_response(request, response) if is_page(response) else response


class KeepSignIns:
    """Sets the address that the request came from, and keeps where a session was last seen.

    Behind PROXY_COUNT proxies the address is the entry of X-Forwarded-For that the outermost of them wrote; what a client
    wrote itself stands before that and is not believed.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.PROXY_COUNT:
            hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
            if len(hops) >= settings.PROXY_COUNT:
                request.META["REMOTE_ADDR"] = hops[-settings.PROXY_COUNT]
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            note_sign_in(request)
        return self._answer(request)


class KeepPagesText:
    """Control characters have no place in HTML; a page that repeats some of an address shows a sign in place of each."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        found = self._answer(request)
        if is_page(found) and _CONTROL.search(found.content):
            found.content = _CONTROL.sub("\ufffd".encode(), found.content)
        return found
