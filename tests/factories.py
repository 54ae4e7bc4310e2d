"""Rows for tests: each function gives sensible defaults, and a test sets only what it is about."""

import itertools
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from papers.models import (
    Claim,
    Device,
    DeviceKind,
    Facet,
    Implementation,
    Measurement,
    Outcome,
    Paper,
    Run,
    RunState,
    Source,
    Technique,
    TechniqueLabel,
    Verdict,
)
from papers.roles import Role
from papers.services.accounts import give_role

PASSWORD = "correct-horse-battery"
ABSTRACT = (
    "Decoding with long prompts is bound by memory. We introduce Foldcache, which keeps keys and values in folded "
    "pages. On an A100 it decodes up to 2.3x faster than paged attention and uses 40% less memory."
)
_numbers = itertools.count(1)


def make_user(username: str = "", *, role: str = "", **fields: Any) -> Any:
    """Without a role it is the one of the setting, as for every new account."""
    username = username or f"reader{next(_numbers)}"
    user = get_user_model().objects.create_user(username=username, password=PASSWORD, **fields)
    if role:
        give_role(user, Role(role))
    return user


def make_paper(**fields: Any) -> Paper:
    number = next(_numbers)
    fields = {"title": f"Foldcache {number}: Folded Pages for Long Prompts", "abstract": ABSTRACT, **fields}
    return Paper.objects.create(**fields)


def make_technique(
    paper: Paper | None = None,
    *,
    families: tuple[str, ...] = ("kv-cache",),
    modality: tuple[str, ...] = ("language",),
    stage: tuple[str, ...] = ("inference",),
    hardware: tuple[str, ...] = (),
    **fields: Any,
) -> Technique:
    fields = {"kind": "technique", "name": f"Foldcache-{next(_numbers)}", "training_free": True, **fields}
    technique = Technique.objects.create(paper=paper or make_paper(), **fields)
    given = {Facet.FAMILY: families, Facet.MODALITY: modality, Facet.STAGE: stage, Facet.HARDWARE: hardware}
    TechniqueLabel.objects.bulk_create(
        TechniqueLabel(technique=technique, facet=facet, value=value, position=position)
        for facet, values in given.items()
        for position, value in enumerate(values)
    )
    return technique


def make_claim(paper: Paper | None = None, quote: str | None = None, **fields: Any) -> Claim:
    """A claim of the paper; with a quote of its abstract the span is set to the place where the quote stands."""
    paper = paper or make_paper()
    if quote is not None:
        start = paper.abstract.index(quote)
        fields = {"quote": quote, "start": start, "end": start + len(quote), **fields}
    defaults = {
        "metric": "speedup",
        "phase": "inference",
        "form": "factor",
        "direction": "better",
        "value": 2.0,
        "unit": "x",
    }
    return Claim.objects.create(paper=paper, **{**defaults, **fields})


def make_source(paper: Paper, **fields: Any) -> Source:
    return Source.objects.create(
        paper=paper, **{"kind": "daily-papers", "locator": f"page-{next(_numbers)}.txt", "line": 12, **fields}
    )


def make_card(name: str, **fields: Any) -> dict[str, Any]:
    """What the database stores of a card: the keys of the TOML file and the hashes."""
    card: dict[str, Any] = {
        "name": name,
        "title": "Foldcache",
        "short_name": "Foldcache",
        "summary": "Keeps keys and values in folded pages, so that a step reads fewer bytes.",
        "simplified": "One layer stands for the model; the saving for each layer is the same.",
        "missing_baselines": "",
        "scope": "module",
        "correctness": "exact",
        "needs": {"triton": False, "cuda_capability": "8.0", "memory_gib": 4.0, "cpu_timing": True},
        "check": {"reference": "eager", "quality": "", "budget": None},
        "baselines": [
            {"name": "eager", "label": "Plain PyTorch", "role": "eager", "cpu_timing": True},
            {"name": "library", "label": "Fused library attention", "role": "library", "cpu_timing": True},
        ],
        "workloads": [
            {
                "name": "decode-8k",
                "use": "both",
                "device": "any",
                "representative": True,
                "axes": {"batch": 1, "seq": 8192},
                "dtype": "float32",
                "pass": "forward",
            }
        ],
        "sweep": {"workload": "decode-8k", "axis": "seq", "values": [1024, 4096, 8192]},
        "claims": [{"key": "speed-up", "baseline": "eager", "workload": "decode-8k"}],
        "effect": None,
        "module": "runners.implementations.kv_cache.foldcache",
        "card_hash": "c" * 64,
        "code_hash": "d" * 64,
    }
    return {**card, **fields}


