"""A fake host and a fake clock for every test of fetching."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.fetching.client import Fetcher, Limits
from ingest.fetching.rules import Rules
from ingest.fetching.turns import MemoryTurns
from tests.ingest.fetching.hosts import FakeClock, FakeHost


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def host(clock: FakeClock) -> Iterator[FakeHost]:
    fake = FakeHost(clock)
    yield fake
    fake.close()


@pytest.fixture
def other_host(clock: FakeClock) -> Iterator[FakeHost]:
    fake = FakeHost(clock)
    yield fake
    fake.close()


@pytest.fixture
def make_fetcher(host: FakeHost, clock: FakeClock) -> Iterator[Callable[..., Fetcher]]:
    """A client that may ask the host alone; what a test is about it names."""
    made: list[Fetcher] = []

    def make(hosts: tuple[str, ...] = (), limits: Limits | None = None, **options: Any) -> Fetcher:
        rules = Rules(hosts or (host.name,), allow_private=options.pop("allow_private", True))
        options.setdefault("turns", MemoryTurns())
        fetcher = Fetcher(rules, user_agent="Speedproof/1 (tests)", limits=limits, clock=clock, **options)
        made.append(fetcher)
        return fetcher

    yield make
    for fetcher in made:
        fetcher.close()


@pytest.fixture
def fetcher(make_fetcher: Callable[..., Fetcher]) -> Fetcher:
    return make_fetcher()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "downloads"
