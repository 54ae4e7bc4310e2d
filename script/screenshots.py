"""Pictures of every page that the tests walk, from a database of its own that is gone afterwards."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = {1440: 900, 390: 844}
THEMES = ("light", "dark")
DRAWN_WITHIN_MS = 4_000
# Measured ÷ claimed, and what a run would say of it.
MADE_UP = (
    (1.02, "confirmed"), (0.7, "below-claim"), (0.35, "slower"), (0.95, "confirmed"), (0.55, "below-claim"), (0.9, "inconclusive"),
    (0.4, "no-gain"), (1.3, "not-comparable"),
)  # fmt: skip


@dataclass
class Row:
    """What one page weighs. `widest`: pixels by which it is wider than its window, at any of the widths."""

    page: str
    queries: int
    document: int = 0
    rest: int = 0
    widest: int = 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/screenshots",
        description="Pictures of every page at 1440 and 390 px, light and dark, and a table of what each weighs. "
        "The catalogue is real; runs, verdicts and people are made up.",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "screenshots", help="folder for the PNG files")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="names of pages, such as: papers families"
    )
    parser.add_argument("--ingest", nargs="+", default=[], metavar="TARGET", help="pages of papers to read first")
    parser.add_argument("--fold", action="store_true", help="only what a window shows, instead of the whole page")
    return parser.parse_args()


def fill(targets: list[str]) -> list[Any]:
    """The shipped catalogue, what `targets` hold, and the library of the browser tests with verdicts of made-up GPUs."""
    from django.core.management import call_command

    from papers.models import Implementation
    from recommender import services as recommender
    from tests.browser.pages import Page, pages
    from tests.browser.pages import fill as fill_library
    from tests.factories import make_device, make_measurement, make_run, make_verdict

    call_command("prepare")
    if targets:
        call_command("ingest", *targets)
    library = fill_library()
    device = make_device("cuda")
    for number, implementation in enumerate(Implementation.objects.filter(retired_at=None).order_by("name")[:24]):
        run = make_run(implementation, device=device)
        make_measurement(run)
        for claim in implementation.paper.claims.filter(ratio__gt=0)[:2]:
            share, outcome = MADE_UP[number % len(MADE_UP)]
            ratio = claim.ratio * share
            make_verdict(claim, run, outcome, ratio=ratio, low=ratio * 0.98, high=ratio * 1.02)
    recommender.build_index()
    found = pages(library)
    more: tuple[str, ...] = (
        "/papers/?view=table&ordering=gap",
        "/techniques/?view=table",
        "/techniques/?ordering=measured&sort=foo",
    )
    slugs = Implementation.objects.filter(retired_at=None).order_by("name").values_list("paper__slug", flat=True)[:3]
    more += ("/compare/?" + "&".join(f"t={slug}" for slug in dict.fromkeys(slugs)),)
    return [*found, *(Page(f"{address.split('/')[1]}-more", address) for address in more)]


@contextmanager
def serving() -> Iterator[str]:
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            """The table says what matters."""

    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import QUIET, browser_path

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=[f"--{word}" for word in QUIET])
        yield browser
        browser.close()


def queries_of(client: Any, address: str) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as asked:
        client.get(address)
    return len(asked)


def shoot(tab: Any, row: Row, address: str, file: Path, whole: bool) -> None:
    answers: list[Any] = []

    def heard(answer: Any) -> None:
        answers.append(answer)

    tab.on("response", heard)
    tab.goto(address)
    if tab.locator("figure[data-spec]").count():
        tab.wait_for_function(
            "() => [...document.querySelectorAll('figure[data-spec]')].every((one) => one.dataset.drawn)",
            timeout=DRAWN_WITHIN_MS,
        )
    tab.screenshot(path=str(file), full_page=whole)
    tab.remove_listener("response", heard)
    sizes = {"document": 0, "rest": 0}
    for answer in answers:
        if (
            answer.ok
            and answer.request.resource_type in ("document", "stylesheet", "script")
            and "/charts" not in answer.url
        ):
            sizes["document" if answer.request.resource_type == "document" else "rest"] += len(answer.body())
    wider = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    row.document, row.rest = max(row.document, sizes["document"]), max(row.rest, sizes["rest"])
    row.widest = max(row.widest, wider)


def name_of(page: Any, taken: set[str]) -> str:
    name = re.sub(r"[^a-z0-9-]+", "-", page.name)
    number = 2
    while name in taken:
        name, number = f"{page.name}-{number}", number + 1
    taken.add(name)
    return name


def pictures(found: list[Any], out: Path, whole: bool) -> list[Row]:
    from django.contrib.auth import get_user_model
    from django.test import Client

    from tests.browser.pages import OPERATOR

    visitor, editor = Client(SERVER_NAME="127.0.0.1"), Client(SERVER_NAME="127.0.0.1")
    editor.force_login(get_user_model().objects.get(username="mira"))
    taken: set[str] = set()
    jobs = [(name_of(page, taken), page) for page in found]
    clients = {True: editor, False: visitor}
    rows = {name: Row(page.address, queries_of(clients[page.viewer == OPERATOR], page.address)) for name, page in jobs}
    with serving() as base, chromium() as browser:
        for width, height in WIDTHS.items():
            for theme in THEMES:
                for signed_in in (False, True):
                    context = browser.new_context(
                        base_url=base, viewport={"width": width, "height": height}, color_scheme=theme
                    )
                    if signed_in:
                        cookie = editor.cookies["sessionid"].value
                        context.add_cookies([{"name": "sessionid", "value": cookie, "url": base}])
                    tab = context.new_page()
                    for name, page in jobs:
                        if (page.viewer == OPERATOR) == signed_in:
                            shoot(tab, rows[name], page.address, out / f"{name}-{width}-{theme}.png", whole)
                    context.close()
    return list(rows.values())


def table(rows: list[Row]) -> str:
    lines = [f"{'kB':>6} {'page':>6} {'queries':>8} {'too wide':>9}  address"]
    for row in sorted(rows, key=lambda row: -(row.document + row.rest)):
        wide = f"{row.widest} px" if row.widest > 0 else ""
        kilobytes = (row.document + row.rest) / 1000
        lines.append(f"{kilobytes:6.1f} {row.document / 1000:6.1f} {row.queries:8d} {wide:>9}  {row.page[:80]}")
    return "\n".join([*lines, "kB: HTML, CSS and script before compression, without charts; page: the HTML of it"])


def main() -> int:
    asked = arguments()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory(prefix="speedproof-pictures-") as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "DATA_DIR": folder, "HF_HUB_OFFLINE": "1"}
        for name in ("DATABASE_URL", "BROKER_URL", "INDEX_DIR"):
            os.environ.pop(name, None)
        import django

        django.setup()
        found = fill(asked.ingest)
        names = {page.name for page in found}
        if unknown := set(asked.only) - names:
            print(
                f"No page is called {', '.join(sorted(unknown))}; there are: {', '.join(sorted(names))}.",
                file=sys.stderr,
            )
            return 2
        asked.out.mkdir(parents=True, exist_ok=True)
        # Playwright's loop runs in this thread, which Django takes for an asynchronous context.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
        rows = pictures(
            [page for page in found if not asked.only or page.name in asked.only], asked.out, not asked.fold
        )
    print(table(rows))
    print(f"{len(rows) * len(WIDTHS) * len(THEMES)} pictures in {asked.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
