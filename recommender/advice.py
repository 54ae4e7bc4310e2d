"""Advice: which techniques serve a need, what they would bring, on what evidence, and what is ruled out and why."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from papers.encoding.encoders import Encoder
from recommender import relevance
from recommender.applicability import asks_too_much, fits_model, is_to_use
from recommender.changes import SPEED
from recommender.constraints import (
    Excluded,
    effort_of,
    error_of,
    exclusion,
    may_need_pretraining,
    program_falls_short,
    required_training,
)
from recommender.documents import Document, MeasuredGain
from recommender.gains import Gain, evidence_rows, gains_of, projected
from recommender.glossary import glossary
from recommender.hardware.catalogue import find_device
from recommender.index import Index
from recommender.knowledge import Knowledge
from recommender.nearest import nearest_to_give
from recommender.need import Need, NeedError
from recommender.need_reader import read_need
from recommender.need_words import remarks
from recommender.plan import Parts, Plan, front, plans, sets_of, worth_alone
from recommender.pressure import pressing_concepts
from recommender.ranking import is_need
from recommender.situation import Situation, situation_of

__all__ = ["Advice", "Answer", "Need", "NeedError", "advise", "read_need"]

ANSWERS = 20
EXCLUDED = 20
PLANNED_FROM = 40
# What scores less than this share of the first answer is not planned with: it is hardly about the need.
NEAR_ENOUGH = 0.55
TERMS_SHARE = 0.5
# Longer texts rank by their beginning: the encoder reads no more, and words beyond it say little.
RANKED_TEXT = 4_000
ABBREVIATIONS = {
    word.lower(): word for word in ("LLM", "KV", "MoE", "PEFT", "GPU", "CNN", "ViT", "LoRA", "NAS", "SSM", "FP8", "RNN")
}
# Evidence breaks near ties only: a measured technique that does not fit the need is no advice. So do quality, where the
# need names an error, and effort, where it names the training that it allows.
EVIDENCE_BONUS: Mapping[str, float] = {"measured": 0.03, "scaled": 0.03, "claimed": 0.0, "modelled": 0.0}
KEEPS_QUALITY, UNKNOWN_QUALITY = 0.02, -0.02
# Who names a model has something to apply a technique to: what only tells about techniques, or is for other data, comes after
# what can be used, and of that what brings more to this very workload first (for each doubling, up to a limit).
TELLS_ONLY, NOT_FOR_THIS = -0.6, -0.3
A_DOUBLING, MOST_DOUBLINGS = 0.2, 1.5
# Where no training is allowed: what is likely to need some, and what changes weights without a word of it.
NEEDS_TRAINING, MAY_NEED_TRAINING = -0.2, -0.05
_ENGLISH = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "on",
        "in",
        "for",
        "with",
        "and",
        "or",
        "to",
        "without",
        "no",
        "my",
        "our",
        "at",
        "from",
        "by",
        "is",
        "are",
        "be",
        "can",
        "i",
        "we",
        "want",
        "need",
        "make",
        "run",
        "fit",
        "how",
        "what",
        "which",
        "faster",
        "less",
        "more",
        "one",
        "under",
        "using",
        "use",
    ]
)


@dataclass(frozen=True)
class Answer:
    """One technique for the need, with why it is here. `parts` are what the score is made of; they add up to it.

    `projected` is the gain carried over to the user's whole model, where `gain` is of a part.
    """

    document: Document
    score: float
    parts: dict[str, float]
    gain: Gain | None
    projected: Gain | None
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.document.id,
            "title": self.document.title,
            "name": self.document.name or None,
            "score": round(self.score, 4),
            "score_parts": {name: round(part, 4) for name, part in self.parts.items()},
            "gain": self.gain.to_json() if self.gain else None,
            "projected": self.projected.to_json() if self.projected else None,
            "error": error_of(self.document),
            "reasons": list(self.reasons),
            "evidence": evidence_rows(self.document),
            "implementation": self.document.implementation,
        }


@dataclass(frozen=True)
class Advice:
    """Answers best first. `nearest_constraint` says what to loosen when the need cannot be met as it is.

    `front` holds the plans that no other beats in gain, quality and effort at once; `notes` what the reader should know.
    """

    situation: Situation
    answers: tuple[Answer, ...]
    excluded: tuple[Excluded, ...]
    plans: tuple[Plan, ...]
    nearest_constraint: str | None
    front: tuple[Plan, ...] = ()
    notes: tuple[str, ...] = ()
    model_error: tuple[float, int] | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "situation": self.situation.to_json() | {"model_error": _model_error(self.model_error)},
            "answers": [answer.to_json() for answer in self.answers],
            "excluded": [
                {"title": one.document.title, "reason": one.reason, "constraint": one.constraint}
                for one in self.excluded
            ],
            "plan": [plan.to_json() for plan in self.plans],
            "pareto": [plan.to_json() for plan in self.front],
            "nearest_constraint": self.nearest_constraint,
            "notes": list(self.notes),
        }


def advise(need: Need, index: Index, encoder: Encoder | None, knowledge: Knowledge | None = None) -> Advice:
    """Techniques for the need: ranked by words, meaning and record, less those that a hard constraint rules out."""
    known = knowledge or Knowledge()
    situation = situation_of(need, known.efficiencies)
    said = need.text[:RANKED_TEXT]
    asked = relevance.read_query(said).narrowed(need.stage, need.training, need.gpu)
    if situation.model:
        asked = asked.of_data(situation.model.reads)
    pressing = {} if asked.names_a_method else pressing_concepts(situation)
    wanted, text = asked.also(pressing), relevance.spelled_out(said, pressing)
    # By the user's words alone, as the encoder was chosen: what was spelled out makes no need of a name.
    described = is_need(said)
    of_documents = Parts(situation, known)
    answers: list[Answer] = []
    excluded: list[Excluded] = []
    for document_id, _, parts in index.rank(text, encoder, None, wanted=wanted, is_need=described):
        profile = index.profile(document_id)
        if out := exclusion(profile.document, need, situation.device, profile.concepts, situation.model):
            if len(excluded) < EXCLUDED:
                excluded.append(out)
            continue
        if len(answers) < 2 * ANSWERS:
            made = {**parts, **_of_applying(profile.document, situation, of_documents)}
            answers.append(_answer(profile, made, asked=asked, pressing=pressing, situation=situation, known=known))
    answers.sort(key=lambda answer: (-answer.score, answer.document.id))
    near = NEAR_ENOUGH * answers[0].score if answers else 0.0
    considered = [answer.document for answer in answers[:PLANNED_FROM] if answer.score >= near]
    sets = sets_of(considered, situation, known, of_documents)
    together = plans(considered, situation, known, sets)
    return Advice(
        situation,
        tuple(answers[:ANSWERS]),
        tuple(excluded),
        tuple(together),
        nearest_to_give(situation, bool(answers), excluded, sets),
        tuple(front(sets)[:6]),
        tuple(_notes(need, situation, answers, known)),
        known.error_on(situation.device.name) if situation.device else None,
    )


def _answer(
    profile: relevance.Profile,
    parts: Mapping[str, float],
    *,
    asked: relevance.Wanted,
    pressing: Mapping[str, float],
    situation: Situation,
    known: Knowledge,
) -> Answer:
    """The score is the ranking's and what evidence and quality add to it."""
    gains = gains_of(profile.document, situation, known)
    gain = gains[0] if gains else None
    whole = projected(gain, situation) if gain else None
    made = dict(parts)
    made["evidence"] = EVIDENCE_BONUS[gain.source] if gain else 0.0
    if situation.need.max_error is not None:
        made["quality"] = UNKNOWN_QUALITY if error_of(profile.document) is None else KEEPS_QUALITY
    reasons = _reasons(profile, asked, pressing, (gain, whole), situation)
    if slower := next((one for one in gains if one is not gain and _is_slower(one)), None):
        reasons = (*reasons, f"But it is slower: {slower.figure} in {slower.metric}. {slower.basis}".rstrip("."))
    return Answer(profile.document, sum(made.values()), made, gain, whole, reasons)


