"""What machines look for at the root of a site: robots.txt, sitemap.xml, llms.txt."""

from typing import Any

from django.contrib.sitemaps import Sitemap
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from papers.models import Paper, Technique

_PAGES = ("home", "papers", "techniques", "coverage", "hardware", "runs", "recommend", "exports", "about")
_AN_HOUR = cache_control(public=True, max_age=3600)


class PagesSitemap(Sitemap[str]):
    def items(self) -> list[str]:
        return list(_PAGES)

    def location(self, item: str) -> str:
        return reverse(item)


class PapersSitemap(Sitemap[Paper]):
    limit = 10_000

    def items(self) -> Any:
        return Paper.objects.visible().only("slug", "updated_at").order_by("pk")

    def lastmod(self, item: Paper) -> Any:
        return item.updated_at


class TechniquesSitemap(Sitemap[Technique]):
    """Those that something here can run; the others say no more than their papers."""

    limit = 10_000

    def items(self) -> Any:
        runnable = Technique.objects.filter(paper__withdrawn_at=None, paper__implementations__retired_at=None)
        return runnable.exclude(paper__implementations=None).select_related("paper").distinct().order_by("pk")

    def lastmod(self, item: Technique) -> Any:
        return item.updated_at


SITEMAPS: dict[str, type[Sitemap[Any]]] = {
    "pages": PagesSitemap,
    "papers": PapersSitemap,
    "techniques": TechniquesSitemap,
}


@require_safe
@_AN_HOUR
def robots(request: HttpRequest) -> HttpResponse:
    """Crawlers may read all but what costs work for each address, and what is for people who are signed in."""
    context = {"sitemap": request.build_absolute_uri(reverse("sitemap"))}
    return render(request, "robots.txt", context, content_type="text/plain; charset=utf-8")


@require_safe
@_AN_HOUR
def llms(request: HttpRequest) -> HttpResponse:
    """What a language model that is asked about this site should read first."""
    context = {"root": request.build_absolute_uri("/").rstrip("/")}
    return render(request, "llms.txt", context, content_type="text/plain; charset=utf-8")
