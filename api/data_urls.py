"""What lies outside /api/v1: exports, feeds, badges, and the files that machines look for at the root."""

from django.contrib.sitemaps import views as sitemap_views
from django.urls import path, re_path
from django.views.decorators.http import require_safe

from api import feeds, site_files
from api.badges import views as badges
from api.exports import views as exports

_FORM = "(?P<form>atom|rss)"

urlpatterns = [
    path("exports/", exports.page, name="exports"),
    path("exports/<str:name>/<str:path>", exports.file, name="export-file"),
    re_path(rf"^papers/feed\.{_FORM}$", feeds.papers, name="papers-feed"),
    re_path(rf"^verdicts/feed\.{_FORM}$", feeds.verdicts, name="verdicts-feed"),
    re_path(rf"^runs/feed\.{_FORM}$", feeds.runs, name="runs-feed"),
    re_path(r"^badges/(?P<name>[-\w]+)\.(?P<form>svg|json)$", badges.badge, name="badge"),
    path("robots.txt", site_files.robots, name="robots"),
    path("llms.txt", site_files.llms, name="llms"),
    path(
        "sitemap.xml",
        require_safe(sitemap_views.index),
        {"sitemaps": site_files.SITEMAPS, "sitemap_url_name": "sitemap-part"},
        "sitemap",
    ),
    path(
        "sitemap-<section>.xml", require_safe(sitemap_views.sitemap), {"sitemaps": site_files.SITEMAPS}, "sitemap-part"
    ),
]
