"""What code under test can reach: a module of an implementation that looks for secrets, and for ways out."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from runners.bench.child.files import READ_FILE, _rules, _without
from tests.runners.bench.test_session import ROOT, card_with

SECRET = "open-sesame-7f3a"
# Each attempt returns what it got; a refusal is the name of the exception.
SPY = '''
import ctypes, glob, json, os, resource, signal, socket
from pathlib import Path

HUNT = json.loads(r"""%s""")

def attempt(act):
    try:
        return act()
    except Exception as fault:
        return type(fault).__name__

def ancestors():
    pid, found = os.getppid(), []
    while pid > 1:
        found.append(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found

def everything(folder):
    """All that can be read of all processes."""
    return "".join(str(attempt(Path(name).read_text)) for name in glob.glob(f"/proc/[0-9]*/{folder}"))

def unix():
    with socket.socket(socket.AF_UNIX) as out:
        out.connect(HUNT["socket"])
        return "connected"

def memory(pid):
    with open(f"/proc/{pid}/mem", "rb") as file:
        return len(file.read(1))

def written(path):
    Path(path).write_text("x")
    return "written"

print("SPY" + json.dumps({
    "own environment": "%s" in str(dict(os.environ)),
    "environments": "%s" in everything("environ"),
    "parent environ": [attempt(lambda: Path(f"/proc/{pid}/environ").read_text()) for pid in ancestors()],
    "parent memory": [attempt(lambda: memory(pid)) for pid in ancestors()],
    "parent files": [attempt(lambda: open(f"/proc/{pid}/fd/0").read(1)) for pid in ancestors()],
    "parent root": [attempt(lambda: os.listdir(f"/proc/{pid}/root")) for pid in ancestors()],
    "secret key": attempt(lambda: Path(HUNT["data"], "secret_key").read_text()),
    "database": attempt(lambda: Path(HUNT["data"], "db.sqlite3").read_bytes()),
    "var": attempt(lambda: os.listdir(HUNT["data"])),
    "checkout": attempt(lambda: os.listdir(HUNT["root"])),
    "settings": attempt(lambda: Path(HUNT["root"], "config/settings.py").read_text()),
    "shadow": attempt(lambda: Path("/etc/shadow").read_text()),
    "home": attempt(lambda: os.listdir("/root")),
    "temporary": attempt(lambda: os.listdir("/tmp")),
    "link": attempt(lambda: (os.symlink(HUNT["data"], "way"), os.listdir("way"))[1]),
    "write code": attempt(lambda: written(Path(HUNT["root"], "runners/bench/planted.py"))),
    "write beside": attempt(lambda: written("/tmp/planted-by-a-child")),
    "write own": attempt(lambda: written("mine.txt")),
    "read code": attempt(lambda: len(Path(HUNT["root"], "runners/bench/process.py").read_text()) > 1000),
    "unix socket": attempt(unix),
    "kill parent": attempt(lambda: os.kill(os.getppid(), 0)),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
    "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    "file size": resource.getrlimit(resource.RLIMIT_FSIZE)[1],
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")],
}))
'''


def landlock_version() -> int:
    code = "import ctypes; print(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1))"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout or 0)


needs_landlock = pytest.mark.skipif(landlock_version() < 1, reason="this kernel has no Landlock")


@pytest.fixture(scope="module")
def spied(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a module found, that was run by a worker whose environment and files hold the secret."""
    data = tmp_path_factory.mktemp("var")
    (data / "secret_key").write_text(SECRET)
    (data / "db.sqlite3").write_text(SECRET)
    door = data / "postgres.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(door))
        server.listen()
        hunt = json.dumps({"data": str(data), "root": str(ROOT), "socket": str(door)})
        root = card_with(tmp_path_factory.mktemp("card"), SPY % (hunt, SECRET, SECRET))
        # The worker is a process of its own: what is in an environment is what was there when it began.
        code = (
            "import json; from pathlib import Path; from runners.bench.results import RunRequest;"
            "from runners.bench.session import run_session;"
            f"r = run_session(RunRequest('plain-sum', card_root=Path({str(root)!r}), mode='check', seed=3), lambda e: 0);"
            "print(json.dumps([r.status, r.environment, r.log_tail]))"
        )
        secrets = {"SECRET_KEY": SECRET, "DATABASE_URL": f"postgres://u:{SECRET}@db/x", "DATA_DIR": str(data)}
        worker = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **secrets}, cwd=ROOT, capture_output=True, text=True
        )
    assert worker.returncode == 0, worker.stderr
    status, environment, log = json.loads(worker.stdout.splitlines()[-1])
    line = next(line for line in log.splitlines() if line.startswith("SPY"))
    return {**json.loads(line.removeprefix("SPY")), "status": status, "recorded": environment}


