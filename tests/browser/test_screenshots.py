"""The command that takes pictures: every width and theme, and a table that says what a page weighs."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import OPERATOR, Page
from tests.factories import make_user

pytestmark = [pytest.mark.browser]


@pytest.fixture
def script(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    found = importlib.util.spec_from_file_location("screenshots", project_root / "script" / "screenshots.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, "screenshots", module)
    found.loader.exec_module(module)
    return module


@pytest.mark.django_db(transaction=True)
def test_each_page_is_taken_at_both_widths_in_both_themes(
    script: Any, browser: Any, live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def served() -> Iterator[str]:
        yield live_server.url

    @contextmanager
    def running() -> Iterator[Any]:
        yield browser

    monkeypatch.setattr(script, "serving", served)
    monkeypatch.setattr(script, "chromium", running)
    make_user("mira", is_staff=True, is_superuser=True)
    pages = [Page("about", "/about/"), Page("about", "/about/?a=1"), Page("audit", "/audit/", OPERATOR)]
    rows = script.pictures(pages, tmp_path, False)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert len(files) == 12
    assert {"about-2-390-dark.png", "audit-1440-light.png"} <= set(files)
    assert all(path.stat().st_size > 2_000 for path in tmp_path.iterdir())
    assert [(row.page, row.widest) for row in rows] == [("/about/", 0), ("/about/?a=1", 0), ("/audit/", 0)]
    assert all(row.document > 1_000 and row.rest > 10_000 for row in rows)
    assert rows[-1].queries > 0
    assert "/audit/" in script.table(rows)
