"""The review queue as a page: who may see it, what it asks, and what an answer does."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from papers.models import Claim, Paper, Review, ReviewItem, ReviewReason, ReviewState, TwinCandidate
from papers.services import Doubt, SeenPaper, open_review_items, record_paper, store_record, withdraw_paper
from tests.factories import make_user
from tests.papers.sample import ABSTRACT, a_claim, a_record, the_paper

pytestmark = pytest.mark.django_db
QUEUE = "/review/"


@pytest.fixture
def editor(client: Client) -> Client:
    user = make_user()
    user.user_permissions.add(Permission.objects.get(codename="review", content_type__app_label="papers"))
    client.force_login(user)
    return client


@pytest.fixture
def paper() -> Paper:
    paper = the_paper()
    memory = a_claim("2.5x less memory", metric="memory", value=2.5, confidence=0.3)
    store_record(paper, a_record(claims=[a_claim(confidence=0.5), memory]), "1")
    return paper


def read(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return re.sub(r"\s+", " ", answer.content.decode())


def decide(client: Client, item: ReviewItem, decision: str, query: str = "", **fields: Any) -> Any:
    return client.post(reverse("review-answer", args=[item.pk]) + query, {"decision": decision, **fields})


def shown(claim: Claim, **changes: Any) -> dict[str, Any]:
    """What a browser sends of the form, as it stands or changed."""
    names = ("metric", "phase", "form", "direction", "unit", "qualifier", "baseline", "hardware", "quote")
    return {n: getattr(claim, n) for n in names} | {"value": f"{claim.value:g}", "value_max": "", "note": ""} | changes


# ── who ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_it_asks_to_sign_in_and_refuses_who_may_not_edit(client: Client, paper: Paper) -> None:
    answer = client.get(QUEUE + "?reason=twin")
    assert (answer.status_code, answer["Location"]) == (302, "/sign-in/?next=/review/%3Freason%3Dtwin")
    client.force_login(make_user())
    assert "Not allowed" in read(client, QUEUE, 403)
    assert decide(client, ReviewItem.objects.all()[0], "reject").status_code == 403
    assert not Claim.objects.exclude(review=Review.UNREVIEWED).exists()
    assert 'href="/review/"' not in read(client, "/about/")


@pytest.mark.parametrize("who", ["staff", "permission"])
def test_editors_find_it_in_the_navigation_with_what_waits(client: Client, paper: Paper, who: str) -> None:
    user = make_user(is_staff=who == "staff")
    if who == "permission":
        user.user_permissions.add(Permission.objects.get(codename="review", content_type__app_label="papers"))
    client.force_login(user)
    assert re.search(r'href="/review/">Review <span[^>]*>2</span>', read(client, "/about/"))


def test_a_session_that_ran_out_leads_to_the_sign_in_as_a_whole_page(client: Client, paper: Paper) -> None:
    item = ReviewItem.objects.order_by("pk")[0]
    answer = client.post(
        reverse("review-answer", args=[item.pk]), {"decision": "accept"}, headers={"HX-Request": "true"}
    )
    assert answer["HX-Redirect"] == "/sign-in/?next=/review/"
    assert Claim.objects.get(pk=item.claim_id).review == Review.UNREVIEWED


# ── what it shows ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_claim_is_shown_with_its_evidence_and_as_a_form(editor: Client, paper: Paper) -> None:
    page = read(editor, QUEUE)
    claim = ReviewItem.objects.order_by("pk")[0].claim
    assert f'<mark class="claim-mark claim-mark-deep">{claim.quote}</mark>' in page
    assert re.search(rf'name="value" value="{claim.value:g}"', page)
    assert "below 60 % a person looks at it" in page
    assert "1 of 2" in page
    assert "0 of 2 decided" in page


def test_filters_count_and_an_empty_queue_says_so(editor: Client, paper: Paper) -> None:
    assert re.search(r'aria-current="true">Low confidence <span class="option-count">2', read(
        editor, QUEUE + "?reason=low-confidence"))  # fmt: skip
    assert "Nothing waits for this reason" in read(editor, QUEUE + "?reason=span-lost")
    assert "1 of 2" in read(editor, QUEUE + "?reason=nonsense"), "an unknown reason shows all"
    Claim.objects.update(withdrawn_at="2026-01-01T00:00:00Z")
    assert "Nothing waits" in read(editor, QUEUE), "claims that are gone are no questions"


@pytest.mark.parametrize("gone", [0, 1])
def test_pairs_of_which_one_left_the_lists_are_no_questions(editor: Client, gone: int) -> None:
    papers = [record_paper(SeenPaper(title=f"Foldcache: Folded Pages for {w} Prompts"))[0] for w in ("Long", "Longer")]
    assert "Are these one paper?" in read(editor, QUEUE)
    withdraw_paper(papers[gone], None, "retracted")
    assert "Nothing waits" in read(editor, QUEUE)


def test_the_page_costs_the_same_however_much_waits(editor: Client, django_assert_max_num_queries: Any) -> None:
    counts = []
    for number in range(12):
        paper = the_paper(f"Paper {number}")
        store_record(paper, a_record(claims=[a_claim(confidence=0.5)]), "1")
        if number in (2, 11):
            with django_assert_max_num_queries(14) as queries:
                editor.get(QUEUE + f"?item={ReviewItem.objects.order_by('pk')[1].pk}")
            counts.append(len(queries))
    assert counts[0] == counts[1]


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("decision", "review"), [("accept", "accepted"), ("correct", "corrected"), ("reject", "rejected")]
)
def test_a_plain_form_answers_and_goes_on_to_the_next(editor: Client, paper: Paper, decision: str, review: str) -> None:
    first, second = ReviewItem.objects.order_by("pk")
    changes = {"value": "4", "qualifier": "up to"} if decision == "correct" else {}
    answer = decide(editor, first, decision, **shown(first.claim, **changes))
    assert (answer.status_code, answer["Location"]) == (302, f"/review/?item={second.pk}")
    first.refresh_from_db()
    claim = Claim.objects.get(pk=first.claim_id)
    assert (first.state, first.decision, claim.review) == (ReviewState.DONE, decision, review)
    assert claim.value == (4.0 if decision == "correct" else first.claim.value)
    assert "1 of 2 decided" in read(editor, answer["Location"])


def test_htmx_swaps_in_the_next_question_and_the_count_in_the_navigation(editor: Client, paper: Paper) -> None:
    first, second = ReviewItem.objects.order_by("pk")
    answer = editor.post(
        reverse("review-answer", args=[first.pk]), {"decision": "accept", **shown(first.claim)},
        headers={"HX-Request": "true"},
    )  # fmt: skip
    text = answer.content.decode()
    assert answer["HX-Replace-Url"] == f"/review/?item={second.pk}"
    assert "<html" not in text
    assert re.search(r'id="nav-count"[^>]*hx-swap-oob="true">1<', text)
    assert "Accepted:" in text


def test_what_was_wrong_stands_at_its_field_and_what_was_typed_stays(editor: Client, paper: Paper) -> None:
    item = ReviewItem.objects.order_by("pk")[0]
    answer = decide(editor, item, "correct", **shown(item.claim, value="many", baseline="<b>"))
    assert answer.status_code == 422
    text = answer.content.decode()
    assert 'value="many" inputmode="decimal" autocomplete="off" aria-invalid="true"' in text
    assert "&#x27;many&#x27; is not a number such as 2.5" in text
    assert 'value="&lt;b&gt;"' in text
    assert Claim.objects.get(pk=item.claim_id).review == Review.UNREVIEWED


def test_accepting_a_form_that_was_changed_does_not_lose_the_change(editor: Client, paper: Paper) -> None:
    item = ReviewItem.objects.order_by("pk")[0]
    answer = decide(editor, item, "accept", **shown(item.claim, value="9"))
    assert answer.status_code == 422
    assert "Would lose what you changed" in answer.content.decode()
    answer = decide(editor, item, "correct", **shown(item.claim))
    assert "Changes nothing" in answer.content.decode()


def test_a_question_that_somebody_else_answered_is_not_answered_twice(editor: Client, paper: Paper) -> None:
    item = ReviewItem.objects.order_by("pk")[0]
    decide(editor, item, "reject", **shown(item.claim))
    answer = decide(editor, item, "accept", **shown(item.claim))
    assert answer.status_code == 302
    assert "answered in the meantime" in read(editor, answer["Location"])
    assert Claim.objects.get(pk=item.claim_id).review == Review.REJECTED


def test_an_answer_can_be_taken_back_among_the_decided(editor: Client, paper: Paper) -> None:
    item = ReviewItem.objects.order_by("pk")[0]
    decide(editor, item, "reject", **shown(item.claim))
    assert "rejected by" in read(editor, QUEUE + "?state=decided")
    decide(editor, item, "accept", "?state=decided", **shown(item.claim))
    assert Claim.objects.get(pk=item.claim_id).review == Review.ACCEPTED


def test_nonsense_is_no_answer(editor: Client, paper: Paper) -> None:
    item = ReviewItem.objects.order_by("pk")[0]
    assert decide(editor, item, "explode").status_code == 422
    assert editor.post("/review/999999/", {"decision": "accept"}).status_code == 404
    assert editor.get(f"/review/{item.pk}/").status_code == 405
    assert editor.get(QUEUE + "?item=" + "9" * 40).status_code == 200


# ── the endpoint ────────────────────────────────────────────────────────────────────────────────────────────────────
def endpoint_item(paper: Paper, **fields: Any) -> ReviewItem:
    open_review_items([Doubt(ReviewReason.ENDPOINT_DISAGREES, paper, "x", **fields)])
    return ReviewItem.objects.get(key="endpoint-disagrees:x")


@pytest.mark.parametrize(
    ("decision", "fields", "kind", "guarded"),
    [("accept", {}, "technique", True), ("take", {}, "system", True), ("correct", {"value": "survey"}, "survey", True)],
)
def test_a_field_is_kept_taken_or_corrected(
    editor: Client, paper: Paper, decision: str, fields: Any, kind: str, guarded: bool
) -> None:
    details = {"rules": {"value": "technique", "words": ["scheme"]}, "endpoint": {"value": "system", "words": []}}
    item = endpoint_item(paper, field="kind", details=details)
    assert "by “scheme”" in read(editor, f"{QUEUE}?item={item.pk}")
    decide(editor, item, decision, **({"value": "technique"} | fields))
    technique = Paper.objects.get(pk=paper.pk).technique
    assert (technique.kind, "kind" in technique.set_by_people) == (kind, guarded)
    item.refresh_from_db()
    assert (item.state, item.decision) == (ReviewState.DONE, decision)


def test_a_list_is_read_from_commas(editor: Client, paper: Paper) -> None:
    item = endpoint_item(paper, field="families", details={"rules": {"value": []}, "endpoint": {"value": ["peft"]}})
    decide(editor, item, "correct", value="peft, low-rank")
    assert Paper.objects.get(pk=paper.pk).technique.families == ["peft", "low-rank"]


def test_what_is_wrong_with_a_field_stands_at_its_input(editor: Client, paper: Paper) -> None:
    item = endpoint_item(paper, field="families", details={"rules": {"value": []}, "endpoint": {"value": ["peft"]}})
    page = decide(editor, item, "correct", value="kv-cache, no-such-family").content.decode()
    assert 'value="kv-cache, no-such-family" autocomplete="off" aria-invalid="true"' in page
    assert "is not one of: " in page
    assert ReviewItem.objects.get(pk=item.pk).state == ReviewState.OPEN


@pytest.mark.parametrize(("decision", "claims"), [("accept", 3), ("reject", 2)])
def test_a_proposed_claim_is_added_or_refused(editor: Client, paper: Paper, decision: str, claims: int) -> None:
    proposal = {"metric": "memory", "phase": "inference", "form": "factor", "direction": "better", "value": 2.0,
                "value_max": None, "unit": "x", "qualifier": None, "baseline": None, "hardware": None,
                "quote": "halves memory"}  # fmt: skip
    start = ABSTRACT.index("halves memory")
    details = {"rules": None, "endpoint": {"start": start, "end": start + 13}, "proposal": proposal}
    item = endpoint_item(paper, details=details)
    assert '<mark class="claim-mark claim-mark-deep">halves memory</mark>' in read(editor, f"{QUEUE}?item={item.pk}")
    decide(editor, item, decision)
    assert paper.claims.count() == claims
    item.refresh_from_db()
    assert item.state == (ReviewState.DONE if decision == "accept" else ReviewState.DISMISSED)


def test_a_claim_takes_what_the_endpoint_says(editor: Client, paper: Paper) -> None:
    claim = paper.claims.get(metric="memory")
    details = {"rules": {"phase": "inference"}, "endpoint": {"phase": "training"}, "differs": ["phase"]}
    item = endpoint_item(paper, claim=claim, details=details)
    decide(editor, item, "take", **shown(claim))
    claim.refresh_from_db()
    assert (claim.phase, claim.review, claim.corrected_fields) == ("training", "corrected", ["phase"])
    item.refresh_from_db()
    assert item.decision == "take"


def test_a_field_of_a_record_that_is_not_there_is_told_and_not_an_error(editor: Client) -> None:
    item = endpoint_item(the_paper("No record yet"), field="kind", details={"endpoint": {"value": "system"}})
    assert read(editor, QUEUE)
    assert (
        "is about a record that is not there yet" in decide(editor, item, "accept", value="").content.decode().lower()
    )


# ── twins ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("decision", "kept"), [("merge:first", "first"), ("merge:second", "second"), ("distinct", None)]
)
def test_twins_are_merged_or_kept_apart(editor: Client, decision: str, kept: str | None) -> None:
    record_paper(SeenPaper(title="Foldcache: Folded Pages for Long Prompts", authors=("Ada Ash",), year=2023))
    record_paper(SeenPaper(title="Foldcache: Folded Pages for Longer Prompts", authors=("Ada Ash",), year=2024))
    twin, item = TwinCandidate.objects.get(), ReviewItem.objects.get()
    page = read(editor, QUEUE)
    assert "<mark>Longer</mark>" in page
    assert "Shared authors: Ada Ash" in page
    answer = decide(editor, item, decision)
    assert answer.status_code == 302
    item.refresh_from_db()
    assert item.decision == decision.partition(":")[0]
    merged = {p.pk: p.merged_into_id for p in Paper.objects.all()}
    first, second = twin.first_id, twin.second_id
    assert merged == {
        "first": {first: None, second: first}, "second": {first: second, second: None},
        None: {first: None, second: None},
    }[kept]  # fmt: skip
    assert "Nothing waits" in read(editor, QUEUE)
