"""The change feed as a program sees it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from api.exports.columns import as_json
from api.exports.services import write_export
from api.exports.tables import BY_KIND
from papers.change_log import Place
from papers.models import Paper, RecordChange
from papers.services import merge_papers, withdraw_paper
from tests.api.mirror import Mirror
from tests.factories import make_claim, make_measurement, make_paper, make_run, make_technique

# Of its own transactions: on PostgreSQL only those that ended are listed.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def since(client: Client) -> str:
    """The cursor of now, after what setting up wrote."""
    mirror = Mirror(lambda address: client.get(address).json(), limit=1000)
    mirror.follow()
    return mirror.cursor


def changes(client: Client, since: str, **params: Any) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/changes", {"since": since, "limit": 1000, **params})
    assert answer.status_code == 200, answer.content
    return answer.json()["changes"]


def test_each_kind_of_change_has_its_word(client: Client, since: str) -> None:
    kept, dropped, gone = make_paper(), make_paper(), make_paper()
    old = make_claim(kept)
    withdraw_paper(gone, None, "a test")
    merge_papers(kept, dropped, None)
    key = old.pk
    old.delete()
    told = {(one["kind"], one["id"]): one for one in changes(client, since)}
    assert told["paper", kept.pk]["change"] == "created"
    assert told["paper", gone.pk]["change"] == "withdrawn"
    assert told["paper", dropped.pk]["change"] == "merged"
    assert told["paper", dropped.pk]["record"]["merged_into"] == kept.slug
    assert (told["claim", key]["change"], told["claim", key]["record"]) == ("deleted", None)


def test_a_record_that_was_written_often_is_listed_once_as_it_is_now(client: Client, since: str) -> None:
    paper = make_paper()
    for votes in range(5):
        Paper.objects.filter(pk=paper.pk).update(votes=votes)
    told = changes(client, since)
    assert [(one["kind"], one["id"]) for one in told] == [("paper", paper.pk)]
    assert told[0]["record"]["votes"] == 4
    assert "abstract" not in told[0]["record"]
    assert changes(client, since, texts="true")[0]["record"]["abstract"] == paper.abstract


def test_a_run_comes_with_its_measurements(client: Client, since: str) -> None:
    run = make_run()
    make_measurement(run)
    (told,) = changes(client, since, kind="run")
    assert told["record"]["measurements"][0]["ratio"] == 2.21


def test_next_is_always_given_and_stays_where_nothing_is_new(client: Client, since: str) -> None:
    page = client.get("/api/v1/changes", {"since": since}).json()
    assert page == {"changes": [], "next": since, "more": False}
    make_paper()
    make_paper()
    first = client.get("/api/v1/changes", {"since": since, "limit": 1}).json()
    assert first["more"] is True
    second = client.get("/api/v1/changes", {"since": first["next"], "limit": 1}).json()
    assert second["more"] is False
    assert {one["id"] for page in (first, second) for one in page["changes"]} == set(
        Paper.objects.order_by("-pk").values_list("pk", flat=True)[:2]
    )


@pytest.mark.parametrize(
    ("params", "field", "status"),
    [
        ({"since": "nonsense"}, "since", 400),
        ({"since": "a" * 5000}, "since", 400),
        ({"since": "\x00"}, "since", 400),
        ({"limit": "0"}, "limit", 400),
        ({"limit": "1001"}, "limit", 400),
        ({"limit": "ten"}, "limit", 400),
        ({"kind": "cat"}, "kind", 400),
    ],
)
def test_what_is_wrong_is_named(client: Client, params: dict[str, str], field: str, status: int) -> None:
    answer = client.get("/api/v1/changes", params)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field


def test_a_cursor_that_is_too_old_or_of_another_database_is_gone(client: Client) -> None:
    make_paper()
    entry = RecordChange.objects.latest("pk")
    long_ago = int((timezone.now() - timedelta(days=200)).timestamp() * 1e6)
    for place, words in (
        (Place(entry.txid, entry.pk + 10**6, long_ago), "older than the 90 days"),
        (Place(entry.txid, entry.pk, Place.of(entry).stamp + 5), "restored from a backup"),
    ):
        answer = client.get("/api/v1/changes", {"since": place.write()})
        assert answer.status_code == 410
        assert words in answer.json()["detail"]


def test_a_copy_that_starts_from_an_export_only_needs_what_came_after(client: Client, tmp_path: Path) -> None:
    paper = make_paper()
    make_technique(paper)
    made = write_export(tmp_path, ["jsonl"], texts=True)
    kept = {
        kind: {row["id"]: as_json(row) for row in BY_KIND[kind].rows(texts=True)} for kind in ("paper", "technique")
    }
    Paper.objects.filter(pk=paper.pk).update(votes=12)
    make_paper()
    mirror = Mirror(lambda address: client.get(address).json(), made.manifest["changes_cursor"])
    mirror.kept = kept
    mirror.follow()
    assert mirror.seen == 2
    assert mirror.kept["paper"] == {row["id"]: as_json(row) for row in BY_KIND["paper"].rows(texts=True)}
