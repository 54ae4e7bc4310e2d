"""Gunicorn: threads for slow readers, two processes for two cores.

The pages are loaded once, before the fork; torch and the encoder only after it, since their threads do not survive one.
"""

import os
import shutil
from pathlib import Path
from typing import Any

# Each process counts its requests into files of its own here, and a scrape of the metrics adds them up.
counts = Path(os.environ.get("DATA_DIR") or Path(__file__).resolve().parent.parent / "var") / "metrics"
shutil.rmtree(counts, ignore_errors=True)
counts.mkdir(parents=True, exist_ok=True)
os.environ.update(PROMETHEUS_MULTIPROC_DIR=str(counts))

bind = os.environ.get("BIND", "0.0.0.0:8000")
workers = int(os.environ.get("WEB_WORKERS", "2"))
worker_class = "config.web_worker.ImpatientWorker"
threads = int(os.environ.get("WEB_THREADS", "4"))
timeout = 120
graceful_timeout = 10
keepalive = 5
max_requests = 20_000
max_requests_jitter = 2_000
accesslog = None
errorlog = "-"
limit_request_line = 8190
control_socket_disable = True
preload_app = True
WARM_UP_AFTER_S = 4.0  # the first pages come before the imports of torch, which would hold them up


def child_exit(server: object, worker: Any) -> None:
    """What a process that ended had counted stays counted; its gauges do not."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def post_worker_init(worker: object) -> None:
    """Warm the encoder in the background: the first search need not wait for it, and the start need not either."""
    from recommender.services import warm_up_in_background

    warm_up_in_background(WARM_UP_AFTER_S)
