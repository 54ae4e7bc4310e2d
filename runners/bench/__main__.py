"""The command line of the harness: `python -m runners.bench list|check|run|sweep|replay|compare|report|selftest`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runners.bench import HARNESS_VERSION
from runners.bench.compare import compare_records
from runners.bench.compare import summary as compare_summary
from runners.bench.progress import Progress, check_times, summary, table
from runners.bench.records import RecordError, read_records, results_and_selftests, write_records
from runners.bench.replay import read_sessions, replay
from runners.bench.replay import summary as replay_summary
from runners.bench.report import report
from runners.bench.results import RunRequest, SessionResult
from runners.bench.selftest import run_selftest
from runners.bench.selftest import summary as selftest_summary
from runners.bench.session import measure_ceilings, run_session
from runners.bench.stopping import Stop
from runners.bench.turns import Turns
from runners.cards import Card, CardError, card_paths, find_card, load_card

EXIT_PASSED, EXIT_FAILED, EXIT_USAGE, EXIT_UNSUPPORTED, EXIT_INTERRUPTED = 0, 1, 2, 3, 130
SEVERITY = (EXIT_PASSED, EXIT_UNSUPPORTED, EXIT_FAILED)
# Sessions under way for each that may check at a time: the others import, or wait to take their times.
BEGUN_FOR_EACH = 2
CEILINGS_IN = ("float32", "float16", "bfloat16")
WRITING = threading.Lock()  # sessions side by side print to one stream and append to one file
EPILOG = """\
exit status: 0 all passed, 1 a check failed or runs differ, 2 bad usage, 3 unsupported here, 130 interrupted

examples:
  python -m runners.bench list
  python -m runners.bench check flash-attention-2
  python -m runners.bench run --all --device cuda --out results.jsonl
  python -m runners.bench replay results.jsonl
  python -m runners.bench compare old.jsonl new.jsonl
  python -m runners.bench selftest --device cuda --out selftest.jsonl
