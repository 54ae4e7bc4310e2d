"""Logs: a readable line or, with LOG_FORMAT=json, an object a line; each with the ids of its request, task and run."""

import logging
from typing import Any

import structlog

FORMATS = ("line", "json")
# Set by django-structlog and by tasks; who asked from where stays out of a line for people.
IDS = ("request_id", "task_id", "run_id")
QUIET = {
    "axes": "WARNING",
    "faiss": "WARNING",
    "sentence_transformers": "WARNING",
    "django.request": "ERROR",
    # Below this they note the headers of every answer, in which a server may echo a key.
    "httpx": "WARNING",
    "httpcore": "WARNING",
}
Event = dict[str, Any]


def _as_line(logger: Any, method: str, event: Event) -> str:
    """ "2026-11-25 18:00:00 INFO runners.services: the run begins  run_id=7"."""
    ids = "".join(f"  {name}={event[name]}" for name in IDS if event.get(name))
    said = event.get("event", "")
    fault = f"\n{event['exception']}" if event.get("exception") else ""
    return f"{event.get('timestamp', '')} {str(event.get('level', '')).upper()} {event.get('logger', '')}: {said}{ids}{fault}"


def logging_config(form: str, level: str) -> dict[str, Any]:
    """What Django's LOGGING takes. Raises: ValueError for a form that does not exist."""
    if form not in FORMATS:
        raise ValueError(f"LOG_FORMAT={form!r} is unknown; use {' or '.join(FORMATS)}")
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso" if form == "json" else "%Y-%m-%d %H:%M:%S", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: Any = structlog.processors.JSONRenderer() if form == "json" else _as_line
    # Every request has two events of its own: for programs, not for people who read along.
    requests = "INFO" if form == "json" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "chosen": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            name: {"level": max(quiet, level, key=lambda one: logging.getLevelNamesMapping().get(one, 0))}
            for name, quiet in {**QUIET, "django_structlog": requests}.items()
        },
    }
