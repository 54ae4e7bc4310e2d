"""One made-up paper, its record and its claims, for tests of what the services do with them."""

from papers.models import Paper
from papers.services import SeenPaper, record_paper

ABSTRACT = "Our cache halves memory: it needs 2.5x less memory and runs 3x faster than plain decoding."


def a_claim(text: str = "3x faster", abstract: str = ABSTRACT, **fields: object) -> dict[str, object]:
    start = abstract.index(text)
    claim = {
        "metric": "speedup", "phase": "inference", "form": "factor", "direction": "better", "value": 3.0, "value_max": None,
        "unit": "x", "qualifier": None, "baseline": "plain decoding", "hardware": None, "quote": text, "start": start,
        "end": start + len(text), "rule": "times-faster",
    }  # fmt: skip
    return claim | fields


def a_record(**fields: object) -> dict[str, object]:
    record: dict[str, object] = {
        "kind": "technique", "name": "TwoCache", "families": ["kv-cache", "quantization"], "modality": ["language"],
        "stage": ["inference"], "training_free": True, "hardware": ["A100"], "code_urls": [], "claims": [a_claim()],
        "quality_cost": None, "verify": "kernel", "mechanism": None, "reasons": {},
    }  # fmt: skip
    return record | fields


def the_paper(title: str = "TwoCache: half a cache", **fields: object) -> Paper:
    return record_paper(SeenPaper(title=title, **{"abstract": ABSTRACT, **fields}))[0]  # type: ignore[arg-type]
