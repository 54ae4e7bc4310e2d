"""Every page there is: readable by everybody, light, quiet, narrow enough, and asking nobody else for anything."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext, Response
from playwright.sync_api import Page as Tab

from recommender import services as recommender
from runners import services as runners
from tests.browser.pages import EXCEPTIONS, OPERATOR, OPERATOR_PAGES, PAGES, READER, fill, named_addresses, pages
from tests.recommender.conftest import HashingEncoder

pytestmark = [pytest.mark.browser]
AXE = Axe()
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}
CHARTS = "/charts"  # the library, its sheet and what draws with it
WEIGHT_LIMIT = 100_000  # bytes before compression


def test_every_named_page_is_walked_or_has_a_reason_not_to_be() -> None:
    names = set(named_addresses())
    known = {*PAGES, *OPERATOR_PAGES, *EXCEPTIONS}
    assert names - known == set(), "add the page to tests/browser/pages.py"
    assert known - names == set(), "no such page any more"


# Parts are swapped by a library that is loaded at once, or that page.js loads when a control is about to be used.
SWAPS_NOTHING = (
    "document.querySelector('[hx-get], [hx-post]') && !window.htmx && !document.querySelector('meta[name=htmx-source]')"
)


class Watch:
    """What a tab asked for and complained of since the last page."""

    def __init__(self, tab: Tab) -> None:
        self.answers: list[Response] = []
        self.complaints: list[str] = []
        tab.on("response", lambda answer: self.answers.append(answer))  # noqa: PLW0108 - the tab marks what it calls
        tab.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda fault: self.complaints.append(str(fault)))

    def restart(self) -> None:
        self.answers.clear()
        self.complaints.clear()

    def weight(self) -> int:
        kinds = ("document", "stylesheet", "script")
        return sum(
            len(answer.body())
            for answer in self.answers
            if answer.request.resource_type in kinds and answer.ok and CHARTS not in urlsplit(answer.url).path
        )

    def strangers(self) -> list[str]:
        hosts = {urlsplit(answer.url).hostname for answer in self.answers if not answer.url.startswith("data:")}
        return sorted(str(host) for host in hosts - {"127.0.0.1", "localhost"})


def faults_of(tab: Tab, watch: Watch) -> list[str]:
    found = [
        f"{fault['id']}: {node['target']} {node['html'][:160]}"
        for fault in AXE.run(tab, options=RULES).response["violations"]
        for node in fault["nodes"][:3]
    ]
    wider = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wider > 0:
        found.append(f"{wider} px wider than the window")
    if (weight := watch.weight()) > WEIGHT_LIMIT:
        found.append(f"{weight} bytes of HTML, CSS and script")
    if tab.evaluate(SWAPS_NOTHING):
        found.append("swaps parts, and does not load what swaps them")
    found += [f"asks {host}" for host in watch.strangers()]
    return found + [f"console: {said}" for said in watch.complaints]


def enter(context: BrowserContext, client: Client, address: str) -> None:
    cookie = client.cookies["sessionid"]
    context.add_cookies([{"name": "sessionid", "value": cookie.value, "url": address}])


@pytest.fixture
def _light_parts(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker, and an encoder that needs no weights."""
    settings.ENCODER = "hashing"
    monkeypatch.setattr(recommender, "_open", recommender._Open())
    monkeypatch.setattr(recommender, "open_encoder", lambda *_: HashingEncoder())
    monkeypatch.setattr(runners, "ring", lambda run_id, kind: None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_light_parts")
def test_every_page_is_open_to_everybody_light_and_quiet(
    browser: Browser, live_server: Any, django_user_model: Any
) -> None:
    library = fill()
    client = Client()
    client.force_login(django_user_model.objects.get(username="mira"))
    faults: dict[str, list[str]] = {}
    for width, height, scheme in ((1440, 900, "light"), (390, 844, "dark")):
        for viewer in (READER, OPERATOR):
            context = browser.new_context(
                base_url=live_server.url, viewport={"width": width, "height": height}, color_scheme=scheme
            )
            if viewer == OPERATOR:
                enter(context, client, live_server.url)
            tab = context.new_page()
            watch = Watch(tab)
            for page in pages(library):
                if page.viewer != viewer:
                    continue
                watch.restart()
                answer = tab.goto(page.address)
                where = f"{page.address} {width} {scheme}"
                assert answer is not None, where
                found = faults_of(tab, watch)
                if answer.status != 200 or urlsplit(tab.url).path != urlsplit(page.address).path:
                    found.append(f"answers {answer.status} at {tab.url}")
                if found:
                    faults[where] = found
            context.close()
    assert faults == {}, "\n".join(f"{where}\n  " + "\n  ".join(found) for where, found in faults.items())


EMPTY = ("home", "papers", "techniques", "families", "coverage", "hardware", "compare", "runs", "run-compare", "recommend",
         "status", "exports")  # fmt: skip


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_light_parts")
def test_pages_of_a_fresh_installation_are_open_to_everybody_too(browser: Browser, live_server: Any) -> None:
    context = browser.new_context(base_url=live_server.url, viewport={"width": 390, "height": 844})
    tab = context.new_page()
    watch = Watch(tab)
    faults = {}
    for name in EMPTY:
        watch.restart()
        answer = tab.goto(reverse(name))
        assert answer is not None
        assert answer.status == 200, name
        if found := faults_of(tab, watch):
            faults[name] = found
    context.close()
    assert faults == {}
