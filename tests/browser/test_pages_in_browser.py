"""The way of a reader through the site, in a real browser."""

import re
import time
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, Route, expect

from papers.models import Outcome, Run, RunState
from recommender import services as recommender
from runners import services as runners
from tests.factories import (
    PASSWORD,
    make_claim,
    make_device,
    make_implementation,
    make_measurement,
    make_paper,
    make_run,
    make_technique,
    make_user,
    make_verdict,
)
from tests.recommender.conftest import HashingEncoder

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _light_parts(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """No broker, and an encoder that needs no weights."""
    settings.ENCODER = "hashing"
    monkeypatch.setattr(recommender, "_open", recommender._Open())
    monkeypatch.setattr(recommender, "open_encoder", lambda *_: HashingEncoder())
    monkeypatch.setattr(runners, "ring", lambda run_id, kind: None)


@pytest.fixture
def library(transactional_db: None) -> Any:
    """A technique with a verdict, a second paper, and the index that holds both."""
    paper = make_paper(title="Foldcache: Folded Pages for Long Prompts")
    implementation = make_implementation(paper, "foldcache")
    make_claim(paper, quote="40% less memory", metric="memory", form="percent", value=40, unit="%")
    run = make_run(implementation)
    make_measurement(run)
    make_verdict(paper.claims.filter(card_key__isnull=False).get(), run, Outcome.CONFIRMED)
    other = make_implementation(
        make_paper(title="Thinlayer: Fewer Weights", abstract="Layers lose weights."), "thinlayer"
    )
    make_device("cpu")
    make_user("mira")
    recommender.build_index()
    return {"paper": paper, "implementation": implementation, "run": run, "other": other}


def assert_fits(page: Page) -> None:
    """Nothing but the tables' own boxes scrolls sideways."""
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{page.url} is {wider} px wider than the window"


def test_from_the_front_page_to_a_run(page: Page, library: Any) -> None:
    page.goto("/")
    page.get_by_label("Search, or say what you run").fill("folded memory pages")
    page.get_by_role("main").get_by_role("button", name="Search").click()
    assert_fits(page)
    page.get_by_role("link", name="Foldcache: Folded Pages for Long Prompts").first.click()

    mark = page.locator("mark.claim-mark", has_text="40% less memory")
    expect(mark).to_be_visible()
    mark.get_by_role("link").click()
    expect(page.locator("tr:target")).to_contain_text("40 %")
    expect(page.get_by_role("link", name="Thinlayer: Fewer Weights")).to_be_visible()  # similar papers came in
    assert_fits(page)

    page.get_by_role("link", name="Technique: claimed against measured").click()
    expect(page.get_by_role("row", name=re.compile("twice as fast"))).to_contain_text("Confirmed")
    expect(page.locator(".judged-table svg.interval")).to_have_attribute(
        "aria-label", re.compile("measured 2.21×.*claimed 2.30×")
    )
    assert_fits(page)

    page.get_by_role("link", name="Sign in to verify").click()
    page.get_by_label("User name").fill("mira")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Verify").click()
    expect(page).to_have_url(re.compile(r"/runs/\d+/$"))
    expect(page.locator(".run-line")).to_contain_text("Queued")
    assert_fits(page)


def test_a_run_is_followed_to_its_end_without_a_reload(page: Page, library: Any) -> None:
    run = make_run(library["other"], RunState.RUNNING, phase="checking", progress=0.1)
    page.goto(run.get_absolute_url())
    expect(page.locator(".run-line")).to_contain_text("Checking")
    page.evaluate("window.stayed = true")

    Run.objects.filter(pk=run.pk).update(phase="timing", progress=0.6, log_tail="pair 7 of 24")
    expect(page.locator(".run-line")).to_contain_text("Timing")
    expect(page.locator(".log")).to_contain_text("pair 7 of 24")
    expect(page.locator("#run-announce")).to_have_text("Running: timing")

    make_measurement(run, median=12.5)
    Run.objects.filter(pk=run.pk).update(state=RunState.FINISHED, phase="", status="PASSED", finished_at=timezone.now())
    expect(page.locator(".run-line")).to_contain_text("Finished")
    expect(page.get_by_role("table")).to_contain_text("12.5 ms")
    expect(page.locator("#run-panel[hx-trigger]")).to_have_count(0)
    assert page.evaluate("window.stayed") is True


def test_facets_swap_the_results_and_keep_address_focus_and_history(
    page: Page, library: Any, size: tuple[int, int]
) -> None:
    make_paper(title="Unlabelled paper", abstract="No labels here.")
    page.goto("/papers/")
    if size[0] < 600:
        page.get_by_text("Filters", exact=True).click()
    page.evaluate("window.stayed = true")
    page.get_by_label("KV cache").check()
    expect(page.locator("#found")).to_have_text("2 papers")
    expect(page).to_have_url(re.compile(r"/papers/\?family=kv-cache$"))
    expect(page.get_by_label("KV cache")).to_be_focused()
    assert page.evaluate("window.stayed") is True
    assert_fits(page)

    page.get_by_role("link", name=re.compile("Family: KV cache")).click()
    expect(page.locator("#found")).to_have_text("3 papers")
    page.go_back()
    expect(page.locator("#found")).to_have_text("2 papers")


def test_all_values_of_a_facet_come_in_and_the_focus_stays(page: Page, library: Any, size: tuple[int, int]) -> None:
    for number in range(12):
        make_technique(make_paper(title=f"On card {number}"), hardware=(f"Card {number}",))
    page.goto("/papers/")
    assert page.evaluate("!window.htmx"), "what swaps parts comes when it is about to be needed"
    if size[0] < 600:
        page.get_by_text("Filters", exact=True).click()
    page.evaluate("window.stayed = true")
    page.locator("summary", has_text="Hardware named").click()
    expect(page.locator("[name=hardware]")).to_have_count(8)
    box = page.get_by_label("Show all 12")
    box.focus()
    page.keyboard.press("Space")
    expect(page.locator("[name=hardware]")).to_have_count(12)
    expect(page).to_have_url(re.compile(r"/papers/\?more=hardware$"))
    expect(box).to_be_focused()
    expect(box).to_be_checked()
    assert page.evaluate("window.stayed") is True
    assert_fits(page)


def test_a_filter_that_is_chosen_before_its_script_is_there_is_not_lost(
    page: Page, library: Any, size: tuple[int, int]
) -> None:
    make_paper(title="Unlabelled paper", abstract="No labels here.")

    def late(route: Route) -> None:
        time.sleep(0.5)
        route.continue_()

    page.route("**/htmx*.js", late)
    page.goto("/papers/")
    if size[0] < 600:
        page.get_by_text("Filters", exact=True).click()
    page.get_by_label("KV cache").check()
    expect(page.locator("#found")).to_have_text("2 papers")
    expect(page).to_have_url(re.compile(r"family=kv-cache$"))


def test_going_back_over_a_page_that_was_left_shows_what_the_address_says(
    page: Page, library: Any, size: tuple[int, int]
) -> None:
    make_paper(title="Unlabelled paper", abstract="No labels here.")
    page.goto("/papers/")
    if size[0] < 600:
        page.get_by_text("Filters", exact=True).click()
    page.get_by_label("KV cache").check()
    expect(page.locator("#found")).to_have_text("2 papers")
    page.goto("/about/")
    page.go_back()
    expect(page.locator("#found")).to_have_text("2 papers")
    page.go_back()
    expect(page).to_have_url(re.compile(r"/papers/$"))
    expect(page.locator("#found")).to_have_text("3 papers")


def test_more_like_a_result_keeps_the_words_and_the_filters(page: Page, library: Any, size: tuple[int, int]) -> None:
    page.goto("/search/?q=folded+memory+pages&family=kv-cache")
    first = page.locator("article.row").first
    expect(first).to_contain_text("Foldcache")
    first.get_by_role("button", name="More like this").click()
    expect(page.get_by_role("list", name="Examples")).to_contain_text("Like: Foldcache")
    expect(page).to_have_url(re.compile(r"q=folded\+memory\+pages.*family=kv-cache.*like=foldcache"))
    expect(page.locator("article.row").first).to_contain_text("Thinlayer")
    assert_fits(page)


def test_the_keyboard_reaches_the_content(page: Page, library: Any) -> None:
    page.goto("/papers/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_every_page_fits_and_is_quiet(page: Page, library: Any) -> None:
    implementation, run = library["implementation"], library["run"]
    failed = make_run(implementation, RunState.FAILED, failure_reason="crashed", failure_detail="x" * 300)
    addresses = ["/", "/papers/?family=quantisation", "/techniques/", "/runs/", "/about/", "/sign-in/", "/recommend/"]
    addresses += ["/recommend/?need=fold+the+cache+of+Llama-3-8B+on+an+A100+with+32k+prompts", "/search/?q=nothing"]
    addresses += [library["paper"].get_absolute_url(), implementation.get_absolute_url(), run.get_absolute_url()]
    addresses += [failed.get_absolute_url(), reverse("similar", args=[library["paper"].slug])]
    for address in addresses:
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        assert_fits(page)


def test_without_script_filters_and_runs_still_work(browser: Browser, live_server: Any, library: Any) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/papers/")
    page.get_by_label("KV cache").check()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#found")).to_have_text("2 papers")
    page.goto(library["paper"].get_absolute_url())
    page.get_by_role("link", name="Show similar papers").click()
    expect(page.get_by_role("link", name="Thinlayer: Fewer Weights")).to_be_visible()
    page.goto(make_run(library["other"], RunState.QUEUED).get_absolute_url())
    expect(page.locator("meta[http-equiv=refresh]")).to_have_count(1)
    context.close()


def test_one_key_leads_to_the_search_and_can_be_turned_off(page: Page, library: Any) -> None:
    page.goto("/about/")
    page.keyboard.press("/")
    box = page.get_by_role("searchbox", name="Search papers and techniques")
    expect(box).to_be_focused()
    page.keyboard.type("a/b")
    expect(box).to_have_value("a/b")
    switch = page.get_by_label("Single keys")
    switch.uncheck()
    page.goto("/runs/")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search papers and techniques")).not_to_be_focused()
    expect(page.get_by_label("Single keys")).not_to_be_checked()
    page.goto("/")
    page.get_by_label("Single keys").check()
    page.keyboard.press("/")
    expect(page.get_by_label("Search, or say what you run")).to_be_focused()


def test_a_citation_is_copied_by_keyboard(page: Page, library: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(library["paper"].get_absolute_url())
    page.locator("summary", has_text="Cite").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Copy the text")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".cite-acts [role=status]").first).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("Foldcache: Folded Pages for Long Prompts. http")


def test_filters_of_a_wide_screen_have_no_switch(page: Page, library: Any, size: tuple[int, int]) -> None:
    page.goto("/papers/")
    expect(page.get_by_role("checkbox", name="Filters")).to_have_count(1 if size[0] < 600 else 0)


def test_keys_alone_reach_every_control_and_show_where_they_are(
    page: Page, library: Any, size: tuple[int, int]
) -> None:
    """The focus ring is on whatever Tab comes to, and Tab comes to every link, field and summary that is seen."""
    page.goto("/papers/?family=kv-cache")
    page.locator("#show-filters").evaluate("box => { box.checked = true; }")  # a click would move where Tab starts
    wanted = page.evaluate(
        """() => new Set([...document.querySelectorAll("a[href], button, input:not([type=hidden], [type=radio]), select, summary")]
          .filter((node) => node.checkVisibility() && !node.disabled)).size"""
    )
    reached, bare = 0, []
    for _ in range(3 * wanted):
        page.keyboard.press("Tab")
        told = page.evaluate(
            """() => { const at = document.activeElement; if (!at || at === document.body) return null;
              const first = !at.dataset.reached && !at.matches("[type=radio], [tabindex]"); at.dataset.reached = "1";
              const ring = getComputedStyle(at.matches(".filter-toggle") ? at.nextElementSibling : at);
              return [first, ring.outlineStyle !== "none" && parseFloat(ring.outlineWidth) >= 1, at.outerHTML.slice(0, 90)]; }"""
        )
        if told is None:
            break
        reached += told[0]
        if not told[1]:
            bare.append(told[2])
    assert bare == []
    assert reached == wanted
