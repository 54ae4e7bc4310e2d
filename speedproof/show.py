"""Answers as tables for people. Claimed, measured and modelled figures are named as what they are."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def search(console: Console, found: dict[str, Any]) -> None:
    for line in (found["note"], found["corrected"] and f"Showing results for: {found['corrected']}"):
        if line:
            console.print(escape(line))
    if not found["results"]:
        console.print("No paper matches; take a filter away or use other words.")
        return
    table = Table("Score", "Paper", "Slug", "Year", "Claims", "Runs here", box=None)
    for hit in found["results"]:
        paper = hit["paper"]
        runs = "measured on a GPU" if paper["verified"] else "yes" if paper["implementation_count"] else ""
        table.add_row(
            f"{hit['score']:.2f}", escape(paper["title"]), paper["slug"], str(paper["year"] or ""),
            str(paper["claim_count"]), runs,
        )  # fmt: skip
    console.print(table)


def paper(console: Console, found: dict[str, Any]) -> None:
    console.print(f"[bold]{escape(found['title'])}[/]")
    technique = found["technique"] or {}
    facts = [technique.get("name"), found["year"], found["arxiv_url"] if found["arxiv_id"] else ""]
    console.print(escape("  ".join(str(fact) for fact in facts if fact)))
    if technique:
        labels = [technique["kind"], *technique["families"], *technique["stage"], *technique["modality"]]
        console.print(escape(", ".join(labels)))
    if found["summary"]:
        console.print(escape(found["summary"]))
    if found["implementations"]:
        console.print(f"Can be run here: {', '.join(found['implementations'])}")
    if not found["claims"]:
        console.print("No quantified claim is known.")
        return
    table = Table("Claimed", "Metric", "Against", "Verdict", "Measured", "Why", box=None)
    for claim in found["claims"]:
        verdict = claim["standing"]
        table.add_row(
            escape(claim["figure"]), claim["metric"], escape(claim["baseline"]),
            verdict["outcome"] if verdict else "not tested", figure(verdict),
            escape(verdict["reason"]) if verdict else "",
        )  # fmt: skip
    console.print(table)


def figure(verdict: dict[str, Any] | None) -> str:
    if not verdict or verdict["ratio"] is None:
        return ""
    interval = f" ({verdict['low']:.2f} to {verdict['high']:.2f})" if verdict["low"] is not None else ""
    return f"{verdict['ratio']:.2f}×{interval}"


def advice(console: Console, found: dict[str, Any], limit: int) -> None:
    situation = found["situation"]
    where = " ".join(str(word) for word in (situation["gpus"], situation["gpu"], situation["model"]) if word)
    fits = {True: "fits", False: "does not fit", None: ""}[situation["fits"]]
    console.print(escape(f"{where}: {fits}; bound by {situation['binds']}" if where else "No device was named."))
    for note in found["notes"]:
        console.print(escape(note))
    table = Table("Technique", "Gain", "Evidence", "Why", "To run", box=None)
    for answer in found["answers"][:limit]:
        gain = answer["gain"]
        told = f"{gain['median']:.2f}× {gain['metric']}" if gain and gain["median"] is not None else "unknown"
        table.add_row(
            escape(answer["name"] or answer["title"]), told, gain["source"] if gain else "",
            escape(" ".join(answer["reasons"][:2])), answer["implementation"] or "",
        )  # fmt: skip
    console.print(table)
    if found["nearest_constraint"]:
        console.print(escape(f"What stands most in the way: {found['nearest_constraint']}"))


def run(console: Console, found: dict[str, Any]) -> None:
    why = f": {found['failure_detail']}" if found["failure_detail"] else ""
    device = found["device"]["name"] if found["device"] else found["device_kind"]
    told = f"Run {found['id']} of {found['implementation']} on {device}: {found['state']} {found['status']}{why}"
    console.print(escape(told))
    if found["device_kind"] == "cpu" and found["verdicts"]:
        console.print("A CPU run checks the answers; it decides nothing about a claim.")
    if found["verdicts"]:
        table = Table("Claim", "Verdict", "Measured", "Why", box=None)
        for verdict in found["verdicts"]:
            table.add_row(str(verdict["claim"]), verdict["outcome"], figure(verdict), escape(verdict["reason"]))
        console.print(table)
