"""When two claims say the same, and when they contradict each other. Reads claims, writes nothing."""

from collections.abc import Iterable, Mapping
from typing import Any

from papers.models import Claim
from papers.vocabulary import METRIC_GROUPS


def near(first: float, second: float) -> bool:
    return abs(first - second) <= 0.01 * max(abs(first), abs(second))


def same_statement(claim: Claim, other: Mapping[str, Any]) -> bool:
    """Whether two readings of a paper mean one claim: same form and value, and metrics that can say the same."""
    if claim.form != other["form"] or METRIC_GROUPS.get(claim.metric) != METRIC_GROUPS.get(other["metric"]):
        return False
    return near(claim.value, float(other["value"]))


def place_of(claim: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells an extracted claim from the others of its paper."""
    return (
        claim["start"],
        claim["end"],
        claim["metric"],
        claim["form"],
        float(claim["value"]),
        claim.get("baseline") or "",
    )


def place_of_row(claim: Claim) -> tuple[Any, ...]:
    return (claim.start, claim.end, claim.metric, claim.form, claim.value, claim.baseline)


def overlap(first: tuple[int | None, int | None], second: tuple[int | None, int | None]) -> bool:
    (a, b), (c, d) = first, second
    return None not in (a, b, c, d) and a < d and c < b  # type: ignore[operator]


def read_one_number_twice(claim: Claim, other: Claim) -> bool:
    """Whether two claims read the same words as different amounts of one kind.

    A list such as "2x and 3x less memory" gives claims that share words and contradict nothing: there each number
    stands in the text by itself.
    """
    if not overlap((claim.start, claim.end), (other.start, other.end)):
        return False
    if METRIC_GROUPS.get(claim.metric) != METRIC_GROUPS.get(other.metric):
        return False
    if claim.form == other.form and near(claim.value, other.value):
        return False
    if claim.raw and other.raw:
        written, compared = claim.raw.strip(), other.raw.strip()
    else:
        written, compared = f"{claim.value:g}", f"{other.value:g}"
    if written == compared:
        return True
    text = claim.quote + "\n" + other.quote
    return not (written in text and compared in text)


def contradicts_card(claim: Claim, card: Claim, live: Iterable[Claim]) -> bool:
    """Whether the abstract gives another figure for what a card claims, and no claim of the abstract agrees with it."""
    said = (card.metric, card.form, card.phase, card.qualifier, card.direction)
    if claim.card_key or claim.start is None:
        return False
    if (claim.metric, claim.form, claim.phase, claim.qualifier, claim.direction) != said:
        return False
    if card.hardware and claim.hardware and card.hardware != claim.hardware:
        return False
    agreed = any(c.start is not None and c.form == card.form and near(c.value, card.value) for c in live)
    return not agreed and not near(claim.value, card.value)