"""


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="python -m runners.bench",
        description="Checks and times reference implementations, each in a process of its own.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"harness {HARNESS_VERSION}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="show every implementation")
    listing.add_argument("--json", action="store_true", help="print the cards as one JSON array")
    _add_root(listing)
    for name, text in (
        ("check", "compare every subject with a float64 reference; time nothing"),
        ("run", "check, then time the technique against its ladder of baselines"),
        ("sweep", "check, then time along the axis that the card sweeps"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("names", nargs="*", metavar="NAME", help="implementations, as `list` prints them")
        command.add_argument("--all", action="store_true", help="every implementation")
        command.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
        command.add_argument(
            "--jobs", type=_count, default=1, metavar="NUMBER",
            help="sessions that check side by side; times are taken one session after the other all the same (default: 1)",
        )  # fmt: skip
        command.add_argument(
            "--budget", type=_positive, metavar="SECONDS",
            help="stop then, keeping what was measured: for a device that is lent by the minute",
        )  # fmt: skip
        command.add_argument("--seed", type=int, help="repeat a run with its seed; default: a fresh one")
        _add_output(command)
        told = "only this one" if name != "check" else "also in the shape in which this one is timed"
        command.add_argument("--workload", action="append", default=[], metavar="NAME", help=f"{told}; repeatable")
        command.add_argument(
            "--representative",
            action="store_true",
            help="of each card only the workload that stands for it on this device",
        )
        if name != "check":
            command.add_argument(
                "--time-cap", type=_positive, metavar="SECONDS", help="of timing each pair of subjects"
            )
            command.add_argument(
                "--compile-on-cpu", action="store_true", help="also time compiled rungs on a CPU (slow)"
            )
        _add_root(command)
    text = "run recorded sessions again and say whether the ratios agree"
    replaying = commands.add_parser("replay", help=text, description=text)
    replaying.add_argument("file", type=Path, metavar="FILE", help="JSON lines of `run --out` or of a run's page")
    _add_output(replaying)
    _add_root(replaying)
    text = "what changed between two recorded runs: versions, environment, ratios"
    comparing = commands.add_parser("compare", help=text, description=text)
    comparing.add_argument("old", type=Path, metavar="OLD", help="JSON lines of `run --out` or of a run's page")
    comparing.add_argument("new", type=Path, metavar="NEW", help="the same of another run")
    comparing.add_argument("--json", action="store_true", help="print the differences as one JSON object")
    text = "tables of recorded runs: ratios, shares of the device's limit, verdicts, faults"
    reporting = commands.add_parser("report", help=text, description=text)
    reporting.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="JSON lines of `run --out` or of a run's page"
    )
    reporting.add_argument("--markdown", action="store_true", help="tables for a document")
    text = "catch every cheat, find known truths, tell the harness's own cost and what the device can do"
    testing = commands.add_parser("selftest", help=text, description=text)
    testing.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    testing.add_argument("--quick", action="store_true", help="a fifth of the rounds with equal subjects")
    testing.add_argument("--out", type=Path, metavar="FILE", help="append what was found as one JSON line")
    testing.add_argument("--json", action="store_true", help="print what was found as one JSON object")
    return top


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, metavar="FILE", help="append the records as JSON lines")
    command.add_argument("--json", action="store_true", help="print the result as one JSON object a line")
    command.add_argument("--verbose", action="store_true", help="show what the implementation prints")
    command.add_argument("--wall-limit", type=_positive, default=900.0, metavar="SECONDS", help="default: %(default)g")
    command.add_argument("--memory-limit", type=_positive, metavar="GIB", help="default: 80 %% of what is free")


def _add_root(command: argparse.ArgumentParser) -> None:
    command.add_argument("--cards", type=Path, metavar="FOLDER", help="cards of another folder than the project's")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit status."""
    options = parser().parse_args(arguments)
    options.stop = Stop(getattr(options, "budget", None))
    before = {number: signal.signal(number, options.stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return COMMANDS.get(options.command, _sessions)(options)
    except (CardError, RecordError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("interrupted; the child process was ended", file=sys.stderr)
        return EXIT_INTERRUPTED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _list(options: argparse.Namespace) -> int:
    """Prints the table; a bad card does not hide the others."""
    cards: list[Card] = []
    problems: list[str] = []
    for path in card_paths(options.cards):
        try:
            cards.append(load_card(path))
        except CardError as error:
            problems.append(str(error))
    cards.sort(key=lambda card: card.name)
    if options.json:
        print(json.dumps([card.to_dict() for card in cards], ensure_ascii=False, indent=1))
    else:
        headers = ["name", "family", "scope", "rule", "needs", "ladder", "claims"]
        print(table(headers, [_card_row(card) for card in cards]))
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return EXIT_USAGE if problems else EXIT_PASSED


def _card_row(card: Card) -> list[str]:
    needs = ["triton"] if card.needs.triton else []
    needs += [f"sm {card.needs.cuda_capability}"] if card.needs.cuda_capability else []
    needs += [f"{card.needs.memory_gib:g} GiB"] if card.needs.memory_gib else []
    ladder = ", ".join(rung.name for rung in card.baselines)
    return [
        card.name, card.families[0], card.scope, card.correctness, " ".join(needs) or "-", ladder, str(len(card.claims)),
    ]  # fmt: skip


def _sessions(options: argparse.Namespace) -> int:
    if options.all == bool(options.names):
        print("error: give names or --all, one of the two; `list` prints the names", file=sys.stderr)
        return EXIT_USAGE
    names = options.names
    if options.all:
        names = sorted(path.stem.replace("_", "-") for path in card_paths(options.cards))
    if options.representative and options.workload:
        print("error: give --workload or --representative, one of the two", file=sys.stderr)
        return EXIT_USAGE
    for name in names:
        find_card(name, options.cards)  # a wrong name is found before the first run, not after an hour of others
    results = _side_by_side(names, options) if options.jobs > 1 else _one_by_one(names, options)
    if options.stop():
        if missing := list((Counter(names) - Counter(result.card_name for result in results)).elements()):
            print(f"not begun: {', '.join(missing)}", file=sys.stderr)
        return EXIT_INTERRUPTED
    if options.command == "check" and not options.json:
        print(check_times(results))
    codes = [_exit_code(result) for result in results]
    return max(codes, key=SEVERITY.index, default=EXIT_PASSED)


def _one_by_one(names: Sequence[str], options: argparse.Namespace) -> list[SessionResult]:
    return [_session(name, options) for name in names if not options.stop()]


def _side_by_side(names: Sequence[str], options: argparse.Namespace) -> list[SessionResult]:
    """Sessions that check beside each other and time one by one; those that found too little memory left run again alone."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # the sessions are parallel enough
    under_way = options.jobs * (BEGUN_FOR_EACH if options.command != "check" else 1)
    with Turns(options.device, options.jobs) as turns, ThreadPoolExecutor(under_way + 1) as pool:
        if options.device == "cuda" and options.command != "check":
            turns.open(False)
            pool.submit(_find_ceilings, options, turns)

        def session(name: str) -> SessionResult | None:
            return None if options.stop() else _session(name, options, turns)

        done = [result for result in pool.map(session, names) if result]
    alone = [result.card_name for result in done if _found_no_memory(result)]
    return [result for result in done if not _found_no_memory(result)] + _one_by_one(alone, options)


def _find_ceilings(options: argparse.Namespace, turns: Turns) -> None:
    """Measures once for all sessions what the GPU can do at best, while they import; then lets them begin."""
    try:
        found, failure = measure_ceilings("cuda", lambda _: None, options.stop, dtypes=CEILINGS_IN, turns=turns)
        turns.memory_gib = found.environment.get("memory_gib")
        turns.ceilings = () if failure else tuple(found.ceilings)
    finally:
        turns.open()


def _found_no_memory(result: SessionResult) -> bool:
    return result.failure is not None and result.failure.reason == "out-of-memory"


def _session(name: str, options: argparse.Namespace, turns: Turns | None = None) -> SessionResult:
    request = RunRequest(
        card_name=name,
        device=options.device,
        mode=options.command,
        seed=options.seed,
        wall_limit_s=options.wall_limit,
        memory_limit_gib=options.memory_limit,
        time_cap_s=getattr(options, "time_cap", None),
        workloads=_workloads(name, options),
        card_root=options.cards,
        compile_on_cpu=getattr(options, "compile_on_cpu", False),
    )
    result = _followed(request, options, turns)
    if turns and _found_no_memory(result):
        return result  # which runs again, alone, and tells that
    told = json.dumps(result.to_dict(), ensure_ascii=False) if options.json else summary(result) + "\n"
    with WRITING:
        print(told, flush=True)
    return result


def _workloads(name: str, options: argparse.Namespace) -> tuple[str, ...]:
    if not options.representative:
        return tuple(options.workload)
    chosen = find_card(name, options.cards).representative(options.device)
    return (chosen.name,) if chosen else ()


def _followed(request: RunRequest, options: argparse.Namespace, turns: Turns | None = None) -> SessionResult:
    """Runs a session with its progress on standard error, and keeps its records where they were asked for."""
    progress = Progress(request.card_name, verbose=options.verbose)
    try:
        result = run_session(request, progress, options.stop, turns)
    finally:
        progress.close()
    if options.out and not (turns and _found_no_memory(result)):
        with WRITING:
            write_records(options.out, result.records)
    return result


def _replay(options: argparse.Namespace) -> int:
    sessions = read_sessions(options.file, options.cards)
    if options.out and options.out.resolve() == options.file.resolve():
        print(f"error: --out {options.out}: is the file that is replayed; name another", file=sys.stderr)
        return EXIT_USAGE
    limits = RunRequest(
        "", wall_limit_s=options.wall_limit, memory_limit_gib=options.memory_limit, card_root=options.cards
    )
    codes = []
    for recorded in sessions:
        found = replay(recorded, lambda request: _followed(request, options), limits)
        print(
            json.dumps(found.to_dict(), ensure_ascii=False) if options.json else replay_summary(found) + "\n",
            flush=True,
        )
        if options.stop():
            return EXIT_INTERRUPTED
        codes.append(EXIT_PASSED if found.agrees else _exit_code(found.result) or EXIT_FAILED)
    return max(codes, key=SEVERITY.index)


def _selftest(options: argparse.Namespace) -> int:
    progress = Progress("selftest")
    try:
        found = run_selftest(options.device, quick=options.quick, on_event=progress, should_stop=options.stop)
    finally:
        progress.close()
    if options.out:
        write_records(options.out, [found.to_dict()])
    print(json.dumps(found.to_dict(), ensure_ascii=False) if options.json else selftest_summary(found))
    if options.stop():
        return EXIT_INTERRUPTED
    if found.unsupported:
        return EXIT_UNSUPPORTED
    return EXIT_PASSED if found.passed else EXIT_FAILED


def _compare(options: argparse.Namespace) -> int:
    """What changed; the exit status tells whether anything did but the state of the machine."""
    sides = [read_records(path) for path in (options.old, options.new)]
    for path, side in zip((options.old, options.new), sides, strict=True):
        if not side:
            raise RecordError(f"{path}: holds no record; give a file that `run --out` wrote")
    found = compare_records(*sides)
    print(json.dumps(found.to_dict(), ensure_ascii=False) if options.json else compare_summary(found))
    return EXIT_PASSED if found.same else EXIT_FAILED


def _report(options: argparse.Namespace) -> int:
    records = [record for path in options.files for record in results_and_selftests(path)[0]]
    print(report(records, markdown=options.markdown))
    return EXIT_PASSED


def _exit_code(result: SessionResult) -> int:
    if result.failure is None:
        return EXIT_PASSED
    return EXIT_UNSUPPORTED if result.failure.reason in ("unsupported", "refused-device") else EXIT_FAILED


COMMANDS = {"list": _list, "replay": _replay, "compare": _compare, "report": _report, "selftest": _selftest}

if __name__ == "__main__":
    sys.exit(main())
