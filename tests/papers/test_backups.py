"""A backup brings everything back; what is no backup, or would destroy something, is refused in one sentence."""

import hashlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import threading
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction

from papers import backups
from papers.backups import BackupError, backup, kept_models, read_manifest, restore
from papers.models import AuditEntry, Paper, Verdict
from papers.services.common import write_audit
from tests.api.databases import sqlite_database
from tests.factories import (
    make_claim,
    make_implementation,
    make_measurement,
    make_paper,
    make_run,
    make_user,
    make_verdict,
)

LONG_AGO = datetime(2020, 2, 29, 12, tzinfo=UTC)


def everything() -> dict[str, list[dict[str, Any]]]:
    return {model._meta.label_lower: list(model._base_manager.order_by("pk").values()) for model in kept_models()}


@pytest.fixture
def filled(transactional_db: None) -> dict[str, list[dict[str, Any]]]:
    implementation = make_implementation(name="foldcache")
    run = make_run(implementation, environment={"device_name": "H200", "note": "ünï\u2028cödé"})
    make_measurement(run)
    make_verdict(implementation.paper.claims.get(), run)
    make_claim(make_paper(title="Zeilen\numbruch – ∑"), value=3.0)
    user = make_user("mira", role="editor")
    write_audit(user, "edit", "paper 1")
    Paper.objects.all().update(updated_at=LONG_AGO)
    return everything()


def rewritten(path: Path, out: Path, change: Any, *, manifest: Any = None) -> Path:
    """The archive with members as `change(name, bytes)` gives them; None leaves one out."""
    with tarfile.open(path, "r:gz") as old, tarfile.open(out, "w:gz") as new:
        for member in old:
            raw = old.extractfile(member).read()  # type: ignore[union-attr]
            if member.name == "manifest.json" and manifest:
                told = json.loads(raw)
                manifest(told)
                raw = json.dumps(told).encode()
            elif (raw := change(member.name, raw)) is None:
                continue
            member.size = len(raw)
            new.addfile(member, io.BytesIO(raw))
    return out


def same(name: str, raw: bytes) -> bytes:
    return raw


