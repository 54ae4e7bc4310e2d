"""Doorbells: each takes an id or nothing, calls one service, and may ring twice. The rows know what is due."""

from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from papers.doorbell import ring_for_ever

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


@shared_task(name="ingest.work_on_submission", acks_late=True, ignore_result=True)
def work_on_submission(pk: int) -> None:
    from ingest import submissions

    submissions.work_on(pk)


@worker_ready.connect
def take_up_submissions(sender: Any, **kwargs: Any) -> None:
    """What was handed in while no worker was there."""
    if "default" in {queue.name for queue in sender.task_consumer.queues}:
        from ingest import submissions

        submissions.ring_for_idle()


@worker_ready.connect
def begin_ringing(sender: Any, **kwargs: Any) -> None:
    if settings.DAILY_PAPERS:
        ring_for_ever(sender, "ingest.daily_papers", RING_S)
