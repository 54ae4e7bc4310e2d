"""Addresses that make no sense: every page of a list answers, and says what it left out."""

import html
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client, RequestFactory

from papers.addresses import ignored_in, printable
from tests.factories import make_implementation, make_measurement, make_run, make_user
from tests.recommender.conftest import HashingEncoder

pytestmark = pytest.mark.django_db
LISTS = [
    "/papers/", "/papers/?view=table", "/techniques/", "/techniques/?view=table", "/search/?q=pages", "/runs/", "/compare/",
    "/runs/compare/", "/coverage/", "/families/", "/families/kv-cache/", "/hardware/", "/recommend/", "/audit/", "/ingest/", "/review/",
    "/", "/about/", "/status/", "/exports/", "/account/",
]  # fmt: skip
PAGED = ["/papers/", "/techniques/", "/search/?q=pages", "/runs/", "/coverage/", "/audit/", "/ingest/"]
NONSENSE = {
    "unknown": ("sort", "foo"),
    "unknown-control": ("so\x00rt\x1b", "\x00\x07"),
    "unknown-long": ("s" * 3000, "v" * 3000),
    "unknown-markup": ("<b>", "<script>alert(1)</script>"),
    "unknown-sign": ("\U0001f600", "\u202e"),
}
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
WRONG = [
    ("/papers/", "ordering"), ("/papers/", "view"), ("/papers/", "family"), ("/papers/", "year"), ("/papers/", "runnable"),
    ("/papers/", "hardware"), ("/techniques/", "ordering"), ("/techniques/", "view"), ("/techniques/", "training"),
    ("/search/?q=pages", "family"), ("/search/?q=pages", "year"), ("/runs/", "state"), ("/coverage/", "wave"), ("/coverage/", "needs"),
    ("/audit/", "action"), ("/audit/", "since"), ("/audit/", "until"), ("/review/", "reason"), ("/review/", "state"), ("/review/", "item"), ("/recommend/", "gpu"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    from recommender import services as recommender

    settings.ENCODER = "hashing"
    monkeypatch.setattr(recommender, "_open", recommender._Open())
    monkeypatch.setattr(recommender, "open_encoder", lambda *_: HashingEncoder())
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def boss(client: Client) -> Client:
    run = make_run(make_implementation())
    make_measurement(run)
    client.raise_request_exception = False
    client.force_login(make_user("boss", is_staff=True, is_superuser=True, role="operator"))
    return client


def asked(client: Client, address: str, name: str, value: str) -> str:
    path, _, query = address.partition("?")
    given = dict(pair.split("=") for pair in query.split("&")) if query else {}
    answer = client.get(path, {**given, name: value})
    assert answer.status_code == 200, f"{address} with {name[:20]!r}={value[:20]!r} answers {answer.status_code}"
    return html.unescape(answer.content.decode())


@pytest.mark.parametrize("address", LISTS)
def test_every_page_says_that_it_does_not_know_a_parameter(boss: Client, address: str) -> None:
    for name, value in NONSENSE.values():
        page = asked(boss, address, name, value)
        assert page.count('class="ignored"') == 1, name
        assert "\x00" not in page
        assert "Ignored: <code>" in page
    assert "Ignored: <code>sort=foo</code> (" in asked(boss, address, *NONSENSE["unknown"])
    assert "<code>so\\x00rt\\x1b=\\x00\\x07</code>" in asked(boss, address, *NONSENSE["unknown-control"])
    raw = boss.get(address + ("&" if "?" in address else "?") + "%3Cb%3E=%3Cscript%3Ealert(1)%3C/script%3E").content
    assert b"<script>alert" not in raw


@pytest.mark.parametrize("address", LISTS)
def test_a_sensible_address_is_not_remarked_upon(boss: Client, address: str) -> None:
    assert 'class="ignored"' not in asked(boss, address, "utm_source", "letter")


@pytest.mark.parametrize("value", ["0", "-1", "abc", str(10**9), "9" * 400, "1.5", "\x00", "٣", "١"])
@pytest.mark.parametrize("address", PAGED)
def test_a_page_that_is_not_there_is_the_nearest_one_and_says_so(boss: Client, address: str, value: str) -> None:
    page = asked(boss, address, "page", value)
    assert f"page={printable(value)}</code> (there is one page)" in page or "</code> (pages go from 1 to " in page


@pytest.mark.parametrize("value", ["foo", "\x00", "a\x1bb", "x" * 5000, "%", "'\"><b>", "９"])
@pytest.mark.parametrize(("address", "name"), WRONG)
def test_a_value_that_makes_no_sense_is_named(boss: Client, address: str, name: str, value: str) -> None:
    page = asked(boss, address, name, value)
    assert f"Ignored: <code>{name}=" in page
    assert not CONTROL.search(page), "HTML holds no control characters"
    assert "x" * 2000 not in page.partition('class="ignored"')[2].partition("</p>")[0]


@pytest.mark.parametrize("value", ["no-such", "a\x00\x1b\u202eb", "x" * 5000, "-1", str(10**30)])
@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/compare/", "t"),
        ("/compare/", "q"),
        ("/runs/compare/", "a"),
        ("/audit/", "who"),
        ("/papers/", "q"),
        ("/coverage/", "words"),
        ("/search/?q=pages", "like"),
    ],
)
def test_free_words_never_break_a_page(boss: Client, address: str, name: str, value: str) -> None:
    assert not CONTROL.search(asked(boss, address, name, value))


def test_what_is_left_out_comes_with_what_would_be_right(boss: Client) -> None:
    page = asked(boss, "/papers/", "ordring", "claims")
    assert "<code>ordring=claims</code> (did you mean ordering?)" in page
    assert "known: queued, running, finished, failed, cancelled" in asked(boss, "/runs/", "state", "done")
    assert "is not one of: newest, claimed, measured, gap" in asked(boss, "/papers/", "ordering", "best")
    assert "this page takes no parameters" in asked(boss, "/families/", "sort", "foo")


def test_the_note_stands_in_the_part_that_is_swapped_too(boss: Client) -> None:
    part = boss.get("/papers/?ordering=best", headers={"HX-Request": "true"}).content.decode()
    assert part.count('class="ignored"') == 1


def test_many_unknown_parameters_are_counted_rather_than_listed(boss: Client) -> None:
    page = html.unescape(boss.get("/runs/", {f"nonsense{number}": 1 for number in range(50)}).content.decode())
    assert "; and 45 more" in page


def test_an_address_with_too_many_parameters_is_a_plain_400(boss: Client) -> None:
    answer = boss.get("/papers/?" + "&".join(f"a{number}=1" for number in range(3000)))
    assert answer.status_code == 400
    assert "could not be read" in answer.content.decode()


def test_a_request_that_led_nowhere_has_nothing_to_say() -> None:
    assert ignored_in(RequestFactory().get("/no/such/page/?sort=foo")) == []


def test_a_page_behind_the_last_of_a_search_shows_the_last(boss: Client) -> None:
    from recommender import services as recommender

    recommender.build_index()
    answer = boss.get("/search/?q=folded+pages&page=3")
    assert len(answer.context["rows"]) == 1
    assert "page=3</code> (there is one page)" in answer.content.decode()
