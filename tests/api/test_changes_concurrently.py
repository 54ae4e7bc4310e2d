"""A mirror that follows the change feed of a database with several writers ends with what the database holds."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client

from api.exports.columns import as_json
from api.exports.tables import BY_KIND, BY_NAME
from papers import change_log
from papers.models import Claim, Paper, RecordChange, Run, RunState, TechniqueLabel
from papers.services import merge_papers, withdraw_paper
from tests.api.databases import postgres_database, sqlite_database
from tests.api.mirror import Mirror
from tests.factories import (
    make_claim,
    make_implementation,
    make_measurement,
    make_paper,
    make_run,
    make_technique,
    make_verdict,
)


@pytest.fixture(scope="module")
def postgres_template(django_db_blocker: Any) -> Iterator[str]:
    with django_db_blocker.unblock(), postgres_database(keep_open=False) as name:
        yield name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def database(request: Any, tmp_path: Path, django_db_blocker: Any) -> Iterator[str]:
    if request.param == "sqlite":
        opened: Any = sqlite_database(tmp_path)
    else:
        opened = postgres_database(request.getfixturevalue("postgres_template"))
    with django_db_blocker.unblock(), opened:
        yield request.param


@pytest.fixture(autouse=True)
def _no_throttle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.throttles.ByMethodThrottle.allow_request", lambda *args: True)


def ask(address: str) -> dict[str, Any]:
    answer = Client().get(address)
    assert answer.status_code == 200, answer.content
    return answer.json()


def source() -> dict[str, dict[int, Any]]:
    """What the database holds, as exports tell it."""
    held = {kind: {row["id"]: as_json(row) for row in table.rows(texts=True)} for kind, table in BY_KIND.items()}
    for run in held["run"].values():
        run["measurements"] = []
    for row in BY_NAME["measurements"].rows():
        held["run"][row["run"]]["measurements"].append(as_json(row))
    return {kind: rows for kind, rows in held.items() if rows}


def write_something(dice: random.Random) -> None:
    """One transaction, some of which take long and some of which are rolled back."""
    try:
        with transaction.atomic():
            _write(dice)
            time.sleep(dice.choice((0, 0, 0.002, 0.02)))
            if dice.random() < 0.1:
                raise InterruptedError
    except InterruptedError:
        pass


def _write(dice: random.Random) -> None:
    known = list(Paper.objects.visible().values_list("pk", flat=True))
    chance = dice.random()
    if chance < 0.4 or len(known) < 3:
        paper = make_paper(title=f"Foldcache {dice.getrandbits(60):x}")
        make_technique(paper)
        make_claim(paper, "40% less memory")
    elif chance < 0.6:
        Paper.objects.filter(pk=dice.choice(known)).update(votes=dice.randrange(1000))
    elif chance < 0.7:
        Claim.objects.filter(paper=dice.choice(known)).update(confidence=dice.random())
    elif chance < 0.75:
        TechniqueLabel.objects.filter(technique__paper=dice.choice(known)).delete()
    elif chance < 0.8:
        withdraw_paper(Paper.objects.get(pk=dice.choice(known)), None, "a test")
    elif chance < 0.85:
        keep, drop = dice.sample(known, 2)
        merge_papers(*Paper.objects.in_bulk([keep, drop]).values(), None)
    elif chance < 0.95:
        run = make_run(make_implementation(name=f"impl-{dice.getrandbits(60):x}"), state=RunState.RUNNING)
        Run.objects.filter(pk=run.pk).update(state=RunState.FINISHED, status="PASSED")
        make_measurement(run)
        make_verdict(Claim.objects.filter(card_key__startswith=run.implementation.name).get(), run)
    else:
        Claim.objects.filter(verdicts=None, paper=dice.choice(known)).delete()


def test_a_mirror_under_concurrent_writers_ends_equal_to_the_source(database: str) -> None:
    faults: list[BaseException] = []

    def keep_writing(seed: int) -> None:
        dice = random.Random(seed)
        try:
            for _ in range(20):
                try:
                    write_something(dice)
                except Exception as fault:
                    # Two that merge or withdraw the same papers: the database or the service refuses one of them.
                    if not any(word in str(fault) for word in ("deadlock", "withdrawn", "merged", "itself", "locked")):
                        raise
        except BaseException as fault:
            faults.append(fault)
        finally:
            connections.close_all()

    writers = [threading.Thread(target=keep_writing, args=(seed,)) for seed in range(3)]
    mirror = Mirror(ask)
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        mirror.follow()
        time.sleep(0.005)
    for writer in writers:
        writer.join()
    assert faults == []
    mirror.follow()
    assert {kind: rows for kind, rows in mirror.kept.items() if rows} == source()
    assert len(mirror.kept["paper"]) > 10
    assert "run" in mirror.kept


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=pytest.mark.services)], indirect=True)
def test_a_transaction_that_commits_late_is_not_missed(database: str) -> None:
    """Its entry has a lower id than one that was committed and could be read before it."""
    mirror = Mirror(ask)
    with transaction.atomic(using="a"):
        late = Paper(title="Latecache: written first, committed last")
        late.save(using="a")
        early = Paper(title="Earlycache: written last, committed first")
        early.save(using="b")
        assert RecordChange.objects.filter(kind="paper", record=early.pk).exists()  # its entry can be seen already
        mirror.follow()
        assert mirror.kept == {}, "an entry was given out before which another can still appear"
    ids = dict(RecordChange.objects.filter(kind="paper").values_list("record", "pk"))
    assert ids[late.pk] < ids[early.pk]
    mirror.follow()
    assert set(mirror.kept["paper"]) == {late.pk, early.pk}


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=pytest.mark.services)], indirect=True)
def test_an_old_transaction_that_writes_late_is_not_missed(database: str) -> None:
    """It holds the lowest transaction id, but its entry has the highest id: the order must not be that of ids alone."""
    mirror = Mirror(ask)
    with transaction.atomic(using="a"):
        with connections["a"].cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")
        middle = Paper(title="Middlecache: in between")
        middle.save(using="b")
        mirror.follow()
        late = Paper(title="Latecache: an old transaction")
        late.save(using="a")
        mirror.follow()
    mirror.follow()
    assert list(mirror.kept["paper"]) == [late.pk, middle.pk]  # by transaction
    entries = list(RecordChange.objects.settled().filter(kind="paper").values_list("pk", flat=True))
    assert entries == sorted(entries, reverse=True)


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=pytest.mark.services)], indirect=True)
def test_a_log_restored_from_another_server_starts_anew(database: str) -> None:
    make_paper()
    mirror = Mirror(ask)
    mirror.follow()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE papers_change_log SET txid = txid + 4000000000")
    assert change_log.head().pk == 0  # the other server's transactions look as if they had not ended
    change_log.install(connection)
    assert Client().get("/api/v1/changes", {"since": mirror.cursor}).status_code == 410
    again = Mirror(ask)
    again.follow()
    assert again.kept == mirror.kept == source()
