"""Backups: every row as JSON lines in one archive, whatever the database, and the way back into an empty installation.

An archive holds manifest.json and rows/<app.model>.jsonl, each with its hash, and the secret key where that was asked for. Rows are
read in one snapshot while the service goes on writing. What can be made again (the search index, static files) is left out.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from django.apps import apps
from django.conf import settings
from django.core import serializers
from django.core.management.color import no_style
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.db.migrations.recorder import MigrationRecorder

from papers.files import sha256_of, whole
from papers.snapshots import one_moment

FORMAT = 1
MANIFEST, SECRET_KEY, ROWS = "manifest.json", "secret_key", "rows"
LARGEST_MANIFEST = 2**20
# JSON lines shrink tenfold; what claims to unpack to far more is no backup.
MOST_EXPANSION, ALWAYS_ALLOWED = 200, 64 * 2**20
AT_ONCE = 500
# Sign-ins end with the machine; the record of changes is written anew by the database as rows come back.
LEFT_OUT = ("sessions.session", "papers.signin", "papers.recordchange")
LEFT_OUT_APPS = ("axes",)
# Without any of these an installation is new; the catalogue of implementations is there from the first start.
SIGNS_OF_USE = ("auth.user", "papers.run", "papers.verdict", "papers.source")


class _Exact(DjangoJSONEncoder):
    """Django's own cuts moments to milliseconds."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if isinstance(o, datetime) else super().default(o)


class BackupError(Exception):
    """One sentence for the operator."""


@dataclass
class Manifest:
    """What an archive holds. `files` maps a member to its size in bytes and sha256, `rows` a model to its count."""

    format: int
    created: str
    database: str
    migrations: list[str]
    rows: dict[str, int] = field(default_factory=dict)
    files: dict[str, tuple[int, str]] = field(default_factory=dict)


def kept_models() -> list[type[models.Model]]:
    """Every table that a backup holds, those that others point to first."""
    rows = serializers.sort_dependencies([(config, None) for config in apps.get_app_configs()])
    return [
        model for model in rows
        if model._meta.managed and not model._meta.proxy
        and model._meta.label_lower not in LEFT_OUT and model._meta.app_label not in LEFT_OUT_APPS
    ]  # fmt: skip


def applied_migrations() -> list[str]:
    return sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())


