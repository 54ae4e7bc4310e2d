"""Which exports are there, read from their manifests."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

NAME_FORMAT = "%Y%m%dT%H%M%SZ"
NAME = re.compile(r"\d{8}T\d{6}Z")
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
MEDIA_TYPES = {
    ".jsonl.gz": "application/gzip",
    ".json.gz": "application/gzip",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
}


@dataclass(frozen=True)
class Export:
    """A whole export; `manifest` is what its own manifest.json says."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        return cls(folder, json.loads((folder / MANIFEST).read_text(encoding="utf-8")))

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def made_at(self) -> datetime:
        return datetime.fromisoformat(self.manifest["made_at"])

    @property
    def files(self) -> list[dict[str, Any]]:
        files: list[dict[str, Any]] = self.manifest["files"]
        return files

    def sum_of(self, path: str) -> str | None:
        """The SHA-256 of one of its files; None where it has none of that name."""
        return next((one["sha256"] for one in self.files if one["path"] == path), None)


def exports(folder: Path) -> list[Export]:
    """The exports in the folder, newest first. One whose manifest cannot be read is left out."""
    found = []
    for path in sorted(folder.iterdir(), reverse=True) if folder.is_dir() else ():
        if NAME.fullmatch(path.name):
            try:
                found.append(Export.read(path))
            except (OSError, ValueError):
                continue
    return found


def export_named(folder: Path, name: str) -> Export | None:
    if not NAME.fullmatch(name):
        return None
    try:
        return Export.read(folder / name)
    except (OSError, ValueError):
        return None


def media_type(path: str) -> str:
    return next((kind for end, kind in MEDIA_TYPES.items() if path.endswith(end)), "text/plain; charset=utf-8")
