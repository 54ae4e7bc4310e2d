"""The agent: `python -m runners.agent` measures for a server that it can only ask over HTTPS.

It needs this folder, Python, and torch; no database, no broker, no open port. It takes one run at a time, in the same
child process as a worker does, and hands in what the harness wrote. Figures and verdicts are computed by the server.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import re
import signal
import socket
import sys
import threading
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from runners.agent_http import NotReached, Refused, Server, Usage
from runners.bench import HARNESS_VERSION
from runners.bench.child.isolation import hide_memory
from runners.bench.following import Followed
from runners.bench.results import Event, RunRequest, SessionResult
from runners.bench.session import run_session
from runners.cards import Card, CardError, all_cards, find_card
from runners.facts import KINDS, NoDevice, find_facts

logger = logging.getLogger("speedproof.agent")

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_NOTHING = 0, 1, 2, 3
EXIT_NOT_REACHED, EXIT_REFUSED, EXIT_INTERRUPTED = 4, 5, 130
PATIENCE_S = 120.0  # for an answer, of `--once` and of one that has to stop meanwhile is less
LAST_WORDS_S = 10.0
SKIPPED_CHARS, FAULT_CHARS = 200, 2000
TOKEN = re.compile(r"sp_[A-Za-z0-9_-]{20,100}")
UNPLAIN = re.compile(r"[^A-Za-z0-9._:-]+")
EPILOG = """\
exit status: 0 stopped when asked (a run is given back), or with --once the run was handed in; 1 with --once the run was lost,
refused or its harness failed; 2 bad usage; 3 with --once nothing waited; 4 with --once the server was not reached;
5 the server refuses this agent (token, version, device); 130 interrupted twice

environment: SPEEDPROOF_SERVER and SPEEDPROOF_TOKEN stand for --server and the token itself. HTTPS_PROXY and SSL_CERT_FILE are
heeded. CUDA_VISIBLE_DEVICES chooses the GPU; start one agent for each.

examples:
  python -m runners.agent --server https://speedproof.example.org --token-file ~/.speedproof-token
  python -m runners.agent --server http://127.0.0.1:8000 --token-file token --device cpu --once
