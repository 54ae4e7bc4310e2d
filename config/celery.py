"""Celery: the doorbell. Runs and their leases in the database are the truth, so any message may be lost or ring twice."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django_structlog.celery.steps import DjangoStructLogInitStep

app = Celery("speedproof")
app.conf.update(
    broker_url=settings.BROKER_URL,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    task_default_queue="default",
    task_routes={
        "api.*": {"queue": "default"},
        "ingest.*": {"queue": "default"},
        "recommender.*": {"queue": "default"},
        "runners.watch": {"queue": "default"},
    },
    timezone="UTC",
    beat_schedule={
        "reap-lost-runs": {"task": "runners.reap", "schedule": 10.0, "options": {"expires": 10.0}},
        "prune-changes": {"task": "api.prune_changes", "schedule": 86_400.0, "options": {"expires": 3600.0}},
        "refresh-index": {"task": "recommender.refresh_index", "schedule": 5.0, "options": {"expires": 5.0}},
    },
)
if settings.DAILY_PAPERS:
    # More often than once a day: the rows know what is due, so that a day is read also where beat slept through its time.
    app.conf.beat_schedule["daily-papers"] = {
        "task": "ingest.daily_papers",
        "schedule": 600.0,
        "options": {"expires": 600.0},
    }
if settings.DATA_EXPORT:
    # More often than once a day: the exports that are there say whether one is due.
    rings = {"task": "api.export_data", "schedule": 600.0, "options": {"expires": 600.0}}
    app.conf.beat_schedule["export-data"] = rings
if settings.REGRESSION_WATCH:
    # Each ring queues one run a kind of device at most, and none while one is open there.
    rings = {"task": "runners.watch", "schedule": 900.0, "options": {"expires": 900.0}}
    app.conf.beat_schedule["watch-for-regressions"] = rings
if settings.ENDPOINT_URL:
    rings = {"task": "ingest.ring_for_unread", "schedule": 600.0, "options": {"expires": 600.0}}
    app.conf.beat_schedule["ask-endpoint-about-unread"] = rings
if settings.BROKER_URL.startswith("filesystem:"):
    queue, control = settings.BROKER_DIR / "queue", settings.BROKER_DIR / "control"
    for folder in (queue, control):
        folder.mkdir(parents=True, exist_ok=True)
    app.conf.broker_transport_options = {
        "data_folder_in": str(queue),
        "data_folder_out": str(queue),
        "control_folder": str(control),
        "polling_interval": 0.1,
    }
elif settings.BROKER_URL.startswith("redis"):
    # The visibility time-out only matters for messages; a run that outlives it is protected by its lease.
    app.conf.broker_transport_options = {
        "visibility_timeout": 3600,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
    }
app.steps["worker"].add(DjangoStructLogInitStep)  # a task's lines carry the id of the request that rang
app.autodiscover_tasks()
