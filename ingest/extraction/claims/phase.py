"""The phase of a claim: the word nearest to the number, the kind of metric, and what the paper is about."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from ..words import word_set
from .nouns import Noun
from .quantity import Quantity
from .site import Clause, Reading
from .words import BE

_WEAK = "rather inference"
"""What "throughput" says, unless the paper is about training."""
_PHASE_WORDS: dict[str, str] = {
    **dict.fromkeys(
        word_set(
            """
        training train pretraining pre-training trained convergence converge backward backwards gradient trains
        optimizer optimiser federated rollout rollouts rlhf converging gradients backpropagation clients epochs pretrain converges iterations
        """
        ),
        "training",
    ),
    **dict.fromkeys(
        word_set(
            """
        fine-tuning finetuning fine-tune finetune tuning trainable tunable adapter fine-tuned lora
        customization adaptation fine-tunes tune tunes
        """
        ),
        "fine-tuning",
    ),
    **dict.fromkeys(
        word_set(
            """
        inference decoding generation serving prefill prefilling sampling deployment testing rendering fps decode forward
        """
        ),
        "inference",
    ),
    **dict.fromkeys(("latency", "throughput", "kv", "cache", "token"), _WEAK),
    **dict.fromkeys(("search", "searching"), "search"),
    **dict.fromkeys(
        ("simulation", "preprocessing", "deduplication", "annotation", "annotating", "compilation", "indexing"), "other"
    ),
}
_TUNED_PARTS = word_set("adapter lora trainable tunable")
"""Parts that a serving paper serves and does not tune."""
_RUNS = word_set(
    "runs run infers renders decodes classifies translates predicts answers generates synthesizes evaluates"
)
"""Verbs of the finished model, behind which what was said of training does not reach."""
_REACH = 6
"""Tokens between a number, with what was read with it, and a word that still speaks for it."""
_STRUCTURE = frozenset({"params", "model_size", "compression", "storage"})
"""What belongs to the finished model, whatever is said of training beside it."""
_PROCESS = frozenset({"speedup", "training_time", "training_cost", "other_efficiency"})
_SEARCHING = word_set("search searching procedure algorithm explored nas automl")
_FAST = frozenset({"speedup", "latency", "throughput"})
_TUNES = re.compile(
    r"\b(?:fine-?tun\w*|post-?tuning|customiz(?:ation|ing)|personaliz(?:ation|ing)|lora\w*|\w*lora|adapters?|peft|tuning)\b|\badaptation of\b|\badapting\b|parameter-efficient (?:transfer|adapt)",
    re.I,
)
_TRAINS = re.compile(
    r"(?<!post-)(?<!post )\b(?:pre-?)?training\b(?!-free| free)|\bfederated\b|\bdistributed\b|\boptimi[sz]ers?\b|\bconvergence\b|\bgradients?\b(?!-free)",
    re.I,
)
_VISUAL = re.compile(
    r"\bvis(?:ion|ual)|\bimages?\b|\bvideos?\b|multi-?modal|\b(?:M?LL|VL)VMs?\b|\bVLMs?\b|\bMLLMs?\b|\bViTs?\b", re.I
)
_LEARNS = re.compile(r"\b(?:pre-?)?training\b(?!-efficient)|\bfederated\b", re.I)
_TUNING = re.compile(r"\bfine-?tun\w*|\bpeft\b|\blora\b", re.I)
_INFERS = re.compile(r"\binference\b|\bserving\b|\bdecoding\b|\breal-time\b|\bdeployment\b|\bkv[- ]cache", re.I)
_SERVES = re.compile(r"\bserving\b|\binference\b", re.I)
_CONDENSES = re.compile(r"dataset (?:distill|condens|compress|quanti)|distill\w* datasets?|data condens", re.I)
_SEARCHES = re.compile(
    r"architecture search|neural architecture|\b\w*nas\b|\bautoml\b|architect\b|architecture optimization|hyper-?parameter",
    re.I,
)
_FOUND = word_set(
    "model network architecture net models networks architectures which variant solution solutions variants"
)


_TUNED_NOUNS = frozenset({"fine-tuning", "finetuning", "tuning"})
_OF_TRAINING = frozenset({"activation", "activations", "optimizer", "optimiser", "gradient", "gradients"})
_LEADS = frozenset({"for", "during", "at"})
_OPENERS = _LEADS | {"in"}
_TUNED = word_set("trainable tunable learnable additional extra tuned trained updates tuning")


class Paper(NamedTuple):
    """What the title and the stage words say of all claims of a paper; `titled` if its title speaks of tuning."""

    default: str
    titled: bool
    searches: bool
    condenses: bool
    infers: bool = False
    title: str = ""

    @property
    def visual(self) -> bool:
        """Whether the title speaks of images or video; asked of few claims."""
        return _VISUAL.search(self.title) is not None

    @property
    def tunes(self) -> bool:
        return self.titled or self.default == "fine-tuning"


def paper_of(title: str, default: str) -> Paper:
    """`default` is the phase of the paper's stage words."""
    trains, infers = _TRAINS.search(title) is not None, _INFERS.search(title) is not None
    titled = _TUNES.search(title) is not None
    if infers and trains:
        default = "training" if _LEARNS.search(title) else "inference"
    elif trains != infers and (default != "fine-tuning" or _SERVES.search(title)):
        default = "training" if trains else "inference"
    elif titled and not infers and _TUNING.search(title):
        default = "fine-tuning"
    searches, condenses = _SEARCHES.search(title) is not None, _CONDENSES.search(title) is not None
    return Paper(default, titled, searches, condenses, infers, title)


