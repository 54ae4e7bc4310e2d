"""Doorbells of the search index."""

from celery import shared_task

from recommender import services


@shared_task(name="recommender.refresh_index", ignore_result=True)
def refresh_index() -> None:
    services.refresh_index(rebuild_after_s=30.0)
