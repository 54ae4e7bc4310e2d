"""A real worker process on a real broker: a run is done whatever dies, and nothing stays "running" for ever.

Each test works in a data folder and a database of its own, and starts the very commands that script/server starts.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.services
QUICK = "llm-int8"
PHASES = ["start", "check", "time"]
ADMIN_URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15")


def absent(what: str, why: object) -> None:
    message = f"{what} is not reachable: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@dataclass
class Installation:
    """An installation of its own: environment, commands, and a worker that can be killed."""

    root: Path
    env: dict[str, str]
    worker: subprocess.Popen[bytes] | None = None

    def manage(self, *words: str, timeout: float = 120) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, column: str, table: str = "papers_run") -> str:
        """One value of the newest row, read past Django: starting it for each look would take longer than the run."""
        order = "ORDER BY id DESC LIMIT 1" if "count(" not in column else ""
        query = f"SELECT {column} FROM {table} {order}"  # noqa: S608 - the test's own words
        if url := self.env.get("DATABASE_URL"):
            import psycopg

            with psycopg.connect(url) as database:
                row = database.execute(query.encode()).fetchone()
        else:
            with closing(sqlite3.connect(Path(self.env["DATA_DIR"]) / "speedproof.sqlite3", timeout=20)) as database:
                row = database.execute(query).fetchone()
        assert row is not None
        return str(row[0])

    def start_worker(self) -> None:
        command = [
            sys.executable, "-m", "celery", "-A", "config", "worker", "-Q", "default,runs-cpu", "-c", "2",
            "--without-gossip", "--without-mingle", "-l", "INFO",
        ]  # fmt: skip
        log = (Path(self.env["DATA_DIR"]) / "worker.log").open("ab")
        self.worker = subprocess.Popen(
            command, cwd=self.root, env=self.env, stdout=log, stderr=log, start_new_session=True
        )

    def kill_worker(self) -> None:
        if self.worker is not None and self.worker.poll() is None:
            os.killpg(self.worker.pid, signal.SIGKILL)
            self.worker.wait()

    def wait_for_phase(self, phase: str, seconds: float = 90) -> None:
        """Waits until the newest run has got that far; a run that ended before fails the test at once."""
        reached = PHASES[PHASES.index(phase) :]

        def is_there() -> bool:
            now = self.ask("state")
            assert now in {"queued", "running"}, f"it was {now} before anyone was killed"
            return now == "running" and self.ask("phase") in reached

        self.wait_for(is_there, seconds)

    def children(self) -> list[int]:
        """Processes that run code under test for this installation's worker."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes()
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if b"runners.bench.child" in command and self.worker and parent in self._workers():
                found.append(int(folder.name))
        return found

    def _workers(self) -> set[int]:
        """The worker and its pool: they share a process group, which no child does."""
        assert self.worker is not None
        group = self.worker.pid
        found = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group:
                found.add(int(stat.parent.name))
        return found

    def wait_for(self, what: Callable[[], bool], seconds: float) -> None:
        limit = time.monotonic() + seconds
        while not what():
            if time.monotonic() > limit:
                log = (Path(self.env["DATA_DIR"]) / "worker.log").read_text()[-3000:]
                pytest.fail(f"did not happen within {seconds} s; the worker said:\n{log}")
            time.sleep(0.3)


@pytest.fixture(scope="module")
def installations(
    tmp_path_factory: pytest.TempPathFactory, project_root: Path
) -> Iterator[Callable[[str], Installation]]:
    """Those of this module, "embedded" and "production", each made at its first use."""
    made: dict[str, tuple[Installation, Callable[[], None]]] = {}

    def get(kind: str) -> Installation:
        if kind not in made:
            made[kind] = prepared(tmp_path_factory.mktemp("data"), project_root, production=kind == "production")
        return made[kind][0]

    yield get
    for _, drop in made.values():
        drop()


def prepared(folder: Path, project_root: Path, *, production: bool) -> tuple[Installation, Callable[[], None]]:
    env = {
        **os.environ, "DATA_DIR": str(folder), "RUN_LEASE_S": "4", "DEVICE": "cpu", "SECRET_KEY": uuid.uuid4().hex * 2,
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }  # fmt: skip
    env.pop("DATABASE_URL", None)
    env.pop("BROKER_URL", None)
    drop: Callable[[], None] = lambda: None  # noqa: E731
    if production:
        drop = use_production_parts(env)
    made = Installation(project_root, env)
    made.manage("migrate", "--verbosity", "0")
    made.manage("sync_cards")
    return made, drop


@pytest.fixture(params=["embedded", "production"])
def installation(
    request: pytest.FixtureRequest, installations: Callable[[str], Installation]
) -> Iterator[Installation]:
    """The installation with no worker yet; what it says of runs is about the newest one."""
    found = installations(request.param)
    yield found
    found.kill_worker()


