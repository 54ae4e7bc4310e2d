"""Records of results: JSON lines in the trace form that public kernel benchmarks share, plus our own fields."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from runners.bench import HARNESS_VERSION
from runners.bench.collect import TECHNIQUE, Findings, Loop
from runners.bench.results import OUTCOMES, STATUSES, Failure, Judgement, Measurement, RunRequest
from runners.bench.roofline import declared_floor
from runners.blocks.least_work import COUNTED
from runners.card_types import Card

RECORD_SCHEMA = 1
LOG_LIMIT = 4000
WORK = ("flops_counted", "bytes_ideal", "bytes_least")


class RecordError(ValueError):
    """A record cannot be used. The message reads "<file>, line <n>: <field>: what was wrong; what would be right"."""


def build_records(
    *,
    card: Card,
    request: RunRequest,
    seed: int,
    status: str,
    failure: Failure | None,
    findings: Findings,
    measurements: Sequence[Measurement],
    judgements: Sequence[Judgement],
    environment: dict[str, Any],
    log: str,
    timestamp: str,
) -> list[dict[str, Any]]:
    """One record for each checked workload and each timed pair; for a run that failed, one more that says why.

    Pairs have one only where `measurements` hold them: of a run that was stopped those that were complete.
    """

    asked = {
        "mode": request.mode,
        "device": request.device,
        "workloads": list(request.workloads),
        "time_cap_s": request.time_cap_s,
        "compile_on_cpu": request.compile_on_cpu,
    }

    def record(workload: dict[str, Any], evaluation: dict[str, Any], **fields: Any) -> dict[str, Any]:
        return {
            "schema": RECORD_SCHEMA,
            "card": card.name,
            "definition": {
                "name": card.name,
                "title": card.title,
                "reference": card.check.reference,
                "correctness": card.correctness,
            },
            "solution": {"name": TECHNIQUE, "module": card.module_name},
            "workload": workload,
            "evaluation": {
                "log": "",
                "correctness": None,
                "performance": None,
                **evaluation,
                "environment": environment,
                "timestamp": timestamp,
            },
            "scope": card.scope,
            "baseline": "",
            "ratio": None,
            "band": None,
            "memory": {},
            "error": {},
            "samples": {},
            "claim": [],
            "doubts": [each["text"] for each in findings.doubts if each["workload"] in ("", workload.get("name"))],
            "code_hash": card.code_hash,
            "card_hash": card.card_hash,
            "seed": seed,
            "request": asked,
            "harness_version": HARNESS_VERSION,
            **fields,
        }

    records = []
    errors = _errors(findings)
    for check in findings.checks:
        if check["subject"] == TECHNIQUE:
            correctness = {key: check[key] for key in ("error", "quality", "detail")}
            evaluation = {"status": check["status"], "correctness": correctness}
            records.append(record(_checked(check, card), evaluation, error=errors.get(check["workload"], {})))
    by_pair = {
        (each.workload, each.baseline): each for each in measurements if each.measure == "time" and each.baseline
    }
    for (workload, rung), loop in findings.loops.items():
        measured = by_pair.get((workload, rung))
        if measured is not None:
            judged = [each.to_dict() for each in judgements if (each.workload, each.baseline) == (workload, rung)]
            evaluation = {"status": "PASSED", "performance": _performance(findings, workload, rung, measured, loop)}
            extra = _pair_fields(findings, workload, rung, measured, loop)
            records.append(
                record(_timed(workload, loop, card), evaluation, claim=judged, error=errors.get(workload, {}), **extra)
            )
    if failure is not None:
        evaluation = {
            "status": status,
            "log": log[-LOG_LIMIT:],
            "correctness": {"detail": failure.detail, "reason": failure.reason},
        }
        records.append(record({"name": "", "axes": {}, "inputs": {}, "tolerance": _tolerance(card)}, evaluation))
    return records


def _errors(findings: Findings) -> dict[str, dict[str, Any]]:
    """Error figures of every subject, by workload."""
    found: dict[str, dict[str, Any]] = {}
    for check in findings.checks:
        figures = {**check["error"], "quality": check["quality"], "status": check["status"]}
        found.setdefault(check["workload"], {})[check["subject"]] = figures
    return found


def _tolerance(card: Card) -> dict[str, Any]:
    check = card.check
    if card.correctness == "exact":
        return {"rule": "exact", "error_factor": check.error_factor, "same_precision": check.same_precision}
    return {"rule": "approximate", "quality": check.quality, "budget": check.budget}


def _checked(check: dict[str, Any], card: Card) -> dict[str, Any]:
    inputs = {"dtype": check["dtype"], "seeds": check["seeds"], "distributions": check["distributions"]}
    return {"name": check["workload"], "axes": check["axes"], "inputs": inputs, "tolerance": _tolerance(card)}


def _timed(workload: str, loop: Loop, card: Card) -> dict[str, Any]:
    inputs = {"dtype": loop.dtype, "pass": loop.pass_}
    return {"name": workload, "axes": loop.axes, "inputs": inputs, "tolerance": _tolerance(card)}


def _performance(findings: Findings, workload: str, rung: str, measured: Measurement, loop: Loop) -> dict[str, Any]:
    return {
        "latency_ms": measured.median,
        "reference_latency_ms": sorted(loop.baseline_ms)[len(loop.baseline_ms) // 2],
        "speedup_factor": measured.ratio,
        "set_up": {subject: findings.setups.get((workload, subject), {}) for subject in (TECHNIQUE, rung)},
        "host_ms": {
            subject: findings.extras.get((workload, subject), {}).get("host_ms", []) for subject in (TECHNIQUE, rung)
        },
        "work": {
            subject: {key: value for key, value in extras.items() if key in WORK or key.startswith(COUNTED)}
            for subject in (TECHNIQUE, rung)
            if (extras := findings.extras.get((workload, subject)))
        },
        "roofline": _roofline(findings, workload, measured),
    }


def _roofline(findings: Findings, workload: str, measured: Measurement) -> dict[str, Any] | None:
    """The least time that this device allows for what the technique's module declares, and the share of it reached."""
    extras = findings.extras.get((workload, TECHNIQUE), {})
    floor, bound = declared_floor(extras, findings.ceilings)
    return {"floor_ms": floor, "bound": bound, "share": floor / measured.median} if floor else None


