"""The command line: what it prints, what it ends with, and that a token stays where it is."""

import csv
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application

from speedproof import Client, cli
from tests.conftest import ROOT
from tests.factories import make_claim, make_implementation, make_paper, make_run, make_user


@pytest.fixture
def run(db: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command in this process on the test's database; gives its status, output and complaints."""
    cache.clear()

    @contextmanager
    def local(**kwargs: Any) -> Any:
        from speedproof.local import _nobody, _token

        with _token(kwargs["user"]) if kwargs["may_write"] else _nobody() as token:
            yield Client("http://localhost", token, transport=httpx.WSGITransport(app=get_wsgi_application()))

    monkeypatch.setattr("speedproof.local.local_client", local)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["speedproof", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    return call


def test_a_paper_is_shown_as_json_where_nobody_looks(run: Any) -> None:
    paper = make_paper()
    make_claim(paper)
    status, out, _ = run("show", paper.slug)
    assert (status, json.loads(out)["claims"][0]["value"]) == (0, 2.0)


def test_a_paper_is_shown_by_the_name_of_its_implementation(run: Any) -> None:
    implementation = make_implementation()
    assert json.loads(run("show", implementation.name)[1])["slug"] == implementation.paper.slug


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["show", "nothing-of-that-name"], 3, "There is no such record"),
        (["search"], 2, "Give words"),
        (["search", "x", "--family", "speed"], 1, "family"),
        (["watch", "zero"], 2, "RUN"),
        (["watch", "987654"], 3, "There is no such record"),
        (["--user", "nobody", "verify", "nothing"], 1, "there is no user 'nobody'"),
        (["export", "papers", "--where", "year"], 2, "--where year"),
        (["--server", "example.com", "search", "x"], 1, "is no address"),
        (["--server", "http://127.0.0.1:9", "show", "x"], 5, "does not answer"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_faults_are_one_sentence_and_a_status(
    run: Any, monkeypatch: pytest.MonkeyPatch, words: list[str], status: int, told: str
) -> None:
    monkeypatch.setattr("speedproof.client.PAUSE_S", 0.0)
    code, out, err = run(*words)
    assert (code, out) == (status, "")
    assert told in err
    assert "Traceback" not in err


def test_records_are_exported_whole_or_not_at_all(run: Any, tmp_path: Path) -> None:
    make_paper(title="=SUM(A1): a title that a spreadsheet would reckon with")
    out = tmp_path / "papers.csv"
    status, _, err = run("export", "papers", "--format", "csv", "--fields", "title,families", "--out", str(out))
    assert (status, "1 papers" in err) == (0, True)
    rows = list(csv.DictReader(out.open()))
    assert rows == [{"title": "'=SUM(A1): a title that a spreadsheet would reckon with", "families": "[]"}]
    assert run("export", "papers", "--where", "year=soon", "--out", str(tmp_path / "none.jsonl"))[0] == 1
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["papers.csv"]


def test_a_run_is_asked_for_by_an_operator_and_the_token_is_revoked(run: Any) -> None:
    from api.models import ApiToken

    make_user("chief", is_staff=True, is_superuser=True)
    status, out, _ = run("verify", make_implementation().name, "--device", "cpu", "--mode", "check")
    assert (status, json.loads(out)["state"]) == (0, "queued")
    assert not ApiToken.objects.filter(revoked_at=None).exists()


def test_watching_a_run_that_failed_ends_with_its_status(run: Any) -> None:
    failed = make_run(state="failed", failure_reason="crashed", failure_detail="It ended.")
    assert run("watch", str(failed.pk))[0] == 6
    assert run("watch", str(make_run().pk))[0] == 0


def test_a_token_is_read_from_a_file_and_is_no_option(tmp_path: Path, run: Any) -> None:
    assert run("--token", "sp_x", "search", "x")[0] == 2
    missing = run("--server", "http://x", "--token-file", str(tmp_path / "none"), "search", "x")
    assert (missing[0], "cannot be read" in missing[2]) == (1, True)


@pytest.mark.parametrize("command", ["search", "show", "recommend", "verify", "watch", "export", "mcp"])
def test_every_command_has_help_with_an_example(run: Any, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    assert "speedproof" in out.split("Usage:", 1)[1].split("\n", 1)[1]


def test_the_client_needs_no_django() -> None:
    code = (
        "import speedproof.cli, sys; sys.exit(any(name.split('.')[0] in ('django', 'torch') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
