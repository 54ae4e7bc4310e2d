"""Migrations beside a service that goes on: they wait for no lock for long, and leave tables that the old version can use."""

from collections.abc import Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations import Migration, operations
from django.db.models import NOT_PROVIDED

# While a migration waits for a lock, everybody behind it waits too; one that gives up can be tried again.
LOCK_PATIENCE = "5s"
_DESTRUCTIVE = (operations.DeleteModel, operations.RemoveField, operations.RenameField, operations.RenameModel,
                operations.AlterModelTable)  # fmt: skip


def wait_briefly(using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """Of PostgreSQL: an operation that finds a table in use for longer than `LOCK_PATIENCE` fails and changes nothing."""
    _set_patience(using, f"'{LOCK_PATIENCE}'")


def wait_as_before(using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    _set_patience(using, "DEFAULT")


def _set_patience(using: str, value: str) -> None:
    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            cursor.execute(f"SET lock_timeout TO {value}")


def breaks_running_version(migration: Migration) -> Iterator[str]:
    """What in it the version before cannot live with: what is taken away or renamed, and new columns that it does not fill."""
    for operation in migration.operations:
        told = f"{migration.app_label}.{migration.name}: {operation.describe()}"
        if isinstance(operation, _DESTRUCTIVE):
            yield f"{told}: the version that still runs uses it; take it away one release later"
        elif isinstance(operation, operations.AddField):
            field = operation.field
            if not field.null and not field.many_to_many and field.db_default is NOT_PROVIDED:
                yield f"{told}: the version that still runs does not fill it; give it a db_default, or let it be null"
