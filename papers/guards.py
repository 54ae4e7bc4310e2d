"""Who may see a page: the one place where pages ask for a role."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django_htmx.http import HttpResponseClientRedirect

from papers.roles import may, refusal

View = Callable[..., HttpResponse]


def _to_sign_in(request: HttpRequest, home: str | Callable[..., Any], args: Any, kwargs: Any) -> HttpResponse:
    again = request.method in ("GET", "HEAD")
    back = request.get_full_path() if again else resolve_url(home(*args, **kwargs) if callable(home) else home)
    sign_in = redirect_to_login(back)
    # The page of a session that ran out goes there as a whole; HTMX would swap the form into its part.
    return HttpResponseClientRedirect(sign_in.url) if getattr(request, "htmx", False) else sign_in


def needs(permission: str, home: str | Callable[..., Any] = "home") -> Callable[[View], View]:
    """Whoever is not signed in may sign in; whoever may not do it is told which role is missing.

    home: the page to come back to from what cannot be asked for again, or a function of the view's arguments that finds it.
    """

    def guard(view: View) -> View:
        @signed_in(home)
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not may(request.user, permission):
                raise PermissionDenied(refusal(permission))
            return view(request, *args, **kwargs)

        return guarded

    return guard


def signed_in(home: str | Callable[..., Any]) -> Callable[[View], View]:
    """For what concerns the person alone: any account will do. home: as in `needs`."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return _to_sign_in(request, home, args, kwargs)
            return view(request, *args, **kwargs)

        return guarded

    return guard
