"""Finds the claims of an abstract: sentence by sentence, number by number, rule by rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..hardware import Mention
from ..record import ExtractedClaim
from ..text import Sentence
from ..words import DIGIT, trigger
from .amount import amount
from .change_left import by_verb, continued, named_behind, of_noun
from .change_right import after_comparative, bracketed, change_noun, noun_right
from .comparison import as_adjective, comparative
from .confidence import confidence_of
from .context import baseline_of
from .normalise import normalise
from .fallback import guess
from .nouns import Noun
from .phase import Paper, paper_of, phase_of
from .qualifiers import qualifier_of, share_qualifiers
from .quantity import Quantity
from .refusals import OF_OTHERS, is_refused, speaks_of_others
from .shares import of_ideal, of_rival_size, sparse
from .site import Anchor, Clause, Reading, Site, chains_of, continues, site_of
from .tokens import tokenize
from .units import SCALES
from .values import TRIGGER_WORDS, find_quantities
from .words import CHANGE_VERBS, COMPARATIVES

HardwareNear = Callable[[Mention, Sentence], str | None]
Rule = Callable[[Site], Reading | None]
RULES: tuple[Rule, ...] = (
    amount, of_ideal, sparse, of_rival_size, as_adjective, comparative, change_noun, noun_right, bracketed, by_verb, continued, of_noun, after_comparative,
)  # fmt: skip
"""Asked in this order; the first that answers decides, a refusal included."""
_OF_RATIOS = tuple(rule for rule in RULES if rule is not amount)
_OF_AMOUNTS: tuple[Rule, ...] = (amount, noun_right, by_verb)
_OF_COMPARED = _OF_RATIOS[_OF_RATIOS.index(comparative) :]
"""Rules that may answer for a factor or a percentage, for an amount, and for "3x faster"."""

_MOST_NUMBERS = 64
"""Numbers read in one sentence; no honest sentence has more, and the work grows with their square."""
_DIGIT = re.compile(
    r"\d(?:(?<![\w.-]\d)|(?<=(?:sim|leq|geq)\d)|(?<=times\d)|(?<=approx\d)|(?<=textless\d)|(?<=textgreater\d)|(?<=\b[xX]\d)|(?=x|times|%))"
)
"""A digit that may begin a value, as in "2x", "sim2" and "textless2MB", not in "ResNet-50". The digit comes first in the
pattern, because the search for it is fast."""
_TRAINS = frozenset({"training", "fine-tuning", "search"})
_NUMBER_WORD = trigger(" ".join(word for word in TRIGGER_WORDS if "-" not in word))
_SMALL_NUMBER = trigger("a an one two three four five six seven eight nine ten several few")
_COUNTABLE = trigger(
    "an hour day week step steps pass nfe nfes evaluations second seconds minute minutes hour hours day days epochs iterations milliseconds gpu gpus factor"
)
_MAY_HOLD_NUMBER = _NUMBER_WORD | _SMALL_NUMBER | DIGIT
_SURVEY = re.compile(r"\b(?:survey|systematic review|literature review|(?:a|an|comprehensive|brief) (?:review|overview))\b(?! propagation)", re.I)
"""Titles of papers whose numbers are other people's."""
_SYSTEMS = trigger(
    "core cores gemm spmm asic npu pim",
    starts="accelerator coprocessor fpga in-memory crossbar memristor reram dataflow systolic microarchitectur kernel librar gemm cublas spmm throughput latenc compiler runtime cuda subkernel microkernel",
)
"""Words by which a paper is about running code faster."""


