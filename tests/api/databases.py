"""Real databases of a test's own, used by every thread as the default one."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

ADMIN_URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")


@contextmanager
def sqlite_database(folder: Path) -> Iterator[None]:
    with _in_use({"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "own.sqlite3"), "OPTIONS": {
        "transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
    }}):  # fmt: skip
        yield


@contextmanager
def postgres_database(template: str = "template1", *, keep_open: bool = True) -> Iterator[str]:
    """Its name. A migrated template saves the migrations; `keep_open` False leaves no connection, so that it can be one."""
    import psycopg

    name = f"changes_{uuid.uuid4().hex[:10]}"
    try:
        admin = psycopg.connect(ADMIN_URL, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as fault:
        if os.environ.get("CI") == "true":
            pytest.fail(f"PostgreSQL is not reachable: {fault}")
        pytest.skip(f"PostgreSQL is not reachable: {fault}")
    with admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        known = admin.info
        try:
            wanted = {"ENGINE": "django.db.backends.postgresql", "NAME": name, "HOST": known.host,
                      "PORT": str(known.port), "USER": known.user, "PASSWORD": known.password}  # fmt: skip
            if keep_open:
                with _in_use(wanted, migrate=template == "template1"):
                    yield name
            else:
                with _in_use(wanted):
                    pass
                yield name
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextmanager
def _in_use(wanted: dict[str, Any], *, migrate: bool = True) -> Iterator[None]:
    """Every alias ("default", "a", "b") leads there, in this thread and in new ones."""
    aliases = ("default", "a", "b")
    before, own = dict(connections.settings), connections["default"]
    filled = {**before["default"], **wanted, "TEST": before["default"]["TEST"], "CONN_MAX_AGE": 0}
    if "OPTIONS" not in wanted:
        filled["OPTIONS"] = {}
    try:
        del connections["default"]
        for alias in aliases:
            connections.settings[alias] = dict(filled)
        if migrate:
            call_command("migrate", verbosity=0, interactive=False)
        yield
    finally:
        for alias in aliases:
            connections[alias].close()
            del connections[alias]
            connections.settings.pop(alias, None)
        connections.settings.update(before)
        connections["default"] = own
