"""The service runs from base.lock alone: what only the checks need may not be imported by it."""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

OURS = {"api", "config", "ingest", "papers", "recommender", "runners"}


def imported(root: Path) -> dict[str, Path]:
    """Top-level modules of other people that the code of the service imports, each with a file that does."""
    found: dict[str, Path] = {}
    for package in OURS:
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    names = [node.module]
                else:
                    continue
                found |= {name.split(".")[0]: path for name in names}
    return {name: path for name, path in found.items() if name not in OURS | sys.stdlib_module_names}


def locked(path: Path) -> set[str]:
    return {
        re.sub(r"[-_.]+", "-", m[1]).lower() for m in re.finditer(r"^([\w.-]+)(?:\[[^]]*\])?==", path.read_text(), re.M)
    }


def test_everything_that_the_service_imports_is_in_its_lock(project_root: Path) -> None:
    optional = {"pynvml"}  # asked for and done without
    base = locked(project_root / "requirements/base.lock")
    owners = importlib.metadata.packages_distributions()
    for module, path in imported(project_root).items():
        if module in optional:
            continue
        distributions = {re.sub(r"[-_.]+", "-", name).lower() for name in owners.get(module, [module])}
        assert distributions & base, f"{path}: imports {module}, which is not in requirements/base.lock"


def test_no_lock_names_a_build_or_a_registry(project_root: Path) -> None:
    for name in ("base", "dev"):
        text = (project_root / f"requirements/{name}.lock").read_text()
        assert "+cpu" not in text
        assert "nvidia" not in text, "the CUDA build brings its own libraries, pinned by itself"
        assert "://" not in text
        assert re.search(r"^torch==2\.13\.0$", text, re.M)


def test_the_checks_are_made_with_the_versions_that_are_served(project_root: Path) -> None:
    lines = [
        set(re.findall(r"^[\w.\[\]-]+==\S+", (project_root / f"requirements/{n}.lock").read_text(), re.M))
        for n in ("base", "dev")
    ]
    assert lines[0] <= lines[1]
