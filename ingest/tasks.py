"""Doorbells: each takes an id or nothing, calls one service, and may ring twice. The rows know what is due."""

import logging
import threading
from typing import Any

from celery import current_app, shared_task
from celery.signals import worker_ready
from django.conf import settings

logger = logging.getLogger(__name__)

RING_S = 600.0


@shared_task(name="ingest.daily_papers", ignore_result=True)
def daily_papers() -> None:
    # With fetching comes an HTTP library, which a worker that fetches nothing need not load.
    from ingest import daily

    daily.read_due_days()


@shared_task(name="ingest.read_with_endpoint", acks_late=True, ignore_result=True)
def read_with_endpoint(paper_id: int) -> None:
    if settings.ENDPOINT_URL:
        from ingest.endpoint.run import read_one

        read_one(paper_id)


@shared_task(name="ingest.ring_for_unread", ignore_result=True)
def ring_for_unread() -> None:
    from ingest.endpoint import services

    services.ring_for_unread()


@worker_ready.connect
def begin_ringing(sender: Any, **kwargs: Any) -> None:
    """With no beat process, as on one machine, a worker of the default queue rings instead."""
    if settings.DAILY_PAPERS and "default" in {queue.name for queue in sender.task_consumer.queues}:
        threading.Thread(target=_ring, name="daily-papers", daemon=True).start()


def _ring() -> None:
    pause = threading.Event()
    while True:
        try:
            current_app.send_task("ingest.daily_papers", queue="default", expires=RING_S, retry=False)
        except Exception as fault:  # every transport raises its own kind; the next ring may get through
            logger.warning("the daily job was not rung for, the broker did not answer: %s", fault)
        pause.wait(RING_S)
