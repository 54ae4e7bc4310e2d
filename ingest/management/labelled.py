"""What commands that train on labelled papers have in common: their arguments, and the examples that these name."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from ingest.services import read_abstracts

if TYPE_CHECKING:
    from ingest.learning.examples import Example

OWN_LABELS = Path(__file__).resolve().parents[1] / "learning" / "labels"


def add_label_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("labels", nargs="*", metavar="LABELS", help="further files of labelled records")
    parser.add_argument("--pages", nargs="+", default=[], metavar="PAGE", help="pages that hold the abstracts")
    parser.add_argument("--only", action="store_true", help="leave out the labels that come with the project")
    parser.add_argument("--dry-run", action="store_true", help="judge, and write nothing")


def labelled_papers(options: Mapping[str, Any]) -> tuple[list[Example], int]:
    """The papers that the arguments name, and how many others have no abstract here. Raises: CommandError."""
    from ingest.learning.examples import LabelError, read_examples  # with libraries that reading does not need

    given = [Path(name) for name in options["labels"]]
    if absent := [path for path in given if not path.is_file()]:
        raise CommandError(f"{absent[0]}: there is no such file")
    files = [] if options["only"] else sorted(OWN_LABELS.glob("*.jsonl"))
    try:
        return read_examples([*given, *files], read_abstracts(options["pages"]))
    except FileNotFoundError as fault:
        raise CommandError(f"--pages: {fault}") from None
    except LabelError as fault:
        raise CommandError(str(fault)) from None