def _is_slower(gain: Gain) -> bool:
    """Whether it was measured to lose time, here or elsewhere: what saves memory may cost that."""
    return gain.source in ("measured", "scaled") and gain.metric in SPEED and gain.high is not None and gain.high < 1


def _of_applying(document: Document, situation: Situation, of_documents: Parts) -> dict[str, float]:
    """Parts of the score that tell whether it can be put to use here, and what it would bring."""
    found: dict[str, float] = {}
    need = situation.need
    trains = need.stage not in (None, "inference")
    if not trains and need.training in ("none", "calibration") and asks_too_much(document, need.training):
        found["effort"] = MAY_NEED_TRAINING if effort_of(document) == "unknown" else NEEDS_TRAINING
    if situation.model is None or need.stage not in (None, "inference", "fine-tuning"):
        return found
    if not is_to_use(document):
        found["use"] = TELLS_ONLY
    elif not fits_model(document, situation):
        found["use"] = NOT_FOR_THIS
    elif (times := worth_alone(document, situation, of_documents)) and times > 1:
        found["here"] = A_DOUBLING * min(MOST_DOUBLINGS, math.log2(times))
    return found


def _reasons(
    profile: relevance.Profile,
    asked: relevance.Wanted,
    pressing: Mapping[str, float],
    gains: tuple[Gain | None, Gain | None],
    situation: Situation,
) -> tuple[str, ...]:
    gain, whole = gains
    found = []
    if shared := relevance.shared_concepts(asked.concepts, profile.concepts):
        found.append(f"Is about {_listed(shared[:3])}, as asked")
    if helps := relevance.shared_concepts(pressing, profile.concepts):
        found.append(f"Is about {_listed(helps[:3])}, where this workload spends most")
    if gain:
        found.append(_gain_sentence(gain))
    if whole and whole.median:
        found.append(f"For the whole of {whole.scope or 'the model'} that is {whole.figure}, projected")
    if profile.document.training_free and situation.need.training in ("none", "calibration"):
        found.append("Works without training")
    if situation.need.training == "none" and required_training(profile.document) == "calibration":
        found.append("But it needs a few samples to calibrate on")
    if situation.need.training == "finetune" and may_need_pretraining(profile.document):
        found.append(
            "But it is an architecture of its own: without published weights it has to be trained from the start"
        )
    if _runs_pruned(profile.document):
        found.append("It runs a model that was pruned already; pruning yours first takes training")
    needs, device = profile.document.needs, situation.device
    if device and (short := program_falls_short(profile.document, device)):
        found.append(short)
    if needs and needs.memory_gib and device and needs.memory_gib > device.memory_gib:
        found.append(f"Its largest benchmark needs {needs.memory_gib:g} GiB, more than {device.name} has")
    if situation.need.max_error is not None and error_of(profile.document) is None:
        found.append("But what it costs in quality is not known")
    found += relevance.objections(asked, profile)
    return tuple(found) or ("Its text is close to the need",)