@pytest.mark.django_db(transaction=True)
class TestTheWayBack:
    def test_every_row_comes_back_as_it_was(self, filled: Any, tmp_path: Path) -> None:
        path, manifest = backup(tmp_path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert manifest.rows["papers.paper"] == 2
        Paper.objects.update(abstract="lost")
        restore(path, replace=True)
        assert everything() == filled
        assert Verdict.objects.get().claim.paper.technique.families  # what points elsewhere still does
        assert Paper.objects.first().updated_at == LONG_AGO
        # Numbers go on where they were.
        assert make_paper().pk > max(row["id"] for row in filled["papers.paper"])

    def test_an_installation_in_use_is_left_alone(self, filled: Any, tmp_path: Path) -> None:
        path, _ = backup(tmp_path / "one.tar.gz")
        with pytest.raises(BackupError, match="in use: it has users, runs, verdicts"):
            restore(path)
        assert everything() == filled

    def test_what_breaks_half_way_changes_nothing(self, filled: Any, tmp_path: Path, monkeypatch: Any) -> None:
        path, _ = backup(tmp_path)
        AuditEntry.objects.create(action="later", target="x")
        before, whole = everything(), backups._load

        def breaks(lines: Any) -> None:
            breaks.count += 1  # type: ignore[attr-defined]
            if breaks.count > 12:  # type: ignore[attr-defined]
                raise OSError("the disk is gone")
            whole(lines)

        breaks.count = 0  # type: ignore[attr-defined]
        monkeypatch.setattr(backups, "_load", breaks)
        with pytest.raises(OSError, match="gone"):
            restore(path, replace=True)
        assert everything() == before

    def test_writing_goes_on_meanwhile_and_the_backup_is_one_moment(
        self, filled: Any, tmp_path: Path, monkeypatch: Any
    ) -> None:
        """A paper and its claim are written together all the time: the backup has both or neither."""
        stop, faults = threading.Event(), []

        def write() -> None:
            try:
                for number in range(400):
                    if stop.is_set():
                        return
                    with transaction.atomic():
                        make_claim(make_paper(title=f"Written meanwhile {number}"))
            except Exception as fault:
                faults.append(fault)
            finally:
                connections.close_all()

        # SQLite in memory knows no reader beside a writer, as a file does.
        with sqlite_database(tmp_path) if connection.vendor == "sqlite" else nullcontext():
            writer = threading.Thread(target=write)
            writer.start()
            try:
                paths = [backup(tmp_path / f"{number}.tar.gz")[0] for number in range(3)]
            finally:
                stop.set()
                writer.join()
        assert faults == []
        for path in paths:
            rows = read_manifest(path).rows
            assert rows["papers.claim"] == rows["papers.paper"]


@pytest.mark.django_db(transaction=True)
class TestWhatIsNoBackup:
    def refused(self, path: Path, words: str) -> None:
        before = everything()
        with pytest.raises(BackupError, match=words):
            restore(path, replace=True)
        assert everything() == before

    def test_damage_is_named(self, filled: Any, tmp_path: Path) -> None:
        path, _ = backup(tmp_path / "good.tar.gz")
        flipped = rewritten(
            path, tmp_path / "a.tar.gz", lambda n, raw: raw.replace(b"Folded", b"Fouled") if "paper.jsonl" in n else raw
        )
        self.refused(flipped, r"rows/papers.paper.jsonl is damaged")
        lacking = rewritten(path, tmp_path / "b.tar.gz", lambda n, raw: None if "papers.claim.jsonl" in n else raw)
        self.refused(lacking, r"lacks rows/papers.claim.jsonl")
        (tmp_path / "c.tar.gz").write_bytes(path.read_bytes()[:2000])
        self.refused(tmp_path / "c.tar.gz", "cannot be read")
        (tmp_path / "d.tar.gz").write_text("no archive")
        self.refused(tmp_path / "d.tar.gz", "cannot be read")
        self.refused(tmp_path / "nowhere.tar.gz", "does not exist")

    def test_nothing_leaves_the_archive_and_no_bomb_is_unpacked(self, filled: Any, tmp_path: Path) -> None:
        path, _ = backup(tmp_path / "good.tar.gz")
        with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as new, tarfile.open(path, "r:gz") as old:
            for member in old:
                new.addfile(member, old.extractfile(member))
            evil = tarfile.TarInfo("../../escaped")
            evil.size = 4
            new.addfile(evil, io.BytesIO(b"evil"))
        self.refused(tmp_path / "evil.tar.gz", "'../../escaped', which its manifest does not name")
        with tarfile.open(tmp_path / "link.tar.gz", "w:gz") as new:
            link = tarfile.TarInfo("manifest.json")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            new.addfile(link)
        self.refused(tmp_path / "link.tar.gz", "is no backup of Speedproof")
        assert not (tmp_path.parent / "escaped").exists()

        def huge(told: Any) -> None:
            told["files"]["rows/papers.paper.jsonl"][0] = 2**50

        self.refused(rewritten(path, tmp_path / "bomb.tar.gz", same, manifest=huge), "claims to unpack to more")

    def test_other_versions_are_sent_the_right_way(self, filled: Any, tmp_path: Path) -> None:
        path, _ = backup(tmp_path / "good.tar.gz")
        for change, words in (
            (lambda told: told["migrations"].append("papers.9999_later"), "newer version"),
            (lambda told: told["migrations"].remove("papers.0001_initial"), "older version"),
            (lambda told: told.update(format=7), "has format 7"),
            (lambda told: told.pop("rows") and told.update(other=1), "manifest cannot be read"),
        ):
            self.refused(rewritten(path, tmp_path / "other.tar.gz", same, manifest=change), words)


@pytest.mark.django_db(transaction=True)
def test_the_commands_say_what_they_did(filled: Any, tmp_path: Path, capsys: Any) -> None:
    for number in range(3):
        (tmp_path / f"speedproof-2020010{number}T000000Z.tar.gz").touch()
    call_command("backup", tmp_path, keep=2)
    left = sorted(path.name for path in tmp_path.glob("*.tar.gz"))
    assert len(left) == 2
    assert left[0].startswith("speedproof-20200102")
    call_command("restore", tmp_path / left[-1], check=True)
    assert "it can be restored" in capsys.readouterr().out
    with pytest.raises(CommandError, match="in use"):
        call_command("restore", tmp_path / left[-1])
    with pytest.raises(CommandError, match="--keep needs a folder"):
        call_command("backup", tmp_path / "file.tar.gz", keep=2)


def rows(path: Path) -> list[tuple[str, str, str]]:
    """Papers with the words of their claims, read past Django."""
    query = "SELECT title, arxiv_id, raw FROM papers_paper JOIN papers_claim ON paper_id = papers_paper.id"
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_a_lost_machine_comes_back_on_another(tmp_path: Path, project_root: Path) -> None:
    """Two installations of their own, by the commands alone; the key that signs sessions comes along where that was asked for."""

    def manage(place: str, *words: str) -> str:
        env = {
            **os.environ,
            "DATA_DIR": str(tmp_path / place),
            "DATABASE_URL": f"sqlite:///{tmp_path / place}.sqlite3",
            "SECRET_KEY": "",
        }
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=project_root, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    manage("first", "migrate", "-v0")
    (page := tmp_path / "page.jsonl").write_text(
        json.dumps({"title": "Foldcache: Folded Pages", "abstract": "It is 2x faster.", "arxiv_id": "2101.00001"})
        + "\n"
    )
    manage("first", "ingest", str(page), "--no-index")
    manage("first", "backup", str(tmp_path / "kept.tar.gz"), "--with-secret-key")
    told = rows(tmp_path / "first.sqlite3")
    assert [title for title, _, _ in told] == ["Foldcache: Folded Pages"]
    (tmp_path / "first.sqlite3").unlink()
    manage("second", "migrate", "-v0")
    manage("second", "restore", str(tmp_path / "kept.tar.gz"))
    assert rows(tmp_path / "second.sqlite3") == told
    keys = [hashlib.sha256((tmp_path / place / "secret_key").read_bytes()).hexdigest() for place in ("first", "second")]
    assert len(set(keys)) == 2, "the second machine had a key of its own already, which is left alone without --replace"
    manage("second", "restore", str(tmp_path / "kept.tar.gz"), "--replace")
    assert (tmp_path / "first" / "secret_key").read_text() == (tmp_path / "second" / "secret_key").read_text()


def test_every_table_is_kept_or_left_out_on_purpose() -> None:
    kept = {model._meta.label_lower for model in kept_models()}
    others = {
        model._meta.label_lower for model in apps.get_models() if model._meta.managed and not model._meta.proxy
    } - kept
    assert {name for name in others if name.partition(".")[0] not in backups.LEFT_OUT_APPS} <= set(backups.LEFT_OUT)