def phase_of(clause: Clause, quantity: Quantity, reading: Reading, noun: Noun, paper: Paper) -> str:
    """The phase of one claim; "training" of a paper that tunes models is fine-tuning."""
    phase = _phase(clause, quantity, reading, noun, paper)
    if phase == "training" and paper.tunes and clause.words.isdisjoint({"pre-training", "pretraining"}):
        return "fine-tuning"
    return phase


def _phase(clause: Clause, quantity: Quantity, reading: Reading, noun: Noun, paper: Paper) -> str:
    if noun.phase == "search" and noun.metric == "speedup" and not paper.searches:
        return "inference"
    tuned = clause.lows[reading.first : reading.stop] if "training" in clause.words else clause.lows
    if noun.phase == "training" and not _TUNED_NOUNS.isdisjoint(tuned):
        return "fine-tuning"
    if noun.phase == "training" and paper.condenses and clause.words.isdisjoint({"training", "train", "trained"}):
        return "other"
    if noun.phase:
        found = paper.searches and noun.phase == "training" and reading.rule in {"amount-device-time", "amount-time"}
        return "search" if found and clause.words.isdisjoint({"training", "train", "trained"}) else noun.phase
    if quantity.unit is not None and quantity.unit.unit in {"FPS", "frames/s", "Hz"}:
        return "inference"
    if noun.metric in {"speedup", "latency", "training_time"} and (
        _is_of_a_procedure(clause, quantity, reading) or _is_of_experiments(clause, quantity)
    ):
        return "other"
    opening = _opening(clause)
    if opening and clause.words.isdisjoint({";", "while", "whereas"}):
        return opening
    if (
        reading.rule == "share-of-rival"
        and noun.vague
        and "trained" in clause.lows[max(0, quantity.lead - 4) : quantity.lead]
    ):
        return "training"
    if reading.rule == "comparative-capacity" and not clause.words.isdisjoint({"train", "training"}):
        return "training"
    first, stop = quantity.first, quantity.stop
    if quantity.form != "absolute":
        first, stop = min(reading.first, first), max(reading.stop, stop)
    if noun.metric in _STRUCTURE or (noun.metric == "flops" and not noun.vague):
        return _of_structure(noun, set(clause.lows[max(first - 1, 0) : stop + 1]), paper)
    brief = quantity.unit is not None and quantity.unit.unit in _BRIEF
    named = _said_behind(clause, stop) or _nearest(clause, reading, first, stop=stop, paper=paper, brief=brief)
    if named and named != _WEAK:
        return named
    if noun.metric == "data_samples":
        # A search samples architectures; data that something is trained on is called so.
        return "fine-tuning" if paper.tunes else "search" if paper.searches else "training"
    if noun.metric == "communication":
        return "inference" if paper.infers else "training" if paper.default != "fine-tuning" else paper.default
    if (
        noun.metric == "memory"
        and not paper.infers
        and not _OF_TRAINING.isdisjoint(clause.lows[reading.first : reading.stop])
    ):
        return "training"
    if (
        paper.searches
        and (noun.metric in _PROCESS or noun.metric in {"memory", "energy"})
        and _is_of_the_search(clause.lows[: min(first, quantity.lead)], noun)
    ):
        return "search"
    if paper.condenses and (noun.metric in _PROCESS or noun.metric in {"latency", "memory"}):
        return "other"
    if noun.metric in _FAST and _is_of_a_model(clause, quantity):
        return "inference"
    stated = _of_the_statement(clause, first)
    if named == _WEAK and paper.default == "inference" and not stated:
        return "inference"
    if brief and not stated:
        return "inference"
    return stated or paper.default


