"""A number of a sentence, and the qualifier in front of it ("up to", "about", "an average of")."""

from __future__ import annotations

from dataclasses import dataclass

from ..words import word_set
from .tokens import Token
from .units import Unit

_QUALIFIERS: dict[tuple[str, ...], str] = {
    ("up", "to"): "up to", ("upto",): "up to", ("up-to",): "up to", ("as", "much", "as"): "up to", ("at", "most"): "up to",
    ("as", "high", "as"): "up to", ("at", "best"): "up to", ("maximum",): "up to", ("maximal",): "up to", ("peaking", "at"): "up to", ("upper", "bounded", "by"): "up to", ("in", "average"): "average", ("averaging",): "average",
    ("on", "an", "average"): "average", ("avg",): "average", ("just", "over"): "at least", ("slightly", "over"): "at least", ("just", "under"): "about", ("just", "above"): "at least",
    ("north", "of"): "at least", ("max",): "up to", ("max", "."): "up to", ("upwards", "of"): "up to",
    ("a", "maximum", "of"): "up to", ("a", "peak", "of"): "up to", ("peak", "of"): "up to", ("no", "more", "than"): "up to", ("maximally",): "up to", ("as", "large", "as"): "up to",
    ("as", "many", "as"): "up to",
    ("at", "least"): "at least", ("over",): "at least", ("more", "than"): "at least", ("above",): "at least",
    ("greater", "than"): "at least", ("exceeding",): "at least", ("beyond",): "at least", ("higher", "than"): "at least",
    ("better", "than"): "at least", ("exceeds",): "at least", ("no", "less", "than"): "at least", ("surpassing",): "at least",
    ("larger", "than"): "at least", ("well", "over"): "at least", ("in", "excess", "of"): "at least", ("minimum",): "at least",
    ("about",): "about", ("around",): "about", ("nearly",): "about", ("approximately",): "about", ("roughly",): "about",
    ("almost",): "about", ("approx",): "about", ("some",): "about", ("close", "to"): "about", ("approximate",): "about",
    ("ca",): "about", ("circa",): "about", ("near",): "about", ("approaching",): "about", ("order", "of"): "about",
    ("an", "average", "of"): "average", ("average",): "average", ("on", "average"): "average", ("averagely",): "average",
    ("(", "on", "average", ")"): "average", ("(", "up", "to", ")"): "up to", ("an", "average"): "average", ("average", "of"): "average",
}  # fmt: skip
_QUALIFIER_ENDS = frozenset(words[-1] for words in _QUALIFIERS)
_FILLERS = word_set(
    """
    only just merely a an the by impressive remarkable significant whopping of
    """
)
_UNDER = frozenset({"under", "within", "below", "sub"})
_LEADS = _QUALIFIER_ENDS | _FILLERS | _UNDER | {"$", "*", "~", "<", "≤", ">", "than", "as"}
"""The only words that may stand before a number and belong to it; all others end the search at once."""


@dataclass(slots=True, eq=False)
class Quantity:
    """Tokens `first` to `stop` (exclusive) of a sentence, read as a value.

    `form` is factor, percent or absolute. `origin` is the left end of a from-to pair. `lead` is the first token of the
    qualifier, or `first`. `how` says what kind of writing it was: digits, word, verb, magnitude, part. `passed` where the
    qualifier is that of the number before.
    """

    first: int
    stop: int
    lead: int
    form: str
    value: float
    value_max: float | None = None
    unit: Unit | None = None
    qualifier: str | None = None
    origin: str | None = None
    origin_value: float | None = None
    how: str = "digits"
    bound: str = ""
    scaled: str = ""
    passed: bool = False


def qualified(tokens: list[Token], quantity: Quantity) -> Quantity:
    """Reads the qualifier in front ("by an average of", "up to", "~"), skipping fillers, or "on average" behind."""
    at, qualifier, lead, bound = quantity.first, quantity.qualifier, quantity.first, ""
    for _ in range(5):
        if at <= 0:
            break
        token = tokens[at - 1]
        if token[1] not in _LEADS:
            break
        if token.low in {"$", "*"}:
            at -= 1
            continue
        if token.low == "." and at > 1 and tokens[at - 2].kind == "near":
            # "approx. 3x".
            at -= 1
            continue
        if token.kind == "near":
            qualifier, at, lead = qualifier or "about", at - 1, at - 1
            continue
        if token.kind == "rel":
            qualifier = qualifier or ("at least" if token.low == ">" else None)
            bound, at, lead = "<" if token.low == "≤" else token.low, at - 1, at - 1
            continue
        if token.low == "of" and at > 1 and tokens[at - 2].low == "factor":
            at -= 3 if at > 2 and tokens[at - 3].low in {"a", "the"} else 2
            lead = at
            continue
        found = _qualifier_before(tokens, at) if token.low in _QUALIFIER_ENDS else None
        if found:
            qualifier, at = found[0] if found[0] == "up to" else qualifier or found[0], at - found[1]
            lead = at
        else:
            size = _bound_before(tokens, at, quantity.form)
            if size:
                bound, at, lead = "<", at - size, at - size
                continue
            if token.low not in _FILLERS or token.low in {"by", "of"}:
                break
            at -= 1
    if qualifier is None:
        qualifier = _qualifier_behind(tokens, quantity)
    quantity.qualifier, quantity.lead, quantity.bound = qualifier, lead, bound
    return quantity


def _qualifier_behind(tokens: list[Token], quantity: Quantity) -> str | None:
    """ "10+ %", "3x+" and "2x on average"."""
    stop = quantity.stop
    if tokens[stop - 1][1].endswith("+") or tokens[quantity.first][1].endswith("+"):
        return "at least"
    behind = tokens[stop][1] if stop < len(tokens) else ""
    if behind == "+":
        return "at least"
    return "average" if behind == "on" and stop + 1 < len(tokens) and tokens[stop + 1][1] == "average" else None


def _bound_before(tokens: list[Token], at: int, form: str) -> int:
    """The length in tokens of "less than", "under", "as few as" in front of token `at`, or 0."""
    word, before = tokens[at - 1].low, tokens[at - 2].low if at > 1 else ""
    if word == "than" and before in {"less", "fewer", "lower", "smaller", "shorter"}:
        return 2
    if word == "as" and before in {"few", "little", "low", "small"} and at > 2 and tokens[at - 3].low == "as":
        return 3
    return 1 if word in _UNDER and form == "absolute" else 0


def _qualifier_before(tokens: list[Token], at: int) -> tuple[str, int] | None:
    """The longest qualifier that ends before token `at`, and its length in tokens."""
    for size in (4, 3, 2, 1):
        if size <= at:
            qualifier = _QUALIFIERS.get(tuple(t.low for t in tokens[at - size : at]))
            if qualifier:
                return qualifier, size
    return None


def tenfold(orders: float) -> float:
    """Orders of magnitude as a factor; no honest text has more than twelve."""
    return float(10.0 ** min(orders, 12.0))
