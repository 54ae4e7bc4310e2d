"""The endpoint of the settings. A file of its own, since the check at every start needs no more than this."""

from django.conf import settings

from ingest.endpoint.config import EndpointConfig


def endpoint_config() -> EndpointConfig:
    """The settings as one value; off where ENDPOINT_URL is empty."""
    return EndpointConfig(
        url=settings.ENDPOINT_URL,
        model=settings.ENDPOINT_MODEL,
        api_key=settings.ENDPOINT_API_KEY,
        timeout_s=settings.ENDPOINT_TIMEOUT_S,
        concurrency=settings.ENDPOINT_CONCURRENCY,
        max_tokens=settings.ENDPOINT_MAX_TOKENS,
        daily_limit=settings.ENDPOINT_DAILY_LIMIT,
        response_format=settings.ENDPOINT_RESPONSE_FORMAT,
    )
