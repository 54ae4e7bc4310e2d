"""The order of what was found: a weighted sum over how text, record and situation agree with what was asked, and a correction
(`recommender/together.py`) for what these say together.

The weights are few, start from ones set by hand, and are trained on judged needs by `manage.py train_ranking` (see
`recommender/learning.py`); `ranking.json` holds them with what they were trained on. Every part of a score can be shown.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.fusion import relative, weighted
from recommender.relevance import SMALL_MACHINES, Asked, Profile, Wanted, asked_of, record_score
from recommender.together import Network, shipped

STORED = Path(__file__).with_name("ranking.json")
BASE: Mapping[str, float] = {"semantic": 0.35, "lexical": 0.28, "wording": 0.3, "record": 0.42}
"""What the first order is made by, whose best papers vote on families and are the neighbours of the second."""
BY_HAND: Mapping[str, float] = {**BASE, "family": 0.15}
BY_RULE: Mapping[str, float] = {"like": 0.6, "unlike": -0.6, "named": 0.5}
"""Features that no judged need speaks of: examples, and a technique that is asked for by its name."""
# Which part of a score each feature is shown under.
PARTS: Mapping[str, str] = {
    "semantic": "semantic", "lexical": "lexical", "wording": "wording", "record": "record", "family": "family", "neighbours": "neighbours",
    "task": "record", "method": "record", "model": "record", "all asked": "record", "unasked task": "record",
    "unasked network": "record", "kind asked": "record", "method family": "family", "no family": "family",
    "stage first": "stage", "stage among": "stage", "stage other": "stage",
    "training-free": "training", "trained": "training", "architecture": "training", "another architecture": "training",
    "modality": "modality", "hardware": "hardware", "small hardware": "hardware", "like": "examples", "unlike": "examples",
    "named": "name",
}  # fmt: skip
FEATURES = tuple(name for name in PARTS if name not in BY_RULE)
"""What weights are trained for."""
UNLIKE_SHARE = 0.4
"""How far the search moves away from what is not wanted, in shares of a step."""
# Unrelated texts have a cosine of about 0.1 under the packaged encoder; below that, differences mean nothing.
SEMANTIC_FLOOR = 0.1
VOTERS, NEIGHBOURS = 10, 5
SECOND_FAMILY = 0.5
SAYS_ENOUGH = 0.8
# A concept that is only implied weighs less; a family of the record stands for a concept that the text does not say.
SAID, BY_RECORD = 0.5, 0.6
SUMMED = ("task", "method", "model")
NO_TRAINING = ("none", "calibration")
LITTLE_TRAINING = (*NO_TRAINING, "finetune")

# A text of so few words names something rather than describing a need.
NAME_WORDS = 2

Ranked = list[tuple[int, float, dict[str, float]]]


@dataclass(frozen=True)
class Examples:
    """Documents that the answers shall and shall not resemble."""

    like: tuple[int, ...] = ()
    unlike: tuple[int, ...] = ()


NO_EXAMPLES = Examples()


@dataclass(frozen=True)
class Found:
    """What both searches found, with all that the order is made from. `vectors` are rows for `ids`, of unit length.

    `named` are those whose name the text says; `liked` and `unliked` are where the examples lie, None without any.
    """

    ids: Sequence[int]
    semantic: Mapping[int, float]
    lexical: Mapping[int, float]
    profiles: Mapping[int, Profile]
    vectors: NDArray[np.float32] | None
    wanted: Wanted = field(default_factory=Wanted)
    rarities: Mapping[str, float] = field(default_factory=dict)
    named: frozenset[int] = frozenset()
    liked: NDArray[np.float32] | None = None
    unliked: NDArray[np.float32] | None = None
    wording: Mapping[int, float] = field(default_factory=dict)
    """How near the words of the text are to those of each document; empty where that is not known."""
    is_need: bool = True
    """Whether the text describes what is wanted; else it names it."""


def is_need(text: str) -> bool:
    """Whether a text describes what is wanted, and not just names it."""
    return len(text.split()) > NAME_WORDS


@functools.cache
def trained_weights() -> Mapping[str, float]:
    """The weights that ship. Raises ValueError where the file names a feature that is not computed."""
    stored: dict[str, float] = json.loads(STORED.read_text(encoding="utf-8"))["weights"]
    if unknown := set(stored) - set(FEATURES):
        raise ValueError(f"{STORED.name}: weights: {sorted(unknown)} are no features; train again")
    return stored


def ranked(found: Found, weights: Mapping[str, float] | None = None) -> Ranked:
    """Ids with score and parts, best first; the parts add up to the score. Equal scores by id, so that pages do not overlap.

    Without `weights` of one's own, those that ship decide, with the correction of the network that was trained beside them.
    """
    network = shipped() if weights is None and found.wording and found.is_need else None
    weights = {**(trained_weights() if weights is None else weights), **BY_RULE}
    weighed = {name: (PARTS[name], weight) for name, weight in weights.items() if weight}
    table = features(found)
    rows = []
    for item in found.ids:
        parts: dict[str, float] = {}
        for name, value in table[item].items():
            if value and name in weighed:
                part, weight = weighed[name]
                parts[part] = parts.get(part, 0.0) + weight * value
        rows.append((item, sum(parts.values()), parts))
    if network:
        rows = _corrected(rows, table, weights, network)
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _corrected(
    rows: Ranked, table: Mapping[int, Mapping[str, float]], weights: Mapping[str, float], network: Network
) -> Ranked:
    """The rows with one part more. The network was trained on needs that were read word by word, and knows nothing else."""
    values = np.array([[table[item].get(name, 0.0) for name in network.features] for item, _, _ in rows])
    sums = values @ np.array([weights.get(name, 0.0) for name in network.features]) if rows else np.zeros(0)
    added = network.corrections(values, sums).tolist()
    return [
        (item, score + more, {**parts, "together": more})
        for (item, score, parts), more in zip(rows, added, strict=True)
    ]


def features(found: Found) -> dict[int, dict[str, float]]:
    """Every feature of every item; those that are 0 may be left out."""
    asked = asked_of(found.wanted, found.rarities)
    first = {
        "semantic": relative(found.semantic, SEMANTIC_FLOOR),
        "lexical": relative(found.lexical),
        "record": {i: record_score(found.wanted, found.profiles[i], asked) for i in found.ids},
        "wording": found.wording,
    }
    base = weighted(first, BASE)
    families = {i: found.profiles[i].document.families for i in found.ids}
    votes = _family_votes(base, families)
    near = _neighbours(found, base)
    resembling = {
        name: _resembling(found, centre) for name, centre in (("like", found.liked), ("unlike", found.unliked))
        if centre is not None and found.vectors is not None
    }  # fmt: skip
    columns = {**first, "family": votes, "neighbours": near, **resembling}
    worth = {kind: max(sum(one.worth for one in asked if one.kind == kind), SAYS_ENOUGH) for kind in SUMMED}
    table = {}
    for item in found.ids:
        row = {name: column[item] for name, column in columns.items() if item in column}
        if item in found.named:
            row["named"] = 1.0
        _add_record(row, found.wanted, found.profiles[item])
        _add_concepts(row, found.profiles[item], asked, worth)
        table[item] = row
    return table


def _add_record(row: dict[str, float], wanted: Wanted, profile: Profile) -> None:
    """How the record agrees with each thing that is asked: 1 where it does, and nothing where not, since that is the rule."""
    document = profile.document
    if not document.families:
        row["no family"] = 1.0
    if document.kind == "architecture":
        row["architecture"] = 1.0
        if wanted.training in LITTLE_TRAINING:
            row["another architecture"] = 1.0
    if wanted.training in NO_TRAINING and document.training_free is not None:
        row["training-free" if document.training_free else "trained"] = 1.0
    if wanted.modality & profile.modality:
        row["modality"] = 1.0
    if wanted.hardware and profile.machines:
        if wanted.hardware & profile.machines:
            row["hardware"] = 1.0
        if wanted.hardware & SMALL_MACHINES and profile.machines & SMALL_MACHINES:
            row["small hardware"] = 1.0
    if document.kind in wanted.paper:
        row["kind asked"] = 1.0
    if _are_other(profile.titled_tasks, wanted):
        row["unasked task"] = 1.0
    if _are_other(profile.titled_networks, wanted):
        row["unasked network"] = 1.0
    if wanted.stage and document.stage:
        if document.stage[0] == wanted.stage:
            row["stage first"] = 1.0
        row["stage among" if wanted.stage in document.stage else "stage other"] = 1.0


def _are_other(titled: frozenset[str], wanted: Wanted) -> bool:
    """Whether a title names tasks or networks of which none is asked for: the paper is narrower than the need."""
    return bool(titled) and titled.isdisjoint(wanted.concepts)


def _add_concepts(row: dict[str, float], profile: Profile, asked: Sequence[Asked], worth: Mapping[str, float]) -> None:
    """How far the paper speaks of what is asked; `worth` is what all that is asked of a kind weighs together."""
    families, concepts = profile.document.families, profile.concepts
    of_family, least = 0.0, 1.0 if asked else 0.0
    for one in asked:
        strength = concepts.get(one.key, 0.0)
        is_of_family = one.family in families
        if one.kind in worth:
            if strength:
                row[one.kind] = row.get(one.kind, 0.0) + one.worth * strength / worth[one.kind]
            if one.weight >= SAID:
                least = min(least, max(strength, BY_RECORD) if is_of_family else strength)
        if is_of_family and one.kind == "method":
            of_family = max(of_family, one.worth * (1.0 if families[0] == one.family else SECOND_FAMILY))
    if of_family:
        row["method family"] = of_family
    if least:
        row["all asked"] = least


def _family_votes(scores: Mapping[int, float], families: Mapping[int, Sequence[str]]) -> dict[int, float]:
    """The share of the voters' scores that the item's best family has; a second family votes and counts half.

    It helps where the need describes a technique in words that the glossary does not know.
    """
    votes: dict[str, float] = defaultdict(float)
    total = 0.0
    for item in _best(scores, VOTERS):
        total += max(scores[item], 0.0)
        for place, family in enumerate(families.get(item, ())):
            votes[family] += max(scores[item], 0.0) * (1.0 if place == 0 else SECOND_FAMILY)
    if not total:
        return {}
    return {
        item: max(
            (votes[family] / total * (1.0 if place == 0 else SECOND_FAMILY) for place, family in enumerate(own)),
            default=0.0,
        )
        for item, own in families.items()
    }


def _neighbours(found: Found, scores: Mapping[int, float]) -> dict[int, float]:
    """How near each item is to the best of the first order, weighted by their scores; none is its own neighbour.

    Source: pseudo-relevance feedback, as in "Relevance feedback in information retrieval" (1971).
    """
    if found.vectors is None or not len(found.ids):
        return {}
    place = {item: at for at, item in enumerate(found.ids)}
    best = [item for item in _best(scores, NEIGHBOURS) if scores[item] > 0]
    if not best:
        return {}
    voters = found.vectors[[place[item] for item in best]]
    worth = np.array([scores[item] for item in best], np.float32)
    near = found.vectors @ _unit(worth @ voters)
    for at, item in enumerate(best):
        others = worth.copy()
        others[at] = 0
        near[place[item]] = found.vectors[place[item]] @ _unit(others @ voters)
    return relative(dict(zip(found.ids, near.tolist(), strict=True)), SEMANTIC_FLOOR)


def _resembling(found: Found, centre: NDArray[np.float32]) -> dict[int, float]:
    assert found.vectors is not None  # noqa: S101 - the caller looks
    near = found.vectors @ _unit(centre)
    return {item: max(0.0, value - SEMANTIC_FLOOR) for item, value in zip(found.ids, near.tolist(), strict=True)}


def moved(
    text: NDArray[np.float32] | None, liked: NDArray[np.float32] | None, unliked: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    """Where to search: between the text and what is liked, away from what is not; None where nothing says.

    Source: "Relevance feedback in information retrieval" (1971), with equal weights for words and examples.
    """
    towards = [_unit(one) for one in (text, liked) if one is not None]
    if not towards:
        return None
    centre = np.mean(towards, axis=0)
    if unliked is not None:
        centre = centre - UNLIKE_SHARE * _unit(unliked)
    return _unit(centre).astype(np.float32)


def _unit(vector: NDArray[np.float32]) -> NDArray[Any]:
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


def _best(scores: Mapping[int, float], count: int) -> list[int]:
    return sorted(scores, key=lambda item: (-scores[item], item))[:count]
