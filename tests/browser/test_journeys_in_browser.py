"""Whole ways through the site in a real browser, at both widths and in both themes: comparing, families, handing in."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from papers.models import Outcome, Paper
from recommender import services as recommender
from runners import services as runners
from tests.browser.test_pages_in_browser import assert_fits
from tests.browser.test_review_in_browser import sign_in
from tests.factories import make_implementation, make_measurement, make_paper, make_run, make_user, make_verdict
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
def page(page: Page, size: tuple[int, int]) -> Page:
    """The theme that the walk over all pages does not see at this width."""
    page.emulate_media(color_scheme="dark" if size[0] > 600 else "light")
    return page


@pytest.fixture
def techniques(transactional_db: None) -> list[Any]:
    """Five that run here; a GPU confirmed the claim of the first and halved that of the second."""
    names = ("foldcache", "thinlayer", "halfnet", "quickmoe", "sparsekey")
    made = [make_implementation(make_paper(title=f"{name.capitalize()}: a technique"), name) for name in names]
    for implementation, ratio, outcome in ((made[0], 2.3, Outcome.CONFIRMED), (made[1], 1.15, Outcome.BELOW_CLAIM)):
        claim = implementation.paper.claims.get()
        claim.ratio = claim.value
        claim.save()
        run = make_run(implementation)
        make_measurement(run, ratio=ratio, ratio_low=ratio * 0.98, ratio_high=ratio * 1.02)
        make_verdict(claim, run, outcome, ratio=ratio, low=ratio * 0.98, high=ratio * 1.02)
    return made


def test_from_the_list_to_techniques_side_by_side(page: Page, techniques: list[Any]) -> None:
    page.goto("/techniques/")
    page.get_by_label("Sort by").select_option("gap")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("ordering=gap"))
    expect(page.get_by_text("2 have a deciding verdict from a GPU; the other 3 come last")).to_be_visible()
    page.get_by_role("link", name="Table", exact=True).click()
    expect(page).to_have_url(re.compile("ordering=gap.*view=table"))
    boxes = page.locator("input[name=t]")
    expect(page.locator("tbody tr").first).to_contain_text("2.00×")
    assert_fits(page)
    for number in (0, 1):
        boxes.nth(number).focus()
        page.keyboard.press("Space")
    button = page.get_by_role("button", name="Compare those chosen")
    expect(button).to_be_in_viewport()
    button.click()
    expect(page).to_have_url(re.compile(r"/compare/\?t=[\w-]+&t=[\w-]+$"))
    expect(page.locator(".compare-table thead th")).to_have_count(2)
    expect(page.locator(".compare-table")).to_contain_text("1.15×")
    assert_fits(page)
    page.get_by_label("Only what differs").check()
    expect(page.locator("tr.same").first).to_be_hidden()
    page.get_by_role("link", name=re.compile("^Remove")).first.click()
    expect(page.get_by_text("Add one more to compare it with")).to_be_visible()


def test_from_the_families_to_one_and_to_a_technique(page: Page, techniques: list[Any]) -> None:
    page.goto("/")
    page.get_by_role("navigation", name="Footer").get_by_role("link", name="Families").click()
    expect(page.locator("figure[data-drawn=yes]")).to_be_visible()
    expect(page.get_by_role("img", name="Verdicts from GPUs by family")).to_be_visible()
    assert_fits(page)
    page.get_by_role("link", name="KV cache", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("KV cache")
    expect(page.get_by_text("2 of 5 claims were measured on a GPU")).to_be_visible()
    assert_fits(page)
    name = techniques[0].paper.technique.name
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.locator(".judged-table")).to_contain_text("Confirmed")


def test_from_a_budget_to_advice_that_can_be_shared_and_printed(page: Page, techniques: list[Any]) -> None:
    recommender.build_index()
    page.goto("/")
    page.get_by_label("Search, or say what you run").fill("one A100, Llama-3-8B, 32k prompts, no retraining")
    page.get_by_role("main").get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile(r"/recommend/\?need="))
    situation = page.get_by_role("region", name="Your situation")
    expect(situation).to_contain_text("NVIDIA A100")
    expect(situation).to_contain_text("Modelled")
    answers = page.get_by_role("region", name="Recommended").get_by_role("listitem")
    expect(answers.first).to_be_visible()
    assert_fits(page)

    page.get_by_label("GPU", exact=True).fill("H100")
    page.get_by_text("Workload and budget").click()
    page.get_by_label(re.compile("^Memory")).first.fill("a lot")
    page.get_by_role("button", name="Recommend").click()
    expect(page.locator(".field-error")).to_contain_text("number")
    page.get_by_label(re.compile("^Memory")).first.fill("20")
    page.get_by_role("button", name="Recommend").click()
    expect(situation).to_contain_text("NVIDIA H100")
    expect(situation).to_contain_text("20 GiB")

    shared = page.context.new_page()
    shared.goto(page.url)
    expect(shared.get_by_role("region", name="Your situation")).to_contain_text("NVIDIA H100")
    shared.emulate_media(media="print")
    expect(shared.locator(".site-header")).to_be_hidden()
    expect(shared.get_by_role("region", name="Recommended")).to_be_visible()
    shared.close()


def test_an_editor_hands_in_a_page_looks_and_keeps_it(page: Page, transactional_db: None) -> None:
    make_user("mira", role="editor")
    sign_in(page, "/ingest/")
    expect(page.get_by_text("Nothing yet")).to_be_visible()
    line = json.dumps({"title": "Foldnet: a net of its own", "abstract": "Foldnet runs 3x faster on a GPU."})
    page.get_by_label("Text").fill(f"{line}\nthis line is no paper")
    page.get_by_role("button", name="Read the text").click()
    expect(page.locator(".counts-line")).to_contain_text("New")
    expect(page.get_by_text("3× speed-up")).to_be_visible()
    expect(page.get_by_text("line 2: not JSON")).to_be_visible()
    assert not Paper.objects.exists(), "it is shown before it is kept"
    assert_fits(page)
    page.get_by_role("button", name="Keep 1 paper").click()
    expect(page.get_by_text("1 new, 0 updated, 0 known already, 1 refused")).to_be_visible()
    page.get_by_role("link", name="See the papers").click()
    expect(page.get_by_role("link", name="Foldnet: a net of its own")).to_be_visible()

    page.goto("/ingest/")
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("Kept")
    expect(row).to_contain_text("mira")
    assert_fits(page)
    page.get_by_label("Text").fill(line.replace("Foldnet", "Lostnet"))
    page.get_by_role("button", name="Read the text").click()
    page.get_by_role("button", name="Throw it away").click()
    expect(page.get_by_text("Thrown away. Nothing was kept of it.")).to_be_visible()
    assert Paper.objects.count() == 1