def find_claims(
    abstract: str,
    sentences: Sequence[Sentence],
    default_phase: str = "inference",
    hardware_near: HardwareNear = lambda number, sentence: None,
    title: str = "",
) -> tuple[ExtractedClaim, ...]:
    """Claims in the order of the text.

    `default_phase` is taken where no word near the number names one; `hardware_near` names the device that
    the abstract gives for a number; a `title` about tuning or searching says what "training" is.
    """
    if _SURVEY.search(title):
        return ()
    paper: Paper | None = None
    systems = False
    claims: list[ExtractedClaim] = []
    for sentence in sentences:
        if not (sentence.own and sentence.triggers & _MAY_HOLD_NUMBER and _may_hold_number(sentence)):
            continue
        if sentence.triggers & OF_OTHERS and speaks_of_others(sentence.text):
            continue
        places = tokenize(sentence.text, sentence.start)
        quantities = find_quantities(places.tokens)[:_MOST_NUMBERS]
        if not quantities:
            continue
        if paper is None:
            paper = paper_of(title, default_phase)
            systems = any(s.triggers & _SYSTEMS for s in sentences)
        clause = Clause(places, quantities, systems)
        share_qualifiers(clause)
        for chain, shared in _read_clause(clause):
            for order, (quantity, reading, noun) in enumerate(_nouns_of_chain(clause, chain, shared)):
                place = _Place(sentence, clause, quantity, reading, noun, order, chain)
                claims.append(_claim(abstract, place, paper, hardware_near))
    distinct = {(c.start, c.end, c.metric, c.form, c.value, c.baseline): c for c in claims}
    return tuple(sorted(distinct.values(), key=lambda c: (c.start, c.end)))


def _rules(site: Site) -> tuple[Rule, ...]:
    if site.quantity.form == "absolute":
        return _OF_AMOUNTS
    return _OF_COMPARED if site.word(site.end) in COMPARATIVES else _OF_RATIOS


def _may_hold_number(sentence: Sentence) -> bool:
    if sentence.triggers & _NUMBER_WORD or (sentence.triggers & _SMALL_NUMBER and sentence.triggers & _COUNTABLE):
        return True
    return bool(sentence.triggers & DIGIT) and _DIGIT.search(sentence.text) is not None


def _read_clause(clause: Clause) -> list[tuple[list[Quantity], Reading | None]]:
    """Each list of numbers with its reading; one that no rule reads takes over from the list beside it ("2x on A,
    3x on B")."""
    read: list[tuple[list[Quantity], Reading | None]] = []
    for chain in chains_of(clause):
        site = site_of(clause, chain, chain[0])
        reading = None
        for rule in _rules(site):
            reading = rule(site)
            if reading is not None:
                break
        if reading is None and read and read[-1][1] is not None and continues(clause, read[-1][0][-1], chain[0]):
            before = read[-1][1]
            _inherit(clause, read[-1][0][0], chain[0])
            reading = _member(clause, chain, before)
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
        for at, (chain, reading) in enumerate(read):
            if reading is None or reading.weak:
                reading = guess(site_of(clause, chain, chain[0]), reading, before)
                read[at] = (chain, reading)
            if reading is not None:
                before = reading
        _go_on(clause, read)
    return read


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
        if anchor.first == site.end or (anchor.first == site.end + 1 and (site.word(site.end) not in _OPENERS or site.word(site.end) == "of")):
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
        return Reading("list", known.noun, known.direction, chain[0].lead, chain[-1].stop, known.extra)
    noun = own.noun if own.noun.polarity != "refuse" else None
    return Reading("list", noun, known.direction, chain[0].lead, own.stop)


def _inherit(clause: Clause, first: Quantity, later: Quantity) -> None:
    """The qualifier of a loose list holds for its later members, unless "by" opens a new comparison."""
    said = first.lead < first.first or first.passed
    if later.qualifier is None and said and clause.lows[later.lead - 1 : later.lead] != ["by"]:
        later.qualifier, later.passed = first.qualifier, first.qualifier is not None


def _parallel(clause: Clause, read: list[tuple[list[Quantity], Reading | None]], at: int) -> Reading | None:
    """A number whose own noun follows and whose change word stands with its neighbour: "50% FLOPs and 47% memory savings"."""
    chain = read[at][0]
    noun = next((a for a in clause.anchors if 0 <= a.first - chain[-1].stop <= 2), None)
    if noun is None or noun.noun.polarity not in {"cost", "gain"}:
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