def test_the_spy_still_runs_and_the_record_says_how_it_was_held(spied: dict) -> None:
    assert spied["status"] == "PASSED"
    for name in ("network", "files", "system_calls"):
        assert spied["recorded"][name], name


def test_no_environment_of_any_process_gives_the_secret_away(spied: dict) -> None:
    assert spied["own environment"] is False
    assert spied["environments"] is False
    assert spied["parent environ"]
    assert set(spied["parent environ"]) == {"PermissionError"}
    assert set(spied["parent memory"]) == {"PermissionError"}
    assert set(spied["parent files"]) == {"PermissionError"}
    assert set(spied["parent root"]) == {"PermissionError"}


@needs_landlock
@pytest.mark.parametrize(
    "name",
    ["secret key", "database", "var", "checkout", "settings", "shadow", "home", "temporary", "link", "write code",
     "write beside", "unix socket"],
)  # fmt: skip
def test_what_is_not_its_own_stays_closed(spied: dict, name: str) -> None:
    assert spied[name] == "PermissionError"
    assert spied["recorded"]["files"] == "its own alone"


def test_its_own_folder_and_the_code_stay_readable(spied: dict) -> None:
    assert (spied["write own"], spied["read code"]) == ("written", True)


@pytest.mark.skipif(landlock_version() < 6, reason="this kernel does not scope signals")
def test_it_cannot_signal_the_worker(spied: dict) -> None:
    assert spied["kill parent"] == "PermissionError"


def test_limits_are_set_and_no_capability_is_left(spied: dict) -> None:
    assert (spied["core"], spied["file size"]) == (0, 16 * 2**30)
    assert 0 < spied["files"] <= 16_384
    assert spied["capabilities"] == ["0" * 16]


def test_a_kernel_without_these_means_still_runs_and_says_so(tmp_path: Path) -> None:
    """As in a container that forbids them: the record names what stayed open."""
    code = (
        "import ctypes, json, os\n"
        "from pathlib import Path\n"
        "from runners.bench.child import isolation\n"
        "real = ctypes.CDLL(None, use_errno=True)\n"
        "class Refusing:\n"
        "    def __getattr__(self, name): return getattr(real, name)\n"
        "    def unshare(self, flags): ctypes.set_errno(1); return -1\n"
        "    def syscall(self, *given): ctypes.set_errno(38); return -1\n"
        "ctypes.CDLL = lambda *a, **k: Refusing()\n"
        "print(json.dumps(isolation.give_up({'memory_limit_bytes': None, 'device': 'cpu'})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert found["network"].startswith("still there: ")
    assert found["files"].startswith("open to it: ")
    assert found["system_calls"].startswith("open to it: ")


def test_without_a_namespace_the_filter_takes_the_network_away(tmp_path: Path) -> None:
    code = (
        "import json, socket\n"
        "from runners.bench.child import isolation\n"
        "isolation.leave_network = lambda: 'still there: not permitted'\n"
        "told = isolation.give_up({'memory_limit_bytes': None, 'device': 'cpu'})\n"
        "try: socket.socket(); told['socket'] = 'made'\n"
        "except OSError as fault: told['socket'] = type(fault).__name__\n"
        "print(json.dumps(told))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    if found["system_calls"] != "filtered":
        pytest.skip(f"no filter on this machine: {found['system_calls']}")
    assert (found["network"], found["socket"]) == ("taken away", "PermissionError")


def test_a_checkout_below_a_folder_of_the_system_stays_hidden(tmp_path: Path) -> None:
    for name in ("usr/lib", "usr/src/app/var", "usr/src/other"):
        (tmp_path / name).mkdir(parents=True)
    parts = {str(part.relative_to(tmp_path)) for part in _without(tmp_path / "usr", [tmp_path / "usr/src/app"])}
    assert parts == {"usr/lib", "usr/src/other"}


def test_the_worker_hides_its_own_memory_once_it_has_run_a_child(tmp_path: Path) -> None:
    code = (
        "import ctypes, json\n"
        "from runners.bench.process import Child\n"
        "with Child({'memory_limit_bytes': None, 'device': 'cpu', 'mode': 'none'}, device='cpu'): pass\n"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["0"]


def test_a_compiler_outside_of_the_system_is_readable_with_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton and torch.compile call one; on some machines it lies in a folder of its own, named by PATH alone."""
    for part in ("bin", "lib", "libexec", "private"):
        (tmp_path / "gcc" / part).mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path / "gcc" / "bin"))
    readable = {path for path, allowed in _rules(tmp_path / "scratch", [], [], "cpu") if allowed & READ_FILE}
    assert {tmp_path / "gcc" / part for part in ("bin", "lib", "libexec")} <= readable
    assert not {tmp_path / "gcc" / "private", tmp_path / "gcc", tmp_path} & readable