def make_implementation(paper: Paper | None = None, name: str = "", **fields: Any) -> Implementation:
    """With its paper's technique and the claim that its card judges."""
    name = name or f"foldcache-{next(_numbers)}"
    paper = paper or make_paper()
    if not Technique.objects.filter(paper=paper).exists():
        make_technique(paper)
    implementation = Implementation.objects.create(
        paper=paper,
        name=name,
        **{"card": make_card(name), "card_hash": "c" * 64, "code_hash": "d" * 64, **fields},
    )
    make_claim(paper, card_key=f"{name}/speed-up", statement="Decodes more than twice as fast.", value=2.3)
    return implementation


def make_device(kind: str = DeviceKind.CUDA, *, alive: bool = True, **fields: Any) -> Device:
    name = "NVIDIA H200" if kind == DeviceKind.CUDA else "Two-core CPU"
    seen = timezone.now() if alive else None
    return Device.objects.create(
        **{"uid": f"host-{next(_numbers)}", "kind": kind, "name": name, "last_seen_at": seen, **fields}
    )


def make_run(implementation: Implementation | None = None, state: str = RunState.FINISHED, **fields: Any) -> Run:
    """A run in that state, with what the database demands of it."""
    implementation = implementation or make_implementation()
    kind = fields.get("device_kind", DeviceKind.CUDA)
    now = timezone.now()
    defaults: dict[str, Any] = {"device_kind": kind, "card_hash": "c" * 64, "code_hash": "d" * 64}
    if state != RunState.QUEUED and "device" not in fields:
        defaults["device"] = make_device(kind)
    if state == RunState.RUNNING:
        defaults |= {"lease_until": now, "lease_token": "t", "started_at": now, "phase": "timing", "progress": 0.4}
    elif state == RunState.FINISHED:
        defaults |= {"status": "PASSED", "started_at": now, "finished_at": now, "progress": 1.0, "seed": 7}
    elif state in (RunState.FAILED, RunState.CANCELLED):
        defaults |= {"started_at": now, "finished_at": now}
    return Run.objects.create(implementation=implementation, state=state, **{**defaults, **fields})


def make_measurement(run: Run, **fields: Any) -> Measurement:
    defaults: dict[str, Any] = {
        "workload": "decode-8k",
        "subject": "technique",
        "baseline": "eager",
        "measure": "time",
        "unit": "ms",
        "scope": "module",
        "median": 1.84,
        "low": 1.82,
        "high": 1.87,
        "ratio": 2.21,
        "ratio_low": 2.18,
        "ratio_high": 2.24,
        "pairs": 24,
        "band": 0.012,
    }
    return Measurement.objects.create(run=run, **{**defaults, **fields})


def make_verdict(claim: Claim, run: Run, outcome: str = Outcome.CONFIRMED, **fields: Any) -> Verdict:
    defaults = {
        "ratio": 2.21,
        "low": 2.18,
        "high": 2.24,
        "workload": "decode-8k",
        "baseline": "eager",
        "reason": "The low end of the interval reaches nine tenths of the claim.",
    }
    return Verdict.objects.create(claim=claim, run=run, outcome=outcome, **{**defaults, **fields})
