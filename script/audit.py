"""What known weaknesses our code, our history of files and our dependencies show: bandit, detect-secrets, pip-audit.

A finding of bandit is answered where ruff's rule of the same number is: by `# noqa: S608 - why` on its line, so that a reason
stands once. Secrets that are none (hashes, passwords of tests) are listed in .secrets.baseline; after a look at each,
`script/audit.py --accept-secrets` writes it anew. Advisories need a service on the network; without it that part says so.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
BASELINE = ".secrets.baseline"
PACKAGES = ("api", "config", "ingest", "papers", "recommender", "runners", "speedproof", "script")
# mark_safe has two rules in bandit and one in ruff.
SAME_RULE = {"B703": "S308"}
# Files in which every line looks like a secret and none can be one.
NO_SECRETS = (
    r"\.lock$|^docs/openapi\.json$|^runners/results/|^\.secrets\.baseline$|weights\.json$|^recommender/ranking\.json$"
)
PATIENCE_S = 120


def code_findings() -> list[str]:
    # From medium severity on. Below it are asserts that narrow types, "token" in names of figures, and dice of statistics.
    command = [BIN / "bandit", "-q", "-ll", "-r", *PACKAGES, "-f", "json"]
    found = json.loads(_output(command, ok=(0, 1)))
    if found["errors"]:
        return [f"bandit could not read {one['filename']}: {one['reason']}" for one in found["errors"]]
    return [
        f"{one['filename']}:{one['line_number']}: {one['test_id']} {one['issue_text']}"
        for one in found["results"]
        if not _is_answered(one)
    ]


def _is_answered(finding: dict[str, Any]) -> bool:
    rule = SAME_RULE.get(finding["test_id"], finding["test_id"].replace("B", "S"))
    lines = (ROOT / finding["filename"]).read_text(encoding="utf-8").splitlines()
    first, last = min(finding["line_range"]), max(finding["line_range"])
    return any(re.search(rf"# noqa: [A-Z0-9, ]*\b{rule}\b", line) for line in lines[first - 1 : last])


def secret_findings(accept: bool) -> list[str]:
    scan = [BIN / "detect-secrets", "scan", "--no-verify", "--exclude-files", NO_SECRETS]
    found = json.loads(_output(scan))
    baseline = ROOT / BASELINE
    if accept:
        found.pop("generated_at", None)
        baseline.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    known = _hashes(json.loads(baseline.read_text(encoding="utf-8")))
    return [
        f"{name}:{one['line_number']}: {one['type']} that {BASELINE} does not list"
        for name, ones in found["results"].items()
        for one in ones
        if (name, one["hashed_secret"]) not in known
    ]


def _hashes(scan: dict[str, Any]) -> set[tuple[str, str]]:
    return {(name, one["hashed_secret"]) for name, ones in scan["results"].items() for one in ones}


def advisories() -> list[str] | None:
    """Known faults of what the lock file pins; None where no service answered for any of it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            BIN / "pip-audit", "-r", "requirements/base.lock", "--no-deps", "--disable-pip", "--progress-spinner", "off",
            "--cache-dir", folder, "--format", "json",
        ]  # fmt: skip
        try:
            said = _output(command, ok=(0, 1))
        except (AuditError, subprocess.TimeoutExpired):
            return None
    packages = json.loads(said)["dependencies"]
    if all("skip_reason" in one for one in packages):
        return None
    return [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'no version yet'}"
        for one in packages
        for fault in one.get("vulns", ())
    ]


class AuditError(Exception):
    """A tool broke, instead of finding something or nothing."""


def _output(command: list[Any], ok: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    if done.returncode not in ok or not done.stdout.strip():
        raise AuditError(f"{Path(command[0]).name} failed ({done.returncode}): {done.stderr.strip()[-300:]}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accept-secrets", action="store_true", help=f"write {BASELINE} anew from what is found now")
    arguments = parser.parse_args()
    try:
        parts = {
            "code": code_findings(),
            "secrets": secret_findings(arguments.accept_secrets),
            "advisories": advisories(),
        }
    except (AuditError, subprocess.TimeoutExpired, OSError) as fault:
        print(f"The audit broke: {fault}", file=sys.stderr)
        return 2
    for name, found in parts.items():
        if found is None:
            print(f"{name}: skipped, no advisory service can be reached")
            continue
        print(f"{name}: {len(found) or 'no'} findings")
        for line in found:
            print(f"  {line}")
    return 1 if any(parts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
