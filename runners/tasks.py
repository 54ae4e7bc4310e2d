"""Doorbells: each takes an id or nothing, calls one service, and may ring twice."""

import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from celery.worker import state as worker_state
from django.conf import settings
from structlog.contextvars import bound_contextvars

from runners import devices, leases, services, watching


@shared_task(name="runners.execute_run", acks_late=True, ignore_result=True)
def execute_run(run_id: int) -> None:
    with bound_contextvars(run_id=run_id):
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


@worker_shutting_down.connect
def begin_stop(**kwargs: Any) -> None:
    """A worker that was asked to stop ends its run within a limit; past it, another worker gets the run."""
    timer = threading.Timer(settings.RUN_STOP_S, _hand_back_what_runs)
    timer.daemon = True
    timer.start()


def _hand_back_what_runs() -> None:
    held = [request.args[0] for request in list(worker_state.active_requests) if request.name == execute_run.name]
    if held:
        leases.hand_back(held, devices.own_device())
