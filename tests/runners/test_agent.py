"""The agent against a server that misbehaves: what it tries again, what it gives up, and what it never shows."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from runners import agent, agent_http
from runners.agent import Machine, main, work
from runners.agent_http import NotReached, Refused, Server, Usage
from runners.bench.process import clean_environment
from runners.bench.results import Event, Failure, RunRequest, SessionResult
from runners.cards import find_card
from runners.facts import NoDevice

TOKEN = "sp_" + "k" * 43
CARD = "llm-int8"
OK: dict[str, Any] = {"devices": [1], "cancelled": False, "given_back": True, "run": None, "ask_again_s": 1}


class Answer:
    """One answer of the server: a status, a body of text, headers, and ways to misbehave."""

    def __init__(
        self, status: int = 200, body: Any = None, *, cut: bool = False, hang: bool = False, **headers: str
    ) -> None:
        self.status, self.cut, self.hang = status, cut, hang
        self.text = body if isinstance(body, str) else json.dumps(OK if body is None else body)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class FakeServer:
    """Answers each path from a list of its own, whose last entry stays; keeps what was asked."""

    def __init__(self) -> None:
        self.script: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.let_go = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                path = self.path.removeprefix("/api/v1/agent/")
                fake.asked.append((path, body, dict(self.headers)))
                left = fake.script.get(path) or [Answer()]
                self.give(left.pop(0) if len(left) > 1 else left[0])

            def give(self, answer: Answer) -> None:
                if answer.hang:
                    fake.let_go.wait(5)
                    return
                text = answer.text.encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text) + (50 if answer.cut else 0)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self.let_go.set()
        self._http.shutdown()
        self._http.server_close()

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for asked, body, _ in self.asked if asked == path]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setattr(agent_http, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(agent_http, "LONGEST_WAIT_S", 0.02)
    made = FakeServer()
    yield made
    made.close()


@pytest.fixture
def server(fake: FakeServer) -> Server:
    return Server(fake.address, TOKEN, timeout_s=0.3)


def leased(**fields: Any) -> Answer:
    card = find_card(CARD)
    run = {
        "id": 7, "implementation": CARD, "mode": "check", "device": "box/cpu", "device_kind": "cpu", "seed": 11,
        "card_hash": card.card_hash, "code_hash": card.code_hash, "wall_limit_s": 60.0, "heartbeat_s": 0.01,
    }  # fmt: skip
    return Answer(body={"run": run | fields, "ask_again_s": 1, "other_versions": []})


def a_machine() -> Machine:
    return Machine("box", [{"uid": "box/cpu", "kind": "cpu", "name": "Two cores"}], {CARD: ["c" * 64, "d" * 64]})


def result(failure: Failure | None = None, **fields: Any) -> SessionResult:
    plain: dict[str, Any] = {
        "card_name": CARD, "mode": "check", "status": "PASSED", "failure": failure, "records": [{"card": CARD}], "measurements": [],
        "judgements": [], "skipped": [], "environment": {}, "log_tail": "", "harness_version": "1", "seed": 11,
    }  # fmt: skip
    return SessionResult(**(plain | fields))


def session_of(
    *, until: Callable[[], Any] = lambda: True, asked: list[RunRequest] | None = None, **fields: Any
) -> agent.Session:
    """A harness that works until something is so or it is told to stop, and then gives what a real one would."""

    def session(
        request: RunRequest, on_event: Callable[[Event], None], should_stop: Callable[[], bool]
    ) -> SessionResult:
        if asked is not None:
            asked.append(request)
        on_event(Event("log", "check", 0.5, "a\x00line\n"))
        for _ in range(500):
            if should_stop():
                return result(Failure("cancelled", "stopped on request"))
            if until():
                break
            threading.Event().wait(0.01)
        return result(**fields)

    return session


def once(server: Server, session: agent.Session | None = None, stop: threading.Event | None = None) -> int:
    return work(server, a_machine(), stop or threading.Event(), once=True, session=session or session_of())


# ── the network ─────────────────────────────────────────────────────────────────────────────────────────────────────
MISBEHAVING = {
    "too many requests": Answer(429, {"detail": "Slow down."}, Retry_After="0"),
    "broken": Answer(500, {"detail": "The server failed."}),
    "away": Answer(503, "<html>down for maintenance</html>"),
    "silent": Answer(hang=True),
    "truncated": Answer(cut=True),
    "no JSON": Answer(body="<html>a login page of the hotel</html>"),
    "no object": Answer(body="[1, 2]"),
    "endless": Answer(body=json.dumps({"a": "x" * 1_100_000})),
}


@pytest.mark.parametrize("name", MISBEHAVING)
def test_what_is_temporary_is_asked_again_with_the_same_words(fake: FakeServer, server: Server, name: str) -> None:
    fake.script["lease"] = [MISBEHAVING[name], MISBEHAVING[name], Answer(body={"run": None})]
    assert server.ask("lease", {"lease": "x"}, threading.Event()) == {"run": None}
    assert fake.bodies("lease") == [{"lease": "x"}] * 3


def test_what_the_server_asks_for_is_waited(fake: FakeServer, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_http, "LONGEST_WAIT_S", 10.0)
    fake.script["lease"] = [Answer(429, {"detail": "no"}, Retry_After="20")]
    stop, waited = threading.Event(), []
    monkeypatch.setattr(stop, "wait", lambda seconds: waited.append(seconds) or True)
    with pytest.raises(NotReached, match="no"):
        server.ask("lease", {}, stop)
    assert waited == [20.0]


def test_a_server_that_is_not_there_is_given_up_with_once_alone() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nobody = Server(f"http://127.0.0.1:{port}", TOKEN)
    with pytest.raises(NotReached):
        nobody.ask("lease", {}, threading.Event(), patience_s=0.0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413])
def test_a_refusal_is_final_and_in_the_servers_own_words(fake: FakeServer, server: Server, status: int) -> None:
    fake.script["lease"] = [Answer(status, {"detail": "This token is unknown."})]
    with pytest.raises(Refused, match="This token is unknown") as caught:
        server.ask("lease", {}, threading.Event())
    assert caught.value.status == status
    assert len(fake.asked) == 1


def test_a_redirect_is_not_followed_since_the_token_would_go_along(fake: FakeServer, server: Server) -> None:
    other = FakeServer()
    fake.script["lease"] = [Answer(302, "", Location=other.address)]
    with pytest.raises(Refused, match="give the address that it leads to"):
        server.ask("lease", {}, threading.Event())
    other.close()
    assert other.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "http://speedproof.example.org", "http://10.0.0.1:8000", "ftp://127.0.0.1", "speedproof.example.org", "", "https://",
        "https://ada:secret@example.org", "https://example.org?x=1", "http://localhost.example.org", "https://example.org:port",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(address: str) -> None:
    with pytest.raises(Usage, match=r"^server: ") as caught:
        agent_http.checked_address(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org",
        "https://example.org/speedproof/",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "http://localhost",
    ],
)
def test_addresses_that_are_taken(address: str) -> None:
    assert agent_http.checked_address(address) == address.rstrip("/")


# ── a run ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_run_is_done_as_asked_and_handed_in(fake: FakeServer, server: Server) -> None:
    fake.script["lease"] = [leased()]
    fake.script["runs/7/result"] = [Answer(body={"id": 7, "state": "finished", "status": "PASSED"})]
    asked: list[RunRequest] = []
    assert once(server, session_of(asked=asked, until=lambda: fake.bodies("runs/7/heartbeat"))) == agent.EXIT_DONE
    [request] = asked
    assert (request.card_name, request.seed, request.mode, request.device) == (CARD, 11, "check", "cpu")
    assert request.wall_limit_s == 60.0
    [body] = fake.bodies("runs/7/result")
    assert body["records"] == [{"card": CARD}]
    assert body["log"] == "a\ufffdline\n", "without NUL, which no database keeps"
    assert body["lease"] == fake.bodies("lease")[0]["lease"] == fake.bodies("runs/7/heartbeat")[0]["lease"]
    assert fake.bodies("devices")[0]["devices"][0]["uid"] == "box/cpu"


def test_an_outcome_is_sent_until_it_is_taken(fake: FakeServer, server: Server) -> None:
    fake.script["lease"] = [leased()]
    fake.script["runs/7/result"] = [Answer(500), Answer(cut=True), Answer(hang=True), Answer()]
    assert once(server) == agent.EXIT_DONE
    sent = fake.bodies("runs/7/result")
    assert len(sent) == 4
    assert all(each == sent[0] for each in sent)


@pytest.mark.parametrize("misbehaving", ["broken", "no JSON", "too many requests"])
def test_a_heartbeat_that_fails_costs_no_run(fake: FakeServer, server: Server, misbehaving: str) -> None:
    fake.script["lease"] = [leased()]
    fake.script["runs/7/heartbeat"] = [MISBEHAVING[misbehaving]]
    assert once(server, session_of(until=lambda: len(fake.bodies("runs/7/heartbeat")) > 2)) == agent.EXIT_DONE
    assert len(fake.bodies("runs/7/result")) == 1


def test_a_lost_lease_stops_the_run_and_nothing_is_handed_in(fake: FakeServer, server: Server) -> None:
    fake.script["lease"] = [leased()]
    fake.script["runs/7/heartbeat"] = [Answer(), Answer(409, {"detail": "This lease is lost."})]
    assert once(server, session_of(until=lambda: False)) == agent.EXIT_FAILED
    assert fake.bodies("runs/7/result") == fake.bodies("runs/7/release") == []


def test_a_cancelled_run_is_handed_in_as_such(fake: FakeServer, server: Server) -> None:
    fake.script["lease"] = [leased()]
    fake.script["runs/7/heartbeat"] = [Answer(), Answer(body={"cancelled": True})]
    assert once(server, session_of(until=lambda: False)) == agent.EXIT_DONE
    assert len(fake.bodies("runs/7/result")) == 1
    assert fake.bodies("runs/7/release") == []


@pytest.mark.parametrize("given_back", [True, False], ids=["given-back", "to-be-cancelled"])
def test_one_that_has_to_stop_gives_its_run_back(fake: FakeServer, server: Server, given_back: bool) -> None:
    fake.script["lease"] = [leased()]
    fake.script["runs/7/release"] = [Answer(503, "busy"), Answer(body={"given_back": given_back})]
    stop = threading.Event()

    def stop_soon() -> bool:
        stop.set()
        return False

    assert once(server, session_of(until=stop_soon), stop) == agent.EXIT_DONE
    assert len(fake.bodies("runs/7/release")) == 2
    assert len(fake.bodies("runs/7/result")) == (0 if given_back else 1)


def test_what_was_found_before_it_had_to_stop_is_handed_in(fake: FakeServer, server: Server) -> None:
    fake.script["lease"] = [leased()]
    stop = threading.Event()
    assert once(server, session_of(until=lambda: stop.set() or True), stop) == agent.EXIT_DONE
    assert len(fake.bodies("runs/7/result")) == 1
    assert fake.bodies("runs/7/release") == []


def test_a_fault_of_the_harness_is_told_without_its_words(fake: FakeServer, server: Server) -> None:
    def broken(*_: Any) -> SessionResult:
        raise KeyError("/home/ada/secret")

    fake.script["lease"] = [leased()]
    assert once(server, broken) == agent.EXIT_FAILED
    [body] = fake.bodies("runs/7/result")
    assert body["failure"]["reason"] == "harness-fault"
    assert "KeyError" in body["failure"]["detail"]
    assert "secret" not in json.dumps(body)


def test_a_checkout_that_changed_under_the_agent_runs_nothing(fake: FakeServer, server: Server) -> None:
    fake.script["lease"] = [leased(code_hash="0" * 64)]
    asked: list[RunRequest] = []
    assert once(server, session_of(asked=asked)) == agent.EXIT_REFUSED
    assert asked == []
    assert len(fake.bodies("runs/7/release")) == 1


def test_an_outcome_that_is_refused_ends_the_run_with_the_reason(
    fake: FakeServer, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    fake.script["lease"] = [leased()]
    fake.script["runs/7/result"] = [Answer(400, {"detail": "records[0].seed: is of another run"})]
    assert once(server) == agent.EXIT_FAILED
    first, failure = fake.bodies("runs/7/result")
    assert "records" in first
    assert "records[0].seed: is of another run" in failure["failure"]["detail"]
    assert "records[0].seed" in caplog.text


def test_an_outcome_of_a_lost_lease_is_sent_once(fake: FakeServer, server: Server) -> None:
    fake.script["lease"] = [leased()]
    fake.script["runs/7/result"] = [Answer(409, {"detail": "This lease is lost."})]
    assert once(server) == agent.EXIT_FAILED
    assert len(fake.bodies("runs/7/result")) == 1


def test_run_after_run_until_it_is_asked_to_stop(fake: FakeServer, server: Server) -> None:
    nothing = Answer(body={"run": None, "ask_again_s": 0.01, "other_versions": ["flash-attention-2"]})
    fake.script["lease"] = [leased(), nothing, nothing, leased()]
    stop = threading.Event()
    session = session_of(until=lambda: (len(fake.bodies("lease")) > 3 and stop.set()) or True)
    assert work(server, a_machine(), stop, once=False, session=session) == agent.EXIT_DONE
    assert len({body["lease"] for body in fake.bodies("lease")}) == 4, "each question has a lease of its own"
    assert len(fake.bodies("runs/7/result")) == 2


# ── how it ends ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("path", "answer", "status"),
    [
        pytest.param("lease", Answer(body={"run": None}), agent.EXIT_NOTHING, id="nothing-waits"),
        pytest.param("devices", Answer(401, {"detail": "no"}), agent.EXIT_REFUSED, id="token"),
        pytest.param("devices", Answer(400, {"detail": "harness_version"}), agent.EXIT_REFUSED, id="version"),
        pytest.param("lease", Answer(500), agent.EXIT_NOT_REACHED, id="broken"),
    ],
)
def test_exit_status(
    fake: FakeServer, server: Server, monkeypatch: pytest.MonkeyPatch, path: str, answer: Answer, status: int
) -> None:
    monkeypatch.setattr(agent, "PATIENCE_S", 0.05)
    fake.script[path] = [answer]
    assert once(server) == status


def test_a_token_that_was_revoked_meanwhile_ends_the_agent(fake: FakeServer, server: Server) -> None:
    fake.script["lease"] = [leased()]
    fake.script["runs/7/result"] = [Answer(401, {"detail": "revoked"})]
    assert work(server, a_machine(), threading.Event(), once=False, session=session_of()) == agent.EXIT_REFUSED


def usage(caplog: pytest.LogCaptureFixture, *words: str) -> str:
    assert main(list(words)) == agent.EXIT_USAGE
    return caplog.text


def test_usage_names_what_is_missing(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPEEDPROOF_TOKEN", raising=False)
    assert "token: none is given" in usage(caplog, "--server", "https://example.org")
    assert "cannot be read" in usage(caplog, "--server", "https://example.org", "--token-file", str(tmp_path / "none"))
    file = tmp_path / "token"
    file.write_text("my password")
    assert "holds no token" in usage(caplog, "--server", "https://example.org", "--token-file", str(file))
    assert "password" not in caplog.text
    file.write_text(TOKEN + "\n")
    assert "use https" in usage(caplog, "--server", "http://example.org", "--token-file", str(file))
    assert "server: ''" in usage(caplog, "--token-file", str(file))
    monkeypatch.setattr(agent, "find_facts", lambda kind: (_ for _ in ()).throw(NoDevice("no GPU here")))
    assert "no GPU here" in usage(
        caplog, "--server", "https://example.org", "--token-file", str(file), "--device", "cuda"
    )
    assert TOKEN not in caplog.text


def test_a_file_that_others_may_read_is_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    assert agent.read_token(file, {}) == TOKEN
    assert "chmod 600" in caplog.text


# ── the token ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_token_is_in_the_header_and_nowhere_else(
    fake: FakeServer, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.script["lease"] = [Answer(500, TOKEN[:5]), leased()]
    fake.script["runs/7/result"] = [Answer(400, {"detail": "no"})]
    once(server)
    assert {headers["Authorization"] for _, _, headers in fake.asked} == {f"Bearer {TOKEN}"}
    assert TOKEN not in json.dumps([(path, body) for path, body, _ in fake.asked])
    assert TOKEN not in caplog.text


def test_the_child_is_not_given_the_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPEEDPROOF_TOKEN", TOKEN)
    assert TOKEN not in clean_environment(tmp_path, "cpu", 3).values()
    assert agent.read_token(None, os.environ) == TOKEN
    assert "SPEEDPROOF_TOKEN" not in os.environ


# ── the machine ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_machine_offers_its_gpu_or_else_its_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = {
        "uid": "vm-17/GPU-ab",
        "kind": "cuda",
        "name": "NVIDIA H100",
        "memory_bytes": 1,
        "capability": "9.0",
        "driver": "570",
    }
    cpu = {"uid": "vm-17/cpu", "kind": "cpu", "name": "Ryzen™ 9", "memory_bytes": 1, "details": {"host": "vm-17"}}
    here = {"cuda": gpu, "cpu": cpu}
    monkeypatch.setattr(agent, "all_cards", lambda: {CARD: find_card(CARD)})
    monkeypatch.setattr(agent, "find_facts", lambda kind: here[kind])
    machine = agent.find_machine("my box/1", None)
    assert machine.versions == {CARD: [find_card(CARD).card_hash, find_card(CARD).code_hash]}
    [found] = machine.devices
    assert (found["uid"], found["kind"], found["capability"]) == ("my-box-1/GPU-ab", "cuda", "9.0")
    assert [each["kind"] for each in agent.find_machine("box", ["cpu", "cuda", "cpu"]).devices] == ["cpu", "cuda"]

    def no_gpu(kind: str) -> dict[str, Any]:
        if kind == "cuda":
            raise NoDevice("none")
        return cpu

    monkeypatch.setattr(agent, "find_facts", no_gpu)
    [found] = agent.find_machine("box", None).devices
    assert found == {"uid": "box/cpu", "kind": "cpu", "name": "Ryzen? 9", "memory_bytes": 1}


def test_it_starts_without_django_and_without_torch(project_root: Path) -> None:
    told = (
        "import sys, runners.agent as a\n"
        "try: a.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'django', 'celery', 'torch', 'rest_framework'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=project_root, capture_output=True, text=True, timeout=60, env={"PATH": ""}
    )
    assert done.returncode == 0, done.stderr
    assert "exit status" in done.stdout
    assert done.stdout.endswith("[]\n")