def backup(target: Path, *, with_secret_key: bool = False) -> tuple[Path, Manifest]:
    """Writes an archive that only its owner can read; into a folder under the name of the moment, else to the file.

    Raises: BackupError.
    """
    now = datetime.now(UTC)
    if target.is_dir():
        target = target / f"speedproof-{now:%Y%m%dT%H%M%SZ}.tar.gz"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
            with one_moment():
                manifest = Manifest(FORMAT, now.isoformat(timespec="seconds"), connection.vendor, applied_migrations())
                _write_rows(Path(folder), manifest)
            if with_secret_key:
                (Path(folder) / SECRET_KEY).write_text(settings.SECRET_KEY)
                manifest.files[SECRET_KEY] = _described(Path(folder) / SECRET_KEY)
            (Path(folder) / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1))
            aside = Path(folder) / "archive"
            aside.touch(mode=0o600)
            with aside.open("wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
                for name in (MANIFEST, *manifest.files):
                    archive.add(Path(folder) / name, name, recursive=False)
                archive.close()
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
    except OSError as fault:
        raise BackupError(f"The backup could not be written: {fault.strerror or fault}.") from fault
    return target, manifest


def _write_rows(folder: Path, manifest: Manifest) -> None:
    (folder / ROWS).mkdir()
    for model in kept_models():
        name = f"{ROWS}/{model._meta.label_lower}.jsonl"
        rows = model._base_manager.order_by("pk")
        with (folder / name).open("w", encoding="utf-8") as file:
            serializers.serialize("jsonl", rows.iterator(chunk_size=AT_ONCE), stream=file, cls=_Exact)
        manifest.rows[model._meta.label_lower] = rows.count()
        manifest.files[name] = _described(folder / name)


def _described(path: Path) -> tuple[int, str]:
    return path.stat().st_size, sha256_of(path)


# ── the way back ────────────────────────────────────────────────────────────────────────────────────────────────────
def read_manifest(path: Path) -> Manifest:
    """What an archive says of itself, after every member was compared with it. Nothing is unpacked.

    Raises: BackupError that says what is wrong with the file.
    """
    try:
        with tarfile.open(path, "r:gz") as archive:
            first = archive.next()
            if first is None or first.name != MANIFEST or not first.isfile() or first.size > LARGEST_MANIFEST:
                raise BackupError(f"{path.name} is no backup of Speedproof: it does not begin with {MANIFEST}.")
            manifest = _parsed(_stream(archive, first).read(), path)
            allowed = ALWAYS_ALLOWED + MOST_EXPANSION * path.stat().st_size
            if sum(size for size, _ in manifest.files.values()) > allowed:
                raise BackupError(
                    f"{path.name} claims to unpack to more than a backup of its size can; it is not read."
                )
            left = dict(manifest.files)
            while member := archive.next():
                expected = left.pop(member.name, None)
                if expected is None or not member.isfile():
                    raise BackupError(f"{path.name} holds {member.name[:80]!r}, which its manifest does not name.")
                if (
                    member.size != expected[0]
                    or hashlib.file_digest(_stream(archive, member), "sha256").hexdigest() != expected[1]
                ):
                    raise BackupError(f"{path.name}: {member.name} is damaged.")
    except FileNotFoundError:
        raise BackupError(f"{path} does not exist.") from None
    except (OSError, EOFError, tarfile.TarError, gzip.BadGzipFile) as fault:
        raise BackupError(f"{path.name} cannot be read: {fault}.") from fault
    if left:
        raise BackupError(f"{path.name} lacks {sorted(left)[0]}; it was cut off.")
    return manifest


def _parsed(raw: bytes, path: Path) -> Manifest:
    try:
        manifest = Manifest(**json.loads(raw))
        manifest.files = {str(name): (int(size), str(sha)) for name, (size, sha) in manifest.files.items()}
        known = manifest.format
    except (ValueError, TypeError, AttributeError) as fault:
        raise BackupError(f"{path.name}: its manifest cannot be read.") from fault
    if known != FORMAT:
        raise BackupError(f"{path.name} has format {known}; this version reads format {FORMAT}.")
    return manifest


def _stream(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    stream = archive.extractfile(member)
    if stream is None:
        raise BackupError(f"{member.name[:80]!r} in the archive is no file.")
    return stream


def signs_of_use() -> list[str]:
    """Tables with rows that a new installation does not have."""
    found = [apps.get_model(label) for label in SIGNS_OF_USE]
    return [str(model._meta.verbose_name_plural) for model in found if model._base_manager.exists()]


def restore(path: Path, *, replace: bool = False, progress: Callable[[str], None] = lambda _: None) -> Manifest:
    """Puts every row of an archive into this installation, all or nothing; the tables have to be those of the archive.

    Raises: BackupError, for a damaged file, another version, or an installation that is in use (unless `replace`).
    """
    manifest = read_manifest(path)
    _refuse_other_version(manifest)
    if not replace and (used := signs_of_use()):
        raise BackupError(
            f"This installation is in use: it has {', '.join(used)}. With --replace everything in it is deleted."
        )
    with connection.constraint_checks_disabled(), transaction.atomic():
        _empty()
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.name.startswith(f"{ROWS}/"):
                    progress(member.name.removeprefix(f"{ROWS}/").removesuffix(".jsonl"))
                    _load(io.TextIOWrapper(_stream(archive, member), encoding="utf-8"))
                elif member.name == SECRET_KEY:
                    _keep_secret(_stream(archive, member).read(), replace=replace)
        connection.check_constraints()
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), kept_models()):
                cursor.execute(statement)
    return manifest


def _refuse_other_version(manifest: Manifest) -> None:
    here, there = set(applied_migrations()), set(manifest.migrations)
    if here == there:
        return
    newer, older = sorted(there - here), sorted(here - there)
    if newer:
        raise BackupError(f"The backup is of a newer version (it has {newer[0]}); install that version, then restore.")
    raise BackupError(
        f"The backup is of an older version (it lacks {older[0]}); restore it there, back up, then upgrade."
    )


def _empty() -> None:
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    kept = MigrationRecorder.Migration._meta.db_table
    connection.ops.execute_sql_flush(
        connection.ops.sql_flush(no_style(), [table for table in tables if table != kept], allow_cascade=True)
    )


def _load(lines: IO[str]) -> None:
    """Rows as they were, without signals and without today's date in fields that note a change."""
    batch: list[Any] = []
    for row in serializers.deserialize("jsonl", lines):
        if batch and (len(batch) >= AT_ONCE or type(batch[0].object) is not type(row.object)):
            _insert(batch)
            batch = []
        batch.append(row)
    _insert(batch)


def _insert(batch: list[Any]) -> None:
    if not batch:
        return
    model = type(batch[0].object)
    fields = model._meta.local_concrete_fields
    objects = [row.object for row in batch]
    step = max(1, connection.ops.bulk_batch_size(fields, objects))
    for start in range(0, len(objects), step):
        model._base_manager._insert(objects[start : start + step], fields=fields, using=connection.alias, raw=True)
    for row in batch:
        for name, values in (row.m2m_data or {}).items():
            getattr(row.object, name).set(values)


def _keep_secret(secret: bytes, *, replace: bool) -> None:
    path = settings.DATA_DIR / "secret_key"
    if path.exists() and not replace:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as aside:
        aside.touch(mode=0o600)
        aside.write_bytes(secret)
