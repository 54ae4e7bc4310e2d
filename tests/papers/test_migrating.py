"""Migrations beside a service that goes on."""

import pytest
from django.db import OperationalError, connection, connections, models, transaction
from django.db.migrations import AddField, Migration, RemoveField
from django.db.migrations.loader import MigrationLoader

from papers.migrating import breaks_running_version, wait_as_before, wait_briefly
from papers.models import Paper

OURS = ("papers", "api", "ingest")
# Of before the first release: nobody runs a version that they could disturb.
FIRST = {
    "papers": "0008_identities", "api": "0003_done_requests", "ingest": "0003_submissions",
}  # fmt: skip


def test_the_version_that_still_runs_can_live_with_every_migration() -> None:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    later = [
        migration for (app, name), migration in loader.disk_migrations.items() if app in OURS and name > FIRST[app]
    ]
    assert [fault for migration in later for fault in breaks_running_version(migration)] == []


def test_what_it_cannot_live_with_is_named() -> None:
    migration = Migration("0009_more", "papers")
    migration.operations = [
        RemoveField("paper", "title"),
        AddField("paper", "shelf", models.CharField(max_length=10)),
        AddField("paper", "row", models.CharField(max_length=10, null=True)),
        AddField("paper", "place", models.CharField(max_length=10, db_default="")),
    ]
    removed, unfilled = breaks_running_version(migration)
    assert "one release later" in removed
    assert "shelf" in unfilled
    assert "db_default" in unfilled


@pytest.mark.django_db(transaction=True)
def test_a_migration_gives_up_where_a_table_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks the whole file and has a limit of its own; run on PostgreSQL too")
    monkeypatch.setattr("papers.migrating.LOCK_PATIENCE", "200ms")
    reader = connections.create_connection("default")
    try:
        reader.set_autocommit(False)
        with reader.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {Paper._meta.db_table}")  # noqa: S608 - our own name
        wait_briefly()
        with pytest.raises(OperationalError, match="lock timeout"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {Paper._meta.db_table} ADD COLUMN shelf text")
    finally:
        wait_as_before()
        reader.rollback()
        reader.close()
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
