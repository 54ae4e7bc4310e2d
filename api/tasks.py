"""Doorbells of the API's own work: they may ring twice or never; the exports that are there say what is due."""

from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from papers.doorbell import ring_for_ever

RING_S = 600.0


@shared_task(name="api.export_data", ignore_result=True)
def export_data() -> None:
    from api.exports import services  # pyarrow comes with it

    services.export_if_due()


@shared_task(name="api.prune_changes", ignore_result=True)
def prune_changes() -> None:
    from papers import change_log

    change_log.prune()


@worker_ready.connect
def begin_ringing(sender: Any, **kwargs: Any) -> None:
    if settings.DATA_EXPORT:
        ring_for_ever(sender, "api.export_data", RING_S)
