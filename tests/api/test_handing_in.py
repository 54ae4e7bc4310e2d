"""Handing in pages over the API: what would change, what changed, and what is not taken."""

from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from ingest.models import Submission
from papers.models import Paper
from tests.api.test_editing import client_of

pytestmark = pytest.mark.django_db
PAGE = """@article{one,
  title = {Foldcache: folded pages for long prompts},
  author = {Ada Example},
  year = {2024},
  abstract = {Folded pages make decoding 2.3x faster than a plain cache.}
}
"""


@pytest.fixture(autouse=True)
def _fresh_rates() -> None:
    cache.clear()


@pytest.fixture
def editor() -> APIClient:
    return client_of("import")


def send(client: APIClient, body: dict[str, Any], form: str = "json", **headers: str) -> Any:
    return client.post("/api/v1/ingest", body, format=form, headers=headers)


def test_a_dry_run_tells_what_would_change_and_keeps_nothing(editor: APIClient) -> None:
    answer = send(editor, {"text": PAGE, "dry_run": True})
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told["counts"] == {"read": 1, "new": 1, "updated": 0, "duplicate": 0, "unmatched": 0, "refused": 0}
    assert told["shown"][0]["claims"][0]["figure"] == "2.3×"
    assert not Paper.objects.exists()


def test_a_page_is_kept_once(editor: APIClient) -> None:
    first, again = send(editor, {"text": PAGE}).json(), send(editor, {"text": PAGE}).json()
    assert (first["state"], first["counts"]["new"]) == ("done", 1)
    assert (again["counts"]["new"], again["counts"]["duplicate"]) == (0, 1)
    assert Paper.objects.count() == 1


def test_a_file_is_taken_as_a_form(editor: APIClient) -> None:
    file = SimpleUploadedFile("page.bib", PAGE.encode())
    answer = send(editor, {"file": file, "dry_run": "false"}, "multipart")
    assert (answer.status_code, answer.json()["counts"]["new"]) == (200, 1)


def test_what_is_fetched_is_left_to_a_worker_and_waits_for_a_word(editor: APIClient) -> None:
    answer = send(editor, {"target": "2312.00752"})
    assert (answer.status_code, answer.json()["state"], answer.json()["counts"]) == (202, "reading", None)
    where = answer["Location"]
    assert editor.get(where).json()["name"] == "arxiv:2312.00752"
    assert editor.post(where + "/confirm").status_code == 409
    assert editor.post(where + "/discard").json()["state"] == "discarded"
    assert editor.post(where + "/discard").status_code == 202


def test_a_page_that_was_sent_twice_by_one_key_is_kept_once(editor: APIClient) -> None:
    first, again = (send(editor, {"text": PAGE}, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert again.json() == first.json()
    assert Submission.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({}, "file", id="nothing"),
        pytest.param({"text": PAGE, "target": "2312.00752"}, "target", id="two"),
        pytest.param({"text": ""}, "text", id="blank"),
        pytest.param({"text": "no page of papers at all"}, "text", id="no-page"),
        pytest.param({"text": "a\x00b"}, "text", id="nul"),
        pytest.param({"target": "/etc/passwd"}, "target", id="file-of-the-server"),
        pytest.param({"target": "file:///etc/passwd"}, "target", id="file-address"),
        pytest.param({"target": "http://"}, "target", id="no-host"),
        pytest.param({"file": "text"}, "file", id="no-file"),
        pytest.param({"text": PAGE, "dry_run": "perhaps"}, "dry_run", id="dry-run"),
    ],
)
def test_bad_input_names_its_field_and_keeps_nothing(editor: APIClient, body: dict[str, Any], field: str) -> None:
    answer = send(editor, body)
    assert answer.status_code == 400, answer.content
    assert field in [one["field"] for one in answer.json()["errors"]]
    assert not Submission.objects.exists()


def test_the_server_never_says_what_lies_on_its_disk(editor: APIClient) -> None:
    there, not_there = (send(editor, {"target": t}).json()["detail"] for t in ("/etc/passwd", "/etc/passwx"))
    assert there.replace("passwd", "") == not_there.replace("passwx", "")


def test_what_is_too_large_is_refused(editor: APIClient, settings: Any) -> None:
    settings.INGEST_UPLOAD_MAX_BYTES = 50
    assert send(editor, {"text": PAGE}).status_code == 413
    assert send(editor, {"file": SimpleUploadedFile("page.bib", PAGE.encode())}, "multipart").status_code == 413


def test_a_body_of_another_kind_is_refused(editor: APIClient) -> None:
    answer = editor.post("/api/v1/ingest", PAGE, content_type="text/plain")
    assert answer.status_code == 415
    assert "multipart/form-data" in answer.json()["detail"]


@pytest.mark.parametrize(("scopes", "is_staff", "status"), [(("edit",), True, 403), (("import",), False, 403)])
def test_only_editors_with_the_scope_hand_in_and_look(scopes: tuple[str, ...], is_staff: bool, status: int) -> None:
    client = client_of(*scopes, is_staff=is_staff)
    assert send(client, {"text": PAGE}).status_code == status
    assert client.get("/api/v1/ingest").status_code == status
    assert APIClient().get("/api/v1/ingest").status_code == 401
