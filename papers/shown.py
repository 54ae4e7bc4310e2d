"""How a list is shown: as a list or as a table, in which order, and for which rows the figure of that order is known.

All of it is in the address and nowhere else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from papers.addresses import ignore, printable
from papers.filters import FACET_TITLES, ORDERINGS, RANKING_WORDS, FacetGroup
from papers.rankings import RANKINGS

MOST_COMPARED = 4
VIEWS = ("list", "table")
TECHNIQUE_ORDERINGS = (
    ("", "Those that run here first"),
    ("newest", "Newest"),
    *RANKING_WORDS,
    ("claims", dict(ORDERINGS)["claims"]),
    ("name", "Name"),
)


@dataclass(frozen=True)
class Ranked:
    """Of the rows found, how many have the figure that they are ordered by; the others come after them."""

    by: str
    known: int
    others: int


@dataclass(frozen=True)
class Shown:
    ordering: str
    is_table: bool

    @classmethod
    def of(cls, request: HttpRequest, ordering: str) -> "Shown":
        given = request.GET.get("view", "").strip()
        if given and given not in VIEWS:
            ignore(request, "view", f"known: {', '.join(VIEWS)}")
        return cls(ordering, given == "table")

    @property
    def needs_figures(self) -> bool:
        return self.is_table or self.ordering in RANKINGS

    def ranked_of(self, found: QuerySet[Any], paper: str, total: int) -> Ranked | None:
        """None where the order goes by no figure. `paper` leads from a row to its paper's key, `total` counts the rows."""
        if self.ordering not in RANKINGS:
            return None
        known = found.order_by().filter(**{f"{paper}__in": RANKINGS[self.ordering].papers()}).count()
        return Ranked(self.ordering, known, total - known)


def opened(request: HttpRequest, groups: Iterable[FacetGroup]) -> list[FacetGroup]:
    """The facets, those that the address names with `more` in full: a page sends rare values only to who asks for them."""
    asked = {name.strip() for name in request.GET.getlist("more")} - {""}
    if unknown := asked - FACET_TITLES.keys():
        ignore(request, "more", f"{printable(min(unknown))} is no filter; known: {', '.join(FACET_TITLES)}")
    return [replace(group, whole=group.name in asked) for group in groups]
