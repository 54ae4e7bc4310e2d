"""Writing an export: all tables of one moment as files with their sums, whole or not at all."""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from api.exports import papers_with_code
from api.exports.catalogue import MANIFEST, NAME_FORMAT, SUMS, Export, exports
from api.exports.licence import licence
from api.exports.tables import SCHEMA_VERSION, TABLES, Table
from api.exports.writers import FORMATS, GzippedText
from papers import change_log
from papers.files import sha256_of
from papers.snapshots import one_moment


class ExportError(Exception):
    """An export cannot be written; the message is for the person who asked."""


def write_export(
    folder: Path,
    formats: Sequence[str] = tuple(FORMATS),
    *,
    texts: bool = False,
    keep: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Export:
    """Write every table of this moment to a new folder within `folder`, then drop all but the newest `keep`.

    It is written aside and renamed when it is whole, so that nobody ever sees half of one.

    Raises: ExportError where a format is unknown, the folder cannot be written, or another process is at it.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise ExportError(f"format: {unknown[0]!r} is not one of {', '.join(FORMATS)}")
    if not formats:
        raise ExportError(f"format: none was given; use one or more of {', '.join(FORMATS)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(folder):
            made_at = datetime.now(UTC)
            name = made_at.strftime(NAME_FORMAT)
            if (folder / name).exists():
                raise ExportError(f"{name} is there already; one export a second is enough")
            aside = folder / f".{name}.part"
            try:
                aside.mkdir()
                _fill(aside, name, made_at, list(dict.fromkeys(formats)), texts, say)
                aside.rename(folder / name)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
            if keep is not None:
                prune(folder, keep)
    except OSError as fault:
        raise ExportError(f"{folder}: cannot be written: {fault.strerror or fault}") from None
    return Export.read(folder / name)


def prune(folder: Path, keep: int) -> list[str]:
    """Remove all but the newest `keep` exports, and what an interrupted one left; their names."""
    old = exports(folder)[max(keep, 1) :]
    for one in old:
        shutil.rmtree(one.folder)
    for left in folder.glob(".*.part"):
        shutil.rmtree(left, ignore_errors=True)
    return [one.name for one in old]


def export_if_due(now: datetime | None = None) -> Export | None:
    """The daily job: one export a day from the hour that is set, and the change log cut to what is kept."""
    now = now or datetime.now(UTC)
    if not settings.DATA_EXPORT or now.time() < settings.DATA_EXPORT_AT:
        return None
    if any(one.made_at.date() == now.date() for one in exports(settings.EXPORT_DIR)):
        return None
    change_log.prune(now)
    with suppress(Busy):
        return write_export(settings.EXPORT_DIR, keep=settings.EXPORTS_KEPT)
    return None


class Busy(ExportError):
    """Another process is writing an export."""


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{folder}: another process is writing an export there; wait for it") from None
        yield


def _fill(  # noqa: PLR0917
    folder: Path, name: str, made_at: datetime, formats: list[str], texts: bool, say: Callable[[str], None]
) -> None:
    tables: list[dict[str, Any]] = []
    files: list[dict[str, Any]] = []
    with one_moment():
        position = change_log.head()
        for table in TABLES:
            columns = table.shown(texts)
            paths = {word: folder / (table.name + FORMATS[word][0]) for word in formats}
            rows = _write_table(table, paths, texts)
            described = [{"name": c.name, "type": c.type, "about": c.about} for c in columns]
            tables.append({"name": table.name, "about": table.about, "rows": rows, "columns": described})
            files += [
                {"path": path.name, "table": table.name, "format": word, "rows": rows} for word, path in paths.items()
            ]
            say(f"{table.name}: {rows} rows")
        for dump in papers_with_code.DUMPS:
            if texts or not dump.has_texts:
                path = folder / dump.file_name
                rows = _write_array(path, dump.items())
                files.append({"path": path.name, "table": dump.name, "format": "papers-with-code", "rows": rows})
                say(f"{dump.name}: {rows} items")
    for one in files:
        one["bytes"] = (folder / one["path"]).stat().st_size
        one["sha256"] = sha256_of(folder / one["path"])
    manifest = {
        "name": name,
        "title": "Speedproof: techniques of ML efficiency, what papers claim of them, and what was measured",
        "schema": SCHEMA_VERSION,
        "made_at": made_at.isoformat().replace("+00:00", "Z"),
        "licence": licence(texts).to_json(),
        "texts": texts,
        "changes_cursor": position.write(),
        "tables": tables,
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sums = [(one["sha256"], one["path"]) for one in files] + [(sha256_of(folder / MANIFEST), MANIFEST)]
    (folder / SUMS).write_text("".join(f"{digest}  {path}\n" for digest, path in sums), encoding="utf-8")


def _write_table(table: Table, paths: dict[str, Path], texts: bool) -> int:
    """The rows are read once, whatever the number of formats."""
    count = 0
    with ExitStack() as open_files:
        writers = [FORMATS[word][1](path, table.shown(texts)) for word, path in paths.items()]
        for writer in writers:
            open_files.callback(writer.close)
        for row in table.rows(texts):
            count += 1
            for writer in writers:
                writer.write(row)
    return count


def _write_array(path: Path, items: Iterable[dict[str, Any]]) -> int:
    """One long JSON array, an item a line."""
    count = 0
    file = GzippedText(path)
    try:
        file.write("[")
        for item in items:
            file.write((",\n" if count else "\n") + json.dumps(item, ensure_ascii=False, allow_nan=False))
            count += 1
        file.write("\n]\n")
    finally:
        file.close()
    return count
