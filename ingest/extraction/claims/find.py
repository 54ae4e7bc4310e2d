"""Finds the claims of an abstract: sentence by sentence, number by number, rule by rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..hardware import Mention
from ..record import ExtractedClaim
from ..text import Sentence
from ..words import DIGIT, trigger
from .confidence import confidence_of
from .context import baseline_of
from .lists import read_clause
from .normalise import normalise
from .nouns import Noun
from .phase import Paper, paper_of, phase_of
from .phrases import COUNTED_THING
from .qualifiers import qualifier_of, share_qualifiers
from .quantity import Quantity
from .refusals import OF_OTHERS, is_refused, speaks_of_others
from .site import Clause, Reading
from .tokens import tokenize
from .units import SCALES
from .values import TRIGGER_WORDS, find_quantities

HardwareNear = Callable[[Mention, Sentence], str | None]
_MOST_NUMBERS = 64
"""Numbers read in one sentence; no honest sentence has more, and the work grows with their square."""
_DIGIT = re.compile(
    r"\d(?:(?<![\w.-]\d)|(?<=(?:sim|leq|geq)\d)|(?<=times\d)|(?<=approx\d)|(?<=textless\d)|(?<=textgreater\d)|(?<=\b[xX]\d)|(?=x|times|%))"
)
"""A digit that may begin a value, as in "2x", "sim2" and "textless2MB", not in "ResNet-50". The digit comes first in the
pattern, because the search for it is fast."""
_TRAINS = frozenset({"training", "fine-tuning", "search"})
_NUMBER_WORD = trigger(" ".join(word for word in TRIGGER_WORDS if "-" not in word) + " hour minute day")
_SMALL_NUMBER = trigger("one two three four five six seven eight nine ten several few")
_COUNTABLE = trigger(
    "step steps nfe nfes evaluations second seconds minute minutes hour hours day days epochs iterations milliseconds gpu gpus factor kilobyte kilobytes megabyte megabytes gigabyte gigabytes"
)
_ORDER, _MORE = trigger("order"), trigger("more fewer less faster")
_PASS, _ONLY = trigger("pass passes"), trigger("only just merely")
_MAY_HOLD_NUMBER = _NUMBER_WORD | _SMALL_NUMBER | DIGIT | _ORDER
_SURVEY = re.compile(
    r"\b(?:survey|systematic review|literature review|(?:a|an|comprehensive|brief) (?:review|overview))\b(?! propagation)",
    re.I,
)
"""Titles of papers whose numbers are other people's."""
_THINS = ("prun", "compress", "merg", "discard", "drop")
"""Verbs that compress an image when they act on its tokens."""
_SYSTEMS = trigger(
    "core cores gemm spmm asic npu pim serving",
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
    name = _named_in(title)
    named = False
    paper: Paper | None = None
    systems = False
    claims: list[ExtractedClaim] = []
    for sentence in sentences:
        named = named or (name != "" and name in sentence.text)
        own = sentence.own or named
        if not (own and sentence.triggers & _MAY_HOLD_NUMBER and _may_hold_number(sentence)):
            continue
        if sentence.triggers & OF_OTHERS and speaks_of_others(sentence.text):
            continue
        places = tokenize(sentence.text, sentence.start)
        quantities = find_quantities(places.tokens)[:_MOST_NUMBERS]
        if not quantities:
            continue
        if paper is None:
            paper = paper_of(title, default_phase)
            systems = paper.infers or any(s.triggers & _SYSTEMS for s in sentences)
        clause = Clause(places, quantities, systems)
        share_qualifiers(clause)
        for chain, shared in read_clause(clause):
            for order, (quantity, reading, noun) in enumerate(_nouns_of_chain(clause, chain, shared)):
                place = _Place(sentence, clause, quantity, reading, noun, order, chain)
                claims.append(_claim(abstract, place, paper, hardware_near))
    distinct = {(c.start, c.end, c.metric, c.form, c.value, c.baseline): c for c in claims}
    return tuple(sorted(distinct.values(), key=lambda c: (c.start, c.end)))


def _named_in(title: str) -> str:
    """The name in front of a title's colon ("ZedNet: ..."); from the sentence on that has it, a paper speaks of its own work."""
    name, colon, _ = title.partition(":")
    return name if colon and len(name) > 2 and " " not in name and any(letter.isupper() for letter in name[1:]) else ""


def _may_hold_number(sentence: Sentence) -> bool:
    pulled = sentence.triggers
    if pulled & _NUMBER_WORD or (
        pulled & _SMALL_NUMBER and (pulled & _COUNTABLE or (pulled & _PASS and pulled & _ONLY))
    ):
        return True
    if pulled & _ORDER and pulled & _MORE:
        return True
    return bool(sentence.triggers & DIGIT) and _DIGIT.search(sentence.text) is not None


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
    if paper.infers and noun.metric == "data_samples" and _are_drawn(clause, reading):
        noun = COUNTED_THING
    phase = phase_of(clause, quantity, reading, noun, paper)
    metric = _metric_in(noun, phase)
    if noun.vague and "theoretical" in clause.lows[quantity.stop : stop]:
        metric = noun.metric
    if metric == "other_efficiency" and _is_of_energy(clause, reading):
        metric = "energy"
    if noun.kind == "tokens" and metric == "other_efficiency" and paper.visual:
        before = clause.lows[max(0, min(first, quantity.lead) - 8) : quantity.lead]
        metric = "compression" if any(word.startswith(_THINS) for word in before) else metric
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


def _are_drawn(clause: Clause, reading: Reading) -> bool:
    """ "68% fewer samples" in a paper on inference: what a model draws, and no data."""
    drawn = not _DRAWN.isdisjoint(clause.lows[reading.first : reading.stop])
    return drawn and clause.words.isdisjoint({"training", "trained", "train", "labeled", "labelled", "fine-tuning"})


_DRAWN = frozenset({"sample", "samples"})


def _is_of_energy(clause: Clause, reading: Reading) -> bool:
    """ "12 TOPS/W, 3x higher efficiency": beside such an amount efficiency is that of energy."""
    if "efficiency" not in clause.lows[reading.first : reading.stop]:
        return False
    return any(q.unit is not None and q.unit.measures == "efficiency" for q in clause.quantities)


def _metric_in(noun: Noun, phase: str) -> str:
    """Time and vague compute of training have metrics of their own; counted FLOPs have not."""
    if phase in _TRAINS:
        if noun.metric == "latency" and noun.kind != "job":
            return "training_time"
        if noun.metric == "flops" and noun.polarity == "cost" and noun.vague:
            return "training_cost"
        if noun.kind == "steps":
            return "training_time"
        if noun.kind == "price":
            return "training_cost"
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
