"""Doorbells: each takes an id or nothing, calls one service, and may ring twice."""

from celery import shared_task
from django.conf import settings


@shared_task(name="ingest.read_with_endpoint", acks_late=True, ignore_result=True)
def read_with_endpoint(paper_id: int) -> None:
    if settings.ENDPOINT_URL:
        from ingest.endpoint.run import read_one

        read_one(paper_id)


@shared_task(name="ingest.ring_for_unread", ignore_result=True)
def ring_for_unread() -> None:
    from ingest.endpoint import services

    services.ring_for_unread()
