"""Ringing for work that is due, on machines that have no beat process."""

import logging
import threading
from typing import Any

from celery import current_app

logger = logging.getLogger(__name__)


def ring_for_ever(worker: Any, task: str, every_s: float) -> None:
    """A worker of the default queue rings for the task now and then, as beat would; other workers do not."""
    if "default" in {queue.name for queue in worker.task_consumer.queues}:
        threading.Thread(target=_ring, args=(task, every_s), name=f"rings-{task}", daemon=True).start()


def _ring(task: str, every_s: float) -> None:
    pause = threading.Event()
    while True:
        try:
            current_app.send_task(task, queue="default", expires=every_s, retry=False)
        except Exception as fault:  # every transport raises its own kind; the next ring may get through
            logger.warning("%s was not rung for, the broker did not answer: %s", task, fault)
        pause.wait(every_s)
