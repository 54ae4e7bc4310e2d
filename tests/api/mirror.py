"""The smallest program that keeps a copy of the data set: what docs/guide/data.md tells others to write."""

from collections.abc import Callable
from typing import Any

Ask = Callable[[str], dict[str, Any]]


class Mirror:
    """`ask` gives the JSON of an address. What is kept is by kind and key."""

    def __init__(self, ask: Ask, cursor: str = "", limit: int = 7) -> None:
        self.ask, self.cursor, self.limit = ask, cursor, limit
        self.kept: dict[str, dict[int, Any]] = {}
        self.seen = 0

    def follow(self) -> None:
        """Take everything that is there now."""
        while True:
            page = self.ask(f"/api/v1/changes?limit={self.limit}&texts=true&since={self.cursor}")
            for change in page["changes"]:
                rows = self.kept.setdefault(change["kind"], {})
                self.seen += 1
                if change["change"] == "deleted":
                    rows.pop(change["id"], None)
                else:
                    rows[change["id"]] = change["record"]
            self.cursor = page["next"]
            if not page["more"]:
                return
