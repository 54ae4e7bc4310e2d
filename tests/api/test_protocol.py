"""What HTTP promises: problems for every fault, validators, caching, rates, other sites, and strict parameters."""

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from papers.models import AuditEntry, Paper
from papers.services import store_record
from tests.api.test_editing import client_of
from tests.factories import make_claim, make_implementation, make_paper, make_run, make_technique, make_verdict
from tests.papers.sample import a_claim, a_record, the_paper

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_rates() -> None:
    cache.clear()


def get(path: str, query: dict[str, Any] | None = None, **headers: str) -> Any:
    return APIClient().get(f"/api/v1/{path}", query or {}, headers=headers)


def is_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("application/problem+json")
    body: dict[str, Any] = json.loads(answer.content)
    assert body["status"] == status
    assert body["detail"]
    return body


# ── problems ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("path", ["nothing", "papers/", "papers/x/y/z", "runs/1/panel", ""])
def test_an_unknown_address_is_a_problem(path: str) -> None:
    assert "/api/v1/schema" in is_problem(get(path), 404)["detail"]


def test_a_record_that_is_not_there_is_a_problem() -> None:
    for path in ("papers/none", "runs/999999999999999999999", "runs/abc", "hardware/none", "implementations/none"):
        is_problem(get(path), 404)


def test_a_method_a_form_and_a_type_that_are_not_taken() -> None:
    assert is_problem(APIClient().delete("/api/v1/overview"), 401)
    put = is_problem(client_of("edit").put("/api/v1/papers", {}, format="json"), 405)
    assert "PUT" in put["detail"]
    assert "application/json" in is_problem(get("papers", Accept="image/png"), 406)["detail"]
    sent = APIClient().post("/api/v1/recommendations", "need=x", content_type="application/x-www-form-urlencoded")
    assert "application/json" in is_problem(sent, 415)["detail"]


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff", b"[" * 5000, b'{"need": "\\ud800"}', b'{"need": "x", "max_error": 1e999}', b'{"need": NaN}'],
    ids=["cut", "binary", "deep", "half-a-character", "infinite", "nan"],
)
def test_json_that_cannot_be_kept_is_a_problem(body: bytes) -> None:
    is_problem(APIClient().post("/api/v1/recommendations", body, content_type="application/json"), 400)


def test_a_body_that_is_too_large_is_refused_unread(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    body = json.dumps({"need": "x" * 200})
    told = is_problem(APIClient().post("/api/v1/recommendations", body, content_type="application/json"), 413)
    assert "at most 100" in told["detail"]


@pytest.mark.parametrize("debug", [False, True])
def test_broken_code_shows_no_traceback(monkeypatch: pytest.MonkeyPatch, settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    monkeypatch.setattr("api.overview.outcome_counts", lambda: 1 / 0)
    answer = Client(raise_request_exception=False).get("/api/v1/overview")
    is_problem(answer, 500)
    assert b"ZeroDivision" not in answer.content


# ── parameters ──────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("papers", {"famly": "kv-cache"}, "famly"),
        ("papers", {"page": "0"}, "page"),
        ("papers", {"page": "last"}, "page"),
        ("papers", {"page_size": "201"}, "page_size"),
        ("papers", {"page_size": "-1"}, "page_size"),
        ("papers", {"fields": "titel"}, "fields"),
        ("papers", {"fields": "title.x"}, "fields"),
        ("papers", {"fields": ""}, "fields"),
        ("papers", {"year": ["2020", "2021"]}, "year"),
        ("claims", {"judged": "maybe"}, "judged"),
        ("claims", {"family": "speed"}, "family"),
        ("claims", {"min_value": "NaN"}, "min_value"),
        ("implementations", {"retired": "1"}, "retired"),
        ("techniques", {"ordering": "password"}, "ordering"),
        ("devices", {"kind": "abacus"}, "kind"),
        ("review-items", {"claim": "1.5"}, "claim"),
        ("search", {"q": "cache", "exact": "1"}, "exact"),
        ("search", {"q": "cache", "limit": "1" * 30}, "limit"),
        ("search", {"q": "a\x00b"}, "q"),
        ("compare", {"technique": "one"}, "technique"),
        ("coverage", {"wav": "2"}, "wav"),
        ("overview", {"x": "1"}, "x"),
        ("facets", {"page": "1"}, "page"),
    ],
)
def test_a_bad_parameter_is_named_and_never_ignored(path: str, query: dict[str, Any], field: str) -> None:
    assert [one["field"] for one in is_problem(get(path, query), 400)["errors"]] == [field]


def test_a_mistyped_parameter_is_told_its_neighbour() -> None:
    assert "Did you mean 'family'?" in get("papers", {"famly": "kv-cache"}).json()["detail"]


def test_a_page_behind_the_last_says_which_is_the_last() -> None:
    make_paper()
    assert "the last one, 1" in is_problem(get("papers", {"page": "2"}), 404)["detail"]


def test_pages_can_be_walked_without_losing_or_doubling_a_record() -> None:
    made = {make_paper().slug for _ in range(7)}
    seen: list[str] = []
    address = "/api/v1/papers?page_size=3&fields=slug"
    while address:
        page = APIClient().get(address).json()
        seen += [row["slug"] for row in page["results"]]
        address = page["next"]
    assert sorted(seen) == sorted(made)


