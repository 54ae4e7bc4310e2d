"""What a session looks like on a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from runners.bench.results import Event, Measurement, SessionResult

CHECK_LIMIT_S = 2.0
START_S = 1.5


class Progress:
    """Prints events to `out`: one line that is rewritten on a terminal, a line for each phase elsewhere."""

    def __init__(self, name: str, out: TextIO | None = None, *, verbose: bool = False) -> None:
        self._name, self._out, self._verbose = name, out or sys.stderr, verbose
        self._start = time.monotonic()
        self._rewrites = self._out.isatty()

    def __call__(self, event: Event) -> None:
        if event.kind == "log":
            if self._verbose:
                self._out.write(event.text)
            return
        seconds = time.monotonic() - self._start
        line = f"{self._name}  {seconds:5.0f} s  {event.phase} {event.fraction:4.0%}  {event.text}".rstrip()
        if self._rewrites:
            width = shutil.get_terminal_size().columns
            self._out.write("\r" + line[: width - 1].ljust(width - 1))
        elif event.kind != "tick":
            self._out.write(line + "\n")
        self._out.flush()

    def close(self) -> None:
        """Ends the rewritten line."""
        if self._rewrites:
            self._out.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
            self._out.flush()


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns with a rule under the headers."""
    widths = [max(len(row[column]) for row in [headers, *rows]) for column in range(len(headers))]
    lines = [[*headers], ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def summary(result: SessionResult) -> str:
    """A session's result in words and tables."""
    device = result.environment.get("device_name") or result.environment.get("device_kind", "")
    parts = [f"{result.card_name}: {result.status} on {device}, seed {result.seed}"]
    if result.failure:
        parts.append(f"  {result.failure.reason}: {result.failure.detail}")
        if result.failure.reason in ("crashed", "lost") and result.log_tail:
            parts.append("  last lines of its log:")
            parts += [f"    {line}" for line in result.log_tail.strip().splitlines()[-12:]]
    errors = [record for record in result.records if record["evaluation"]["correctness"] and not result.failure]
    if errors:
        rows = [_error_row(record) for record in errors]
        parts.append(table(["checked", "dtype", "error of technique", "of rungs"], rows))
    compared = [each for each in result.measurements if each.baseline]
    if compared:
        headers = ["workload", "measure", "technique", "against", "ratio", "95 % interval", "pairs", "equal within"]
        parts.append(table(headers, [_ratio_row(each) for each in compared]))
    if reached := _reached(result.records):
        parts.append(table(["workload", "technique", "roofline", "bound by", "share reached"], reached))
    parts += [_swept(each) for each in result.sweeps]
    if result.judgements:
        rows = [[each.claim_key, each.outcome, each.reason] for each in result.judgements]
        parts.append(table(["claim", "verdict", "why"], rows))
    if result.doubts:
        parts.append(table(["doubt about", "why"], [[each["workload"], each["text"]] for each in result.doubts]))
    if result.skipped:
        rows = [[each["workload"], each["subject"], each["reason"]] for each in result.skipped]
        parts.append(table(["not timed", "subject", "why"], rows))
    return "\n\n".join(parts)


def _reached(records: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Of each workload whose least work is declared: the time, the least that the device allows, and their quotient."""
    rows = {}
    for record in records:
        performance = record["evaluation"]["performance"] or {}
        if found := performance.get("roofline"):
            name = record["workload"]["name"]
            rows[name] = [
                name, f"{performance['latency_ms']:.4g} ms", f"{found['floor_ms']:.4g} ms", found["bound"], f"{found['share']:.0%}",
            ]  # fmt: skip
    return list(rows.values())


def check_times(results: Sequence[SessionResult]) -> str:
    """Processor time of each check, the longest first, and which of them keep the author of a change waiting.

    A busy machine slows a check and the start of its process alike: the limit is for a start of START_S.
    """
    scaled = {each.card_name: _quiet_s(each) for each in results if each.processor}
    if not scaled:
        return ""
    timed = sorted((each for each in results if each.processor), key=lambda each: -scaled[each.card_name])
    rows = [
        [
            each.card_name,
            f"{scaled[each.card_name]:.2f}",
            *(f"{each.processor[part]:.2f}" for part in ("card", "start")),
        ]
        for each in timed
    ]
    slow = [each.card_name for each in timed if scaled[each.card_name] > CHECK_LIMIT_S]
    headers = ["checked", f"s, scaled to a start of {START_S:g} s", "s on a core", "start of Python and torch"]
    return f"{table(headers, rows)}\n\nabove {CHECK_LIMIT_S:g} s: {', '.join(slow) or 'none'}"


def _quiet_s(result: SessionResult) -> float:
    return result.processor["card"] * START_S / result.processor["start"]


def _swept(found: dict[str, Any]) -> str:
    """One rung's table over the axis; a star marks points that no other beats in both speed and error."""
    headers = [found["axis"], "ratio", "95 % interval", found["error_name"], "Pareto"]
    rows = [
        [
            str(point["value"]),
            f"{point['ratio']:.3f}×",
            f"{point['low']:.3f} to {point['high']:.3f}",
            "" if point["quality"] is None else f"{point['quality']:.3g}",
            "*" if point["is_best"] else "",
        ]
        for point in found["points"]
    ]
    return f"{found['workload']} against {found['baseline']}: {found['says']}\n{table(headers, rows)}"


def _error_row(record: dict[str, object]) -> list[str]:
    workload, error = record["workload"], record["error"]
    assert isinstance(workload, dict) and isinstance(error, dict)  # noqa: S101, PT018  the harness's own records
    shown = {
        subject: f"{figures['relative_l2']:.2e}"
        + ("" if figures["quality"] is None else f" ({figures['quality']:.4g})")
        for subject, figures in error.items()
        if "relative_l2" in figures and figures["relative_l2"] is not None
    }
    technique = shown.pop("technique", "")
    return [
        str(workload["name"]),
        str(workload["inputs"].get("dtype", "")),
        technique,
        ", ".join(f"{subject} {figure}" for subject, figure in shown.items()),
    ]


def _ratio_row(each: Measurement) -> list[str]:
    return [
        each.workload,
        each.measure,
        f"{each.median:.4g} {each.unit}".rstrip(),
        each.baseline,
        f"{each.ratio:.3f}×" if each.ratio is not None else "",
        f"{each.ratio_low:.3f} to {each.ratio_high:.3f}" + (" (time cap)" if each.cap_reached else ""),
        str(each.pairs),
        f"±{each.band:.1%}" if each.band is not None else "",
    ]
