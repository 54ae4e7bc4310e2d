"""Phrases by field, kept as data files beside this one: edit the words there, and train the weights anew."""

from __future__ import annotations

import tomllib
from importlib.resources import files

from ..vocabulary import Weights, weighted_phrases

STRONG, PLAIN = 2.0, 0.7
"""What a phrase counts that means its label alone, and one that only adds to it."""


def read_phrases(field: str) -> list[tuple[str, Weights]]:
    """The phrases of `<field>.toml` with the labels that they speak for.

    A table a label with `strong` and `plain`; the table `ignored` lists phrases that hide the phrases inside them.
    """
    tables = tomllib.loads(files(__package__).joinpath(f"{field}.toml").read_text("utf-8"))
    ignored = tables.pop("ignored", {}).get("phrases", "")
    rows = {label: {STRONG: table.get("strong", ""), PLAIN: table.get("plain", "")} for label, table in tables.items()}
    return weighted_phrases(rows, ignored)
