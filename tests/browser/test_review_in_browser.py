"""An editor's way through the review queue, in a real browser: by keyboard, by touch, without script, and the admin."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from papers.models import Claim, Paper, Review, ReviewItem, ReviewReason
from papers.services import Doubt, SeenPaper, open_review_items, record_paper, store_record
from tests.browser.test_all_pages import AXE, RULES
from tests.browser.test_pages_in_browser import assert_fits
from tests.factories import PASSWORD, make_user
from tests.papers.sample import a_claim, a_record, the_paper

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def queue(transactional_db: None) -> None:
    """Two doubtful claims, then two papers that may be one, and somebody who may decide."""
    paper = the_paper()
    memory = a_claim("2.5x less memory", metric="memory", value=2.5, confidence=0.3)
    store_record(paper, a_record(claims=[memory, a_claim(confidence=0.5)]), "1")
    record_paper(SeenPaper(title="TwoCache: half the cache", year=2024))
    make_user("mira", is_staff=True, is_superuser=True)


def sign_in(page: Page, address: str = "/review/") -> None:
    page.goto(f"/sign-in/?next={address}")
    page.get_by_label("User name").fill("mira")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{address}")
    page.wait_for_load_state("load")  # a key pressed before the script is there goes nowhere


def test_the_queue_by_keyboard(page: Page, queue: None) -> None:
    sign_in(page)
    expect(page.locator("mark.claim-mark-deep")).to_have_text("2.5x less memory")
    assert_fits(page)
    page.evaluate("window.stayed = true")

    page.keyboard.press("j")
    expect(page.locator("mark.claim-mark-deep")).to_have_text("3x faster")
    page.keyboard.press("k")
    expect(page.locator("mark.claim-mark-deep")).to_have_text("2.5x less memory")
    page.keyboard.press("s")
    expect(page.locator("mark.claim-mark-deep")).to_have_text("3x faster")
    page.evaluate("window.stayed = true")

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("a")  # does nothing while help is open
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()

    page.keyboard.press("c")
    value = page.get_by_label("Value")
    expect(value).to_be_focused()
    value.fill("many")
    page.keyboard.press("Enter")
    expect(page.locator("#review-value-error")).to_contain_text("is not a number such as 2.5")
    expect(value).to_be_focused()
    value.fill("2.9")
    page.get_by_label("Qualifier").select_option("about")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".review-said")).to_contain_text("Corrected: about 2.9×")
    expect(page.locator("#nav-count")).to_have_text("2")
    expect(page.locator("#review-heading")).to_be_focused()
    assert page.evaluate("window.stayed") is True, "answers come in without a reload"
    claim = Claim.objects.get(metric="speedup")
    assert (claim.value, claim.qualifier, claim.review) == (2.9, "about", Review.CORRECTED)

    expect(page.locator("#review-heading")).to_have_text("Are these one paper?")
    expect(page.locator(".pair mark")).to_have_text(["a", "the"])
    assert_fits(page)
    page.keyboard.press("r")
    expect(page.locator(".review-said")).to_contain_text("Kept apart")
    page.keyboard.press("r")
    expect(page.get_by_role("heading", name="Nothing waits")).to_be_visible()
    assert Claim.objects.get(metric="memory").review == Review.REJECTED
    assert not ReviewItem.objects.open().exists()


def test_a_person_labels_what_an_endpoint_read_otherwise(page: Page, transactional_db: None) -> None:
    """The field of a record, a list, and a claim that the rules missed: by keys, each told and kept as set by a person."""
    paper = the_paper()
    store_record(paper, a_record(), "1")
    words = "halves memory"
    proposal = a_claim(words, metric="memory", value=2.0, baseline=None)
    at = {name: proposal.pop(name) for name in ("start", "end", "rule")}
    open_review_items(
        [
            Doubt(ReviewReason.ENDPOINT_DISAGREES, paper, "kind", field="kind",
                  details={"rules": {"value": "technique", "words": ["cache"]}, "endpoint": {"value": "system", "words": []}}),
            Doubt(ReviewReason.ENDPOINT_DISAGREES, paper, "families", field="families",
                  details={"rules": {"value": ["kv-cache"]}, "endpoint": {"value": ["peft"]}}),
            Doubt(ReviewReason.ENDPOINT_DISAGREES, paper, "missed",
                  details={"rules": None, "endpoint": at, "proposal": proposal}),
        ]
    )  # fmt: skip
    make_user("mira", is_staff=True, is_superuser=True)
    sign_in(page)

    expect(page.get_by_role("table")).to_contain_text("by “cache”")
    assert_open_to_everybody(page)
    page.keyboard.press("t")
    expect(page.locator(".review-said")).to_contain_text("endpoint")
    families = page.get_by_label("Families")
    expect(families).to_have_value("kv-cache, quantization")
    assert_open_to_everybody(page)
    page.keyboard.press("c")
    expect(families).to_be_focused()
    families.fill("kv-cache, no-such-family")
    page.keyboard.press("Enter")
    expect(families).to_have_attribute("aria-invalid", "true")
    expect(families).to_be_focused()
    families.fill("kv-cache")
    page.keyboard.press("Enter")
    expect(page.locator(".review-said")).to_contain_text("Corrected")

    expect(page.locator("mark.claim-mark-deep")).to_have_text(words)
    assert_open_to_everybody(page)
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name="Nothing waits")).to_be_visible()
    technique = Paper.objects.get(pk=paper.pk).technique
    assert (technique.kind, technique.families) == ("system", ["kv-cache"])
    assert {"kind", "families"} <= set(technique.set_by_people), "a later reading does not undo what a person said"
    assert paper.claims.get(metric="memory").value == 2.0

    page.get_by_role("link", name=re.compile("Decided")).click()
    expect(page.locator(".review-item .kicker")).to_contain_text("by mira")
    assert_open_to_everybody(page)


def assert_open_to_everybody(page: Page) -> None:
    assert_fits(page)
    found = AXE.run(page, options=RULES).response["violations"]
    assert found == [], [(fault["id"], [node["html"][:120] for node in fault["nodes"][:3]]) for fault in found]


def test_the_queue_by_pointer_and_back(page: Page, queue: None) -> None:
    sign_in(page)
    page.get_by_role("link", name=re.compile("Possible twin")).click()
    page.get_by_label("Note").fill("the same authors")
    page.get_by_label("Note").press("Enter")  # a note alone merges nothing
    assert Paper.objects.filter(merged_into=None).count() == 2
    page.get_by_role("button", name="Merge, keep the second").click()
    expect(page.locator(".review-said")).to_contain_text("Merged")
    expect(page.get_by_role("heading", name="Nothing waits for this reason")).to_be_visible()
    merged = Paper.objects.get(title="TwoCache: half a cache")
    page.goto(merged.get_absolute_url())
    expect(page.get_by_role("heading", level=1)).to_have_text("TwoCache: half the cache")
    expect(page.get_by_text("Also known as")).to_be_visible()

    page.goto("/review/")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator(".review-said")).to_contain_text("Accepted")
    page.get_by_role("link", name=re.compile("Decided")).click()
    expect(page.locator(".review-item .kicker")).to_contain_text("accepted by mira")
    assert_fits(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_both_themes(page: Page, queue: None, scheme: Any) -> None:
    """Contrast of what is small or coloured, by the WCAG formula: 4.5 to 1 at least."""
    page.emulate_media(color_scheme=scheme)
    sign_in(page)
    expect(page.locator("#review")).to_be_visible()
    for selector in (".reason-badge", ".button-reject", ".review-why", ".review-form label", ".review-form .hint",
                     "mark.claim-mark-deep", ".review-progress"):  # fmt: skip
        assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector


CONTRAST = """node => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const layers = [];
  for (let at = node; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
  const ground = layers.reduce((below, [r, g, b, a]) =>
    below.map((c, i) => [r, g, b][i] * a / 255 + c * (1 - a / 255)), [255, 255, 255]);
  const [one, two] = [light(rgba(getComputedStyle(node).color)), light(ground)].sort((x, y) => y - x);
  return (one + 0.05) / (two + 0.05);
}"""


def test_the_queue_without_script(browser: Browser, live_server: Any, queue: None) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page)
    page.get_by_label("Value").fill("4")
    page.get_by_label("Value").press("Enter")  # accepts nothing by accident
    assert not Claim.objects.exclude(review=Review.UNREVIEWED).exists()
    page.get_by_role("button", name="Correct").click()
    expect(page.locator(".messages")).to_contain_text("Corrected")
    page.get_by_role("button", name="Reject").click()
    page.get_by_role("button", name="Not the same").click()
    expect(page.get_by_role("heading", name="Nothing waits")).to_be_visible()
    assert sorted(Claim.objects.values_list("review", flat=True)) == ["corrected", "rejected"]
    context.close()


def test_the_admin_works_under_the_content_policy(page: Page, queue: None) -> None:
    sign_in(page, "/admin/")
    expect(page.get_by_role("heading", name="Records")).to_be_visible()
    page.goto("/admin/papers/claim/")
    page.get_by_label("Select this object for an action").first.check()
    page.locator("select[name=action]").select_option("accept")
    page.locator("button[name=index]").click()
    expect(page.get_by_text("1 claims accepted.")).to_be_visible()
    page.goto(f"/admin/papers/claim/{Claim.objects.all()[0].pk}/change/")
    expect(page.get_by_text("Quote:")).to_be_visible()
