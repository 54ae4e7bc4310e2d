"""What every test may ask for."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A busy machine draws examples slowly; that says nothing about the code.
settings.register_profile("project", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("project")

# Set before any test imports Triton: without a GPU its kernels run in the interpreter, all of them or none.
if not Path("/dev/nvidia0").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Records are made from words and phrases alone, also by processes that tests start: an encoder takes seconds to open.
os.environ["READ_MEANING"] = "0"

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def project_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real pages and labelled records beside the checkout; its absence is a skip, but never in CI."""
    if not (SHARED / "seeds").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("../shared/seeds is missing in CI, where tests on real pages must run")
        pytest.skip("../shared/seeds is not beside this checkout")
    return SHARED


@pytest.fixture(autouse=True)
def _own_data(settings: Any, tmp_path: Path) -> None:
    """No test reads or writes the data of the installation that it is run in."""
    settings.DATA_DIR = tmp_path
    settings.INDEX_DIR = tmp_path / "index"
    settings.READ_MEANING = False  # settings are read before the line above where one process runs the tests


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """The slow hash is there against thieves of the database; tests make hundreds of accounts."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True, scope="session")
def _no_hub() -> None:
    """No test may wait for a model hub."""
    os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--only-database", action="store_true", help="only tests that use the database: to run them on another"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slowest first, so that the workers end at about the same time."""
    if config.getoption("--only-database"):
        others = [item for item in items if not _uses_database(item)]
        items[:] = [item for item in items if _uses_database(item)]
        config.hook.pytest_deselected(items=others)
    items.sort(key=lambda item: item.get_closest_marker("services") is None)


def _uses_database(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool(item.get_closest_marker("django_db") or fixtures & {"db", "transactional_db", "live_server"})
