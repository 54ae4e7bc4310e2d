"""The schema keeps its promises: complete, with an example that real answers agree with, and nothing taken away.

`WRITE_EXAMPLES=1 pytest tests/api/test_schema.py -k examples` makes api/examples.json anew from what the API answers here.
"""

import copy
import json
import os
import uuid
from collections.abc import Callable
from io import StringIO
from typing import Any

import jsonschema
import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from api.contract import breaking_changes
from api.management.commands import write_schema
from api.models import ApiToken
from api.schema import EXAMPLES, METHODS, examples
from ingest.models import Submission
from papers.models import RunState
from papers.services import store_record
from runners import remote
from runners.bench import HARNESS_VERSION
from tests.factories import make_device, make_implementation, make_measurement, make_run, make_user, make_verdict
from tests.papers.sample import a_claim, a_record, the_paper

PAGE = "@article{x, title={Foldcache: folded pages}, abstract={Folded pages make decoding 2.3x faster.}}"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return write_schema.present_schema()


# Other services' shapes, files and feeds have tests of their own, in tests/api beside their modules.
ELSEWHERE = ("/compat/", "/exports", "/changes", "/croissant.json", "/bundle.zip")


def operations(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": found
        for path, here in schema["paths"].items()
        for method, found in here.items()
        if method in METHODS and not any(part in path for part in ELSEWHERE)
    }


# ── what is written ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_committed_files_are_what_the_code_says(schema: dict[str, Any]) -> None:
    for path, text in write_schema.files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run manage.py write_schema and commit it"


def test_what_clients_rely_on_is_kept(schema: dict[str, Any]) -> None:
    committed = json.loads(write_schema.SCHEMA.read_text(encoding="utf-8"))
    assert breaking_changes(committed, schema) == []


