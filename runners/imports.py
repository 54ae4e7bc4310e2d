"""Results from machines that never saw this database: JSON lines in, runs with measurements and verdicts out."""

import hashlib
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from papers.models import (
    Claim,
    Device,
    DeviceKind,
    Implementation,
    Measurement,
    Outcome,
    Run,
    RunMode,
    RunState,
    Verdict,
)
from papers.services import Actor, write_audit
from runners.bench.records import RecordError, results_and_selftests, to_line
from runners.devices import store_ceilings

SAME = 0.005  # how far a recomputed ratio may be from the recorded one, relatively: rounding, not another result
ASKED_AT_ONCE = 5000  # a database takes only so many values in one query
UNITS = {"time": "ms", "parameters": "", "flops": ""}


@dataclass
class ImportReport:
    """What became of the sessions in a file; `refused` says which and why."""

    name: str
    sessions: int = 0
    stored: int = 0
    known: int = 0
    older: int = 0
    devices: int = 0
    refused: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def import_file(path: Path, actor: Actor = None) -> ImportReport:
    """Store every session in the file that is not here yet; a session is stored whole or not at all.

    A self-test's line tells what its device can do; that is kept with the device, the newest line last.
    Sessions of another version of card or code are stored and counted as older; pages mark them as such.
    Raises: RecordError naming file and line where a line is no record.
    """
    report = ImportReport(path.name)
    try:
        records, selftests = results_and_selftests(path)
    except OSError as fault:
        raise RecordError(f"{path}: cannot be read: {fault.strerror}") from None
    sessions = list(sessions_of(records))
    digests = [digest_of(session) for session in sessions]
    known = _versions_by_digest(digests)
    current = {name: (card, code) for name, card, code in _versions_here()}
    for session, digest in zip(sessions, digests, strict=True):
        report.sessions += 1
        if (version := known.get(digest)) is not None:
            name, *hashes = version
            report.known += 1
            report.older += current.get(name) != tuple(hashes)
            continue
        try:
            run, is_new = import_session(session, path.name, actor)
        except ValueError as fault:
            report.refused.append(str(fault))
            continue
        report.stored += is_new
        report.known += not is_new
        report.older += not run.is_current
    for found in selftests:
        try:
            store_ceilings(_device(found["environment"]), found["ceilings"], found["environment"])
        except ValueError as fault:
            report.refused.append(str(fault))
        else:
            report.devices += 1
    return report