"""
Session = Callable[[RunRequest, Callable[[Event], None], Callable[[], bool]], SessionResult]


@dataclass
class Machine:
    """What this machine offers: its name, its devices, and the version of each implementation that it has."""

    name: str
    devices: list[dict[str, Any]]
    versions: dict[str, list[str]] = field(default_factory=dict)

    @property
    def uids(self) -> list[str]:
        return [each["uid"] for each in self.devices]


# ── the command line ────────────────────────────────────────────────────────────────────────────────────────────────
def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    made = argparse.ArgumentParser(
        prog="python -m runners.agent",
        description="Takes runs from a server over HTTPS, does them here and hands in what they found.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--server", metavar="URL", default=os.environ.get("SPEEDPROOF_SERVER", ""), help="https://…")
    made.add_argument("--token-file", type=Path, metavar="FILE", help="holds a token with the scope `device`")
    made.add_argument("--name", default=socket.gethostname(), help="of this machine; keep it (default: %(default)s)")
    made.add_argument(
        "--device",
        action="append",
        choices=KINDS,
        help="repeatable (default: the GPU where there is one, else the CPU)",
    )
    made.add_argument("--once", action="store_true", help="do one run if one waits, then end")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the agent and gives its exit status."""
    options = parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    hide_memory()  # what code under test can see of this process holds no token
    stop = threading.Event()
    before = {number: signal.signal(number, _asker(stop)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server = Server(options.server, read_token(options.token_file, os.environ))
        return work(server, find_machine(options.name, options.device), stop, once=options.once)
    except (Usage, NoDevice, CardError) as error:
        logger.error("%s", error)
        return EXIT_USAGE
    except KeyboardInterrupt:
        logger.error("interrupted; the child process was ended, and the server will miss this agent's heartbeat")
        return EXIT_INTERRUPTED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _asker(stop: threading.Event) -> Callable[[int, FrameType | None], None]:
    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        # A handler may interrupt a print: the file descriptor is safe to write to, the stream is not.
        os.write(2, b"stopping; a run is given back (once more: stop at once)\n")

    return ask


def read_token(file: Path | None, environment: Any) -> str:
    """The token, which is taken out of the environment. Raises: Usage, which never shows what was found."""
    given, where = environment.pop("SPEEDPROOF_TOKEN", ""), "SPEEDPROOF_TOKEN"
    if file is not None:
        where = f"--token-file {file}"
        try:
            given = file.read_text(encoding="utf-8")
            if file.stat().st_mode & 0o077:
                logger.warning("%s: others on this machine may read it; chmod 600", where)
        except (OSError, UnicodeDecodeError) as error:
            raise Usage(f"{where}: cannot be read ({type(error).__name__}); give a file with the token alone") from None
    if not given:
        raise Usage("token: none is given; --token-file FILE, or SPEEDPROOF_TOKEN in the environment")
    if not TOKEN.fullmatch(given.strip()):
        raise Usage(f"{where}: holds no token; one begins with sp_ and is made on the account page")
    return str(given.strip())


def find_machine(name: str, kinds: Sequence[str] | None) -> Machine:
    """Raises: NoDevice where a kind was asked for that is not here; CardError."""
    name = UNPLAIN.sub("-", name).strip("-")[:40] or "machine"
    if kinds:
        facts = [find_facts(kind) for kind in dict.fromkeys(kinds)]
    else:
        try:
            facts = [find_facts("cuda")]
        except NoDevice:
            facts = [find_facts("cpu")]
    versions = {card.name: [card.card_hash, card.code_hash] for card in all_cards().values()}
    return Machine(name, [_offered(name, each) for each in facts], versions)


def _offered(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as the server takes them; the machine is known by the name that it was given."""
    plain = {key: facts[key] for key in ("kind", "memory_bytes", "capability", "driver") if facts.get(key)}
    part = UNPLAIN.sub("-", str(facts["uid"]).rpartition("/")[2])[:48]
    shown = str(facts["name"]).encode("ascii", "replace").decode()[:200]
    return {**plain, "uid": f"{name}/{part}", "name": re.sub(r"[^\x20-\x7e]", "?", shown) or "unnamed"}


# ── working ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def work(server: Server, machine: Machine, stop: threading.Event, *, once: bool, session: Session = run_session) -> int:
    """Offers the machine and does run after run until it is asked to stop; the exit status."""
    patience = PATIENCE_S if once else None
    offered = {"name": machine.name, "harness_version": HARNESS_VERSION, "devices": machine.devices}
    try:
        server.ask("devices", offered, stop, patience)
        logger.info("offering %s as %s", ", ".join(each["name"] for each in machine.devices), machine.name)
        told: list[str] = []
        while not stop.is_set():
            lease = str(uuid.uuid4())
            asked = {"lease": lease, "devices": machine.uids, "versions": machine.versions}
            answer = server.ask("lease", asked, stop, patience)
            told = _tell_versions(answer, told)
            run = answer.get("run")
            if run is not None:
                done = Task(server, lease, run, stop, session).do()
                if once:
                    return EXIT_DONE if done or stop.is_set() else EXIT_FAILED
            elif once:
                logger.info("no run waits for this machine")
                return EXIT_NOTHING
            else:
                stop.wait(float(answer.get("ask_again_s") or 5) * random.uniform(0.8, 1.2))
    except NotReached as error:
        if not stop.is_set():
            logger.error("the server was not reached: %s", error)
            return EXIT_NOT_REACHED
    except Refused as error:
        logger.error("the server refuses this agent: %s", error)
        return EXIT_REFUSED
    return EXIT_DONE


def _tell_versions(answer: Mapping[str, Any], told: list[str]) -> list[str]:
    """Says once, not each time, which runs wait for a machine with other versions."""
    others = [str(name) for name in answer.get("other_versions") or []]
    if others and others != told:
        names = ", ".join(others)
        logger.warning("%s: waits, but here in another version than at the server; bring this checkout to its", names)
    return others


class Task:
    """One run: done, kept alive meanwhile, and handed in, given back or dropped."""

    def __init__(
        self, server: Server, lease: str, run: Mapping[str, Any], stop: threading.Event, session: Session
    ) -> None:
        self._server, self._lease, self._run, self._stop, self._session = server, lease, run, stop, session
        self._path = f"runs/{run['id']}"
        self._followed = Followed()
        self._over, self._lost, self._cancelled = threading.Event(), threading.Event(), threading.Event()

    def do(self) -> bool:
        """Whether the server has its outcome. Raises: Refused where the token is no longer good."""
        name = self._run["implementation"]
        logger.info("run %s: %s (%s on %s)", self._run["id"], name, self._run["mode"], self._run["device_kind"])
        heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        heart.start()
        try:
            return self._done()
        finally:
            self._over.set()
            heart.join(timeout=1.0)

    def _done(self) -> bool:
        try:
            card = find_card(self._run["implementation"])
            if self._differs(card):
                self._give_back()
                raise Refused(409, f"{card.name} changed on this machine since the agent was started; start it again")
            result = self._session(self._request(), self._followed.note, self._should_stop)
        except (Refused, KeyboardInterrupt):
            raise
        except Exception as fault:
            logger.error("the harness failed:\n%s", traceback.format_exc())
            detail = f"The harness failed on the agent's machine: {type(fault).__name__}. Its log has the details."
            self._hand_in({"failure": {"reason": "harness-fault", "detail": detail}})
            return False
        if self._lost.is_set():
            logger.warning("run %s: the lease was lost; what was found is dropped", self._run["id"])
            return False
        stopped = result.failure is not None and result.failure.reason == "cancelled"
        if stopped and not self._cancelled.is_set() and self._give_back():
            return False
        skipped = [{key: str(told)[:SKIPPED_CHARS] for key, told in each.items()} for each in result.skipped]
        outcome = {"records": result.records, "skipped": skipped, "log": self._followed.log or result.log_tail}
        return self._hand_in(without_nul(outcome))

    def _differs(self, card: Card) -> bool:
        return [card.card_hash, card.code_hash] != [self._run["card_hash"], self._run["code_hash"]]

    def _request(self) -> RunRequest:
        return RunRequest(
            card_name=self._run["implementation"],
            device=self._run["device_kind"],
            mode=self._run["mode"],
            seed=self._run["seed"],
            wall_limit_s=float(self._run["wall_limit_s"]),
        )

    def _should_stop(self) -> bool:
        return self._stop.is_set() or self._lost.is_set() or self._cancelled.is_set()

    def _beat(self) -> None:
        """Goes on until the outcome is handed in: a lease that ends before that would be another's run."""
        while not self._over.is_set() and not self._lost.is_set():
            seen = self._followed
            told = {"phase": seen.phase, "progress": seen.progress, "log": seen.log}
            try:
                answer = self._server.post(f"{self._path}/heartbeat", without_nul({"lease": self._lease, **told}))
                if answer.get("cancelled"):
                    self._cancelled.set()
            except Refused as error:
                if not self._over.is_set():
                    logger.warning("heartbeat refused: %s", error)
                if error.is_lost or error.is_of_token:
                    self._lost.set()
            except NotReached as error:
                logger.warning("heartbeat: %s", error)
            self._over.wait(float(self._run["heartbeat_s"]))

    def _give_back(self) -> bool:
        """False where the server wants the run handed in as cancelled."""
        try:
            answer = self._server.ask(f"{self._path}/release", {"lease": self._lease}, threading.Event(), LAST_WORDS_S)
        except (NotReached, Refused) as error:
            logger.warning("run %s was not given back: %s", self._run["id"], error)
            return True
        if answer.get("given_back"):
            logger.info("run %s: given back", self._run["id"])
        return bool(answer.get("given_back"))

    def _hand_in(self, outcome: dict[str, Any]) -> bool:
        """Sends it until it is taken or refused; one that has to stop tries a little longer. Raises: Refused."""
        body = {"lease": self._lease, **outcome}
        try:
            try:
                answer = self._server.ask(f"{self._path}/result", body, self._stop)
            except NotReached:
                answer = self._server.ask(f"{self._path}/result", body, threading.Event(), LAST_WORDS_S)
        except NotReached as error:
            logger.error("run %s: not handed in: %s", self._run["id"], error)
            return False
        except Refused as error:
            logger.error("run %s: the server does not take it: %s", self._run["id"], error)
            if error.is_of_token:
                raise
            if not error.is_lost and "records" in outcome:
                # Else the run would wait for the end of its lease, and be done once more for the same refusal.
                detail = f"The server did not take what this agent found: {error}"[:FAULT_CHARS]
                self._hand_in({"failure": {"reason": "harness-fault", "detail": detail}})
            return False
        logger.info("run %s: handed in; it is %s %s", self._run["id"], answer.get("state"), answer.get("status"))
        return True


def without_nul(value: Any) -> Any:
    """The same without NUL characters in its texts, which code under test may print and no database keeps."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd") if "\x00" in value else value
    if isinstance(value, dict):
        return {key: without_nul(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_nul(each) for each in value]
    return value


if __name__ == "__main__":
    sys.exit(main())