def _pair_fields(findings: Findings, workload: str, rung: str, measured: Measurement, loop: Loop) -> dict[str, Any]:
    memory = {}
    for subject in (TECHNIQUE, rung):
        extras = findings.extras.get((workload, subject), {"peak_memory": None, "footprint": {}})
        steady = {} if extras.get("steady_memory") is None else {"steady_memory": extras["steady_memory"]}
        memory[subject] = {"peak_memory": extras["peak_memory"], **steady, **extras["footprint"]}
    samples = {"technique_ms": loop.technique_ms, "baseline_ms": loop.baseline_ms}
    samples |= {f"drifted_{name}": values for name, values in loop.dropped.items()}
    control = next((each for (name, _), each in findings.controls.items() if name == workload), None)
    if control is not None:
        samples |= {"control_first_ms": control.technique_ms, "control_second_ms": control.baseline_ms}
    return {
        "baseline": rung,
        "band": measured.band,
        "memory": memory,
        "samples": samples,
        "ratio": {
            "median": measured.ratio,
            "low": measured.ratio_low,
            "high": measured.ratio_high,
            "pairs": measured.pairs,
            "cap_reached": measured.cap_reached,
            "dropped": len(loop.dropped.get("technique_ms", [])),
        },
    }


def to_line(record: dict[str, Any]) -> str:
    """One line of JSON without a line break. Raises ValueError for a number that is not finite."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def write_records(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Appends records to `path`; results are never overwritten."""
    with path.open("a", encoding="utf-8") as out:
        for record in records:
            out.write(to_line(record) + "\n")


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records in `path`. Raises RecordError that names the line of the first one that cannot be right."""
    return [record for _, record in numbered_records(path)]


def numbered_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each record with its line number; errors as in `read_records`."""
    for number, record in _numbered_lines(path):
        problem = record_problem(record)
        if problem:
            raise RecordError(f"{path}, line {number}: {problem}")
        yield number, record


