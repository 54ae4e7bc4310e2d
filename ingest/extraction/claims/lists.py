"""Reads the numbers of one clause: rule by rule, and lists of numbers by what is said of one of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from .amount import amount
from .change_left import by_verb, continued, named_behind
from .change_right import after_comparative, bracketed, change_noun, noun_right
from .comparison import INFERS, SPEED_PHASES, as_adjective, comparative
from .fallback import guess
from .nouns import FASTER, Noun
from .of_noun import of_noun
from .quantity import Quantity
from .shares import of_ideal, of_rival_size, sparse
from .site import Anchor, Clause, Reading, Site, chains_of, continues, site_of
from .words import CHANGE_VERBS, COMPARATIVES

Rule = Callable[[Site], Reading | None]
RULES: tuple[Rule, ...] = (
    amount, of_ideal, sparse, of_rival_size, as_adjective, comparative, change_noun, noun_right, bracketed, by_verb, continued, of_noun, after_comparative,
)  # fmt: skip
"""Asked in this order; the first that answers decides, a refusal included."""
_OF_RATIOS = tuple(rule for rule in RULES if rule is not amount)
_OF_AMOUNTS: tuple[Rule, ...] = (amount, noun_right, by_verb)
_OF_COMPARED = _OF_RATIOS[_OF_RATIOS.index(comparative) :]
"""Rules that may answer for a factor or a percentage, for an amount, and for "3x faster"."""


def _rules(site: Site) -> tuple[Rule, ...]:
    if site.quantity.form == "absolute":
        return _OF_AMOUNTS
    return _OF_COMPARED if site.word(site.end) in COMPARATIVES else _OF_RATIOS


def read_clause(clause: Clause) -> list[tuple[list[Quantity], Reading | None]]:
    """Each list of numbers with its reading; one that no rule reads takes over from the list beside it ("2x on A,
    3x on B")."""
    read: list[tuple[list[Quantity], Reading | None]] = []
    for chain in chains_of(clause):
        site = site_of(clause, chain, chain[0])
        reading = _beside_amount(site, read) or _compared_again(clause, chain, read)
        for rule in _rules(site) if reading is None else ():
            reading = rule(site)
            if reading is not None:
                break
        if reading is None and read and read[-1][1] is not None and continues(clause, read[-1][0][-1], chain[0]):
            first = read[-1][1]
            _inherit(clause, read[-1][0][0], chain[0])
            reading = _member(clause, chain, first)
        read.append((chain, reading))
    for at in range(len(read)):
        if read[at][1] is None:
            read[at] = (read[at][0], _parallel(clause, read, at))
    for at in range(len(read) - 2, -1, -1):
        (chain, reading), (after, known) = read[at], read[at + 1]
        if (
            reading is None
            and known is not None
            and (continues(clause, chain[-1], after[0]) or _elliptical(clause, chain[-1], after[0], known))
        ):
            read[at] = (chain, _member(clause, chain, known))
    _go_on(clause, read)
    if any(reading is None or reading.weak for _, reading in read):
        before: Reading | None = None
        for at, (chain, found) in enumerate(read):
            reading = found
            if reading is None or reading.weak:
                reading = guess(site_of(clause, chain, chain[0]), reading, before)
                read[at] = (chain, reading)
            before = reading or before
        _go_on(clause, read)
    _told_exactly(clause, read)
    return read


_LESS_THAN = frozenset({"less", "fewer", "lower", "more", "higher"})


def _beside_amount(site: Site, read: list[tuple[list[Quantity], Reading | None]]) -> Reading | None:
    """ "2.7 TOPS/W on A, 2.7x over B", "takes 9 GPU days, 180x less than B": a ratio of the amount in front."""
    if site.quantity.form != "factor" or not read or site.word(site.begin - 1) not in {",", "("}:
        return None
    numbers, known = read[-1]
    if known is None or known.noun is None or numbers[0].form != "absolute" or site.begin - numbers[-1].stop > 14:
        return None
    behind = site.word(site.end)
    if behind in {"faster", "quicker"} and known.rule == "amount-time" and known.noun.phase:
        # "In 4 minutes, 20x faster than A".
        timed = "training_time" if known.noun.phase in {"training", "fine-tuning"} else "speedup"
        return Reading("goes-on", Noun(timed, "change", known.noun.phase), "better", site.begin, site.end + 1)
    if behind in {"smaller", "lighter"} and known.noun.metric in {"params", "memory", "storage", "model_size"}:
        return Reading("goes-on", known.noun, "better", site.begin, site.end + 1)
    if behind in {"over", "above"} or (behind in _LESS_THAN and site.word(site.end + 1) == "than"):
        return Reading("goes-on", known.noun, "better", site.begin, site.end + 1)
    return None


def _go_on(clause: Clause, read: list[tuple[list[Quantity], Reading | None]]) -> None:
    """A list that nothing reads is read like the one in front of it."""
    for at in range(1, len(read)):
        (numbers, known), (chain, reading) = read[at - 1], read[at]
        if reading is None and known is not None and continues(clause, numbers[-1], chain[0], known.stop):
            _inherit(clause, numbers[0], chain[0])
            read[at] = (chain, _member(clause, chain, known))


def _noun_beside(site: Site) -> Anchor | None:
    """The noun right behind a number: the time of "62% FLOPs and 1.9x time"."""
    for anchor in site.clause.anchors:
        if anchor.first == site.end or (
            anchor.first == site.end + 1 and (site.word(site.end) not in _OPENERS or site.word(site.end) == "of")
        ):
            return anchor
    return None


_OPENERS = frozenset(
    {
        "on",
        "for",
        "in",
        "with",
        "at",
        "over",
        "than",
        "to",
        "of",
        "(",
        ")",
        ",",
        "and",
        "by",
        "under",
        "the",
        "when",
        "/",
    }
)


def _elliptical(clause: Clause, left: Quantity, right: Quantity, known: Reading) -> bool:
    """ "2.1x end-to-end and 4.3x kernel speedups": the noun of the second holds for the first."""
    between = clause.lows[left.stop : right.lead]
    if (
        left.form != right.form
        or known.noun is None
        or known.rule not in {"self-noun", "comparative", "change-noun", "noun-right"}
    ):
        return False
    anchored = any(left.stop <= a.first < right.lead for a in clause.anchors if a.noun.polarity != "ignore")
    return 2 <= len(between) <= 3 and between[-1] in {"and", ","} and not anchored


def _member(clause: Clause, chain: list[Quantity], known: Reading) -> Reading:
    """A list's member read like the one beside it, with the noun behind it if it has its own ("and 8x in energy")."""
    site = site_of(clause, chain, chain[0])
    own = named_behind(site) or _noun_beside(site)
    if own is None or known.noun is None:
        noun = known.noun if known.noun is None else _of_its_own_phase(clause, chain, known.noun)
        return Reading("list", noun, known.direction, chain[0].lead, chain[-1].stop, known.extra)
    noun = own.noun if own.noun.polarity != "refuse" else None
    return Reading("list", noun, known.direction, chain[0].lead, own.stop)


def _of_its_own_phase(clause: Clause, chain: list[Quantity], noun: Noun) -> Noun:
    """ "Speeds up tuning by 2x and decoding by 1.5x": the second number's object is no tuning."""
    if noun.metric not in {"speedup", "training_time"} or noun.polarity not in {"change", "cost"}:
        return noun
    behind = clause.lows[chain[-1].stop : chain[-1].stop + 2]
    if behind[:1] in (["at"], ["in"], ["for"], ["during"]) and INFERS.intersection(behind[1:]):
        # "2x faster training and 1.6x at inference".
        return FASTER if noun.polarity == "change" else Noun("latency", "cost")
    for word in clause.lows[max(0, chain[0].lead - 3) : chain[0].lead]:
        if word in INFERS:
            return FASTER if noun.polarity == "change" else Noun("latency", "cost")
        if noun.polarity == "cost":
            continue
        if word in SPEED_PHASES and SPEED_PHASES[word] != "search" and not _is_of_a_method(clause, chain[0], word):
            return Noun("training_time", "change", SPEED_PHASES[word])
    return noun


def _is_of_a_method(clause: Clause, quantity: Quantity, word: str) -> bool:
    """ "A by 30% and even a training method by 25%": what is beaten is called after training."""
    return clause.lows[clause.lows.index(word, max(0, quantity.lead - 3)) + 1] in _METHODS


_METHODS = frozenset(
    {
        "method",
        "methods",
        "approach",
        "approaches",
        "framework",
        "frameworks",
        "system",
        "systems",
        "baseline",
        "baselines",
    }
)


def _inherit(clause: Clause, first: Quantity, later: Quantity) -> None:
    """The qualifier of a loose list holds for its later members, unless "by" opens a new comparison."""
    said = first.lead < first.first or first.passed
    if later.qualifier is None and said and clause.lows[later.lead - 1 : later.lead] != ["by"]:
        later.qualifier, later.passed = first.qualifier, first.qualifier is not None


_COMPARES = frozenset({"compared", "over", "than", "relative", "versus", "vs", "against"})


def _compared_again(
    clause: Clause, chain: list[Quantity], before: list[tuple[list[Quantity], Reading | None]]
) -> Reading | None:
    """ "A speedup of 9x at 4K steps compared to A and 25x compared to B": the second rival's number measures the same."""
    if clause.lows[chain[0].lead - 1] != "and" or not _COMPARES.issuperset(clause.lows[chain[-1].stop :][:1] or [""]):
        return None
    for numbers, known in reversed(before):
        if numbers[0].form == chain[0].form:
            compared = not _COMPARES.isdisjoint(clause.lows[numbers[-1].stop : chain[0].lead])
            if known is None or known.noun is None or not compared:
                return None
            return Reading("list", known.noun, known.direction, chain[0].lead, chain[-1].stop)
    return None


def _told_exactly(clause: Clause, read: list[tuple[list[Quantity], Reading | None]]) -> None:
    """ "Orders of magnitude less compute (up to 150x fewer FLOPs)": the bracket says how much, and both are one claim."""
    for at, ((vague, known), (exact, other)) in enumerate(pairwise(read)):
        between = clause.lows[vague[-1].stop : exact[0].lead]
        if vague[-1].how != "magnitude" or exact[0].form != "factor" or between[-1:] != ["("] or len(between) > 6:
            continue
        if known and other and known.noun and other.noun and known.noun.metric == other.noun.metric:
            read[at] = (vague, None)


def _parallel(clause: Clause, read: list[tuple[list[Quantity], Reading | None]], at: int) -> Reading | None:
    """A number whose own noun follows and whose change word stands with its neighbour: "50% FLOPs and 47% memory savings"."""
    chain = read[at][0]
    noun = next((a for a in clause.anchors if 0 <= a.first - chain[-1].stop <= 2), None)
    if noun is None or noun.noun.polarity not in {"cost", "gain"} or clause.lows[noun.stop - 1] == "pass":
        return None
    for other in (at + 1, at - 1):
        if not 0 <= other < len(read):
            continue
        numbers, reading = read[other]
        left, right = (chain, numbers) if other > at else (numbers, chain)
        between = clause.lows[left[-1].stop : right[0].lead]
        close = 1 <= len(between) <= 8 and between[-1] in {"and", ","} and numbers[0].form == chain[0].form
        if reading is not None and reading.noun is not None and close and not any(w in CHANGE_VERBS for w in between):
            return Reading("parallel", noun.noun, reading.direction, chain[0].lead, noun.stop)
    return None
