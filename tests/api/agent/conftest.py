"""What tests of agents share."""

import pytest
from django.core.cache import cache

from papers.models import Implementation
from tests.api.machines import real_implementation


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rates of tests before, and nobody who is rung for."""
    cache.clear()
    monkeypatch.setattr("runners.services.current_app.send_task", lambda *args, **options: None)


@pytest.fixture
def implementation(db: None) -> Implementation:
    return real_implementation()
