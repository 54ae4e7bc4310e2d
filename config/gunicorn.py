"""Gunicorn: threads for slow readers, two processes for two cores.

The pages are loaded once, before the fork; torch and the encoder only after it, since their threads do not survive one.
"""

import os

bind = os.environ.get("BIND", "0.0.0.0:8000")
workers = int(os.environ.get("WEB_WORKERS", "2"))
worker_class = "gthread"
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


def post_worker_init(worker: object) -> None:
    """Warm the encoder in the background: the first search need not wait for it, and the start need not either."""
    from recommender.services import warm_up_in_background

    warm_up_in_background(WARM_UP_AFTER_S)
