"""Where rules and endpoint say the same of a paper, and where they do not.

Neither is the judge of the other. Where both agree, confidence is high; where they differ, the rules' value stays and a person is
asked, with both values and the words that each goes by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from papers.vocabulary import METRIC_GROUPS

from .check import CheckedRecord, url_key
from .figures import near

Claim = Mapping[str, Any]

AGREED_CONFIDENCE: Final = 0.98
"""Set, not measured: two readers that err in different ways rarely agree on a wrong number."""
COMPARED: Final = (
    "kind", "name", "families", "modality", "stage", "training_free", "hardware", "code_urls", "quality_cost",
)  # fmt: skip
"""Not `verify` and `mechanism`: they are judgements and prose, which no words of the text decide."""
DETAILS: Final = ("metric", "phase", "direction", "qualifier")
_SCALES: Final = (1e3, 1e6, 1e9, 1e12)


class FieldComparison(NamedTuple):
    """`rules_words` and `endpoint_words` are what each goes by."""

    field: str
    agrees: bool
    rules: Any
    endpoint: Any
    rules_words: list[str]
    endpoint_words: str | None


class ClaimPair(NamedTuple):
    """One number that both read; `differs` names the details in which they read it otherwise."""

    rules: Claim
    endpoint: Claim
    differs: tuple[str, ...]


class Comparison(NamedTuple):
    fields: list[FieldComparison]
    pairs: list[ClaimPair]
    only_rules: list[Claim]
    only_endpoint: list[Claim]

    @property
    def agreed_claims(self) -> list[Claim]:
        return [pair.rules for pair in self.pairs if not pair.differs]

    @property
    def differing_fields(self) -> list[FieldComparison]:
        return [field for field in self.fields if not field.agrees]


def compare(rules: Mapping[str, Any], checked: CheckedRecord) -> Comparison:
    """The rules' record of a paper beside what is left of the endpoint's. A field that was refused is not compared."""
    fields = []
    for name in COMPARED:
        if name in checked.record:
            mine, other = rules.get(name), checked.record[name]
            words = _words_of(rules, name)
            agrees = same_field(name, mine, other)
            fields.append(FieldComparison(name, agrees, mine, other, words, checked.evidence.get(name)))
    mine_claims, other_claims = rules["claims"], checked.record.get("claims", [])
    partner = match(mine_claims, other_claims)
    pairs = [
        ClaimPair(mine_claims[at], other_claims[to], differing_details(mine_claims[at], other_claims[to]))
        for at, to in sorted(partner.items())
    ]
    taken = set(partner.values())
    return Comparison(
        fields,
        pairs,
        [claim for at, claim in enumerate(mine_claims) if at not in partner],
        [claim for at, claim in enumerate(other_claims) if at not in taken],
    )


def _words_of(rules: Mapping[str, Any], field: str) -> list[str]:
    value = rules.get(field)
    if field == "quality_cost":
        return [value["quote"]] if value else []
    return list((rules.get("reasons") or {}).get(field, []))


# ── fields ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def fold(text: str | None) -> str:
    return re.sub(r"[\W_]+", "", (text or "").casefold())


def same_field(field: str, mine: Any, other: Any) -> bool:
    """Whether two values of a field say the same: families in the same first place, names and addresses folded."""
    if field == "name":
        return fold(mine) == fold(other)
    if field == "families":
        return list(mine or [])[:1] == list(other or [])[:1] and set(mine or []) == set(other or [])
    if field in {"modality", "stage"}:
        return set(mine or []) == set(other or [])
    if field == "hardware":
        return {fold(device) for device in mine or []} == {fold(device) for device in other or []}
    if field == "code_urls":
        return {url_key(url) for url in mine or []} == {url_key(url) for url in other or []}
    if field == "quality_cost":
        return _same_cost(mine, other)
    return bool(mine == other)


def _same_cost(mine: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    if mine is None or other is None:
        return mine is other
    values = mine.get("value"), other.get("value")
    return mine.get("lossless") == other.get("lossless") and (None in values or near(*values))  # type: ignore[arg-type]


# ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def same_claim(mine: Claim, other: Claim) -> bool:
    """One number of the text, read as one kind of gain: same form and value, metrics of one group, places that overlap."""
    return (
        mine["form"] == other["form"]
        and METRIC_GROUPS.get(mine["metric"]) == METRIC_GROUPS.get(other["metric"])
        and mine["start"] < other["end"]
        and other["start"] < mine["end"]
        and _same_value(mine, other)
    )


def _same_value(mine: Claim, other: Claim) -> bool:
    """Equal values, or ranges of which one gives an end only. An amount may be written out or with its letter."""
    scales: tuple[float, ...] = (1.0,)
    if mine["form"] == "absolute":
        scales = (1.0, *_SCALES, *(1 / scale for scale in _SCALES))
    ends, others = _ends(mine), _ends(other)
    for scale in scales:
        scaled = [end * scale for end in others]
        if len(ends) == len(scaled):
            if all(near(end, to) for end, to in zip(ends, scaled, strict=True)):
                return True
        elif any(near(end, to) for end in ends for to in scaled):
            return True
    return False


def _ends(claim: Claim) -> list[float]:
    return [float(end) for end in (claim["value"], claim.get("value_max")) if end is not None]


def differing_details(mine: Claim, other: Claim) -> tuple[str, ...]:
    """A qualifier that the endpoint leaves out contradicts nothing."""
    return tuple(
        name
        for name in DETAILS
        if (mine.get(name) or None) != (other.get(name) or None) and not (name == "qualifier" and not other.get(name))
    )


def match(
    mine: Sequence[Claim], others: Sequence[Claim], same: Callable[[Claim, Claim], bool] = same_claim
) -> dict[int, int]:
    """Most pairs of claims that are the same, one to one: the place in `mine` to the place in `others`.

    Of several partners the one that differs in the fewest details is tried first.
    """
    partners = [
        sorted(
            (at for at, other in enumerate(others) if same(claim, other)),
            key=lambda at, claim=claim: len(differing_details(claim, others[at])),  # type: ignore[misc]
        )
        for claim in mine
    ]
    owner: dict[int, int] = {}

    def place(at: int, seen: set[int]) -> bool:
        """Find a partner for claim `at`, moving earlier ones to another partner of theirs where that makes room."""
        for to in partners[at]:
            if to not in seen:
                seen.add(to)
                if to not in owner or place(owner[to], seen):
                    owner[to] = at
                    return True
        return False

    for at in range(len(mine)):
        place(at, set())
    return {at: to for to, at in owner.items()}
