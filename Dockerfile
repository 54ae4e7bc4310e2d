# Speedproof in containers. Targets:
#   web     serves pages and API; also runs migrations and beat
#   worker  web plus a C++ compiler, which torch.compile needs for the "compiled" rung of a run on a CPU
#   gpu     the worker for machines with CUDA; torch brings the CUDA libraries, the host lends the driver
#
# torch is the largest part. Where the package index that pip uses offers builds for CPUs only, name it for web and worker:
#   docker-compose build --build-arg PIP_EXTRA_INDEX_URL=<address of an index with CPU builds of torch> web worker

FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/venv/bin:$PATH \
    DATA_DIR=/data \
    HOME=/tmp
# A fixed number, so that a volume made by one image belongs to the same user in the next.
RUN groupadd --gid 10001 speedproof \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin speedproof \
    && install -d -o speedproof -g speedproof /data
WORKDIR /app

# A stage of its own: pip's cache and what it unpacks stay out of the images, and a change of code does not install again.
FROM base AS packages
ARG PIP_EXTRA_INDEX_URL=""
COPY requirements/base.lock requirements/base.lock
RUN python -m venv /opt/venv \
    && PIP_EXTRA_INDEX_URL="$PIP_EXTRA_INDEX_URL" \
       pip install --no-cache-dir --disable-pip-version-check -r requirements/base.lock

FROM packages AS cuda-packages
# Fails here, and not in a run at night, if an index gave a build of torch without CUDA.
RUN python -c "import torch; assert torch.version.cuda, f'torch {torch.__version__} has no CUDA: build target gpu without PIP_EXTRA_INDEX_URL'"

FROM base AS worker
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
COPY --from=packages /opt/venv /opt/venv
COPY . .
USER speedproof
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s --retries=3 \
    CMD celery -A config inspect ping --destination "celery@$HOSTNAME" --timeout 10
CMD ["celery", "-A", "config", "worker", "-Q", "default,runs-cpu", "--concurrency", "2"]

FROM worker AS gpu
COPY --from=cuda-packages /opt/venv /opt/venv
ENV DEVICE=cuda \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# One process for a GPU: a second one would disturb what the first one measures.
CMD ["celery", "-A", "config", "worker", "-Q", "runs-cuda", "--concurrency", "1"]

# Last, so that it is what a build without a target gives.
FROM base AS web
COPY --from=packages /opt/venv /opt/venv
COPY . .
USER speedproof
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Asks under a name that ALLOWED_HOSTS allows; any other is refused, whatever the state of the service.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import os, urllib.request as u; name = os.environ.get('ALLOWED_HOSTS', '').split(',')[0].strip().lstrip('.*') or 'localhost'; u.urlopen(u.Request('http://127.0.0.1:8000/healthz', headers={'Host': name}), timeout=4)"]
CMD ["gunicorn", "config.wsgi:application", "-c", "config/gunicorn.py"]