def results_and_selftests(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Records of results, and what self-tests found, in a file that may hold both; errors as in `read_records`."""
    results: list[dict[str, Any]] = []
    selftests: list[dict[str, Any]] = []
    for number, record in _numbered_lines(path):
        is_selftest = isinstance(record, dict) and record.get("kind") == "selftest"
        problem = selftest_problem(record) if is_selftest else record_problem(record)
        if problem:
            raise RecordError(f"{path}, line {number}: {problem}")
        (selftests if is_selftest else results).append(record)
    return results, selftests


def _numbered_lines(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); give a file of JSON lines") from error
    # Split at line feeds alone: other line separators may stand inside a string.
    for number, line in enumerate(text.split(b"\n"), start=1):
        if line.strip():
            try:
                record = json.loads(line, parse_constant=_refuse_constant)
            except ValueError as error:
                raise RecordError(f"{path}, line {number}: is not JSON ({error}); one object a line") from error
            yield number, record


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def selftest_problem(record: dict[str, Any]) -> str:
    """What makes the line of a self-test unusable, as `record_problem` tells it."""
    environment = record.get("environment")
    if not isinstance(environment, dict) or not environment.get("device_name"):
        return "environment: names no device; write what `selftest --out` writes"
    return ceilings_problem(record.get("ceilings"))


def ceilings_problem(rows: Any) -> str:
    """What is wrong with rows of what a device can do, or ""."""
    if not isinstance(rows, list):
        return "ceilings: is not a list; give rows with name, value and unit"
    for position, row in enumerate(rows):
        texts = isinstance(row, dict) and all(isinstance(row.get(key), str) and row[key] for key in ("name", "unit"))
        if not texts or not _is_positive(row.get("value")):
            return f"ceilings[{position}]: lacks a name, a unit or a value above 0; give all three"
    return ""


def record_problem(record: Any) -> str:
    """What makes a record unusable, as "<field>: what was wrong; what would be right", or ""."""
    if not isinstance(record, dict):
        return "record: is not an object; one JSON object a line"
    kinds = {
        "card": str, "definition": dict, "solution": dict, "workload": dict, "evaluation": dict, "scope": str,
        "baseline": str, "memory": dict, "error": dict, "samples": dict, "claim": list, "code_hash": str,
        "card_hash": str, "seed": int, "harness_version": str,
    }  # fmt: skip
    for name, kind in kinds.items():
        if not isinstance(record.get(name), kind):
            return f"{name}: is missing or not a {kind.__name__}; write what the harness writes"
    if record.get("schema") != RECORD_SCHEMA:
        return f"schema: {record.get('schema')!r} is unknown; {RECORD_SCHEMA} is what this version reads"
    for name in ("code_hash", "card_hash"):
        if not re.fullmatch(r"[0-9a-f]{64}", record[name]):
            return f"{name}: is no sha256; give 64 hexadecimal digits"
    return _evaluation_problem(record) or _ratio_problem(record) or _claims_problem(record)


def _evaluation_problem(record: dict[str, Any]) -> str:
    evaluation = record["evaluation"]
    status = evaluation.get("status")
    if status not in STATUSES:
        return f"evaluation.status: {status!r} is unknown; one of {', '.join(STATUSES)}"
    if status != "PASSED" and evaluation.get("performance") is not None:
        return f"evaluation.performance: is given though the status is {status}; a failed result has no time"
    if not isinstance(evaluation.get("environment"), dict):
        return "evaluation.environment: is missing; a figure without its device says nothing"
    return ""


def _ratio_problem(record: dict[str, Any]) -> str:
    ratio, samples = record.get("ratio"), record["samples"]
    for name, values in samples.items():
        if not isinstance(values, list) or not all(_is_positive(value) for value in values):
            return f"samples.{name}: is not a list of positive numbers; give milliseconds"
    if ratio is None:
        return ""
    if not isinstance(ratio, dict) or not all(_is_positive(ratio.get(key)) for key in ("median", "low", "high")):
        return "ratio: lacks positive median, low and high; give all three or null"
    if not ratio["low"] <= ratio["median"] <= ratio["high"]:
        return "ratio: low, median and high are out of order; they must rise"
    first, second = samples.get("technique_ms", []), samples.get("baseline_ms", [])
    if not len(first) == len(second) == ratio.get("pairs"):
        return (
            f"ratio.pairs: {ratio.get('pairs')} does not fit {len(first)} and {len(second)} samples; keep all of them"
        )
    if record["evaluation"]["status"] != "PASSED":
        return "ratio: is given for a result that did not pass; it must be null"
    return ""


def _claims_problem(record: dict[str, Any]) -> str:
    for claim in record["claim"]:
        if not isinstance(claim, dict) or claim.get("outcome") not in OUTCOMES:
            return f"claim: holds something without a known outcome; one of {', '.join(OUTCOMES)}"
    return ""


def _is_positive(value: Any) -> bool:
    """Also of an integer of many digits, which no float holds, and of what is not finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= sys.float_info.max