_BRIEF = frozenset({"ms", "us", "ns"})
"""Units of what a model that runs takes; no training is so short."""
_ACTS = word_set("""
    train trains pretrain converge converges training pretraining pre-training convergence converging
    fine-tune finetune fine-tunes fine-tuning finetuning
    """)


def _of_the_statement(clause: Clause, first: int) -> str:
    """ "It trains networks faster than A: by 15% on B, by 3x on C": an act said before a list holds for all of it, and so does
    "when training" behind it."""
    if clause.words.isdisjoint(_ACTS) or clause.phases is None:
        return ""
    said = {phase for at, phase in clause.phases if phase != _WEAK}
    if len(said) == 1 and any(
        clause.lows[at - 1] in {"when", "while"} for at, phase in clause.phases if at and phase != _WEAK
    ):
        return said.pop()
    act = next((at for at, _ in clause.phases if at < first and clause.lows[at] in _ACTS), first)
    return said.pop() if len(said) == 1 and act < first and _RUNS.isdisjoint(clause.lows[act:first]) else ""


_PROCEDURES = word_set("compression pruning quantization calibration conversion compilation")
_DONE = word_set("time times process procedure speed by")
_MADE = word_set(
    "built constructed indexed compiled quantized calibrated pruned compressed converted merged condensed distilled"
)
_MAKES = word_set("builds constructs indexes compiles quantizes calibrates prunes compresses converts merges condenses")


def _is_of_a_procedure(clause: Clause, quantity: Quantity, reading: Reading) -> bool:
    """ "Accelerates compression by 25x", "is built 5x faster": what makes the model is fast, and not the model."""
    before = clause.lows[quantity.lead - 1]
    if before in _MAKES or (before in _MADE and clause.lows[quantity.lead - 2] in BE):
        return True
    if before in BE and clause.lows[quantity.lead - 2] in _PROCEDURES | {"building", "construction", "indexing"}:
        return True
    if clause.words.isdisjoint(_PROCEDURES):
        return False
    said = clause.lows[min(reading.first, quantity.first) : max(reading.stop, quantity.first)]
    return any(word in _PROCEDURES and after in _DONE for word, after in pairwise(said))


def _is_of_experiments(clause: Clause, quantity: Quantity) -> bool:
    """ "Experiments can run 100x faster": what is fast is no model."""
    if "experiments" not in clause.words:
        return False
    at = clause.lows.index("experiments")
    return at < quantity.lead <= at + 6 and not {"run", "runs"}.isdisjoint(clause.lows[at + 1 : at + 3])


_RESULTING = word_set("resulting found discovered searched derived obtained final")


def _is_of_the_search(before: list[str], noun: Noun) -> bool:
    """Whether the search is fast or cheap, and not the network that it found ("GZNet is 3x faster than ...")."""
    if before[-2:] in (["which", "is"], ["that", "is"], ["which", "are"], ["that", "are"]):
        return False
    if noun.metric != "training_cost" and not _RESULTING.isdisjoint(before):
        return False
    if noun.metric == "training_cost" or not _SEARCHING.isdisjoint(before[-16:]):
        return True
    return _FOUND.isdisjoint(before) and before[-1:] not in (["is"], ["are"], ["being"])


def _is_of_a_model(clause: Clause, quantity: Quantity) -> bool:
    """ "A variant which is 3x faster", "while being 3x faster": the finished model is fast, however it was trained."""
    before = clause.lows[max(0, quantity.lead - 6) : quantity.lead]
    if before[-1:] == ["being"]:
        return True
    return before[-1:] in (["is"], ["are"]) and bool({"which", "variant", "model", "network", "models"} & set(before))


_PARTS = frozenset({"pass", "phase", "stage", "propagation"})