def sessions_of(records: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Records grouped by the run of the harness that wrote them, in the order of the file."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in records:
        stamp = record["evaluation"].get("timestamp")
        key = (record["card"], record["card_hash"], record["code_hash"], record["seed"], stamp)
        groups.setdefault(key, []).append(record)
    yield from groups.values()


def digest_of(session: Iterable[dict[str, Any]]) -> str:
    """What a session is known by, in whatever order its records come."""
    return hashlib.sha256("\n".join(sorted(map(to_line, session))).encode()).hexdigest()


def _versions_by_digest(digests: list[str]) -> dict[str, tuple[str, str, str]]:
    """Implementation, card and code of each session that is here already; in bulk, since every start asks for all."""
    found = {}
    for begin in range(0, len(digests), ASKED_AT_ONCE):
        rows = Run.objects.filter(import_digest__in=digests[begin : begin + ASKED_AT_ONCE])
        fields = rows.values_list("import_digest", "implementation__name", "card_hash", "code_hash")
        found.update({str(digest): (name, card, code) for digest, name, card, code in fields})
    return found


def _versions_here() -> Iterable[tuple[str, str, str]]:
    return Implementation.objects.values_list("name", "card_hash", "code_hash")


def import_session(records: list[dict[str, Any]], source: str, actor: Actor = None) -> tuple[Run, bool]:
    """One session as a finished or failed run, and whether it is new here.

    Raises: ValueError where the card is unknown here, the device is not told, or a ratio does not follow from its samples.
    """
    first = records[0]
    digest = digest_of(records)
    if known := Run.objects.filter(import_digest=digest).select_related("implementation").first():
        return known, False
    implementation = Implementation.objects.filter(name=first["card"]).first()
    if implementation is None:
        raise ValueError(
            f"card: {first['card']!r} is not among the implementations here; update this installation first"
        )
    for record in records:
        refuse_what_does_not_follow(record)
    stamp = _timestamp(first)
    failed = next((r for r in records if r["evaluation"]["status"] != "PASSED"), None)
    why = (failed["evaluation"].get("correctness") or {}) if failed else {}
    with transaction.atomic():
        run = Run.objects.create(
            implementation=implementation,
            mode=_mode(first),
            device=_device(first["evaluation"]["environment"]),
            device_kind=first["evaluation"]["environment"].get("device_kind", DeviceKind.CPU),
            state=RunState.FAILED if failed and why.get("reason") != "incorrect" else RunState.FINISHED,
            status=failed["evaluation"]["status"] if failed else "PASSED",
            failure_reason=str(why.get("reason") or ""),
            failure_detail=str(why.get("detail") or ""),
            started_at=stamp,
            finished_at=stamp,
            progress=1.0,
            environment=first["evaluation"]["environment"],
            records=records,
            card_hash=first["card_hash"],
            code_hash=first["code_hash"],
            harness_version=first["harness_version"],
            seed=first["seed"],
            imported_from=source,
            import_digest=digest,
        )
        Measurement.objects.bulk_create(_measurements(run, records))
        Verdict.objects.bulk_create(_verdicts(run, records))
        write_audit(actor, "import-run", implementation.name, run=run.pk, source=source)
    return run, True


def refuse_what_does_not_follow(record: dict[str, Any]) -> None:
    """Statistics are ours to make: a recorded ratio must be the median that its raw samples give."""
    ratio, samples = record.get("ratio"), record["samples"]
    if ratio is None:
        return
    pairs = zip(samples["baseline_ms"], samples["technique_ms"], strict=True)
    median = statistics.median(baseline / technique for baseline, technique in pairs)
    if abs(median - ratio["median"]) > SAME * median:
        where = f"{record['card']}, {record['workload'].get('name')} against {record['baseline']}"
        raise ValueError(f"ratio.median: {where}: {ratio['median']:g} is recorded, its samples give {median:g}")


def _timestamp(record: dict[str, Any]) -> datetime:
    given = record["evaluation"].get("timestamp")
    try:
        stamp = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise ValueError(f"evaluation.timestamp: {given!r} is no ISO 8601 time") from None
    return stamp if stamp.tzinfo else timezone.make_aware(stamp)


def _mode(record: dict[str, Any]) -> str:
    """How the session was asked for; older records do not tell, and "run" was the default then too."""
    mode = (record.get("request") or {}).get("mode")
    return str(mode) if mode in RunMode.values else RunMode.RUN.value


def _device(environment: dict[str, Any]) -> Device:
    kind, name = environment.get("device_kind"), str(environment.get("device_name") or "").strip()
    if kind not in DeviceKind.values or not name:
        raise ValueError(f"evaluation.environment: names no device (device_kind {kind!r}, device_name {name!r})")
    memory = environment.get("memory_gib")
    device, _ = Device.objects.get_or_create(
        uid=f"imported/{kind}/{name}"[:120],
        defaults={
            "kind": kind,
            "name": name[:200],
            "memory_bytes": int(memory * 2**30) if isinstance(memory, int | float) else None,
            "capability": str(environment.get("cuda_capability") or "")[:20],
            "driver": str(environment.get("driver") or "")[:40],
        },
    )
    return device


def _measurements(run: Run, records: list[dict[str, Any]]) -> Iterator[Measurement]:
    """Times with their intervals, and what was counted on both sides; each once."""
    seen: set[tuple[str, str, str]] = set()
    for record in records:
        ratio, workload, rung = record.get("ratio"), str(record["workload"].get("name")), record["baseline"]
        if ratio is None or (workload, rung, "time") in seen:
            continue
        seen.add((workload, rung, "time"))
        common = {"run": run, "workload": workload, "subject": "technique", "baseline": rung, "scope": record["scope"]}
        times = record["samples"]["technique_ms"]
        yield Measurement(
            **common,
            measure="time",
            unit="ms",
            median=statistics.median(times),
            samples=times,
            ratio=ratio["median"],
            ratio_low=ratio["low"],
            ratio_high=ratio["high"],
            pairs=ratio["pairs"],
            band=record.get("band"),
            cap_reached=bool(ratio.get("cap_reached")),
        )
        ours, theirs = (record["memory"].get(side) or {} for side in ("technique", rung))
        for measure in ours.keys() & theirs.keys():
            mine, other = ours[measure], theirs[measure]
            if mine and other:
                exact = other / mine
                unit = UNITS.get(measure, "B")
                bounds = {"ratio": exact, "ratio_low": exact, "ratio_high": exact, "pairs": 1}
                yield Measurement(**common, measure=measure, unit=unit, median=mine, low=mine, high=mine, **bounds)


def _verdicts(run: Run, records: list[dict[str, Any]]) -> Iterator[Verdict]:
    judged = {f"{run.implementation.name}/{j['claim_key']}": j for r in records for j in r["claim"] if "claim_key" in j}
    for claim in Claim.objects.filter(card_key__in=list(judged)):
        found = judged[claim.card_key or ""]
        outcome = found["outcome"]
        if run.device_kind == DeviceKind.CPU:
            outcome = Outcome.NOT_COMPARABLE  # whatever the file says: a CPU run is never a verdict
        yield Verdict(
            claim=claim,
            run=run,
            outcome=outcome,
            ratio=found.get("ratio"),
            low=found.get("low"),
            high=found.get("high"),
            workload=found.get("workload") or "",
            baseline=found.get("baseline") or "",
            reason=found.get("reason") or "",
            hardware_note=found.get("hardware_note") or "",
        )
