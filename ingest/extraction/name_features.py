"""What a name's surroundings say about it, as numbers for the fitted weights in `name_weights.json`.

A candidate's weight is the sum of its features, each times its fitted weight; "no name" weighs 0. Weights are fitted and
written by `python -m benchmarks.name_weights PAPERS.jsonl...`; nothing is fitted at run time.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

from .name_announced import initials_fit
from .name_words import HEAD_NOUNS, PLAIN, SMALL, is_known, is_shaped

WEIGHTS_FILE = Path(__file__).with_name("name_weights.json")
WEIGHTS: dict[str, float] = json.loads(WEIGHTS_FILE.read_text("utf-8"))["weights"]


def digest(weights: dict[str, float]) -> str:
    """The SHA-256 of fitted weights, which the file keeps beside them."""
    return hashlib.sha256(json.dumps(weights, sort_keys=True).encode()).hexdigest()


_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ACTS = re.compile(
    r"(?:’s|'s)?\s(?:is|are|can|also|not|only|consistently|significantly|effectively|further|then|first|does|has|will|"
    r"(?!as\b|this\b|its\b|us\b|across\b|bias|loss|process|class|pass|access|analysis|basis|towards\b)[a-z]{3,}(?<!ou)s)\b"
)
"""What follows a name that does something: "X reduces", "X is", "X can"."""
_USES = re.compile(
    r"(?:using|with|with the|on|on the|based on|of|of the|than|from|like|by|as|to|over|and|in|for|the) \Z"
)


_WHOLE = re.compile(r"(?:[Nn]et|[Ff]ormer|LM|GAN|BERT|NN|Mamba|ViT)s?$")
_PART = re.compile(r"(?:[Cc]onv|[Aa]ttn|[Ll]oss|[Bb]lock|[Nn]orm|[Hh]ead|[Mm]odule|[Ll]ayer|[Bb]ench|Set)s?$")


class Surroundings(NamedTuple):
    """The paper around its candidates: title, its words, its head; the abstract and where its own part starts."""

    title: str
    """In lower case."""
    title_words: list[str]
    head: str | None
    abstract: str
    own: int
    kind: str


class Candidate(NamedTuple):
    """What a hand-set weight says of a name, how it was found, and its long form."""

    weight: float
    source: str
    words: str
    long: str


def features(name: str, found: Candidate, around: Surroundings) -> dict[str, float]:
    """The features of a candidate by name; absent ones are 0."""
    abstract, own = around.abstract, around.own
    given: dict[str, float] = {"one": 1.0, "hand": min(found.weight, 9.0), "enough": float(found.weight >= 3.0)}
    cue, _, place = found.source.rpartition("/")
    given[f"from {place}"] = 1.0
    if cue:
        given[f"cue {cue}"] = 1.0
    given[f"kind {around.kind}"] = 1.0
    count = acts = opens = uses = early = 0
    at, stop = abstract.find(name), len(name)
    last = -1
    while at >= 0:
        end = at + stop
        whole = not (abstract[at - 1 : at].isalnum() or abstract[end : end + 1].isalnum())
        if whole:
            if at < own:
                early += 1
            else:
                count += 1
                last = at
                before = abstract[max(0, at - 12) : at]
                acts += _ACTS.match(abstract, end) is not None
                opens += before[-2:] in {". ", ""} or before.endswith((", ", "that "))
                uses += _USES.search(before) is not None
        at = abstract.find(name, end)
    given["count"] = min(count, 4) / 4
    given["again"] = float(count > 1)
    given["unsaid"] = float(count == 0)
    given["early"] = float(early > 0)
    given["background only"] = float(early > 0 and count == 0)
    given["acts"] = min(acts, 2) / 2
    given["opens"] = min(opens, 2) / 2
    given["used"] = uses / count if count else 0.0
    given["last"] = (last - own) / max(1, len(abstract) - own) if last >= 0 else 0.0
    words = name.split(" ")
    shaped = is_shaped(words[0]) or is_shaped(words[-1])
    given["shaped"] = float(shaped)
    given["phrase"] = float(len(words) > 1)
    given["long phrase"] = float(len(words) > 2)
    given["plain word"] = float(len(words) == 1 and not shaped)
    if len(words) > 1:
        given["plain words"] = sum(w.lower() in PLAIN for w in words) / len(words)
        given["small words"] = float(any(w in SMALL for w in words))
    given["capitals"] = float(name.isupper())
    given["noun inside"] = float(words[-1].lower() in HEAD_NOUNS)
    given["known"] = float(is_known(name))
    given["short"] = float(len(name) < 4)
    given["explained"] = float(bool(found.long))
    folded_title = around.title
    given["in title"] = float(name.lower() in folded_title)
    given["title opens"] = float(folded_title.startswith(name.lower()))
    given["title ends"] = float(folded_title.endswith(name.lower()))
    given["head"] = float(name == around.head)
    given["beside head"] = float(around.head is not None and name != around.head)
    given["long in title"] = float(len(found.long) > 8 and found.long.lower().rstrip("s") in folded_title)
    letters = "".join(c for c in _WHOLE.sub("", name) if c.isupper())
    opens_title = len(letters) > 2 and around.title_words[:1] and around.title_words[0][:1].upper() == letters[0]
    given["title letters"] = float(bool(opens_title) and initials_fit(letters, around.title_words[:8]))
    given["initials"] = float(len(name) > 2 and name.isupper() and initials_fit(name, around.title_words))
    given["whole"] = float(_WHOLE.search(name) is not None)
    given["part"] = float(_PART.search(name) is not None)
    given["number"] = float(name[-1:].isdigit())
    parts = [p for p in _PARTS.findall(name) if len(p) > 2]
    given["parts in title"] = float(any(p.lower()[:4] in folded_title for p in parts))
    return {key: value for key, value in given.items() if value}


def score(given: dict[str, float]) -> float:
    """The weight of a candidate; below 0 it is no name."""
    return sum(WEIGHTS.get(key, 0.0) * value for key, value in given.items())


def compare(told: dict[str, dict[str, float]], places: dict[str, int]) -> None:
    """Adds what tells candidates apart: which is announced first, which is named most, which is part of another."""
    announced = [name for name, given in told.items() if given.get("hand", 0.0) >= 2.5 and places[name] >= 0]
    first = min(announced, key=lambda name: (places[name], name), default=None)
    most = max(given.get("count", 0.0) for given in told.values())
    best = max(given.get("hand", 0.0) for given in told.values())
    for name, given in told.items():
        given["announced first"] = float(name == first)
        given["not first"] = float(name != first and name in announced)
        given["named most"] = float(most > 0.25 and given.get("count", 0.0) == most)
        given["behind"] = best - given.get("hand", 0.0)
        given["inside another"] = float(any(name != other and name in other for other in announced))