def _said_behind(clause: Clause, stop: int) -> str:
    """The phase of "... for inference" right behind the number."""
    if clause.words.isdisjoint(_OPENERS):
        return ""
    for at in range(stop, min(stop + 5, len(clause.lows) - 1)):
        if clause.lows[at] in {",", ";", "("} or clause.tokens[at].kind == "num":
            break
        if clause.lows[at] == "in" and not _PARTS.isdisjoint(clause.lows[at + 2 : at + 4]):
            # "5x in the backward pass".
            phase = _PHASE_WORDS.get(clause.lows[at + 1 + (clause.lows[at + 1] == "the")], "")
            return "" if phase == _WEAK else phase
        if clause.lows[at] in _LEADS:
            phase = _PHASE_WORDS.get(clause.lows[at + 1], "")
            return "" if phase == _WEAK else phase
    return ""


def _of_structure(noun: Noun, inner: set[str], paper: Paper) -> str:
    if inner & {"training", "pre-training"} and noun.metric == "flops":
        return "training"
    if noun.metric == "params" and (paper.titled or (paper.tunes and inner & _TUNED)):
        return "inference" if "inference" in inner else "fine-tuning"
    if noun.metric == "storage" and paper.tunes:
        return "fine-tuning"
    if noun.metric == "compression" and paper.default == "training":
        return "training"
    return "inference"


_ABSENT = frozenset({"without", "no"})
_MODELS = word_set(
    "model models network networks student baseline encoder decoder backbone agent policy classifier detector"
)
_TRAINED_ON = frozenset({"on", "with", "for", "from", "using", "by", "via"})


def _says_nothing(lows: list[str], at: int) -> bool:
    """ "Without any training" and "a model trained on text": no phase that the number could belong to."""
    if not _ABSENT.isdisjoint(lows[max(0, at - 2) : at]):
        return True
    return lows[at] == "trained" and lows[at - 1] in _MODELS and not _TRAINED_ON.isdisjoint(lows[at + 1 : at + 2])


def _opening(clause: Clause) -> str:
    """The phase of "During training, ..." or "As for inference, ..." at the beginning of a sentence."""
    lows = clause.lows
    start = 1 if lows[:2] == ["as", "for"] else 0
    if lows[start : start + 1] and lows[start] in _OPENERS and lows[start + 2 : start + 3] == [","]:
        phase = _PHASE_WORDS.get(lows[start + 1], "")
        return "" if phase == _WEAK else phase
    return ""


def _nearest(clause: Clause, reading: Reading, first: int, *, stop: int, paper: Paper, brief: bool) -> str:
    """The phase word nearest to tokens `first` to `stop`, "" if none is near; words of weak meaning give way to others.

    Words of training do not reach as far as usual for an amount that is `brief`.
    """
    if clause.phases is None:
        clause.phases = []
        if not clause.words.isdisjoint(_PHASE_WORDS):
            clause.phases = [
                (at, phase)
                for at, low in enumerate(clause.lows)
                if (phase := _PHASE_WORDS.get(low)) and not _says_nothing(clause.lows, at)
            ]
    if not clause.phases:
        return ""
    best, distance, weak = "", _REACH + 1, False
    for at, phase in clause.phases:
        if phase == "search" and not paper.searches and clause.lows[at - 1] != "architecture":
            continue
        if paper.infers and clause.lows[at] in _TUNED_PARTS:
            continue
        gap = max(first - at, at - stop + 1, 0)
        if ";" in clause.words and ";" in clause.lows[min(at, stop) : max(at, first)]:
            continue
        if at >= stop and "and" in clause.lows[stop:at]:
            gap += 3 + (clause.lows[stop] == ",")
        if gap > _REACH:
            if (
                reading.rule.startswith("amount")
                and 0 < first - at <= 2 * _REACH
                and not best
                and _RUNS.isdisjoint(clause.lows[at:first])
                and not brief
            ):
                best, distance = ("" if phase == _WEAK else phase), _REACH + 1
            continue
        if phase == _WEAK:
            weak = True
            if not gap and distance and clause.lows[at] in {"kv", "cache"}:
                best, distance = "inference", 0
        elif gap < distance and not (reading.rule == "by-rival" and first < at < stop):
            best, distance = phase, gap
    return best or (_WEAK if weak else "")
