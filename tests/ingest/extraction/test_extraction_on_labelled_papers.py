"""How well extraction does on the labelled papers beside the checkout.

Kind, families, modality and stage are decided by weights that were fitted to these very papers, so their floors say that the
weights and the code that reads them belong together, and nothing of papers that nobody labelled: the figures for those are
in docs/guide/fields.md.
"""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from ingest.extraction import extract
from ingest.sources import parse_page

FLOORS = {
    "claim_f1": 0.97,
    "claim_strict_f1": 0.93,
    "code_f1": 0.97,
    "kind": 0.95,
    "name": 0.94,
    "family1": 0.95,
    "families_f1": 0.95,
    "modality_f1": 0.95,
    "stage_f1": 0.95,
    "hardware_f1": 0.98,
}


def _scorer(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gold_score", folder / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def figures(shared_dir: Path) -> dict[str, float]:
    scorer = _scorer(shared_dir / "gold")
    gold = [json.loads(line) for line in (shared_dir / "gold" / "dev.jsonl").read_text("utf-8").splitlines()]
    wanted = {scorer.fold(record["title"]) for record in gold}
    papers = {}
    for page in sorted((shared_dir / "seeds").glob("*.txt")):
        for paper in parse_page(page.read_bytes()).papers:
            papers.setdefault(scorer.fold(paper.title), paper)
    records = [extract(p.title, p.abstract).to_json() for key, p in papers.items() if key in wanted]
    return scorer.score(gold, records)[0]


QUALITY_FLOORS = {"said_or_not": 0.84, "lossless": 0.80, "value": 0.90}


@pytest.fixture(scope="module")
def quality(shared_dir: Path) -> dict[str, float]:
    """Agreement on `quality_cost`, which the scorer leaves out: on whether there is one, and of those that there are on its parts."""
    scorer = _scorer(shared_dir / "gold")
    gold = [json.loads(line) for line in (shared_dir / "gold" / "dev.jsonl").read_text("utf-8").splitlines()]
    papers = {}
    for page in sorted((shared_dir / "seeds").glob("*.txt")):
        for paper in parse_page(page.read_bytes()).papers:
            papers.setdefault(scorer.fold(paper.title), paper)
    pairs = []
    for record in gold:
        paper = papers[scorer.fold(record["title"])]
        pairs.append((record["quality_cost"], extract(paper.title, paper.abstract).to_json()["quality_cost"]))
    said = [(labelled, found or {}) for labelled, found in pairs if labelled]
    return {
        "said_or_not": sum(bool(labelled) == bool(found) for labelled, found in pairs) / len(pairs),
        "lossless": sum("lossless" in found and labelled["lossless"] == found["lossless"] for labelled, found in said)
        / len(said),
        "value": sum(labelled["value"] == found.get("value") for labelled, found in said) / len(said),
    }


@pytest.mark.parametrize("figure", QUALITY_FLOORS)
def test_quality_cost_agrees_with_the_labels(quality: dict[str, float], figure: str) -> None:
    assert quality[figure] >= QUALITY_FLOORS[figure]


def test_every_labelled_paper_is_found_on_its_page(figures: dict[str, float]) -> None:
    assert figures["found"] == 1.0


@pytest.mark.parametrize("figure", FLOORS)
def test_figure_stays_above_its_floor(figures: dict[str, float], figure: str) -> None:
    assert figures[figure] >= FLOORS[figure]
