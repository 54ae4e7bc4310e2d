"""Doorbells: each takes an id or nothing, calls one service, and may ring twice."""

from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from runners import devices, services, watching


@shared_task(name="runners.execute_run", acks_late=True, ignore_result=True)
def execute_run(run_id: int) -> None:
    services.execute_run(run_id, devices.own_device())


@shared_task(name="runners.measure_device", ignore_result=True)
def measure_device() -> None:
    devices.measure_ceilings_once(devices.own_device())


@shared_task(name="runners.watch", ignore_result=True)
def watch() -> None:
    watching.watch()


@shared_task(name="runners.reap", ignore_result=True)
def reap() -> None:
    services.reap()


@worker_ready.connect
def begin_heartbeat(sender: Any, **kwargs: Any) -> None:
    """Only a worker that serves a queue of runs has a device to show."""
    queues = {queue.name for queue in sender.task_consumer.queues}
    mine = sorted(name for name in queues if name.startswith("runs-"))
    if mine:
        devices.start_heartbeat()
        if settings.DEVICE == "cuda":
            measure_device.apply_async(queue=mine[0], expires=600, retry=False)
