"""Settings of the endpoint: which are wrong, what they are called, and that off means off."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from ingest.endpoint.config import EndpointConfig, wrong_settings
from tests.ingest.endpoint.fake_endpoint import KEY

RIGHT = EndpointConfig(url="https://models.example.org/v1", model="small-model", api_key=KEY)


@pytest.mark.parametrize(
    ("changed", "setting"),
    [
        pytest.param({"url": "models.example.org"}, "ENDPOINT_URL", id="no-scheme"),
        pytest.param({"url": "ftp://models.example.org"}, "ENDPOINT_URL", id="other-scheme"),
        pytest.param({"url": "https://"}, "ENDPOINT_URL", id="no-host"),
        pytest.param({"url": "http://host:99999/v1"}, "ENDPOINT_URL", id="no-such-port"),
        pytest.param({"url": "http://[::1/v1"}, "ENDPOINT_URL", id="half-an-address"),
        pytest.param({"url": f"https://user:{KEY}@models.example.org"}, "ENDPOINT_URL", id="password-in-the-address"),
        pytest.param({"url": f"https://models.example.org/v1?key={KEY}"}, "ENDPOINT_URL", id="key-in-the-address"),
        pytest.param({"model": ""}, "ENDPOINT_MODEL", id="no-model"),
        pytest.param({"api_key": f"{KEY} "}, "ENDPOINT_API_KEY", id="blank-in-the-key"),
        pytest.param({"api_key": f"{KEY}é"}, "ENDPOINT_API_KEY", id="accent-in-the-key"),
        pytest.param({"response_format": "xml"}, "ENDPOINT_RESPONSE_FORMAT", id="unknown-form"),
        pytest.param({"timeout_s": 0}, "ENDPOINT_TIMEOUT_S", id="no-time"),
        pytest.param({"concurrency": 0}, "ENDPOINT_CONCURRENCY", id="none-at-once"),
        pytest.param({"concurrency": 1000}, "ENDPOINT_CONCURRENCY", id="too-many-at-once"),
        pytest.param({"max_tokens": 10}, "ENDPOINT_MAX_TOKENS", id="too-short-answers"),
        pytest.param({"daily_limit": 0}, "ENDPOINT_DAILY_LIMIT", id="no-requests"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(changed: dict[str, Any], setting: str) -> None:
    (wrong,) = wrong_settings(replace(RIGHT, **changed))
    assert wrong.setting == setting
    assert wrong.problem
    assert wrong.hint
    assert KEY not in "".join(wrong)


def test_right_settings_and_an_endpoint_that_is_off_have_nothing_wrong() -> None:
    assert wrong_settings(RIGHT) == []
    assert wrong_settings(EndpointConfig(url="", concurrency=-1)) == []


def test_the_check_at_start_names_each_wrong_setting(settings: Any) -> None:
    settings.ENDPOINT_URL, settings.ENDPOINT_MODEL, settings.ENDPOINT_TIMEOUT_S = "http://127.0.0.1:1", "", 0
    found = [m for m in run_checks() if m.id == "ingest.E001"]
    assert [m.msg.split()[0] for m in found] == ["ENDPOINT_MODEL", "ENDPOINT_TIMEOUT_S"]
    assert all(m.hint for m in found)


@pytest.mark.parametrize(("url", "warns"), [("http://models.example.org", True), ("http://127.0.0.1:8000", False)])
def test_a_key_that_crosses_the_network_in_the_clear_is_warned_of(settings: Any, url: str, warns: bool) -> None:
    settings.ENDPOINT_URL, settings.ENDPOINT_MODEL, settings.ENDPOINT_API_KEY = url, "small-model", KEY
    found = [m for m in run_checks() if m.id == "ingest.W001"]
    assert bool(found) is warns
    assert KEY not in str(found)


def python(code: str, root: Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENDPOINT_")}
    return subprocess.run([sys.executable, "-c", code], cwd=root, env={**kept, **env}, capture_output=True, text=True)


def test_a_number_that_is_none_is_named_at_start(project_root: Path, tmp_path: Path) -> None:
    done = python(
        "import config.settings", project_root, ENDPOINT_CONCURRENCY="two", DATA_DIR=str(tmp_path), SECRET_KEY="s"
    )
    assert done.returncode != 0
    assert "ENDPOINT_CONCURRENCY='two' is not a whole number such as 2" in done.stderr


OFF = """
import socket, sys
import django

def refuse(*args, **kwargs):
    raise AssertionError("a socket was opened")

django.setup()
from django.core.management import call_command
from django.db import connection, transaction
call_command("migrate", verbosity=0)
socket.socket.connect = socket.create_connection = refuse
from ingest.services import extract_paper
from ingest.tasks import read_with_endpoint, ring_for_unread
from papers.models import Paper

with transaction.atomic():
    paper = Paper.objects.create(title="Zed", abstract="We propose Zed, a cache. It is 2x faster than plain decoding.")
    assert extract_paper(paper)
read_with_endpoint(paper.pk)
ring_for_unread()
assert paper.claims.count() == 1
print([name for name in ("httpx", "tenacity", "ingest.endpoint.client") if name in sys.modules])
"""


def test_off_means_that_extraction_loads_no_http_library_and_opens_no_socket(
    project_root: Path, tmp_path: Path
) -> None:
    done = python(OFF, project_root, DJANGO_SETTINGS_MODULE="config.settings", DATA_DIR=str(tmp_path), SECRET_KEY="s")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"