def use_production_parts(env: dict[str, str]) -> Callable[[], None]:
    import psycopg
    import redis

    try:
        admin = psycopg.connect(ADMIN_URL, autocommit=True, connect_timeout=3)
    except psycopg.Error as fault:
        absent("PostgreSQL", fault)
    broker = redis.Redis.from_url(REDIS_URL)
    try:
        broker.flushdb()
    except redis.RedisError as fault:
        absent("Redis", fault)
    name = f"speedproof_{uuid.uuid4().hex[:12]}"
    admin.execute(f"CREATE DATABASE {name}")
    env["DATABASE_URL"] = ADMIN_URL.rsplit("/", 1)[0] + f"/{name}"
    env["BROKER_URL"] = REDIS_URL

    def drop() -> None:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.close()
        broker.flushdb()

    return drop


def state(installation: Installation) -> str:
    return installation.ask("state")


def test_a_run_is_done_by_a_worker(installation: Installation) -> None:
    installation.start_worker()
    said = installation.manage("verify", QUICK, "--device", "cpu", "--wait", timeout=240)
    assert "finished" in said
    assert "not-comparable" in said, "a CPU is no GPU"
    assert installation.ask("kind", "papers_device") == "cpu"


def test_a_run_whose_worker_is_killed_is_done_by_the_next(installation: Installation) -> None:
    installation.start_worker()
    installation.manage("verify", QUICK, "--device", "cpu")
    installation.wait_for(lambda: state(installation) == "running", 60)
    installation.kill_worker()
    assert state(installation) == "running", "nobody was there to notice"
    installation.start_worker()
    installation.wait_for(lambda: state(installation) == "finished", 240)
    assert installation.ask("attempts") == "2"
    assert installation.ask("run_id", "papers_measurement") == installation.ask("id")


def test_runs_asked_for_while_no_worker_is_there_are_done_when_one_comes(installation: Installation) -> None:
    installation.manage("verify", QUICK, "--device", "cpu")
    assert state(installation) == "queued"
    installation.start_worker()
    installation.wait_for(lambda: state(installation) in {"running", "finished"}, 60)
    installation.manage(
        "shell", "--no-imports", "-c",
        "from papers.models import Run; from runners.services import cancel_run; cancel_run(Run.objects.first(), None)",
    )  # fmt: skip
    installation.wait_for(lambda: state(installation) in {"cancelled", "finished"}, 30)


@pytest.mark.parametrize("installation", ["production"], indirect=True)
def test_a_run_that_loses_two_workers_fails_for_good_and_leaves_no_child(installation: Installation) -> None:
    """The first is killed while it checks, the second while it times; each takes its child along."""
    installation.start_worker()
    installation.manage("verify", QUICK, "--device", "cpu")
    for phase in ("check", "time"):
        installation.wait_for_phase(phase)
        orphans = installation.children()
        assert orphans, "somebody runs the code under test"
        installation.kill_worker()
        installation.wait_for(lambda pids=orphans: not any(Path(f"/proc/{pid}").exists() for pid in pids), 20)
        installation.start_worker()
        if phase == "check":
            installation.wait_for(lambda: installation.ask("attempts") == "2", 60)
    installation.wait_for(lambda: state(installation) == "failed", 60)
    assert (installation.ask("failure_reason"), installation.ask("attempts")) == ("lost", "2")
    assert installation.ask("count(*)", "papers_verdict WHERE run_id = (SELECT max(id) FROM papers_run)") == "0"


@pytest.mark.parametrize(
    ("installation", "phase"),
    [("production", "time"), *(("embedded", phase) for phase in PHASES)],
    indirect=["installation"],
)
def test_a_killed_child_ends_its_run_and_not_its_worker(installation: Installation, phase: str) -> None:
    installation.start_worker()
    installation.manage("verify", QUICK, "--device", "cpu")
    installation.wait_for_phase(phase)
    installation.wait_for(lambda: bool(installation.children()), 20)
    for pid in installation.children():
        os.kill(pid, signal.SIGKILL)
    installation.wait_for(lambda: state(installation) == "failed", 60)
    assert (installation.ask("failure_reason"), installation.ask("attempts")) == ("crashed", "1")
    assert "signal 9" in installation.ask("failure_detail")
    assert installation.worker is not None
    assert installation.worker.poll() is None, "the worker lives on"


def test_a_worker_that_has_to_stop_hands_its_run_to_the_next(installation: Installation) -> None:
    """Asked to end as systemd and docker ask: no wait for the lease, no attempt lost, and the run is done once."""
    installation.env["RUN_STOP_S"] = "0.2"
    installation.start_worker()
    installation.manage("verify", QUICK, "--device", "cpu")
    installation.wait_for(lambda: state(installation) == "running", 60)
    assert installation.worker is not None
    installation.worker.terminate()
    installation.wait_for(lambda: installation.worker is not None and installation.worker.poll() is not None, 60)
    assert installation.children() == []
    if "BROKER_URL" not in installation.env and state(installation) == "finished":
        return  # the embedded broker gave the stopping worker its message once more, and it did the run before it ended
    assert (state(installation), installation.ask("attempts")) == ("queued", "0")
    del installation.env["RUN_STOP_S"]
    installation.start_worker()
    installation.wait_for(lambda: state(installation) == "finished", 120)
    assert installation.ask("attempts") == "1"
