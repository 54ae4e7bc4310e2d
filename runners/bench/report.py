"""A file of records as tables: each technique's ratios against its ladder, shares of the device's limit, verdicts, and faults.

The newest session of a card on a device counts; a session that failed is told only where none passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runners.bench.progress import table
from runners.bench.statistics import beside_band

HEADERS = ["card", "workload", "against", "time", "ratio", "95 % interval", "says", "of the limit"]
CLAIMS = ["card", "claim", "verdict", "why"]
FAULTS = ["card", "status", "why"]
WORDS = {"better": "faster", "worse": "slower", "equal": "no gain", "unclear": "cannot be said"}
Record = Mapping[str, Any]


def report(records: Sequence[Record], *, markdown: bool = False) -> str:
    """Tables of all devices in the records, or a sentence where they hold no time."""
    records = [each for each in records if not _was_stopped(each)]
    devices = dict.fromkeys(_device(record) for record in records)
    parts = [_of_device(device, [each for each in records if _device(each) == device], markdown) for device in devices]
    return "\n\n".join(parts) or "no records"


def _of_device(device: str, records: Sequence[Record], markdown: bool) -> str:
    draw = _markdown if markdown else table
    timed = _newest(each for each in records if each.get("ratio"))
    failed = {_session(record) for record in records if record["evaluation"]["status"] != "PASSED"}
    passed = {record["card"] for record in records if _session(record) not in failed}
    faults = _newest(
        each for each in records if each["evaluation"]["status"] != "PASSED" and each["card"] not in passed
    )
    heading = f"{device}: {len(passed)} cards checked, {len({each['card'] for each in timed})} timed"
    parts = [f"## {heading}" if markdown else heading]
    if timed:
        parts.append(draw(HEADERS, [_ratio(each) for each in timed]))
    claims = [[each["card"], *_verdict(claim)] for each in timed for claim in each["claim"]]
    if claims:
        parts.append(draw(CLAIMS, claims))
    if faults:
        parts.append(draw(FAULTS, [_fault(each) for each in faults]))
    return "\n\n".join(parts)


def _session(record: Record) -> tuple[str, int]:
    return record["card"], record["seed"]


def _was_stopped(record: Record) -> bool:
    return (record["evaluation"]["correctness"] or {}).get("reason") == "cancelled"


def _device(record: Record) -> str:
    environment = record["evaluation"]["environment"]
    return str(environment.get("device_name") or environment.get("device_kind") or "unnamed")


def _newest(records: Iterable[Record]) -> list[Record]:
    """The newest of each card, workload and rung, by card in the order of the ladder as it was timed."""
    chosen: dict[tuple[str, str, str], Record] = {}
    for record in records:
        chosen[record["card"], record["workload"]["name"], record["baseline"]] = record
    return sorted(chosen.values(), key=lambda each: str(each["card"]))


def _ratio(record: Record) -> list[str]:
    ratio, band = record["ratio"], record["band"] or 0.0
    performance = record["evaluation"]["performance"]
    limit = performance.get("roofline")
    return [
        record["card"], record["workload"]["name"], record["baseline"], f"{performance['latency_ms']:.4g} ms",
        f"{ratio['median']:.2f}×", f"{ratio['low']:.2f} to {ratio['high']:.2f}",
        says(ratio["low"], ratio["high"], band), f"{limit['share']:.0%} ({limit['bound']})" if limit else "",
    ]  # fmt: skip


def says(low: float, high: float, band: float) -> str:
    """Where a ratio's interval lies beside the band of equal subjects, in words."""
    return WORDS[beside_band(low, high, band)]


def _verdict(claim: Mapping[str, Any]) -> list[str]:
    return [str(claim["claim_key"]), str(claim["outcome"]), str(claim["reason"])]


def _fault(record: Record) -> list[str]:
    detail = (record["evaluation"]["correctness"] or {}).get("detail", "")
    return [
        str(record["card"]),
        str(record["evaluation"]["status"]),
        str(detail).splitlines()[0][:200] if detail else "",
    ]


def _markdown(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
