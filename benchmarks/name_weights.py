"""Fits the weights that choose a paper's name: `python -m benchmarks.name_weights PAPERS.jsonl... [--write]`.

A line of PAPERS.jsonl is a record in the labelling schema with its `title` and `abstract`. Of the candidates of a paper (or none of
them) the labelled name should weigh most: a multinomial logistic model over `name_features.features`, held small by an L2
term and solved by Newton's method, so that the same papers give the same weights. Prints how many names are right when every
tenth of the papers is left out of the fit; `--write` puts the weights of all papers into `ingest/extraction/name_weights.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ingest.extraction.kind import find_kind
from ingest.extraction.name import candidates, settled
from ingest.extraction.name_features import WEIGHTS_FILE, digest
from ingest.extraction.reading import read_paper
from ingest.extraction.weights import Sums, load_weights

HOLD = 0.01
"""The L2 term a paper."""
FOLDS = 10
Floats = npt.NDArray[np.float64]


class Paper(NamedTuple):
    """The labelled name, the name that its title settles (if it does), and else the features of each candidate."""

    label: str
    is_settled: bool
    title_name: str | None
    told: dict[str, dict[str, float]]


def fold(name: str | None) -> str:
    """A name as the scorer compares it: letters and digits in lower case."""
    return re.sub(r"[\W_]+", "", re.sub(r"\\?cdot|\$|\\", "", (name or "").lower()))


def read(record: dict[str, Any]) -> Paper:
    weights = load_weights()
    reading = read_paper(record["title"], record["abstract"], weights.numbering)
    document, (kind, _) = reading.document, find_kind(Sums(weights, reading.signals, reading.document))
    is_settled, name = settled(document, kind)
    told = {} if is_settled else candidates(document, kind).described()
    return Paper(fold(record["name"]), is_settled, name, told)


def fit(papers: list[Paper], keys: list[str]) -> Floats:
    """A weight for each key. Papers whose label is no candidate teach that none of theirs is the name."""
    place = {key: at for at, key in enumerate(keys)}
    rows: list[Floats] = []
    group: list[int] = []
    wanted: list[float] = []
    for number, paper in enumerate(papers):
        right = [fold(name) == paper.label for name in paper.told]
        rows.append(np.zeros(len(keys)))
        wanted.append(float(not any(right)))
        for given, hit in zip(paper.told.values(), right, strict=True):
            row = np.zeros(len(keys))
            for key, value in given.items():
                row[place[key]] = value
            rows.append(row)
            wanted.append(hit / max(1, sum(right)))
        group += [number] * (1 + len(right))
    x, groups, y = np.array(rows), np.array(group), np.array(wanted)
    return _newton(x, groups, y, len(papers))


def _newton(x: Floats, groups: npt.NDArray[np.int64], y: Floats, count: int) -> Floats:
    """The minimum of the mean cross-entropy over `count` groups of rows plus HOLD/2 times the squared weights."""
    weights = np.zeros(x.shape[1])
    for _ in range(100):
        z = x @ weights
        top = np.full(count, -np.inf)
        np.maximum.at(top, groups, z)
        shares = np.exp(z - top[groups])
        shares /= np.bincount(groups, shares)[groups]
        mean = np.zeros((count, x.shape[1]))
        np.add.at(mean, groups, shares[:, None] * x)
        gradient = x.T @ (shares - y) + HOLD * count * weights
        curvature = (x * shares[:, None]).T @ x - mean.T @ mean + HOLD * count * np.eye(x.shape[1])
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def is_right(paper: Paper, weights: dict[str, float]) -> bool:
    if paper.is_settled:
        return fold(paper.title_name) == paper.label
    heaviest, found = 0.0, ""
    for name, given in paper.told.items():
        weight = sum(weights.get(key, 0.0) * value for key, value in given.items())
        if weight > heaviest:
            heaviest, found = weight, fold(name)
    return found == paper.label


def fitted(papers: list[Paper]) -> dict[str, float]:
    open_ones = [paper for paper in papers if not paper.is_settled]
    keys = sorted({key for paper in open_ones for given in paper.told.values() for key in given})
    return {key: round(float(w), 3) for key, w in zip(keys, fit(open_ones, keys), strict=True)}


def left_out(papers: list[Paper]) -> float:
    """The share of right names when each paper is judged by weights that were fitted without its tenth."""
    right = 0
    for part in range(FOLDS):
        weights = fitted([paper for at, paper in enumerate(papers) if at % FOLDS != part])
        right += sum(is_right(paper, weights) for paper in papers[part::FOLDS])
    return right / len(papers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("papers", nargs="+", type=Path, help="JSON lines with title, abstract and labelled name")
    parser.add_argument("--write", action="store_true", help="replace the stored weights")
    arguments = parser.parse_args()
    lines = [line for path in arguments.papers for line in path.read_text("utf-8").splitlines() if line.strip()]
    records = {record["title"]: record for record in map(json.loads, lines)}
    if len(records) < FOLDS:
        raise SystemExit(f"{len(records)} papers given; the fit needs at least {FOLDS}")
    papers = [read(record) for record in records.values()]
    weights = fitted(papers)
    print(
        f"{len(papers)} papers: {left_out(papers):.3f} right when left out of the fit, "
        f"{sum(is_right(paper, weights) for paper in papers) / len(papers):.3f} when in it"
    )
    if arguments.write:
        labels = json.dumps([[title, record["name"]] for title, record in sorted(records.items())])
        stored = {
            "papers": len(papers),
            "labels": hashlib.sha256(labels.encode()).hexdigest(),
            "digest": digest(weights),
            "weights": weights,
        }
        WEIGHTS_FILE.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
