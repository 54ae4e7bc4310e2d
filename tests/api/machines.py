"""A machine that speaks to the API as an agent does, and a card for it to run."""

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

from api.models import ApiToken
from papers.models import Implementation, Run
from runners import services
from runners.bench import HARNESS_VERSION
from runners.cards import find_card
from tests.factories import make_claim, make_paper, make_run, make_user
from tests.runners.sessions import CARD

GPU = {
    "uid": "box/GPU-1",
    "kind": "cuda",
    "name": "NVIDIA H100 80GB HBM3",
    "memory_bytes": 85_000_000_000,
    "capability": "9.0",
}
CPU = {"uid": "box/cpu", "kind": "cpu", "name": "Two cores, 2 cores"}


def real_implementation() -> Implementation:
    """A real card with its claims, as `sync_cards` stores it."""
    card, paper = find_card(CARD), make_paper()
    for claim in card.claims:
        make_claim(paper, card_key=f"{card.name}/{claim.key}")
    return Implementation.objects.create(
        name=card.name, paper=paper, card=card.to_dict(), card_hash=card.card_hash, code_hash=card.code_hash
    )


class Machine:
    """An agent's requests, with a token of its own."""

    def __init__(self, *devices: dict[str, Any], owner: Any = None, scopes: tuple[str, ...] = ("device",)) -> None:
        self.owner = owner or make_user(role="operator")
        self.row, token = ApiToken.objects.issue(self.owner, "box", list(scopes))
        self.client, self.uids = APIClient(), [each["uid"] for each in devices]
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        self.held = ""
        if devices:
            assert self.register(*devices).status_code == 200

    def post(self, path: str, **body: Any) -> Any:
        return self.client.post(f"/api/v1/agent/{path}", body, format="json")

    def register(self, *devices: dict[str, Any], harness: str = HARNESS_VERSION) -> Any:
        return self.post("devices", name="box", harness_version=harness, devices=list(devices))

    def lease(self, word: str = "", **versions: Any) -> Any:
        card = find_card(CARD)
        self.held = word or str(uuid.uuid4())
        known = {CARD: [card.card_hash, card.code_hash], **versions}
        return self.post("lease", lease=self.held, devices=self.uids, versions=known)

    def take(self) -> Any:
        run = self.lease().json()["run"]
        assert run is not None
        return run

    def hand_in(self, run: Any, records: Any, **more: Any) -> Any:
        return self.post(f"runs/{run['id']}/result", lease=self.held, records=records, log="done\n", **more)

    def beat(self, run: Any, **more: Any) -> Any:
        told = {"phase": "time", "progress": 0.5, "log": "timed\n", **more}
        return self.post(f"runs/{run['id']}/heartbeat", lease=self.held, **told)

    def release(self, run: Any) -> Any:
        return self.post(f"runs/{run['id']}/release", lease=self.held)


def wait(implementation: Implementation, kind: str = "cpu", **fields: Any) -> Run:
    return make_run(implementation, "queued", device_kind=kind, **fields)


def fields_of(answer: Any) -> list[str]:
    return [each["field"] for each in answer.json()["errors"]]


def lose(run: Any) -> None:
    """The machine is silent for a whole lease, and somebody's reaper looks."""
    services.reap(timezone.now() + timedelta(minutes=10))
