"""The change log: whatever writes a record is noted, in the transaction that wrote it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from papers import change_log
from papers.change_log import CursorError, Place
from papers.models import CodeLink, Paper, RecordChange, Run, RunState, TechniqueLabel
from papers.services import merge_papers, record_paper, withdraw_paper
from papers.services.sights import SeenPaper
from tests.factories import (
    make_claim,
    make_implementation,
    make_paper,
    make_run,
    make_technique,
    make_user,
    make_verdict,
)

pytestmark = pytest.mark.django_db


def noted_since(pk: int) -> set[tuple[str, int, str]]:
    return set(RecordChange.objects.filter(pk__gt=pk).values_list("kind", "record", "operation"))


def last() -> int:
    return RecordChange.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def test_saves_bulk_writes_updates_and_deletes_are_all_noted() -> None:
    paper, claim = make_paper(), make_claim()
    technique = make_technique(paper)
    start = last()
    Paper.objects.filter(pk=paper.pk).update(votes=3)
    claim.__class__.objects.bulk_update([claim], ["metric"])
    TechniqueLabel.objects.filter(technique=technique).delete()
    CodeLink.objects.bulk_create([CodeLink(paper=paper, url="https://github.com/a/b")])
    assert noted_since(start) == {
        ("paper", paper.pk, "update"),
        ("claim", claim.pk, "update"),
        ("technique", technique.pk, "update"),
    }
    start, key = last(), claim.pk
    claim.delete()
    assert noted_since(start) == {("claim", key, "delete")}


def test_a_part_that_moves_changes_both_records() -> None:
    first, second = make_paper(), make_paper()
    link = CodeLink.objects.create(paper=first, url="https://github.com/a/b")
    start = last()
    CodeLink.objects.filter(pk=link.pk).update(paper=second)
    assert noted_since(start) == {("paper", first.pk, "update"), ("paper", second.pk, "update")}


def test_a_run_is_noted_when_it_ends_and_not_each_second_before() -> None:
    run = make_run(state=RunState.RUNNING)
    start = last()
    Run.objects.filter(pk=run.pk).update(progress=0.5, heartbeat_at=timezone.now())
    assert noted_since(start) == set()
    Run.objects.filter(pk=run.pk).update(state=RunState.FINISHED, progress=1.0)
    assert noted_since(start) == {("run", run.pk, "update")}


def test_services_are_noted_without_knowing_of_it() -> None:
    kept, _ = record_paper(SeenPaper(title="Foldmap: folded maps", abstract="It is 2x faster."))
    dropped = make_paper(title="Foldmap: a folded map")
    withdrawn = make_paper()
    verdict = make_verdict(make_claim(dropped), make_run(make_implementation(dropped)))
    start = last()
    merge_papers(kept, dropped, make_user())
    withdraw_paper(withdrawn, None, "test")
    kinds = {(kind, record) for kind, record, _ in noted_since(start)}
    assert {("paper", kept.pk), ("paper", dropped.pk), ("paper", withdrawn.pk)} <= kinds
    assert ("implementation", verdict.run.implementation_id) in kinds


def test_a_table_that_lost_its_triggers_gets_them_back_and_its_rows_are_noted_again() -> None:
    paper = make_paper()
    with connection.cursor() as cursor:
        change_log.remove(connection)
        cursor.execute("UPDATE papers_paper SET votes = 9")
    start = last()
    assert "papers_paper" in change_log.install(connection)
    assert ("paper", paper.pk, "insert") in noted_since(start)
    assert change_log.install(connection) == []
    start = last()
    Paper.objects.filter(pk=paper.pk).update(votes=10)
    assert noted_since(start) == {("paper", paper.pk, "update")}


def test_cursors_of_another_log_are_refused() -> None:
    make_paper()
    entry = RecordChange.objects.latest("pk")
    place = Place.of(entry)
    assert Place.read(place.write()) == place
    place.check()
    for wrong in (Place(place.txid, place.pk, place.stamp + 1), Place(place.txid, place.pk + 1000, place.stamp)):
        with pytest.raises(CursorError, match="not of this database"):
            wrong.check()
    long_ago = int((timezone.now() - timedelta(days=400)).timestamp() * 1e6)
    with pytest.raises(CursorError, match="older than the 90 days"):
        Place(place.txid, place.pk + 1000, long_ago).check()


@pytest.mark.parametrize("cursor", ["x", "é", "YzEuMQ", "!!!!", "YzkuMS4yLjM", "A" * 300, "c1.1.2.3", "YzEuMS4yLi0z"])
def test_nonsense_is_no_cursor(cursor: str) -> None:
    with pytest.raises(CursorError, match="no cursor"):
        Place.read(cursor)


def test_pruning_keeps_the_newest_entry_of_each_record(settings: Any) -> None:
    RecordChange.objects.all().delete()  # emptying tables after another test is logged as well
    paper, other = make_paper(), make_paper()
    for votes in (1, 2, 3):
        Paper.objects.filter(pk=paper.pk).update(votes=votes)
    RecordChange.objects.update(at=timezone.now() - timedelta(days=91))
    newest = RecordChange.objects.filter(kind="paper", record=paper.pk).latest("pk")
    assert change_log.prune() == 3
    assert list(RecordChange.objects.filter(kind="paper", record=paper.pk)) == [newest]
    assert RecordChange.objects.filter(kind="paper", record=other.pk).count() == 1
