"""Prometheus metrics: requests are counted as they come, all else is read from the database at each scrape.

With several web processes the counts lie in files that gunicorn's settings name, and a scrape adds them up.
"""

import hmac
import os
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from config.health import DOWN, OK, ages, parts
from ingest.models import Submission
from papers.models import Claim, Paper, Run, Verdict
from papers.roles import OPERATE, may
from recommender.index_files import peek


class Rows(Collector):
    """What the database and the index tell at the moment of a scrape."""

    def describe(self) -> list[Metric]:
        return []  # registering must not ask the database

    def collect(self) -> Iterator[Metric]:
        yield _counted("speedproof_papers", "Papers that are shown.", Paper.objects.visible().count())
        yield _counted("speedproof_claims", "Claims that are shown.", Claim.objects.visible().count())
        yield _grouped("speedproof_runs", "Runs by kind of device, state and reason of failure.", Run.objects.all(),
                       ("device_kind", "state", "failure_reason"))  # fmt: skip
        yield _grouped("speedproof_verdicts", "Standing verdicts by outcome.", Verdict.objects.current(), ("outcome",))
        yield _grouped("speedproof_submissions", "Pages handed in, by state.", Submission.objects.all(), ("state",))
        yield from self._index()
        devices = GaugeMetricFamily(
            "speedproof_device_silence_seconds", "Since a device was heard of.", labels=["device"]
        )
        for name, seconds in ages():
            devices.add_metric([name], seconds)
        yield devices
        health = GaugeMetricFamily("speedproof_part_state", "1 works, 0.5 limited, 0 does not work.", labels=["part"])
        for part in parts():
            health.add_metric([part.name], {OK: 1.0, DOWN: 0.0}.get(part.state, 0.5))
        yield health

    def _index(self) -> Iterator[Metric]:
        manifest = peek(settings.INDEX_DIR)
        if manifest is None:
            return
        age = (timezone.now() - datetime.fromisoformat(manifest.created)).total_seconds()
        size = sum(size for size, _ in manifest.files.values())
        yield _counted("speedproof_index_age_seconds", "Since the search index was made.", max(0.0, age))
        yield _counted("speedproof_index_papers", "Papers in the search index.", manifest.count)
        yield _counted("speedproof_index_bytes", "Size of the search index.", size)


def _counted(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _grouped(name: str, text: str, rows: object, fields: tuple[str, ...]) -> Metric:
    found = GaugeMetricFamily(name, text, labels=list(fields))
    for row in rows.order_by().values(*fields).annotate(number=Count("pk")):  # type: ignore[attr-defined]
        found.add_metric([str(row[field]) for field in fields], row["number"])
    return found


def _may_scrape(request: HttpRequest) -> bool:
    """An operator, whoever sends METRICS_TOKEN, or without such a token a program on this machine."""
    if settings.METRICS_TOKEN:
        sent = request.headers.get("Authorization", "")
        if hmac.compare_digest(sent.encode(), f"Bearer {settings.METRICS_TOKEN}".encode()):
            return True
    elif not request.headers.get("X-Forwarded-For") and ip_address(request.META["REMOTE_ADDR"]).is_loopback:
        return True
    return may(request.user, OPERATE)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """In Prometheus' text format."""
    if not _may_scrape(request):
        raise PermissionDenied("Metrics are for operators, or for whoever sends METRICS_TOKEN as a bearer token.")
    registry = CollectorRegistry()
    registry.register(Rows())
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        counted = b""
    else:
        counted = generate_latest(REGISTRY)
    return HttpResponse(generate_latest(registry) + counted, content_type=CONTENT_TYPE_LATEST)
