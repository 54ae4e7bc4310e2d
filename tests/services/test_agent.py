"""A real agent process against a real server: a run is done over HTTP alone, and done again when its machine dies.

No worker and no broker is there. Each test works in a data folder and a database of its own.
"""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.test_real_worker import Installation

pytestmark = pytest.mark.services
QUICK = "llm-int8"
SET_UP = """
from django.contrib.auth.models import User
from api.services import make_token
from runners.services import sync_cards
sync_cards()
ada = User.objects.create_superuser("ada")
print(make_token(ada, "box", ["device"], None, None)[1])
"""


class Site(Installation):
    """An installation whose web alone runs, and a token for a machine."""

    address: str
    token_file: Path
    web: subprocess.Popen[bytes]

    def open(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{free.getsockname()[1]}"
        self.address, self.token_file = f"http://{place}", Path(self.env["DATA_DIR"]) / "token"
        self.manage("migrate", "--verbosity", "0")
        self.token_file.touch(0o600)
        self.token_file.write_text(self.manage("shell", "--no-imports", "-c", SET_UP))
        log = (Path(self.env["DATA_DIR"]) / "worker.log").open("ab")
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "config.wsgi:application",
            "-b",
            place,
            "-w",
            "1",
            "--threads",
            "4",
        ]
        self.web = subprocess.Popen(command, cwd=self.root, env=self.env, stdout=log, stderr=log)
        self.wait_for(self.is_up, 60)

    def is_up(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.address}/healthz", timeout=2).status == 200  # noqa: S310
        except urllib.error.HTTPError as answer:
            pytest.fail(f"the server answers {answer.code}")
        except OSError:
            return False

    def agent(self, *words: str) -> subprocess.Popen[bytes]:
        """As on a machine that has nothing of the installation: its environment names the server and no more."""
        log = (Path(self.env["DATA_DIR"]) / "worker.log").open("ab")
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env |= {"OMP_NUM_THREADS": "1", "SPEEDPROOF_SERVER": self.address}
        command = [sys.executable, "-m", "runners.agent", "--token-file", str(self.token_file), "--name", "box", *words]
        self.worker = subprocess.Popen(
            command, cwd=self.root, env=env, stdout=log, stderr=log, start_new_session=True
        )  # `children` and `kill_worker` mean this process
        return self.worker

    def said(self) -> str:
        return (Path(self.env["DATA_DIR"]) / "worker.log").read_text()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[Site]:
    env = {
        **os.environ, "DATA_DIR": str(tmp_path_factory.mktemp("data")), "RUN_LEASE_S": "3", "SECRET_KEY": uuid.uuid4().hex * 2,
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }  # fmt: skip
    for name in ("DATABASE_URL", "BROKER_URL"):
        env.pop(name, None)
    made = Site(project_root, env)
    made.open()
    yield made
    made.web.terminate()
    made.web.wait(20)


@pytest.fixture
def site(opened: Site) -> Iterator[Site]:
    yield opened
    opened.kill_worker()


def test_a_run_is_done_over_http_and_its_verdict_is_that_of_a_cpu(site: Site) -> None:
    site.manage("verify", QUICK, "--device", "cpu")
    done = site.agent("--device", "cpu", "--once").wait(240)
    assert done == 0, site.said()
    assert (site.ask("state"), site.ask("status"), site.ask("attempts")) == ("finished", "PASSED", "1")
    assert site.ask("outcome", "papers_verdict") == "not-comparable", "a CPU is no GPU"
    assert "There was no GPU" in site.ask("reason", "papers_verdict")
    assert float(site.ask("ratio", "papers_measurement WHERE measure = 'time' AND subject = 'technique'")) > 0
    assert site.ask("uid", "papers_device").endswith("/box/cpu")
    assert "checked" in site.ask("log_tail")
    page = urllib.request.urlopen(f"{site.address}/runs/{site.ask('id')}/", timeout=20).read().decode()  # noqa: S310
    assert "not comparable" in page.lower()
    assert site.agent("--device", "cpu", "--once").wait(60) == 3, "nothing else waits"
    assert site.token_file.read_text().strip() not in site.said()


def test_a_run_whose_agent_is_killed_is_done_again_and_its_child_is_gone(site: Site) -> None:
    site.manage("verify", QUICK, "--device", "cpu")
    killed = site.agent("--device", "cpu")
    site.wait_for(lambda: site.ask("state") == "running" and bool(site.children()), 90)
    orphans = site.children()
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    site.wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans), 20)
    assert site.ask("state") == "running", "nobody was there to notice"
    site.agent("--device", "cpu")
    site.wait_for(lambda: site.ask("state") == "finished", 240)
    assert site.ask("attempts") == "2"
    assert site.ask("run_id", "papers_measurement") == site.ask("id")


def test_an_agent_that_has_to_stop_gives_its_run_back(site: Site) -> None:
    site.manage("verify", QUICK, "--device", "cpu")
    stopped = site.agent("--device", "cpu")
    site.wait_for(lambda: site.ask("state") == "running" and bool(site.children()), 90)
    stopped.terminate()
    assert stopped.wait(60) == 0, site.said()
    assert (site.ask("state"), site.ask("attempts")) == ("queued", "0")
    assert site.children() == []
