from collections.abc import Iterator
from typing import Any

import pytest

from ingest.endpoint import client
from ingest.endpoint.config import EndpointConfig
from tests.ingest.endpoint.fake_endpoint import KEY, FakeEndpoint


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint().running() as fake:
        yield fake


@pytest.fixture
def config(endpoint: FakeEndpoint) -> EndpointConfig:
    return EndpointConfig(url=endpoint.url, model="small-model", api_key=KEY, timeout_s=10)


@pytest.fixture(autouse=True)
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between attempts are noted and not taken."""
    taken: list[float] = []
    monkeypatch.setattr(client.EndpointClient, "_rest", lambda self, seconds: taken.append(seconds))
    return taken


@pytest.fixture
def endpoint_on(endpoint: FakeEndpoint, settings: Any) -> FakeEndpoint:
    """The fake, and settings that name it."""
    settings.ENDPOINT_URL, settings.ENDPOINT_MODEL, settings.ENDPOINT_API_KEY = endpoint.url, "small-model", KEY
    settings.ENDPOINT_TIMEOUT_S = 10
    return endpoint
