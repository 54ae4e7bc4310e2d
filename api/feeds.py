"""Feeds of papers, verdicts and runs, as RSS and Atom, with the filters of the lists."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib.syndication.views import Feed
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed, Rss201rev2Feed, SyndicationFeed
from django.views.decorators.http import conditional_page, require_safe

from api.filters import RunFilter, VerdictFilter
from papers.filters import PaperFilter
from papers.models import FINAL_STATES, Claim, DeviceKind, Paper, Run, Verdict, heavy_fields
from papers.templatetags.figures import ratio
from papers.templatetags.text import inline_label, plain_title
from papers.vocabulary import label_of

LENGTH = 50
_NOT_IN_XML = re.compile(r"[^\x09\x0a\x0d\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BEFORE_ALL = datetime(2000, 1, 1, tzinfo=UTC)


def clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_IN_XML.sub("", text)


class _SteadyWhenEmpty:
    """A feed without entries says the same each time, so that readers are told "not modified"."""

    items: ClassVar[list[dict[str, Any]]]

    def latest_post_date(self) -> datetime:
        dates = [item[name] for item in self.items for name in ("updateddate", "pubdate") if item.get(name)]
        return max(dates, default=_BEFORE_ALL)


class _Atom(_SteadyWhenEmpty, Atom1Feed):
    pass


class _Rss(_SteadyWhenEmpty, Rss201rev2Feed):
    pass


FORMS: dict[str, type[SyndicationFeed]] = {"atom": _Atom, "rss": _Rss}


class _ListFeed(Feed):  # type: ignore[type-arg]
    """The newest of `rows`; `list_name` is the page that shows them too."""

    list_name = ""
    feed_title = ""
    subject = ""

    def __init__(self, rows: QuerySet[Any], form: str, query: str) -> None:
        self.rows, self.feed_type, self.query = rows, FORMS[form], query

    def title(self) -> str:
        return f"{self.feed_title} – Speedproof"

    def link(self) -> str:
        return reverse(self.list_name) + (f"?{self.query}" if self.query else "")

    def description(self) -> str:
        return self.subject

    subtitle = description

    def items(self) -> list[Any]:
        return list(self.rows[:LENGTH])

    def item_title(self, item: Any) -> str:
        return clean(self.words(item)[0])

    def item_description(self, item: Any) -> str:
        return clean(self.words(item)[1])

    def words(self, item: Any) -> tuple[str, str]:
        raise NotImplementedError


class PapersFeed(_ListFeed):
    list_name, feed_title = "papers", "Papers"
    subject = "Papers on ML efficiency, newest here first, with what they claim. Claims are the authors' own."

    def words(self, item: Paper) -> tuple[str, str]:
        claims = [f"{claim.figure} {inline_label(claim.metric)}" for claim in item.shown_claims[:5]]  # type: ignore[attr-defined]
        parts = [item.summary] if item.summary else []
        parts += [f"Claimed: {'; '.join(claims)}."] if claims else []
        return plain_title(item.title), " ".join(parts) or "No quantified claim of efficiency was found."

    def item_pubdate(self, item: Paper) -> datetime:
        return item.created_at

    def item_updateddate(self, item: Paper) -> datetime:
        return item.updated_at

    def item_categories(self, item: Paper) -> list[str]:
        technique = getattr(item, "technique", None)
        return [label_of(family) for family in technique.families] if technique else []


class VerdictsFeed(_ListFeed):
    list_name, feed_title = "runs", "Verdicts"
    subject = "What runs say of claims. A run on a CPU never decides a claim."

    def words(self, item: Verdict) -> tuple[str, str]:
        device = item.run.device.name if item.run.device else item.run.device_kind
        measured = f"{ratio(item.ratio)} on {device}" if item.ratio is not None else f"on {device}"
        name = item.run.implementation.name
        title = f"{name}: {item.get_outcome_display()}, {measured}; claimed {item.claim.figure}"
        note = "Withdrawn. " if item.withdrawn_at else ""
        if item.run.device_kind == DeviceKind.CPU:
            title = f"{name}: run on a CPU, no verdict; claimed {item.claim.figure}"
        return title, f"{note}{item.reason}"

    def item_link(self, item: Verdict) -> str:
        return item.run.get_absolute_url()

    def item_guid(self, item: Verdict) -> str:
        return f"verdict-{item.pk}"

    item_guid_is_permalink = False

    def item_pubdate(self, item: Verdict) -> datetime:
        return item.created_at

    def item_updateddate(self, item: Verdict) -> datetime:
        return item.withdrawn_at or item.created_at


class RunsFeed(_ListFeed):
    list_name, feed_title = "runs", "Runs"
    subject = "Runs that have ended, newest first."

    def words(self, item: Run) -> tuple[str, str]:
        device = item.device.name if item.device else item.get_device_kind_display()
        words = f"{item.implementation.name} on {device}: {item.get_state_display().lower()}"
        return words, " ".join(
            part for part in (item.get_mode_display() + ".", item.status, item.failure_detail) if part
        )

    def item_pubdate(self, item: Run) -> datetime:
        return item.finished_at or item.requested_at


# ── addresses ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _papers() -> QuerySet[Paper]:
    claims = Claim.objects.visible().order_by("start", "pk")
    shown = Paper.objects.visible().select_related("technique")
    return shown.prefetch_related("technique__labels", Prefetch("claims", claims, to_attr="shown_claims")).order_by(
        "-pk"
    )


def _verdicts() -> QuerySet[Verdict]:
    found = Verdict.objects.select_related("claim", "run__implementation__paper", "run__device")
    return found.defer(*heavy_fields("run")).order_by("-pk")


def _runs() -> QuerySet[Run]:
    found = Run.objects.filter(state__in=FINAL_STATES).select_related("implementation__paper", "device")
    return found.defer(*heavy_fields()).order_by("-finished_at", "-pk")


def _view(feed: type[_ListFeed], filters: Any, rows: Callable[[], QuerySet[Any]]) -> Callable[..., HttpResponse]:
    @require_safe
    @conditional_page
    def answer(request: HttpRequest, form: str) -> HttpResponse:
        chosen = filters(request.GET, queryset=rows())
        if not chosen.is_valid():
            wrong = "\n".join(f"{name}: {' '.join(map(str, words))}" for name, words in chosen.errors.items())
            return HttpResponse(wrong + "\n", status=400, content_type="text/plain; charset=utf-8")
        given = request.GET.copy()
        for name in [name for name in given if name not in chosen.filters]:
            del given[name]
        made: HttpResponse = feed(chosen.qs, form, given.urlencode())(request)
        made["Cache-Control"] = "public, max-age=300"
        return made

    return answer


papers = _view(PapersFeed, PaperFilter, _papers)
verdicts = _view(VerdictsFeed, VerdictFilter, _verdicts)
runs = _view(RunsFeed, RunFilter, _runs)
