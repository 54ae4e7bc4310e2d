"""A real Chromium in front of the live server; what it complains about fails the test."""

import os
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
QUIET = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
         "disable-component-update", "disable-sync", "disable-dev-shm-usage")  # fmt: skip


def browser_path() -> str | None:
    """The Chromium to drive: what CHROMIUM names, or the first that is on the PATH."""
    return os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = browser_path()
    if path is None:
        message = f"no browser: none of {', '.join(NAMES)} is on the PATH and CHROMIUM is not set"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        # Playwright's loop runs in this thread, which Django takes for an asynchronous context.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
        running = playwright.chromium.launch(executable_path=path, args=[f"--{word}" for word in QUIET])
        yield running
        running.close()
        os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)


@pytest.fixture(params=[(1440, 900), (390, 844)], ids=["desk", "phone"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param  # type: ignore[no-any-return]


def leaves(address: str) -> bool:
    """Whether a request would go to another machine."""
    split = urlsplit(address)
    return split.scheme in ("http", "https", "ws", "wss") and split.hostname not in ("127.0.0.1", "localhost")


@pytest.fixture
def page(browser: Browser, live_server: Any, size: tuple[int, int]) -> Iterator[Page]:
    """A fresh profile.

    Script errors, broken addresses, violations of the content policy and requests to others fail the test at its end.
    """
    context = browser.new_context(base_url=live_server.url, viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda fault: complaints.append(str(fault)))
    page.on("request", lambda asked: complaints.append(f"asks {asked.url}") if leaves(asked.url) else None)
    yield page
    context.close()
    assert complaints == []
