from __future__ import annotations

import math
from typing import TYPE_CHECKING

from django.http import HttpRequest
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

if TYPE_CHECKING:  # rest_framework.views reads the setting that names this module
    from rest_framework.views import APIView


class ByMethodThrottle(SimpleRateThrottle):
    """Reading and writing have rates of their own; a person is told apart by account, else by address."""

    scope = "reading"

    def allow_request(self, request: Request, view: APIView) -> bool:
        self.scope = "reading" if request.method in SAFE_METHODS else "writing"
        self.rate = self.get_rate()
        self.num_requests, self.duration = self.parse_rate(self.rate)
        is_allowed = super().allow_request(request, view)
        if is_allowed is not None and hasattr(self, "history"):
            first = self.history[-1] if self.history else self.now
            reset = max(0, math.ceil(first + (self.duration or 0) - self.now))
            # On Django's request, since middleware writes the headers also of answers that no view makes.
            vars(request._request)["rate_limit"] = (self.num_requests, self._left(is_allowed), reset)
        return is_allowed

    def _left(self, is_allowed: bool) -> int:
        return max(0, (self.num_requests or 0) - len(self.history)) if is_allowed else 0

    def get_cache_key(self, request: Request | HttpRequest, view: APIView) -> str:
        user = getattr(request, "user", None)
        ident = f"user-{user.pk}" if user is not None and user.is_authenticated else self.get_ident(request)  # type: ignore[arg-type]
        return self.cache_format % {"scope": self.scope, "ident": ident}


class ByTokenThrottle(ByMethodThrottle):
    """Each token has a rate of its own, so that the agents of one owner do not silence each other."""

    def get_cache_key(self, request: Request | HttpRequest, view: APIView) -> str:
        if token := getattr(request, "auth", None):
            return self.cache_format % {"scope": self.scope, "ident": f"token-{token.pk}"}
        return super().get_cache_key(request, view)
