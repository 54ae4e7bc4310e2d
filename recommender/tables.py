"""The answer of `recommend` as text, for a terminal."""

from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table

from papers.templatetags.figures import amount, significant
from recommender.gains import Gain

PASSES = {"prefill": "Prompt", "decode_per_token": "Each new token", "training_step": "Training step"}
PARTS = {"weights": "weights", "kv_cache": "KV cache", "activations": "activations", "gradients": "gradients",
         "optimizer": "optimizer"}  # fmt: skip
FIELDS = ("metric", "median", "low", "high", "source", "scope", "device", "basis", "part", "share", "phase")


def show(answer: dict[str, Any], limit: int, out: Any) -> None:
    """Situation, answers, plans and what was left out; `out` is what Django gives a command to write to."""
    text = StringIO()
    console = Console(file=text, width=None if out.isatty() else 120)
    _situation(answer["situation"], console)
    for note in (*answer["notes"], *answer["situation"]["notes"]):
        console.print(f"Note: {note}", highlight=False)
    _answers(answer["answers"][:limit], console)
    _plans(answer["plan"], console)
    if not answer["answers"]:
        console.print("No technique meets these constraints.")
    if answer["nearest_constraint"]:
        console.print(f"Nearest to give: {answer['nearest_constraint']}.", highlight=False)
    for one in answer["excluded"][:limit]:
        console.print(f"Left out: {one['title']}: {one['reason']}", highlight=False)
    out.write(text.getvalue().rstrip())


def figure(gain: dict[str, Any]) -> str:
    """The factor with its range: "1.8× (1.2 to 2.4×)"."""
    known = Gain(**{name: gain[name] for name in FIELDS})
    span = ""
    if known.median is not None and known.low is not None and known.high is not None:
        span = f" ({significant(known.low)} to {significant(known.high)}×)"
    return f"{known.figure}{span if known.low != known.high else ''}"


def _situation(situation: dict[str, Any], console: Console) -> None:
    memory = situation["memory_gib"]
    if memory["total"] is None:
        return
    count = f"{situation['gpus']} × " if situation["gpus"] > 1 else ""
    there = f" of {memory['available']:.4g} GiB" if memory["available"] else ""
    fits = {True: ", fits", False: f", {memory['short_by']:.3g} GiB too much", None: ""}[situation["fits"]]
    parts = ", ".join(f"{word} {memory[name]:.3g}" for name, word in PARTS.items() if memory[name])
    console.print(
        f"{situation['model']} on {count}{situation['gpu'] or 'no GPU named'} (modelled): "
        f"{memory['total']:.4g} GiB{there}{fits}; {parts}", highlight=False,
    )  # fmt: skip
    if situation["time_by_part"]:
        table = Table("Time (modelled)", "in all", "low to high", "compute", "memory", "launch", "link", "waits for")
        for name, cost in situation["time_by_part"].items():
            shares = (amount(cost[part], "ms") for part in ("compute_ms", "memory_ms", "launch_ms", "link_ms"))
            span = f"{amount(cost['low'], 'ms')} to {amount(cost['high'], 'ms')}"
            table.add_row(PASSES[name], amount(cost["ms"], "ms"), span, *shares, cost["binds"])
        console.print(table)


def _answers(answers: list[dict[str, Any]], console: Console) -> None:
    table = Table("Technique", "Gain", "Evidence", "Why", show_lines=False)
    for row in answers:
        gain = row["gain"]
        told = f"{figure(gain)} {gain['metric'].replace('_', ' ')}" if gain else "–"
        table.add_row(row["name"] or row["title"], told, gain["source"] if gain else "–", "; ".join(row["reasons"][:2]))
    console.print(table)


def _plans(plans: list[dict[str, Any]], console: Console) -> None:
    if not plans:
        return
    table = Table("Together", "Meets the budget", "GiB", "Gain", "Evidence", "Training")
    for plan in plans:
        meets = {True: "yes", False: "no", None: "–"}[plan["meets_budget"]]
        if plan["meets_budget"] and not plan["sure"]:
            meets = "likely"
        memory = f"{plan['memory_gib']:.3g}" if plan["memory_gib"] is not None else "–"
        gain = f"{figure(plan['gain'])} {plan['gain']['metric']}" if plan["gain"] else "–"
        table.add_row(" + ".join(plan["names"]), meets, memory, gain, plan["evidence"] or "–", plan["effort"])
    console.print(table)
