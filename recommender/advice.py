"""Advice: which techniques serve a need, what they would bring, on what evidence, and what is ruled out and why."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recommender import relevance
from recommender.constraints import TRAINING_ORDER, Excluded, error_of, exclusion
from recommender.documents import Document, MeasuredGain
from recommender.encoders import Encoder
from recommender.gains import Gain, best_gain, evidence_rows, projected
from recommender.hardware.catalogue import find_device
from recommender.index import Index
from recommender.knowledge import Knowledge
from recommender.need import Need, NeedError
from recommender.need_reader import read_need
from recommender.plan import Plan, front, label, plans, sets_of
from recommender.relevance import WEIGHTS
from recommender.situation import Situation, pressing_concepts, situation_of

__all__ = ["Advice", "Answer", "Need", "NeedError", "advise", "read_need"]

ANSWERS = 20
EXCLUDED = 20
PLANNED_FROM = 40
# Longer texts rank by their beginning: the encoder reads no more, and words beyond it say little.
RANKED_TEXT = 4_000
ABBREVIATIONS = {
    word.lower(): word for word in ("LLM", "KV", "MoE", "PEFT", "GPU", "CNN", "ViT", "LoRA", "NAS", "SSM", "FP8", "RNN")
}
# Evidence breaks near ties only: a measured technique that does not fit the need is no advice. So do quality, where the
# need names an error, and effort, where it names the training that it allows.
EVIDENCE_BONUS: Mapping[str, float] = {"measured": 0.03, "scaled": 0.03, "claimed": 0.0, "modelled": 0.0}
KEEPS_QUALITY, UNKNOWN_QUALITY = 0.02, -0.02
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
    pressing = {} if asked.names_a_method else pressing_concepts(situation)
    wanted, text = asked.also(pressing), relevance.spelled_out(said, pressing)
    answers: list[Answer] = []
    excluded: list[Excluded] = []
    for document_id, _, parts in index.rank(text, encoder, None, wanted=wanted):
        profile = index.profile(document_id)
        if out := exclusion(profile.document, need, situation.device, profile.concepts):
            if len(excluded) < EXCLUDED:
                excluded.append(out)
            continue
        if len(answers) < 2 * ANSWERS:
            answers.append(_answer(profile, parts, asked=asked, pressing=pressing, situation=situation, known=known))
    answers.sort(key=lambda answer: (-answer.score, answer.document.id))
    considered = [answer.document for answer in answers[:PLANNED_FROM]]
    sets = sets_of(considered, situation, known)
    together = plans(considered, situation, known, sets)
    return Advice(
        situation,
        tuple(answers[:ANSWERS]),
        tuple(excluded),
        tuple(together),
        _nearest(situation, answers, excluded, sets),
        tuple(front(sets)[:6]),
        tuple(_notes(need, situation, asked, known)),
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
    """The score is the ranking's (its parts by their weights) and what evidence and quality add to it."""
    gain = best_gain(profile.document, situation, known)
    whole = projected(gain, situation) if gain else None
    made = {name: WEIGHTS[name] * part for name, part in parts.items()}
    made["evidence"] = EVIDENCE_BONUS[gain.source] if gain else 0.0
    if situation.need.max_error is not None:
        made["quality"] = UNKNOWN_QUALITY if error_of(profile.document) is None else KEEPS_QUALITY
    reasons = _reasons(profile, asked, pressing, (gain, whole), situation)
    return Answer(profile.document, sum(made.values()), made, gain, whole, reasons)


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
    needs, device = profile.document.needs, situation.device
    if needs and needs.memory_gib and device and needs.memory_gib > device.memory_gib:
        found.append(f"Its largest benchmark needs {needs.memory_gib:g} GiB, more than {device.name} has")
    if situation.need.max_error is not None and error_of(profile.document) is None:
        found.append("But what it costs in quality is not known")
    found += relevance.objections(asked, profile)
    return tuple(found) or ("Its text is close to the need",)


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


def _notes(need: Need, situation: Situation, asked: relevance.Wanted, known: Knowledge) -> list[str]:
    found = []
    words = re.findall(r"[^\W\d_]+", need.text.lower())
    if len(words) >= 4 and not _ENGLISH & set(words):
        found.append(
            "The text does not seem to be English. Papers here are; GPU, model and numbers were read, the rest may not be understood."
        )
    if len(need.text) > RANKED_TEXT:
        found.append(f"Only the first {RANKED_TEXT:,} characters of the text were ranked by.")
    device = situation.device
    if device and not any(_is_on(device.name, one) for ones in known.measured.values() for one in ones):
        found.append(
            f"Nothing was measured on {device.name} yet. To measure on yours: python -m runners.bench run NAME --device "
            f"{'cuda' if device.cuda_capability else 'cpu'} --out results.jsonl, then manage.py import_results results.jsonl."
        )
    return found


def _is_on(name: str, gain: MeasuredGain) -> bool:
    found = find_device(gain.device) if gain.device else None
    return found is not None and found.name == name


def _nearest(situation: Situation, answers: list[Answer], excluded: list[Excluded], sets: list[Plan]) -> str | None:
    """What stands in the way, and the least that would have to give."""
    misses = situation.over_budget(situation.after(()))
    if misses and not any(plan.meets_budget for plan in sets):
        return _to_give(situation, sets, misses, excluded)
    if not answers and excluded:
        constraint, count = Counter(one.constraint for one in excluded).most_common(1)[0]
        value = getattr(situation.need, constraint)
        return f"{constraint}: {value!r} rules out {count} of the nearest techniques"
    return None


def _to_give(situation: Situation, sets: list[Plan], misses: Mapping[str, float], excluded: list[Excluded]) -> str:
    """Of the plan that comes closest, the constraint that it misses by least."""
    closest = min(sets, key=lambda plan: max((by for _, by in plan.misses), default=1.0), default=None)
    left = dict(closest.misses) if closest else dict(misses)
    if closest and max(left.values()) > max(misses.values()):
        closest, left = None, dict(misses)
    field = max(left, key=lambda name: left[name])
    after = f" even with {label(closest.documents)}" if closest else ""
    need, there = situation.need, situation.available_gib or 0.0
    if field == "memory":
        total = situation.memory.total if situation.memory else 0.0
        short = total - there
        best = f"; the best plan leaves {closest.memory_gib:.3g} GiB" if closest and closest.memory_gib else ""
        text = f"memory: needs {total:.3g} GiB, {there:.3g} GiB are usable, {short:.3g} GiB too much{best}"
        return text + _more_devices(situation, left["memory"])
    ms = getattr(need, field)
    text = f"{field}: {ms:g} ms are allowed, {ms * left[field]:.3g} ms are expected{after}"
    eased = _ease_training(excluded, need)
    return text + (f"; {eased}" if eased else "")


def _more_devices(situation: Situation, times: float) -> str:
    device = situation.device
    if device is None or not device.link_gb_s:
        return ""
    return f"; {math.ceil(situation.need.gpus * times)} × {device.name} would hold it"


def _ease_training(excluded: list[Excluded], need: Need) -> str:
    out = [one for one in excluded if one.constraint == "training"]
    if not out or need.training not in TRAINING_ORDER:
        return ""
    return f"with more training than {need.training!r} {len(out)} more of the nearest techniques could be used"


def _model_error(found: tuple[float, int] | None) -> dict[str, Any] | None:
    return None if found is None else {"typical": round(found[0], 3), "baselines": found[1]}
