"""What people try: quotes and NULs in every filter, other hosts, other people's rows, fields that are not theirs to set."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import get_resolver, reverse
from rest_framework.test import APIClient

from api.services import make_token
from papers.filters import PaperFilter, TechniqueFilter
from papers.models import Claim, Paper, Run, RunState, Technique
from tests.factories import ABSTRACT, PASSWORD, make_claim, make_implementation, make_paper, make_run, make_user
from tests.security.routes import ANYONE, TABLE, Route, routes

pytestmark = pytest.mark.django_db
NASTY = [
    "'", '"', "\x00", "a\x00b", "';DROP TABLE papers_paper;--", "%", "%%s{0}", "\\", "9" * 400, "-1", "1e999", "nan", "٣", "\ud800".encode(
        "utf-8", "surrogatepass"
    ).decode("latin-1"), "𝔘nicode\u202e", "<script>alert(1)</script>", "../../../etc/passwd", "[]", "{}", "true", "x" * 5000, "\r\nX-Evil: 1",
]  # fmt: skip
PAGE_PARAMETERS = {
    "q", "page", "ordering", "like", "unlike", "exact", "state", "offset", "limit", "seen", "device", "reason", "item", "family",
    "add", "slug", "slugs", "papers", "with", "a", "b", "run", "runs", "workload", "axis", "gpu", "model", "stage", "need", "batch", "prompt",
    "who", "action", "target", "since", "until", "next", "format", "cursor", "fields", "version", "kind", "name",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _quiet_and_unthrottled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    monkeypatch.setattr("api.throttles.ByMethodThrottle.allow_request", lambda *a: True)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def operator(db: None) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(make_user("boss", role="operator"))
    return client


def readable() -> list[Route]:
    make_run(make_implementation(make_paper(slug="not-there"), name="foldcache"), RunState.FINISHED, pk=987654)
    skipped = ("api-schema", "api-docs", "metrics", "ready", "api-run-events", "status")
    return [route for route in routes() if "GET" in TABLE[route.name] and route.name not in skipped]


def parameters_of(route: Route) -> set[str]:
    """What a route may read from its address: its filters, by enumeration, and the words that pages use.

    The API refuses what it does not know, so that a list of it gets its own filters alone.
    """
    own: set[str] = set()
    for pattern in _patterns(get_resolver()):
        view = getattr(pattern.callback, "cls", None)
        if pattern.name == route.name and view is not None:
            own |= set(getattr(getattr(view, "filterset_class", None), "base_filters", ()))
            own |= set(getattr(view, "filterset_fields", ()) or ())
    if own:
        return own | {"ordering", "page", "limit", "offset", "cursor", "fields"}
    return PAGE_PARAMETERS | set(PaperFilter.base_filters) | set(TechniqueFilter.base_filters)


def _patterns(resolver: Any) -> Iterator[Any]:
    for pattern in resolver.url_patterns:
        yield from _patterns(pattern) if hasattr(pattern, "url_patterns") else [pattern]


# ── injection ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_no_mixture_of_parameters_breaks_a_page(operator: Client) -> None:
    """Every parameter gets a nasty value, and another one the next time."""
    broken = []
    for route in readable():
        names = sorted(parameters_of(route))
        for shift in range(0, len(NASTY), 15):
            query = {name: NASTY[(at + shift) % len(NASTY)] for at, name in enumerate(names)}
            if operator.get(route.address, query).status_code >= 500:
                broken.append((route.name, shift))
    assert broken == []


def test_no_single_parameter_breaks_a_list(operator: Client) -> None:
    """One at a time: with all at once the first that is refused hides the others."""
    broken, tried = [], 0
    for route in [route for route in readable() if route.name.endswith("-list") or route.name == "audit"]:
        for name in sorted(parameters_of(route)):
            for value in ("'\x00", "9" * 400, ["1", "2"]):
                answer = operator.get(route.address, {name: value})
                tried += 1
                if answer.status_code >= 500 or "X-Evil" in answer.headers:
                    broken.append((route.name, name, value))
    assert broken == []
    assert tried > 100


def test_what_is_asked_for_is_never_markup_on_a_page(operator: Client) -> None:
    for route in readable():
        if not route.is_api and route.name != "recommend":
            page = operator.get(route.address, dict.fromkeys(parameters_of(route), "<script>alert(1)</script>"))
            content = b"".join(page.streaming_content) if page.streaming else page.content
            # Plain text is shown as it is: its type says so, and "nosniff" keeps browsers from guessing another.
            is_text = (
                page.headers["Content-Type"].startswith("text/plain") and page["X-Content-Type-Options"] == "nosniff"
            )
            assert is_text or b"<script>alert" not in content, route.name


# ── headers ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_every_answer_carries_the_headers_that_protect_it(operator: Client) -> None:
    for route in [*readable(), Route("api-docs", reverse("api-docs"), True), Route("nothing", "/no/such/page/", False)]:
        answer = operator.get(route.address)
        policy = answer.headers.get("Content-Security-Policy", "")
        assert re.search(r"default-src '(self|none)'", policy), route.name
        assert "frame-ancestors 'none'" in policy, route.name
        assert re.search(r"form-action '(self|none)'", policy), route.name
        assert "object-src 'none'" in policy, route.name
        assert not re.search(r"unsafe|\*|https?:", policy), route.name
        assert answer["X-Frame-Options"] == "DENY", route.name
        assert answer["X-Content-Type-Options"] == "nosniff", route.name
        assert answer["Referrer-Policy"] == "same-origin", route.name
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin", route.name


def test_pages_hold_no_script_or_style_of_their_own(operator: Client) -> None:
    for route in readable():
        answer = operator.get(route.address)
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            page = answer.content.decode()
            assert not re.search(
                r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/(?:ld\+)?json\")[^>]*>|<style|\son\w+=\"|\sstyle=\"",
                page,
            ), route.name


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost:80@evil.example", "127.0.0.1\r\nX: y"]
)
def test_another_host_is_not_answered(host: str) -> None:
    assert Client(headers={"Host": host}, raise_request_exception=False).get("/").status_code == 400


def test_cookies_are_flagged() -> None:
    make_user("mira")
    client = Client()
    client.get("/sign-in/")
    client.post("/sign-in/", {"username": "mira", "password": PASSWORD})
    session = client.cookies[settings.SESSION_COOKIE_NAME]
    assert session["httponly"]
    assert session["samesite"] == "Lax"
    assert client.cookies[settings.CSRF_COOKIE_NAME]["samesite"] == "Lax"


def test_behind_tls_cookies_are_secure_and_plain_http_is_led_away(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    assert Client().get("/about/").headers["Location"] == "https://testserver/about/"
    make_user("mira")
    client = Client()
    client.get("/sign-in/", secure=True)
    client.post("/sign-in/", {"username": "mira", "password": PASSWORD}, secure=True)
    assert client.cookies["sessionid"]["secure"]
    assert client.cookies["csrftoken"]["secure"]


@pytest.mark.parametrize(
    "onward",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "///evil.example", "javascript:alert(1)", "http:evil.example",
     "https://testserver@evil.example", "\thttps://evil.example", "/about/\r\nX-Evil: 1"],
)  # fmt: skip
def test_signing_in_leads_to_no_other_site(onward: str) -> None:
    make_user("mira")
    answer = Client().post("/sign-in/", {"username": "mira", "password": PASSWORD, "next": onward})
    if answer.status_code == 302:
        assert re.match(r"/(?![/\\])", answer["Location"])
    assert "X-Evil" not in answer.headers


# ── what is not theirs ──────────────────────────────────────────────────────────────────────────────────────────────
def api_of(role: str, *scopes: str) -> APIClient:
    owner = make_user(role=role)
    _, token = make_token(owner, "x", list(scopes), None, owner)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_nobody_cancels_the_run_of_another() -> None:
    run = make_run(None, RunState.QUEUED, requester=make_user())
    client = Client()
    client.force_login(make_user(role="editor"))
    assert client.post(reverse("cancel-run", args=[run.pk])).status_code == 403
    assert api_of("editor", "run").post(f"/api/v1/runs/{run.pk}/cancel").status_code == 403
    assert Run.objects.get(pk=run.pk).state == RunState.QUEUED


@pytest.mark.parametrize(
    ("model", "settable"),
    [
        (Paper, {"title", "abstract", "summary", "arxiv_id", "doi", "year", "published_on", "authors"}),
        (Technique, {"kind", "name", "training_free", "code_urls", "quality_cost", "verify", "mechanism", "hardware"}),
        (Claim, {"metric", "phase", "form", "direction", "value", "value_max", "unit", "qualifier", "baseline", "hardware", "quote"}),
    ],
)  # fmt: skip
def test_no_field_is_set_but_those_that_are_meant(model: Any, settable: set[str]) -> None:
    """Every column by enumeration, and the ways to say a relation."""
    paper = make_paper(slug="folded")
    claim = make_claim(paper, "2.3x faster")
    Technique.objects.create(paper=paper, kind="technique", name="Foldcache")
    row = {Paper: paper, Technique: paper.technique, Claim: claim}[model]
    address = {Paper: "papers/folded", Technique: "techniques/folded", Claim: f"claims/{claim.pk}"}[model]
    before = type(row).objects.filter(pk=row.pk).values().get()
    client = api_of("editor", "edit")
    fields = (
        {f.name for f in model._meta.get_fields()}
        | {f.attname for f in model._meta.fields}
        | {"pk", "slug", "__class__"}
    )
    for field in sorted(fields - settable):
        answer = client.patch(f"/api/v1/{address}", {field: 1}, format="json")
        assert answer.status_code in (400, 428), (field, answer.status_code)
    assert type(row).objects.filter(pk=row.pk).values().get() == before
    assert paper.abstract == ABSTRACT


def test_a_request_for_a_run_sets_nothing_of_the_run() -> None:
    make_implementation(name="foldcache")
    other = make_user()
    body = {
        "implementation": "foldcache",
        "device": "cpu",
        "requester": other.pk,
        "state": "finished",
        "records": [1],
        "seed": 7,
    }
    answer = api_of("requester", "run").post("/api/v1/runs", body, format="json")
    run = Run.objects.first()
    assert answer.status_code == 400 or (
        run is not None and (run.state, run.requester_id == other.pk, run.records) == ("queued", False, [])
    )


# ── bodies ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "kind", ["text/xml", "text/plain", "application/x-python-pickle", "application/x-www-form-urlencoded", ""]
)
def test_the_api_reads_json_alone(kind: str) -> None:
    make_implementation(name="foldcache")
    owner = make_user(role="requester")
    _, token = make_token(owner, "x", ["run"], None, owner)
    client = Client(headers={"Authorization": f"Bearer {token}"})
    answer = client.generic("POST", "/api/v1/runs", b'{"implementation": "foldcache"}', content_type=kind)
    assert answer.status_code in (400, 415)
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\x00",
        b"\xff\xfe",
        b"NaN",
        b'{"implementation": 1e400}',
        b"9" * 6000,
        b'"\\ud800"',
    ],
)
def test_json_that_is_made_to_hurt_is_a_plain_400(body: bytes) -> None:
    owner = make_user(role="requester")
    _, token = make_token(owner, "x", ["run"], None, owner)
    client = Client(headers={"Authorization": f"Bearer {token}"}, raise_request_exception=False)
    answer = client.generic("POST", "/api/v1/runs", body, content_type="application/json")
    assert answer.status_code == 400
    assert "Traceback" not in answer.content.decode()


def test_bodies_beyond_the_limit_are_refused_on_pages_and_in_the_api() -> None:
    huge = "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    client = Client(raise_request_exception=False)
    assert client.post("/sign-in/", {"username": huge}).status_code in (200, 400, 413)
    assert client.generic(
        "POST", "/sign-in/", f"username={huge}", content_type="application/x-www-form-urlencoded"
    ).status_code in (400, 413)
    many = "&".join(f"a{n}=1" for n in range(2000))
    assert client.generic("POST", "/sign-in/", many, content_type="application/x-www-form-urlencoded").status_code in (
        400,
        413,
    )
    api = client.generic("POST", "/api/v1/recommendations", json.dumps({"text": huge}), content_type="application/json")
    assert api.status_code in (400, 413)


def test_anyone_is_the_only_level_that_needs_no_account() -> None:
    """What changes rows is never open: the table itself is held to that."""
    free = {
        name for name, row in TABLE.items() for method, needed in row.items() if method != "GET" and needed == ANYONE
    }
    assert free == {"sign-in", "sign-out", "api-recommendations"}
