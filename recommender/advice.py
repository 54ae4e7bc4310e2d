"""Advice: which techniques serve a need, what they would bring, on what evidence, and what is ruled out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recommender import relevance
from recommender.constraints import Excluded, exclusion
from recommender.documents import Document
from recommender.encoders import Encoder
from recommender.gains import Gain, best_gain, evidence_rows
from recommender.index import Index
from recommender.need import Need, NeedError
from recommender.need_reader import read_need
from recommender.plan import Plan, plans
from recommender.situation import Situation, pressing_concepts, situation_of

__all__ = ["Advice", "Answer", "Need", "NeedError", "advise", "read_need"]

ANSWERS = 20
EXCLUDED = 20
PLANNED_FROM = 8
# Evidence breaks near ties only: a measured technique that does not fit the need is no advice.
ABBREVIATIONS = {
    word.lower(): word for word in ("LLM", "KV", "MoE", "PEFT", "GPU", "CNN", "ViT", "LoRA", "NAS", "SSM", "FP8", "RNN")
}
EVIDENCE_BONUS: Mapping[str, float] = {"measured": 0.03, "scaled": 0.03, "claimed": 0.0, "modelled": 0.0}


@dataclass(frozen=True)
class Answer:
    """One technique for the need, with why it is here."""

    document: Document
    score: float
    parts: dict[str, float]
    gain: Gain | None
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.document.id,
            "title": self.document.title,
            "name": self.document.name or None,
            "score": round(self.score, 4),
            "score_parts": {name: round(part, 4) for name, part in self.parts.items()},
            "gain": self.gain.to_json() if self.gain else None,
            "reasons": list(self.reasons),
            "evidence": evidence_rows(self.document),
            "implementation": self.document.implementation,
        }


@dataclass(frozen=True)
class Advice:
    """Answers best first. `nearest_constraint` says what to loosen when the need cannot be met as it is."""

    situation: Situation
    answers: tuple[Answer, ...]
    excluded: tuple[Excluded, ...]
    plans: tuple[Plan, ...]
    nearest_constraint: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "situation": self.situation.to_json(),
            "answers": [answer.to_json() for answer in self.answers],
            "excluded": [{"title": one.document.title, "reason": one.reason} for one in self.excluded],
            "plan": [plan.to_json() for plan in self.plans],
            "nearest_constraint": self.nearest_constraint,
        }


def advise(need: Need, index: Index, encoder: Encoder | None) -> Advice:
    """Techniques for the need: ranked by words, meaning and record, less those that a hard constraint rules out."""
    situation = situation_of(need)
    asked = relevance.read_query(need.text).narrowed(need.stage, need.training, need.gpu)
    pressing = {} if asked.names_a_method else pressing_concepts(situation)
    wanted, text = asked.also(pressing), relevance.spelled_out(need.text, pressing)
    answers: list[Answer] = []
    excluded: list[Excluded] = []
    for document_id, score, parts in index.rank(text, encoder, None, wanted=wanted):
        profile = index.profile(document_id)
        if out := exclusion(profile.document, need, situation.device, profile.concepts):
            if len(excluded) < EXCLUDED:
                excluded.append(out)
            continue
        if len(answers) < 2 * ANSWERS:
            gain = best_gain(profile.document, situation)
            total = score + (EVIDENCE_BONUS[gain.source] if gain else 0.0)
            reasons = _reasons(profile, asked, pressing, gain, situation)
            answers.append(Answer(profile.document, total, parts, gain, reasons))
    answers.sort(key=lambda answer: (-answer.score, answer.document.id))
    answers = answers[:ANSWERS]
    together = plans([answer.document for answer in answers[:PLANNED_FROM]], situation)
    return Advice(
        situation, tuple(answers), tuple(excluded), tuple(together), _nearest(situation, answers, excluded, together)
    )


def _reasons(
    profile: relevance.Profile,
    asked: relevance.Wanted,
    pressing: Mapping[str, float],
    gain: Gain | None,
    situation: Situation,
) -> tuple[str, ...]:
    found = []
    if shared := relevance.shared_concepts(asked.concepts, profile.concepts):
        found.append(f"Is about {_listed(shared[:3])}, as asked")
    if helps := relevance.shared_concepts(pressing, profile.concepts):
        found.append(f"Is about {_listed(helps[:3])}, where this workload spends most")
    if gain:
        found.append(_gain_sentence(gain, situation))
    if profile.document.training_free and situation.need.training in ("none", "calibration"):
        found.append("Works without training")
    needs, device = profile.document.needs, situation.device
    if needs and needs.memory_gib and device and needs.memory_gib > device.memory_gib:
        found.append(f"Its largest benchmark needs {needs.memory_gib:g} GiB, more than {device.name} has")
    found += relevance.objections(asked, profile)
    return tuple(found) or ("Its text is close to the need",)


def _gain_sentence(gain: Gain, situation: Situation) -> str:
    metric = gain.metric.replace("_", " ")
    figure = gain.figure
    where = f" on {gain.device}" if gain.device else ""
    elsewhere = ""
    if gain.source == "measured" and situation.device and gain.device and situation.device.name not in gain.device:
        elsewhere = f", not on {situation.device.name}"
    part = f" of the {gain.scope}" if gain.source == "measured" and gain.scope else ""
    return {
        "measured": f"Measured here: {figure} in {metric}{part}{where}{elsewhere}",
        "scaled": f"Measured on a part{where}, scaled to {gain.scope}: {figure} in {metric}",
        "claimed": f"The paper claims {figure} in {metric}{where}",
        "modelled": f"The model expects {figure} in {metric} for {(gain.scope or 'the part').replace('_', ' ')}",
    }[gain.source]


def _listed(words: list[str]) -> str:
    words = [" ".join(ABBREVIATIONS.get(part, part) for part in word.split()) for word in words]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _nearest(situation: Situation, answers: list[Answer], excluded: list[Excluded], together: list[Plan]) -> str | None:
    short = situation.short_by_gib
    if short and not any(plan.meets_budget for plan in together):
        best = min((plan.memory_gib for plan in together if plan.memory_gib is not None), default=None)
        total = situation.memory.total if situation.memory else 0.0
        there = situation.available_gib or 0.0
        left = f"; the best plan leaves {best:.3g} GiB" if best is not None and best < total else ""
        return f"memory: needs {total:.3g} GiB, {there:.3g} GiB are usable, {short:.3g} GiB too much{left}"
    if not answers and excluded:
        constraint, count = Counter(one.constraint for one in excluded).most_common(1)[0]
        value = situation.need.gpu if constraint == "gpu" else situation.need.training
        return f"{constraint}: {value!r} rules out {count} of the nearest techniques"
    return None
