"""Under which terms others may use what they take away."""

from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

TEXTS_LEFT_OUT = (
    "Abstracts and passages quoted from them belong to the papers' authors and are left out; a claim says where in the "
    "abstract it stands. Titles, names, figures and identifiers are facts."
)
TEXTS_HELD = (
    "This export holds abstracts and passages quoted from them. They belong to the papers' authors, and the licence of the "
    "records does not cover them."
)


@dataclass(frozen=True)
class Licence:
    spdx: str
    url: str
    note: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def licence(texts: bool = False) -> Licence:
    """Of our records, with what it does not cover."""
    spdx = settings.DATA_LICENSE
    return Licence(spdx, f"https://spdx.org/licenses/{spdx}.html", TEXTS_HELD if texts else TEXTS_LEFT_OUT)
