"""Tools for coding agents: search, show, recommend and verify, by the Model Context Protocol.

Every figure comes with its kind of evidence (measured, scaled, claimed or modelled), so that a claim of a paper is never
passed on as something that was measured.
"""

from contextlib import AbstractContextManager
from typing import Annotated, Any, Literal, Protocol

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from speedproof.client import Client
from speedproof.errors import ApiError, NotFound, SpeedproofError

INSTRUCTIONS = """Speedproof knows ML-efficiency techniques, what their papers claim, and what was measured of them.
Every figure has an `evidence`: `measured` was timed here on the device named, `scaled` was carried over from such a
measurement, `claimed` is only what a paper says, `modelled` is reckoned. Never call a claimed or modelled figure measured.
A verdict from a CPU decides nothing about a claim."""
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ASKS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
Json = dict[str, Any]


class HasClient(Protocol):
    def client(self, *, may_write: bool = False) -> AbstractContextManager[Client]: ...


def serve(session: HasClient) -> None:
    """Answer on standard input and output until the other side closes them."""
    build(session).run("stdio")


def build(session: HasClient) -> MCPServer:
    server = MCPServer("speedproof", instructions=INSTRUCTIONS, version="1", log_level="ERROR")

    def ask(what: Any, *, may_write: bool = False) -> Json:
        try:
            with session.client(may_write=may_write) as client:
                answer: Json = what(client)
                return answer
        except ApiError as fault:
            raise ToolError(f"{fault.status} {fault.title}: {fault}") from None
        except SpeedproofError as fault:
            raise ToolError(str(fault)) from None

    @server.tool(annotations=READS)
    def search(
        words: Annotated[str, Field(min_length=1, max_length=400, description="What to look for, in plain words.")],
        family: Annotated[str | None, Field(description="Only this family, such as kv-cache or quantization.")] = None,
        stage: Literal["training", "fine-tuning", "inference", "search", "data"] | None = None,
        runnable: Annotated[bool | None, Field(description="Only what can be run here.")] = None,
        limit: Annotated[int, Field(ge=1, le=50)] = 10,
    ) -> Json:
        """Find techniques. Returns slugs for `show`; says of each whether it can be run and was measured on a GPU."""

        def found(client: Client) -> Json:
            answer = client.search(words, family=family, stage=stage, runnable=runnable, limit=limit)
            return {
                "note": answer["note"],
                "corrected": answer["corrected"],
                "results": [_hit(dict(hit["paper"])) for hit in answer["results"]],
            }

        return ask(found)

    @server.tool(annotations=READS)
    def show(
        name: Annotated[str, Field(min_length=1, max_length=120, description="Slug, arXiv id or implementation.")],
    ) -> Json:
        """One technique: its claims word for word, each with the verdict that stands, and what was measured by device."""

        def found(client: Client) -> Json:
            try:
                paper: Json = dict(client.paper(name))
            except NotFound:
                paper = dict(client.paper(client.implementation(name)["paper"]))
            measured = [dict(client.measured(one)) for one in paper["implementations"]]
            return _paper(paper, measured)

        return ask(found)

    @server.tool(annotations=READS)
    def recommend(
        need: Annotated[str, Field(min_length=1, max_length=2000, description="The need in plain words.")],
        gpu: Annotated[str | None, Field(description="Such as RTX 4090.")] = None,
        model: Annotated[str | None, Field(description="Such as Llama-3-8B.")] = None,
        stage: Literal["training", "fine-tuning", "inference"] | None = None,
        training: Literal["none", "calibration", "finetune", "pretrain", "any"] | None = None,
        limit: Annotated[int, Field(ge=1, le=20)] = 5,
    ) -> Json:
        """Techniques for a GPU, a model and a budget, with the gain of each and what kind of evidence it rests on."""

        def found(client: Client) -> Json:
            answer = client.recommend(need, gpu=gpu, model=model, stage=stage, training=training)
            return {
                "situation": answer["situation"],
                "answers": [_answer(dict(one)) for one in answer["answers"][:limit]],
                "excluded": [dict(one) for one in answer["excluded"][:limit]],
                "plans": [dict(one) for one in answer["plan"][:3]],
                "nearest_constraint": answer["nearest_constraint"],
                "notes": answer["notes"],
            }

        return ask(found)

    @server.tool(annotations=ASKS)
    def verify(
        implementation: Annotated[str, Field(min_length=1, max_length=80)],
        device: Literal["cpu", "cuda"] | None = None,
        mode: Literal["run", "sweep", "check"] = "run",
    ) -> Json:
        """Ask for a run that measures an implementation. It is queued; ask again to see how far it is."""

        def found(client: Client) -> Json:
            run = dict(client.verify(implementation, device or "", mode))
            wanted = (
                "id",
                "url",
                "implementation",
                "device_kind",
                "mode",
                "state",
                "phase",
                "progress",
                "queue_position",
            )
            note = (
                "A CPU run checks the answers; it decides nothing about a claim." if run["device_kind"] == "cpu" else ""
            )
            return {name: run[name] for name in wanted} | {"note": note}

        return ask(found, may_write=True)

    return server


def _hit(paper: Json) -> Json:
    wanted = ("slug", "title", "year", "name", "families", "claim_count")
    return {name: paper[name] for name in wanted} | {
        "can_be_run": paper["implementation_count"] > 0,
        "measured_on_gpu": paper["verified"],
    }


def _paper(paper: Json, measured: list[Json]) -> Json:
    wanted = ("slug", "title", "year", "arxiv_url", "summary", "technique", "implementations")
    return {name: paper[name] for name in wanted} | {
        "claims": [_claim(claim) for claim in paper["claims"]],
        "measured": [_on_device(one["implementation"], device) for one in measured for device in one["devices"]],
    }


def _claim(claim: Json) -> Json:
    said = {name: claim[name] for name in ("id", "figure", "metric", "phase", "baseline", "hardware", "quote")}
    verdict = claim["standing"]
    judged = verdict and {
        "evidence": "measured", **{name: verdict[name] for name in ("outcome", "ratio", "low", "high", "reason")},
    }  # fmt: skip
    return {"evidence": "claimed", **said, "verdict": judged}


def _on_device(implementation: str, device: Json) -> Json:
    ladder = [
        {
            "workload": work["name"], "against": rung["label"], "answer": rung["answer"],
            **{name: rung["figure"][name] for name in ("ratio", "ratio_low", "ratio_high")},
        }
        for work in device["workloads"] for rung in work["ladder"]
    ]  # fmt: skip
    return {
        "evidence": "measured", "implementation": implementation, "device": device["device"],
        "decides_claims": device["decides"], "ladder": ladder, "doubts": device["doubts"],
    }  # fmt: skip


def _answer(answer: Json) -> Json:
    gain = answer["gain"]
    wanted = ("title", "name", "reasons", "implementation")
    told = gain and {"evidence": gain["source"], **{n: gain[n] for n in ("metric", "median", "low", "high", "basis")}}
    return {name: answer[name] for name in wanted} | {"gain": told}
