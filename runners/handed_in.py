"""What another machine hands in as the outcome of a run: looked at, and every figure and verdict computed here anew.

Whoever holds a machine can make its figures up, and nothing that it sends proves otherwise. What is refused is all that
does not belong to this run: another card, another version, another seed, another device, a ratio without its samples.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from papers.models import Device, DeviceKind, Run
from papers.services import FieldError
from runners.bench import HARNESS_VERSION
from runners.bench.rebuilt import measurements_of
from runners.bench.records import record_problem
from runners.bench.results import FAILURE_REASONS, Failure, SessionResult
from runners.bench.session import PARTIAL
from runners.bench.verdicts import judge, sweep_point
from runners.card_types import Card
from runners.cards import find_card
from runners.imports import refuse_what_does_not_follow

NUL = "\\u0000"  # as JSON writes it
MOST_RECORDS = 2_000
MOST_SAMPLES = 20_000  # of one list: many times what the harness takes
Record = dict[str, Any]


def session_of(run: Run, records: Sequence[Any], skipped: Sequence[dict[str, str]], log_tail: str) -> SessionResult:
    """The outcome of a run that this installation gave out, from records that the harness wrote elsewhere.

    Raises: FieldError naming the record and its field where it is malformed, or is not of this run on its device.
    """
    if not 1 <= len(records) <= MOST_RECORDS:
        raise FieldError("records", f"are {len(records)}; hand in 1 to {MOST_RECORDS}, as the harness wrote them")
    for place, record in enumerate(records):
        if problem := record_problem(record) or _loose_end(record):
            raise FieldError(f"records[{place}]", problem)
    if NUL in json.dumps(records):
        raise FieldError("records", "hold a NUL character, which no database keeps")
    card = find_card(run.implementation.name)
    for place, record in enumerate(records):
        for field, told in _not_of(run, card, record, records[0]):
            raise FieldError(f"records[{place}].{field}", told)
    failure, status = _failure(run, records)
    environment = {**records[0]["evaluation"]["environment"], "device_kind": _device(run).kind}
    try:
        for record in records:
            refuse_what_does_not_follow(record)
        measured = measurements_of(records, card)
    except ValueError as fault:
        raise FieldError("records", str(fault)) from None
    if failure is None and not environment.get("device_name"):
        raise FieldError("records[0].evaluation.environment", "names no device; a figure without one says nothing")
    if failure and failure.reason not in PARTIAL and measured:
        raise FieldError("records", f"tell times of a run that failed ({failure.reason}); such a run has none")
    return SessionResult(
        card_name=card.name,
        mode=run.mode,
        status=status,
        failure=failure,
        records=list(records),
        measurements=measured,
        judgements=[judge(claim, card, measured, environment, status) for claim in card.claims],
        skipped=list(skipped),
        environment=environment,
        log_tail=log_tail,
        harness_version=HARNESS_VERSION,
        seed=records[0]["seed"],
    )


def _loose_end(record: Record) -> str:
    """What `record_problem` lets pass in files of older versions, and nobody writes now."""
    band, name = record.get("band"), record["workload"].get("name")
    if "ratio" not in record or "band" not in record:
        return "ratio: it or the band is missing; write null where there is none"
    if band is not None and (isinstance(band, bool) or not isinstance(band, int | float) or not 0 <= band < 1e6):
        return f"band: {str(band)[:40]} is no share; give the half-width of the band around 1"
    if not isinstance(name, str):
        return "workload.name: is no text; give the card's own name"
    if record["ratio"] is not None and not record["samples"].get("technique_ms"):
        return "samples.technique_ms: is missing; a ratio needs its samples"
    return ""


def _device(run: Run) -> Device:
    if run.device is None:
        raise FieldError("lease", "is of a run without a device")
    return run.device


def _not_of(run: Run, card: Card, record: Record, first: Record) -> Iterator[tuple[str, str]]:
    """Field and reason of everything that tells a record apart from those of this run."""
    given_request = record.get("request")
    asked = given_request if isinstance(given_request, dict) else {}
    told = {
        "card": (record["card"], run.implementation.name, "another implementation"),
        "card_hash": (record["card_hash"], run.card_hash, "another version of the card"),
        "code_hash": (record["code_hash"], run.code_hash, "another version of the code"),
        "seed": (record["seed"], run.seed, "another run: each is given a seed of its own"),
        "harness_version": (record["harness_version"], HARNESS_VERSION, "another version of the harness"),
        "scope": (record["scope"], card.scope, "something else than this card measures"),
        "request.mode": (asked.get("mode"), run.mode, "a run of another mode"),
        "request.device": (asked.get("device"), run.device_kind, "a run on another kind of device"),
        "evaluation.timestamp": (record["evaluation"].get("timestamp"), first["evaluation"].get("timestamp"), "another session"),
    }  # fmt: skip
    for field, (given, right, what) in told.items():
        if given != right:
            yield field, f"is of {what}; {str(given)[:80]!r} was given, this run has {right!r}"
    environment = record["evaluation"]["environment"]
    if environment != first["evaluation"]["environment"]:
        yield "evaluation.environment", "differs from that of the first record; a session has one"
    if told_of_device := _other_device(_device(run), environment):
        yield "evaluation.environment", told_of_device
    if record["ratio"] is not None:
        yield from _not_in_card(card, record)


def _other_device(device: Device, environment: Record) -> str:
    """Why the environment is not that of the device. A run that failed early knows the kind alone."""
    kind, name = environment.get("device_kind"), str(environment.get("device_name") or "")
    if kind != device.kind:
        return f"is of another device: its kind is {str(kind)[:20]!r}, the run was given to one of kind {device.kind!r}"
    if device.kind == DeviceKind.CPU:
        return ""  # named in several ways, and nothing is decided by what it measures
    # The driver and torch name a GPU alike; torch adds to the name of one that is divided.
    if name and f"{name} ".removeprefix(f"{device.name} ") == f"{name} ":
        return f"is of another device: {name[:80]!r}; the run was given to {device.name!r}"
    capability = environment.get("cuda_capability")
    if capability and device.capability and capability != device.capability:
        return f"is of another device: capability {str(capability)[:20]!r} instead of {device.capability!r}"
    return ""


def _not_in_card(card: Card, record: Record) -> Iterator[tuple[str, str]]:
    """A timed pair is one of the card's own shapes against one of its own rungs."""
    name, rung = record["workload"].get("name"), record["baseline"]
    if rung not in {each.name for each in card.baselines}:
        yield "baseline", f"{rung[:80]!r} is no rung of {card.name}"
    shapes = {each.name: (each.axes, each.dtype, each.pass_) for each in card.workloads if each.is_timed}
    if card.sweep and (base := next((each for each in card.workloads if each.name == card.sweep.workload), None)):
        for value in card.sweep.values:
            axes = {**base.axes, card.sweep.axis: value}
            shapes[sweep_point(base.name, card.sweep.axis, value)] = (axes, base.dtype, base.pass_)
    if name not in shapes:
        yield "workload.name", f"{str(name)[:80]!r} is no timed workload of {card.name}"
        return
    inputs = record["workload"].get("inputs")
    inputs = inputs if isinstance(inputs, dict) else {}
    if (record["workload"].get("axes"), inputs.get("dtype"), inputs.get("pass")) != shapes[name]:
        yield "workload", f"{name} has other axes, another dtype or another pass than the card's"
    if any(len(values) > MOST_SAMPLES for values in record["samples"].values()):
        yield "samples", f"hold more than {MOST_SAMPLES} values"


def _failure(run: Run, records: Sequence[Record]) -> tuple[Failure | None, str]:
    """Why the session failed and with which status; a session that did not fail was checked, and every check passed."""
    whys = [(each["evaluation"].get("correctness"), each["evaluation"]["status"]) for each in records]
    told = [(why, status) for why, status in whys if isinstance(why, dict) and "reason" in why]
    if len(told) > 1:
        raise FieldError("records", "tell more than one reason why the run failed; it has one")
    if told:
        why, status = told[0]
        if why["reason"] not in FAILURE_REASONS or status == "PASSED":
            raise FieldError("records", f"tell of a failure that is none: {str(why['reason'])[:40]!r}, {status}")
        if why["reason"] == "cancelled" and not run.cancel_requested:
            raise FieldError("records", "are of a run that was stopped, which nobody asked for; give it back instead")
        return Failure(why["reason"], str(why.get("detail") or "")[:4000]), status
    if failed := next((status for _, status in whys if status != "PASSED"), None):
        raise FieldError("records", f"hold one that is {failed}, and none tells why the run failed")
    if all(each["ratio"] is not None for each in records):
        raise FieldError("records", "hold no check of the answers; times of answers that nobody checked do not count")
    return None, "PASSED"
