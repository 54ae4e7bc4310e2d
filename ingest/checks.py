"""Looked at when a command or a worker starts."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning

from ingest.endpoint.config import wrong_settings
from ingest.endpoint.configured import endpoint_config

_OWN_HOSTS = {"localhost", "127.0.0.1", "::1"}


def check_endpoint(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Settings of the endpoint that cannot work; nothing where it is off."""
    config = endpoint_config()
    found: list[CheckMessage] = [
        Error(f"{wrong.setting} {wrong.problem}.", hint=wrong.hint, id="ingest.E001")
        for wrong in wrong_settings(config)
    ]
    address = urlsplit(config.url) if config.is_on and not found else None
    if address and address.scheme == "http" and config.api_key and address.hostname not in _OWN_HOSTS:
        told = "ENDPOINT_URL is an http address of another host, so that ENDPOINT_API_KEY crosses the network in the clear."
        found.append(Warning(told, hint="Use https, unless the network between is your own.", id="ingest.W001"))
    return found