def test_only_the_fields_that_were_asked_for() -> None:
    paper = make_technique().paper
    make_claim(paper)
    assert get("papers", {"fields": "title,slug"}).json()["results"] == [{"title": paper.title, "slug": paper.slug}]
    found = get(f"papers/{paper.slug}", {"fields": "title,claims.value,technique.kind"}).json()
    assert found == {"title": paper.title, "claims": [{"value": 2.0}], "technique": {"kind": "technique"}}


# ── versions ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("path", ["papers", "overview", "vocabulary", "hardware", "coverage"])
def test_what_has_not_changed_is_not_sent_again(path: str) -> None:
    first = get(path)
    again = get(path, **{"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert "RateLimit-Remaining" in again


def test_a_change_changes_the_validator() -> None:
    paper = make_paper()
    before = get(f"papers/{paper.slug}")["ETag"]
    make_claim(paper)
    assert get(f"papers/{paper.slug}", **{"If-None-Match": before}).status_code == 200


def test_an_edit_of_a_version_that_is_gone_is_refused() -> None:
    paper = the_paper()
    store_record(paper, a_record(claims=[a_claim()]), "1")
    editor = client_of("edit")
    for path, body in (
        (f"papers/{paper.slug}", {"year": 2019}),
        (f"techniques/{paper.slug}", {"kind": "system"}),
        (f"claims/{paper.claims.get().pk}", {"decision": "accept"}),
    ):
        version = get(path)["ETag"]
        good = editor.patch(f"/api/v1/{path}", body, format="json", headers={"If-Match": version})
        assert good.status_code == 200, good.content
        edits = AuditEntry.objects.count()
        stale = editor.patch(f"/api/v1/{path}", body, format="json", headers={"If-Match": version})
        assert is_problem(stale, 412)["errors"][0]["field"] == "If-Match"
        assert AuditEntry.objects.count() == edits


def test_who_may_keep_an_answer() -> None:
    assert get("papers")["Cache-Control"] == "no-cache"
    assert client_of("read").get("/api/v1/papers")["Cache-Control"] == "private, no-cache"
    assert get("nothing")["Cache-Control"] == "no-store"
    assert get("vocabulary")["Cache-Control"] == "public, max-age=3600"
    assert {"Accept", "Authorization", "Cookie"} <= set(get("papers")["Vary"].split(", "))


# ── rates ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_rates_are_told_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from api.throttles import ByMethodThrottle

    monkeypatch.setattr(ByMethodThrottle, "THROTTLE_RATES", {"reading": "3/min", "writing": "1/min"})
    left = [get("overview")["RateLimit-Remaining"] for _ in range(3)]
    refused = get("overview")
    is_problem(refused, 429)
    assert left == ["2", "1", "0"]
    assert (refused["RateLimit-Limit"], refused["RateLimit-Remaining"]) == ("3", "0")
    assert 0 < int(refused["Retry-After"]) <= 60
    assert 0 < int(refused["RateLimit-Reset"]) <= 60


# ── other sites ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_other_sites_may_read_without_cookies_and_never_write() -> None:
    read = get("papers", Origin="https://elsewhere.example")
    assert read["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in read
    assert "ETag" in read["Access-Control-Expose-Headers"]
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "PATCH"}
    preflight = APIClient().options("/api/v1/papers/x", headers=asked)
    assert preflight["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    assert "Access-Control-Allow-Origin" not in APIClient().get("/papers/", headers={"Origin": "https://a.example"})


# ── what the pages show ─────────────────────────────────────────────────────────────────────────────────────────────
def test_the_verdict_that_stands_is_beside_the_claim_it_judges() -> None:
    implementation = make_implementation()
    claim = implementation.paper.claims.get()
    confirmed = make_verdict(claim, make_run(implementation))
    make_verdict(claim, make_run(implementation, device_kind="cpu"), "not-comparable")
    for answer in (
        get(f"papers/{implementation.paper.slug}").json()["claims"][0],
        get(f"claims/{claim.pk}").json(),
    ):
        assert answer["standing"]["id"] == confirmed.pk, "a run on a CPU decides nothing"
        assert len(answer["verdicts"]) == 2
    assert get("overview").json()["outcomes"] == {"confirmed": 1}


def test_techniques_are_compared_side_by_side() -> None:
    one, two = make_implementation().paper, make_technique().paper
    found = get("compare", {"technique": [one.slug, two.slug]}).json()
    assert [row["slug"] for row in found] == [one.slug, two.slug]
    assert (len(found[0]["measured"]), len(found[1]["measured"])) == (1, 0)


def test_facets_count_what_the_filters_leave() -> None:
    make_technique(families=("kv-cache",))
    make_technique(families=("peft",))
    found = get("facets", {"family": "peft"}).json()
    assert {group["name"] for group in found} >= {"family", "kind", "runnable"}
    kinds = next(group for group in found if group["name"] == "kind")
    assert [(o["value"], o["count"]) for o in kinds["options"]] == [("technique", 1)]


def test_details_cost_the_same_however_much_they_hold(django_assert_max_num_queries: Any) -> None:
    implementation = make_implementation()
    for _ in range(6):
        make_verdict(make_claim(implementation.paper), make_run(implementation))
    with django_assert_max_num_queries(12):
        assert len(get(f"papers/{implementation.paper.slug}").json()["claims"]) == 7
    assert Paper.objects.count() == 1