def _runs_pruned(document: Document) -> bool:
    """A kernel for sparse weights, whose gain is there only once the weights are sparse."""
    kernel_of_sparse = {"sparsity-pruning", "kernels-compilers"} <= set(document.families)
    return kernel_of_sparse and required_training(document) not in ("none", "calibration")


def _gain_sentence(gain: Gain) -> str:
    metric = gain.metric.replace("_", " ")
    where = f" on {gain.device}" if gain.device else ""
    part = f" of the {gain.scope}" if gain.scope in ("kernel", "module", "model", "training-step") else ""
    return {
        "measured": f"Measured here: {gain.figure} in {metric}{part}{where}",
        "scaled": f"Measured{where}, carried over: {gain.figure} in {metric}{part}",
        "claimed": f"Of the paper's claim, {gain.figure} in {metric} are to be expected{where}",
        "modelled": f"The model expects {gain.figure} in {metric} for {(gain.scope or 'the part').replace('_', ' ')}",
    }[gain.source]


def _listed(words: list[str]) -> str:
    words = [" ".join(ABBREVIATIONS.get(part, part) for part in word.split()) for word in words]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _notes(need: Need, situation: Situation, answers: list[Answer], known: Knowledge) -> list[str]:
    found = []
    words = re.findall(r"[^\W\d_]+", need.text.lower())
    if len(words) >= 4 and not _ENGLISH & set(words) and not _is_in_terms(words):
        found.append(
            "The text does not seem to be English. Papers here are; GPU, model and numbers were read, the rest may not be understood."
        )
    found += remarks(need)
    if len(need.text) > RANKED_TEXT:
        found.append(f"Only the first {RANKED_TEXT:,} characters of the text were ranked by.")
    device = situation.device
    if device and not any(_is_on(device.name, one) for ones in known.measured.values() for one in ones):
        runnable = next(
            (answer.document.implementation for answer in answers if answer.document.implementation), "NAME"
        )
        found.append(
            f"Nothing was measured on {device.name} yet. To measure on yours: python -m runners.bench run {runnable} --device "
            f"{'cuda' if device.cuda_capability else 'cpu'} --out results.jsonl, then manage.py import_results results.jsonl."
        )
    return found


def _is_in_terms(words: list[str]) -> bool:
    """Whether the words are mostly terms of the field: "T4, ViT-L inference batch 64, fine-tuning allowed"."""
    long = [word for word in words if len(word) > 2]
    return 2 * len(long) >= len(words) and sum(glossary().says(word) for word in long) >= TERMS_SHARE * len(long)


def _is_on(name: str, gain: MeasuredGain) -> bool:
    found = find_device(gain.device) if gain.device else None
    return found is not None and found.name == name


def _model_error(found: tuple[float, int] | None) -> dict[str, Any] | None:
    return None if found is None else {"typical": round(found[0], 3), "baselines": found[1]}
