"""Handing in papers by the page: what is shown before, what is kept after, and what is refused."""

import json
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from ingest import submissions
from ingest.fetching.errors import FetchError
from ingest.kept_pages import page_from_json, page_to_json
from ingest.models import Submission, SubmissionState
from ingest.sources import CodeLink, ParsedLinks, ParsedPage, ParsedPaper, Problem, parse_page
from papers.models import AuditEntry, Claim, Paper, Source
from tests.factories import make_user
from tests.ingest.test_ingest import PAGE

pytestmark = pytest.mark.django_db


def lines(count: int, first: int = 1) -> str:
    return "\n".join(
        json.dumps(
            {"title": f"Foldnet {n}: a net of its own", "abstract": f"Foldnet {n} runs {n + 1}x faster on a GPU."}
        )
        for n in range(first, first + count)
    )


@pytest.fixture
def editor(client: Client) -> Any:
    user = make_user("mira", is_staff=True)
    client.force_login(user)
    return user


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Submissions that a worker was woken for."""
    heard: list[int] = []
    monkeypatch.setattr(submissions, "ring", heard.append)
    return heard


def read(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status
    return re.sub(r"\s+", " ", unescape(answer.content.decode()))


def paste(client: Client, text: str = PAGE) -> Submission:
    answer = client.post("/ingest/", {"way": "text", "text": text})
    assert answer.status_code == 302, answer.content.decode()
    return Submission.objects.latest("pk")


# ── who may ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_visitors_sign_in_and_readers_are_told_why_not(client: Client) -> None:
    assert client.get("/ingest/").headers["Location"] == "/sign-in/?next=/ingest/"
    client.force_login(make_user())
    assert "may not bring in papers and results; that needs the role “Editor”" in read(client.get("/ingest/"), 403)
    assert client.post("/ingest/", {"way": "text", "text": PAGE}).status_code == 403
    assert not Submission.objects.exists()


def test_what_an_editor_handed_in_is_decided_on_by_nobody_else(client: Client, editor: Any) -> None:
    found = paste(client)
    other = make_user("bo", role="editor")
    client.force_login(other)
    assert "Only mira, or an operator" in read(client.get(reverse("submission", args=[found.pk])))
    for word in ("confirm", "discard"):
        assert "Only whoever handed it in" in read(client.post(reverse(f"submission-{word}", args=[found.pk])), 403)
    assert not Paper.objects.exists()


# ── showing and keeping ─────────────────────────────────────────────────────────────────────────────────────────────
def test_a_preview_writes_nothing_and_confirming_keeps_what_it_showed(client: Client, editor: Any) -> None:
    found = paste(client)
    assert (Paper.objects.count(), Claim.objects.count(), Source.objects.count()) == (0, 0, 0)
    page = read(client.get(reverse("submission", args=[found.pk])))
    assert "Keep 2 papers" in page
    assert "TwoCache: Half a Cache for Long Prompts" in page
    assert '<q class="quiet">3x faster' in page

    assert client.post(reverse("submission-confirm", args=[found.pk])).status_code == 302
    found.refresh_from_db()
    assert (found.state, found.counts["new"], found.pages) == (SubmissionState.DONE, 2, [])
    assert Paper.objects.get(title__startswith="TwoCache").claims.get().value == 3.0
    assert Source.objects.values_list("locator", flat=True).distinct().get() == found.name
    assert AuditEntry.objects.filter(actor=editor, action="ingest").count() == 1


def test_saying_it_twice_keeps_it_once(client: Client, editor: Any) -> None:
    found = paste(client)
    for _ in range(2):
        client.post(reverse("submission-confirm", args=[found.pk]), follow=True)
    assert (Paper.objects.count(), Claim.objects.count()) == (2, 2)
    assert AuditEntry.objects.filter(action="confirm-ingest").count() == 1


def test_the_same_thing_twice_is_one_submission_while_it_waits(client: Client, editor: Any) -> None:
    assert paste(client) == paste(client)
    assert Submission.objects.count() == 1


def test_what_is_known_and_what_would_change_is_told(client: Client, editor: Any) -> None:
    client.post(reverse("submission-confirm", args=[paste(client).pk]))
    again = paste(
        client,
        PAGE.replace(
            "It runs 3x faster than plain decoding on an A100.",
            "In all of our tests on an A100 it runs 4x faster than plain decoding.",
        ),
    )
    assert (
        again.preview["counts"]["new"],
        again.preview["counts"]["updated"],
        again.preview["counts"]["duplicate"],
    ) == (0, 1, 1)
    [shown] = again.preview["shown"]
    assert (shown["slug"], shown["changes"]) == ("twocache-half-a-cache-for-long-prompts", ["abstract", "claims"])
    assert Paper.objects.get(title__startswith="TwoCache").claims.get().value == 3.0


def test_a_file_is_read_like_a_page_and_bad_entries_are_named(client: Client, editor: Any) -> None:
    raw = (lines(2) + '\n{"title": 7}\n').encode()
    client.post("/ingest/", {"way": "file", "file": SimpleUploadedFile("nets.jsonl", raw)})
    found = Submission.objects.get()
    assert (found.name, found.preview["counts"]["new"], found.preview["counts"]["refused"]) == ("nets.jsonl", 2, 1)
    page = read(client.get(reverse("submission", args=[found.pk])))
    assert "line 3:" in page


def test_throwing_away_keeps_nothing(client: Client, editor: Any) -> None:
    found = paste(client)
    assert "Nothing was kept of it." in read(client.post(reverse("submission-discard", args=[found.pk]), follow=True))
    client.post(reverse("submission-confirm", args=[found.pk]))
    found.refresh_from_db()
    assert (found.state, found.pages, Paper.objects.count()) == (SubmissionState.DISCARDED, [], 0)


def test_what_nobody_confirmed_in_time_is_gone(client: Client, editor: Any) -> None:
    found = paste(client)
    Submission.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert "Nobody confirmed it in time" in read(client.get(reverse("submission", args=[found.pk])))
    assert "is no longer there" in read(client.post(reverse("submission-confirm", args=[found.pk]), follow=True))
    submissions.expire_submissions()
    found.refresh_from_db()
    assert (found.state, found.pages, Paper.objects.count()) == (SubmissionState.EXPIRED, [], 0)


# ── refusing ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({"way": "text", "text": "  "}, "Is blank; paste a page", id="blank"),
        pytest.param({"way": "text", "text": "just some words"}, "Expected one of", id="no-page"),
        pytest.param({"way": "text", "text": lines(4)}, "Brings more than 3 entries", id="too-many"),
        pytest.param({"way": "file"}, "Is missing; choose one", id="no-file"),
        pytest.param({"way": "post"}, "'post' is not one of: file, text, target", id="unknown-way"),
        pytest.param({"way": "target", "target": "/etc/passwd"}, "names nothing that can be fetched", id="a-path"),
        pytest.param({"way": "target", "target": "manage.py"}, "names nothing that can be fetched", id="a-file-here"),
        pytest.param({"way": "target", "target": "hf:2222-01-01"}, "has not come", id="a-later-day"),
    ],
)
def test_what_cannot_be_read_is_told_beside_its_field(
    client: Client, editor: Any, settings: Any, given: dict[str, str], words: str
) -> None:
    settings.INGEST_MAX_ENTRIES = 3
    page = read(client.post("/ingest/", given), 400)
    assert words in page
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        pytest.param("run.exe", b"MZ", "Run.exe is of no kind that is read here", id="kind"),
        pytest.param("a.txt", b"x" * (2**20 + 1), "more than 1 MiB", id="size"),
        pytest.param("a.txt", b"\x1f\x8b\x08 packed", "packed with gzip", id="packed"),
        pytest.param("a.txt", b"\x00\x01", "NUL", id="binary"),
        pytest.param("../../a.txt", b"", "Is empty", id="empty"),
    ],
)
def test_files_are_bounded_in_size_and_kind(
    client: Client, editor: Any, settings: Any, name: str, raw: bytes, words: str
) -> None:
    settings.INGEST_UPLOAD_MAX_BYTES = 2**20
    file = SimpleUploadedFile(name, raw)
    page = read(client.post("/ingest/", {"way": "file", "file": file}), 400)
    if name.endswith("a.txt") and not raw:
        words = "empty"
    assert words in page
    assert not Submission.objects.exists()


def test_one_person_has_few_open_at_once(client: Client, editor: Any, settings: Any) -> None:
    settings.INGEST_OPEN_MAX = 1
    paste(client)
    assert "1 of yours wait for your word" in read(client.post("/ingest/", {"way": "text", "text": lines(1)}), 400)


# ── long work ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_much_is_left_to_a_worker(
    client: Client, editor: Any, rung: list[int], monkeypatch: Any, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(submissions, "AT_ONCE", 1)
    with django_capture_on_commit_callbacks(execute=True):
        found = paste(client, lines(3))
    assert (found.state, rung) == (SubmissionState.READING, [found.pk])
    assert "waits for a worker" in read(client.get(reverse("submission", args=[found.pk])))
    submissions.work_on(found.pk)
    found.refresh_from_db()
    assert (found.state, found.preview["counts"]["new"]) == (SubmissionState.READY, 3)
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("submission-confirm", args=[found.pk]))
    assert rung == [found.pk, found.pk]
    assert not Paper.objects.exists()
    for _ in range(2):
        submissions.work_on(found.pk)
    assert Paper.objects.count() == 3


def test_a_lost_worker_is_followed_by_one_that_goes_on_behind_the_last_page(
    client: Client, editor: Any, rung: list[int], monkeypatch: Any
) -> None:
    monkeypatch.setattr(submissions, "BATCH", 2)
    found = paste(client, lines(5))
    monkeypatch.setattr(submissions, "AT_ONCE", 0)
    client.post(reverse("submission-confirm", args=[found.pk]))
    store, calls = submissions.store_page, []

    def dies_on_the_second(page: Any, name: str) -> Any:
        calls.append(name)
        if len(calls) == 2:
            store(page, name)
            raise SystemExit  # the process is gone: no handler of ours runs
        return store(page, name)

    monkeypatch.setattr(submissions, "store_page", dies_on_the_second)
    with pytest.raises(SystemExit):
        submissions.work_on(found.pk)
    found.refresh_from_db()
    assert (found.steps_done, found.steps, Paper.objects.count()) == (1, 3, 2)
    submissions.work_on(found.pk)
    assert Paper.objects.count() == 2, "its lease still runs"

    Submission.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    client.get(reverse("submission-panel", args=[found.pk]), headers={"HX-Request": "true"})
    assert rung == [found.pk]
    submissions.work_on(found.pk)
    found.refresh_from_db()
    assert (found.state, found.counts["new"], Paper.objects.count()) == (SubmissionState.DONE, 5, 5)


def test_a_target_is_fetched_shown_and_kept_under_its_place(
    client: Client, editor: Any, rung: list[int], monkeypatch: Any
) -> None:
    monkeypatch.setattr(submissions, "_ring_after_commit", lambda found: None)
    monkeypatch.setattr(
        "ingest.fetch_runs.fetch_pages", lambda target, run: iter([("hf:2025-03-13", parse_page(lines(2).encode()))])
    )
    client.post("/ingest/", {"way": "target", "target": "hf:2025-03-13"})
    found = Submission.objects.get()
    submissions.work_on(found.pk)
    found.refresh_from_db()
    assert (found.state, found.preview["counts"]["new"], found.steps_done) == (SubmissionState.READY, 2, 2)
    client.post(reverse("submission-confirm", args=[found.pk]))
    assert set(Source.objects.values_list("locator", flat=True)) == {"hf:2025-03-13"}


def test_a_fetch_that_fails_says_what_to_do(client: Client, editor: Any, rung: list[int], monkeypatch: Any) -> None:
    def refused(target: Any, run: Any) -> Any:
        raise FetchError("https://huggingface.co", "answered 503", "try again later")

    monkeypatch.setattr(submissions, "_ring_after_commit", lambda found: None)
    monkeypatch.setattr("ingest.fetch_runs.fetch_pages", refused)
    client.post("/ingest/", {"way": "target", "target": "2312.00752"})
    found = Submission.objects.get()
    submissions.work_on(found.pk)
    page = read(client.get(reverse("submission", args=[found.pk])))
    assert "answered 503; try again later" in page
    assert "hand it in again" in page


# ── beside it ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_page_goes_into_json_and_back_unchanged() -> None:
    from datetime import date

    link = CodeLink("https://github.com/a/b", "github", official=True, said_in="abstract")
    paper = ParsedPaper(
        "Title", "Abstract.", 3, arxiv_id="2312.00752", authors=("A", "B"), published_on=date(2023, 12, 1), votes=4,
        links=("https://a.example",), code_links=(link,), categories=("cs.LG",),
    )  # fmt: skip
    page = ParsedPage(
        "source", "layout", (paper,), (Problem(9, "cut"),), "Dec 1", (ParsedLinks("Other", (link,), None),)
    )
    assert page_from_json(json.loads(json.dumps(page_to_json(page)))) == page


def test_the_history_costs_the_same_for_many(client: Client, editor: Any, django_assert_max_num_queries: Any) -> None:
    client.post(reverse("submission-confirm", args=[paste(client).pk]))
    with django_assert_max_num_queries(12) as few:
        client.get("/ingest/")
    for number in range(1, 9):
        client.post(reverse("submission-discard", args=[paste(client, lines(1, number)).pk]))
    with django_assert_max_num_queries(12) as many:
        assert "Thrown away" in read(client.get("/ingest/"))
    assert len(few) == len(many)