def _nouns_of_chain(
    clause: Clause, chain: list[Quantity], reading: Reading | None
) -> list[tuple[Quantity, Reading, Noun]]:
    """One grammar for all numbers of a tight list, and one noun each where the nouns are as many as the numbers."""
    if reading is None or reading.noun is None or not reading.noun.metric:
        return []
    nouns = [reading.noun, *reading.extra]
    if len(nouns) == len(chain):
        pairs = list(zip(chain, nouns, strict=True))
    else:
        # "Reduces FLOPs and parameters by 60%" is a claim on each; two times or two memories are one.
        distinct = list({n.metric: n for n in reversed(nouns)}.values())[::-1] if len(chain) == 1 else nouns[:1]
        pairs = [(q, n) for q in chain for n in distinct]
    return [(q, reading, n) for q, n in pairs if not is_refused(clause, q, reading, n)]


class _Place(NamedTuple):
    """A number that is a claim, how it was read, and its place in its list."""

    sentence: Sentence
    clause: Clause
    quantity: Quantity
    reading: Reading
    noun: Noun
    order: int
    chain: list[Quantity]


def _claim(abstract: str, place: _Place, paper: Paper, hardware_near: HardwareNear) -> ExtractedClaim:
    sentence, clause, quantity, reading, noun, order, chain = place
    first = min(reading.first, quantity.lead)
    stop = min(max(reading.stop, quantity.stop), len(clause.tokens))
    places = clause.places
    start, end = places.start(first), places.end(stop - 1)
    value, high, unit = quantity.value, quantity.value_max, "%"
    if quantity.form == "factor":
        unit = "x"
    elif quantity.form == "absolute" and quantity.unit is not None:
        value, high, unit = _amount(quantity)
    phase = phase_of(clause, quantity, reading, noun, paper)
    metric = _metric_in(noun, phase)
    direction = "none" if quantity.form == "absolute" else reading.direction
    normal = normalise(clause, quantity, reading, noun)
    return ExtractedClaim(
        metric=metric,
        phase=phase,
        form=quantity.form,
        direction=direction,
        value=value,
        value_max=high,
        unit=unit,
        qualifier=qualifier_of(clause, quantity, reading, chain),
        baseline=baseline_of(clause, quantity, abstract, order, len(chain)),
        hardware=hardware_near(Mention(start, end, order, len(chain)), sentence),
        quote=abstract[start:end],
        start=start,
        end=end,
        rule=reading.rule,
        confidence=confidence_of(reading.rule, metric, direction),
        raw=abstract[places.start(quantity.first) : places.end(quantity.stop - 1)],
        ratio=normal.ratio,
        ratio_max=normal.ratio_max,
        base_value=normal.base_value,
        base_unit=normal.base_unit,
    )


def _metric_in(noun: Noun, phase: str) -> str:
    """Time and vague compute of training have metrics of their own; counted FLOPs have not."""
    if phase in _TRAINS:
        if noun.metric == "latency":
            return "training_time"
        if noun.metric == "flops" and noun.polarity == "cost" and noun.vague and phase != "search":
            return "training_cost"
        if noun.kind == "steps":
            return "training_time"
        if noun.kind == "tokens":
            return "data_samples"
    return noun.metric


def _amount(quantity: Quantity) -> tuple[float, float | None, str]:
    """The amount as it is written, the scale letter with the unit: 0.7 "B params", 76 "min"."""
    unit = quantity.unit.unit if quantity.unit else ""
    value, high = quantity.value, quantity.value_max
    if quantity.scaled:
        scale = SCALES[quantity.scaled]
        unit = f"{quantity.scaled} {unit}"
        return round(value / scale, 6), None if high is None else round(high / scale, 6), unit
    return value, high, unit
