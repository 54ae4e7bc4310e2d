"""What an address asks of a page, and what of it the page leaves out: said above the results, never an error.

A view names its parameters with `reads`; whatever else an address holds is told by the tag `ignored`, as are values that
a view or its filter could not use.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from django import forms
from django.conf import settings
from django.core.paginator import Page, Paginator
from django.http import HttpRequest

LONGEST_SHOWN = 40
MOST_SHOWN = 5
# What other sites and mails add to a link to count who follows it: nobody asked for anything with it.
TRACKERS = frozenset({"fbclid", "gclid", "msclkid", "mc_cid", "mc_eid", "ref", "ref_src"})

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Ignored:
    """A parameter that changed nothing. `told`: what was wrong with it, and what would be right."""

    asked: str
    told: str


def reads(*names: str) -> Callable[[View], View]:
    """Declares the parameters that a view takes from its address."""

    def declare(view: View) -> View:
        view.reads = frozenset(names)  # type: ignore[attr-defined]
        return view

    return declare


def printable(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Text from an address as a page may show it: control characters as escapes, and no longer than that."""
    shown = "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def ignore(request: HttpRequest, name: str, told: str) -> None:
    """Note that the value of this parameter was left out."""
    values = [value for value in request.GET.getlist(name) if value.strip()]
    asked = f"{printable(name)}={printable(', '.join(values[:3]))}"
    noted: list[Ignored] = request.__dict__.setdefault("ignored_values", [])
    if (entry := Ignored(asked, told)) not in noted:
        noted.append(entry)


def ignore_errors(request: HttpRequest, form: forms.BaseForm) -> None:
    """Note the values of a filter's form that it refused."""
    for name, errors in form.errors.items():
        ignore(request, name, " ".join(printable(str(error), 400) for error in errors))


def page_of(rows: Any, request: HttpRequest, size: int = settings.PAGE_SIZE) -> Page[Any]:
    """The page that the address asks for, or the nearest one that there is, which is then said."""
    paginator = Paginator(rows, size)
    given = request.GET.get("page", "")
    found = paginator.get_page(given)
    if given.strip() and given.strip() != str(found.number):
        last = paginator.num_pages
        ignore(request, "page", "there is one page" if last == 1 else f"pages go from 1 to {last}")
    return found


def ignored_in(request: HttpRequest) -> list[Ignored]:
    """Everything in the address of a request that changed nothing: unknown names first, then values."""
    if request.resolver_match is None:
        return []
    known = sorted(getattr(request.resolver_match.func, "reads", ()))
    unknown = [
        Ignored(f"{printable(name)}={printable(values[-1])}", _instead(name, known))
        for name, values in request.GET.lists()
        if name not in known and not _is_tracker(name) and any(value.strip() for value in values)
    ]
    return unknown + list(request.__dict__.get("ignored_values", ()))


def _is_tracker(name: str) -> bool:
    return name in TRACKERS or name.startswith("utm_")


def _instead(name: str, known: Iterable[str]) -> str:
    known = list(known)
    if near := get_close_matches(name[:LONGEST_SHOWN], known, n=1, cutoff=0.7):
        return f"did you mean {near[0]}?"
    return f"known: {', '.join(known)}" if known else "this page takes no parameters"
