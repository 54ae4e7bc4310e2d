"""Which sources an implementation runs: its module and, through their imports, parts of the project beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

RUNNERS = Path(__file__).resolve().parent
PARTS = ("runners.blocks", "runners.implementations")


def sources_of(module: Path) -> list[Path]:
    """The module first, then every module of `runners/blocks` and `runners/implementations` that it needs, by path.

    Read from the import statements, without running any: what is imported by a computed name is not found.
    """
    module = module.resolve()
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            state = source.stat()
            waiting += imported(source, state.st_mtime_ns, state.st_size)
    return [module, *sorted(found - {module})]


@lru_cache(maxsize=1024)
def imported(source: Path, changed_ns: int, size: int) -> tuple[Path, ...]:
    """Files of `PARTS` that a source imports; `changed_ns` and `size` tell its versions apart."""
    tree = ast.parse(source.read_bytes(), str(source))
    files = (_file_of(name) for name in _names(tree) if name.startswith(PARTS))
    return tuple(sorted({file for file in files if file is not None}))


def _names(tree: ast.Module) -> Iterator[str]:
    """Dotted names that may be modules: of `from a import b` both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file_of(name: str) -> Path | None:
    path = RUNNERS.parent.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