def test_every_operation_is_told_whole(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    for name, found in operations(schema).items():
        assert found.get("description"), f"{name} is not described"
        assert {"400", "401", "406", "429", "500"} <= set(found["responses"]), name
        told = [c for r in found["responses"].values() for c in r.get("content", {}).values() if c.get("examples")]
        assert told, f"{name} has no example in api/examples.json"


def test_examples_are_what_the_schema_says(schema: dict[str, Any]) -> None:
    assert set(examples()) == set(operations(schema)), "WRITE_EXAMPLES=1 makes them anew"
    for name, found in operations(schema).items():
        known = examples()[name]
        for media, content in found["responses"][known["status"]].get("content", {}).items():
            if media == "application/json":
                _validate(schema, content["schema"], known["response"], name)
        if "request" in known:
            _validate(schema, found["requestBody"]["content"]["application/json"]["schema"], known["request"], name)


def _validate(schema: dict[str, Any], part: dict[str, Any], value: Any, name: str) -> None:
    whole = {**part, "components": schema["components"]}
    faults = [
        f"{name} {list(e.absolute_path)}: {e.message[:200]}"
        for e in jsonschema.Draft202012Validator(whole).iter_errors(value)
    ]
    assert not faults, faults


# ── examples from real answers ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.django_db
def test_examples_can_be_made_from_real_answers(schema: dict[str, Any], settings: Any) -> None:
    settings.EVENT_STREAM_S = 0
    cache.clear()
    made = {name: _asked(name) for name in sorted(operations(schema))}
    assert all(one["status"].startswith("2") for one in made.values())
    if os.environ.get("WRITE_EXAMPLES"):
        EXAMPLES.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


class _World:
    """One record of each kind, and an editor."""

    def __init__(self) -> None:
        self.implementation = make_implementation()
        run = make_run(self.implementation, device=make_device())
        make_measurement(run)
        make_verdict(self.implementation.paper.claims.get(), run)
        self.waiting = make_run(self.implementation, RunState.QUEUED)
        self.paper = the_paper(f"TwoCache {self.waiting.pk}")
        store_record(self.paper, a_record(claims=[a_claim(confidence=0.2)]), "1")
        self.claim, self.item = self.paper.claims.get(), self.paper.review_items.get()
        self.run, self.device = run, run.device
        editor = make_user(role="editor")
        token = ApiToken.objects.issue(editor, "examples", ["read", "run", "edit", "import"])[1]
        self.waiting.requester = editor
        self.waiting.save()
        self.lease = str(uuid.UUID(int=7))
        self.client = APIClient()
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    def as_agent(self, path: str) -> int:
        """From here on the client is a machine with a CPU, which holds a run where the address is of one."""
        row, token = ApiToken.objects.issue(make_user(role="operator"), "box", ["device"])
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        run = make_run(self.implementation, RunState.QUEUED, device_kind="cpu")
        agent = remote.Agent(row.owner, row.pk)
        remote.register_devices(agent, "box", HARNESS_VERSION, [OFFERED])
        if "{id}" in path:
            remote.lease_oldest(agent, self.lease, [OFFERED["uid"]], versions(self))
        return int(run.pk)

    def submission(self) -> int:
        answer = self.client.post("/api/v1/ingest", {"target": "2312.00752"}, format="json")
        return int(answer.json()["id"])

    def ready(self) -> int:
        from ingest import submissions

        found = submissions.submit_text(make_user(role="editor"), PAGE)
        Submission.objects.filter(pk=found.pk).update(owner=ApiToken.objects.latest("pk").owner)
        return int(found.pk)


OFFERED = {"uid": "box/cpu", "kind": "cpu", "name": "Two cores"}


def versions(world: "_World") -> dict[str, list[str]]:
    return {world.implementation.name: [world.implementation.card_hash, world.implementation.code_hash]}


BODIES: dict[str, Callable[[_World], dict[str, Any]]] = {
    "POST /api/v1/agent/devices": lambda w: {"name": "box", "harness_version": HARNESS_VERSION, "devices": [OFFERED]},
    "POST /api/v1/agent/lease": lambda w: {"lease": w.lease, "devices": ["box/cpu"], "versions": versions(w)},
    "POST /api/v1/agent/runs/{id}/heartbeat": lambda w: {
        "lease": w.lease, "phase": "time", "progress": 0.5, "log": "timed small against eager\n",
    },
    "POST /api/v1/agent/runs/{id}/release": lambda w: {"lease": w.lease},
    "POST /api/v1/agent/runs/{id}/result": lambda w: {
        "lease": w.lease, "failure": {"reason": "harness-fault", "detail": "The harness failed: KeyError."},
    },
    "POST /api/v1/claims": lambda w: {
        "paper": w.paper.slug, "metric": "memory", "form": "factor", "value": 2.5, "unit": "x", "quote": "2.5x less memory",
    },
    "PATCH /api/v1/claims/{id}": lambda w: {"decision": "accept", "note": "As the abstract says."},
    "PATCH /api/v1/papers/{slug}": lambda w: {"year": 2024},
    "PATCH /api/v1/techniques/{slug}": lambda w: {"kind": "system"},
    "POST /api/v1/ingest": lambda w: {"text": PAGE, "dry_run": True},
    "POST /api/v1/recommendations": lambda w: {"need": "faster decoding of long prompts on one RTX 4090"},
    "POST /api/v1/review-items/{id}/decision": lambda w: {"decision": "accept"},
    "POST /api/v1/runs": lambda w: {"implementation": w.implementation.name, "device": "cpu", "mode": "check"},
}  # fmt: skip


def _asked(name: str) -> dict[str, Any]:
    world, (method, path) = _World(), name.split(" ")
    address = path.replace("{slug}", world.paper.slug).replace("{name}", world.implementation.name)
    if "/hardware/" in path:
        address = "/api/v1/hardware/nvidia-h200"
    if "/agent/" in path:
        address = address.replace("{id}", str(world.as_agent(path)))
    if "{id}" in address:
        ids = {
            "claims": world.claim.pk, "devices": world.device.pk, "review-items": world.item.pk, "verdicts": 0,
            "runs": world.waiting.pk if path.endswith("cancel") else world.run.pk, "ingest": 0,
        }  # fmt: skip
        kind = path.split("/")[3]
        number = ids[kind] or (world.run.verdicts.get().pk if kind == "verdicts" else world.submission())
        if path.endswith("/confirm"):
            number = world.ready()
        address = address.replace("{id}", str(number))
    query = {
        "GET /api/v1/compare": {"technique": [world.paper.slug, world.implementation.paper.slug]},
        "GET /api/v1/search": {"q": "cache", "limit": 1},
    }.get(name, {})
    body = BODIES[name](world) if name in BODIES else None
    cache.clear()
    if method == "GET":
        answer = world.client.get(address, query)
    else:
        answer = getattr(world.client, method.lower())(address, body, format="json")
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    assert answer.status_code < 300, (name, answer.status_code, content[:400])
    told = answer.json() if answer["Content-Type"].startswith("application/json") else content.decode()
    return {"status": str(answer.status_code), "response": _short(told), **({"request": body} if body else {})}


def _short(value: Any, longest: int = 2) -> Any:
    """An example shows what an entry looks like, not how many there are."""
    if isinstance(value, list):
        return [_short(one) for one in value[:longest]]
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    return value


# ── what breaks clients ─────────────────────────────────────────────────────────────────────────────────────────────
def change(schema: dict[str, Any], how: Callable[[dict[str, Any]], Any]) -> list[str]:
    after = copy.deepcopy(schema)
    how(after)
    return breaking_changes(schema, after)


def papers(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["paths"]["/api/v1/papers"]["get"]
    return found


def parameter(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in papers(schema)["parameters"] if one["name"] == name)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        pytest.param(lambda s: s["paths"].pop("/api/v1/papers"), "/api/v1/papers is gone.", id="path"),
        pytest.param(
            lambda s: s["paths"]["/api/v1/papers/{slug}"].pop("patch"),
            "PATCH /api/v1/papers/{slug} is gone.",
            id="method",
        ),
        pytest.param(
            lambda s: papers(s)["parameters"].remove(parameter(s, "family")),
            "the parameter family is gone.",
            id="parameter",
        ),
        pytest.param(lambda s: parameter(s, "q").update(required=True), "q is required now.", id="parameter-required"),
        pytest.param(
            lambda s: papers(s)["parameters"].append({"in": "query", "name": "k", "required": True, "schema": {}}),
            "the new parameter k is required.",
            id="new-required-parameter",
        ),
        pytest.param(
            lambda s: parameter(s, "page_size")["schema"].update(maximum=10), "narrower maximum now, 10.", id="bound"
        ),
        pytest.param(
            lambda s: s["components"]["schemas"]["PaperList"]["properties"].pop("title"),
            "the field title is gone.",
            id="field",
        ),
        pytest.param(
            lambda s: s["components"]["schemas"]["PaperList"]["properties"]["year"].update(type=["string", "null"]),
            "may be string now.",
            id="type",
        ),
        pytest.param(
            lambda s: s["components"]["schemas"]["NeedRequest"]["required"].append("gpu"),
            "the field gpu is required now.",
            id="body-field-required",
        ),
        pytest.param(
            lambda s: s["components"]["schemas"]["OutcomeEnum"]["enum"].remove("confirmed"),
            "no longer knows confirmed.",
            id="word",
        ),
        pytest.param(lambda s: papers(s).update(security=[{"token": []}]), "asks for a token now.", id="token"),
    ],
)
def test_a_broken_promise_is_a_sentence(
    schema: dict[str, Any], how: Callable[[dict[str, Any]], Any], sentence: str
) -> None:
    assert any(sentence in told for told in change(schema, how)), change(schema, how)


def test_additions_break_nothing(schema: dict[str, Any]) -> None:
    def add(after: dict[str, Any]) -> None:
        after["paths"]["/api/v1/new"] = {"get": {"responses": {}}}
        papers(after)["parameters"].append({"in": "query", "name": "k", "schema": {"type": "string"}})
        after["components"]["schemas"]["PaperList"]["properties"]["more"] = {"type": "string"}
        after["components"]["schemas"]["NeedRequest"]["properties"]["more"] = {"type": "string"}

    assert change(schema, add) == []


def test_the_command_refuses_to_write_what_breaks_clients(
    schema: dict[str, Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = copy.deepcopy(schema)
    before["paths"]["/api/v1/older"] = {"get": {"responses": {}}}
    for name in ("SCHEMA", "TYPES"):
        monkeypatch.setattr(write_schema, name, tmp_path / name)
    (tmp_path / "SCHEMA").write_text(json.dumps(before))
    with pytest.raises(CommandError, match=r"/api/v1/older is gone\."):
        call_command("write_schema")
    call_command("write_schema", breaking=True, stdout=StringIO())
    call_command("write_schema", check=True, stdout=StringIO())
