"""What agents ask: machines with a GPU that reach this address and nothing else of the installation."""

from typing import Any, cast

from django.conf import settings
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import Endpoint
from api.editing import answered
from api.errors import Problem
from api.models import ApiToken, Scope
from api.permissions import AgentsOnly
from api.throttles import ByTokenThrottle
from papers.models import DeviceKind, Run, RunMode, RunState
from runners import remote
from runners.bench.following import LOG_TAIL_CHARS, PHASE_CHARS

PLAIN = r"^[A-Za-z0-9._:/ -]+$"
SHA256 = r"^[0-9a-f]{64}$"
LEASE = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
ASK_AGAIN_S = 5
BEATS_A_LEASE = 3
MOST_AT_ONCE = 16
MOST_VERSIONS = 2_000
LOST = OpenApiResponse(description="The lease is lost: what was found meanwhile is not kept, and may not be.")


class OfferedSerializer(serializers.Serializer[Any]):
    uid = serializers.RegexField(PLAIN, max_length=90, help_text="Stable across restarts: host and device.")
    kind = serializers.ChoiceField(choices=DeviceKind.choices)
    name = serializers.RegexField(r"^[\x20-\x7e]+$", max_length=200, help_text="As the driver names it.")
    memory_bytes = serializers.IntegerField(min_value=1, max_value=2**50, required=False, allow_null=True, default=None)
    capability = serializers.RegexField(r"^\d{1,3}\.\d{1,3}$", max_length=20, required=False, default="")
    driver = serializers.RegexField(PLAIN, max_length=40, required=False, default="")


class RegisterSerializer(serializers.Serializer[Any]):
    name = serializers.RegexField(PLAIN, max_length=80, help_text="Of the machine, for people.")
    harness_version = serializers.RegexField(PLAIN, max_length=40)
    devices = serializers.ListField(child=OfferedSerializer(), min_length=1, max_length=MOST_AT_ONCE)


class RegisteredSerializer(serializers.Serializer[Any]):
    devices = serializers.ListField(child=serializers.IntegerField(), help_text="Numbers of the devices' records.")


class LeaseRequestSerializer(serializers.Serializer[Any]):
    lease = serializers.RegexField(
        LEASE, max_length=36, help_text="A fresh UUID of the agent's own; sent again it gets the same run."
    )
    devices = serializers.ListField(
        child=serializers.RegexField(PLAIN, max_length=90), min_length=1, max_length=MOST_AT_ONCE, help_text="Uids."
    )
    versions = serializers.DictField(
        child=serializers.ListField(child=serializers.RegexField(SHA256, max_length=64), min_length=2, max_length=2),
        help_text="By implementation its card hash and its code hash on that machine.",
    )

    def validate_versions(self, given: dict[str, list[str]]) -> dict[str, list[str]]:
        if len(given) > MOST_VERSIONS:
            raise serializers.ValidationError(f"Names {len(given)} implementations; at most {MOST_VERSIONS} are taken.")
        return given


class LeasedSerializer(serializers.Serializer[Any]):
    """A run to do, and how."""

    id = serializers.IntegerField()
    implementation = serializers.CharField()
    mode = serializers.ChoiceField(choices=RunMode.choices)
    device = serializers.CharField(help_text="Uid of the device, as it was registered.")
    device_kind = serializers.ChoiceField(choices=DeviceKind.choices)
    card_hash = serializers.CharField()
    code_hash = serializers.CharField()
    seed = serializers.IntegerField(help_text="The records have to carry it.")
    wall_limit_s = serializers.FloatField()
    heartbeat_s = serializers.FloatField(help_text="Seconds between heartbeats; three that are missed lose the lease.")


class LeaseSerializer(serializers.Serializer[Any]):
    run = LeasedSerializer(allow_null=True)
    ask_again_s = serializers.IntegerField(help_text="Seconds until it is worth asking again where there is no run.")
    other_versions = serializers.ListField(
        child=serializers.CharField(), help_text="Implementations that wait, but that the agent has in another version."
    )


class HeldSerializer(serializers.Serializer[Any]):
    lease = serializers.RegexField(LEASE, max_length=36)


class HeartbeatSerializer(HeldSerializer):
    phase = serializers.CharField(max_length=PHASE_CHARS, allow_blank=True)
    progress = serializers.FloatField(min_value=0, max_value=1)
    log = serializers.CharField(
        max_length=LOG_TAIL_CHARS, allow_blank=True, trim_whitespace=False, help_text="The last lines, each time anew."
    )


class BeatSerializer(serializers.Serializer[Any]):
    cancelled = serializers.BooleanField(help_text="The run is to be stopped, and handed in as cancelled.")


class SkippedSerializer(serializers.Serializer[Any]):
    workload = serializers.CharField(max_length=200, allow_blank=True)
    subject = serializers.CharField(max_length=200, allow_blank=True)
    reason = serializers.CharField(max_length=200, allow_blank=True)


class FaultSerializer(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(choices=["harness-fault"])
    detail = serializers.CharField(max_length=2000)


class ResultSerializer(HeldSerializer):
    """Either `records`, or `failure` where the harness itself failed."""

    records = serializers.ListField(
        child=serializers.DictField(), required=False, help_text="As `python -m runners.bench run --out` writes them."
    )
    skipped = serializers.ListField(child=SkippedSerializer(), required=False, max_length=1000)
    log = serializers.CharField(
        max_length=LOG_TAIL_CHARS, required=False, default="", allow_blank=True, trim_whitespace=False
    )
    failure = FaultSerializer(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("records" in attrs) is ("failure" in attrs):
            told = "Give one of records and failure."
            raise serializers.ValidationError({"records": [told]})
        return attrs


class StoredSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=RunState.choices)
    status = serializers.CharField(allow_blank=True)


class GivenBackSerializer(serializers.Serializer[Any]):
    given_back = serializers.BooleanField(help_text="False where the run is to be stopped: hand it in as cancelled.")


class AgentEndpoint(Endpoint):
    permission_classes, throttle_classes, write_scope = (AgentsOnly,), (ByTokenThrottle,), Scope.DEVICE
    max_body_bytes = 1_000_000

    @property
    def agent(self) -> remote.Agent:
        return remote.Agent(self.request.user, cast(ApiToken, self.request.auth).pk)

    def read(self, serializer: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        given = serializer(data=self.request.data)
        given.is_valid(raise_exception=True)
        return cast(dict[str, Any], given.validated_data)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, remote.LeaseLost):
            told = str(exc)
            exc = Problem(status.HTTP_409_CONFLICT, told[:1].upper() + told[1:] + ".", "lease")
        return super().handle_exception(exc)


class DevicesView(AgentEndpoint):
    @extend_schema(request=RegisterSerializer, responses=RegisteredSerializer, operation_id="agent_devices")
    def post(self, request: Request) -> Response:
        """Offer the devices of a machine; they are shown as any worker's."""
        fields = self.read(RegisterSerializer)
        found = answered(
            lambda: remote.register_devices(self.agent, fields["name"], fields["harness_version"], fields["devices"])
        )
        return Response({"devices": [each.pk for each in found]})


class LeaseView(AgentEndpoint):
    @extend_schema(
        request=LeaseRequestSerializer, responses={200: LeaseSerializer, 409: LOST}, operation_id="agent_lease"
    )
    def post(self, request: Request) -> Response:
        """Take the oldest run that waits for one of these devices. Where `run` is null there is none."""
        fields = self.read(LeaseRequestSerializer)
        offer = remote.lease_oldest(self.agent, fields["lease"], fields["devices"], fields["versions"])
        leased = _leased(self.agent, offer.run) if offer.run else None
        return Response({"run": leased, "ask_again_s": ASK_AGAIN_S, "other_versions": offer.other_versions})


def _leased(agent: remote.Agent, run: Run) -> dict[str, Any]:
    return {
        "id": run.pk,
        "implementation": run.implementation.name,
        "mode": run.mode,
        "device": agent.own_name(run.device),
        "device_kind": run.device_kind,
        "card_hash": run.card_hash,
        "code_hash": run.code_hash,
        "seed": run.seed,
        "wall_limit_s": float(settings.RUN_WALL_LIMIT_S),
        "heartbeat_s": settings.RUN_LEASE_S / BEATS_A_LEASE,
    }


class HeartbeatView(AgentEndpoint):
    @extend_schema(
        request=HeartbeatSerializer, responses={200: BeatSerializer, 409: LOST}, operation_id="agent_heartbeat"
    )
    def post(self, request: Request, pk: int) -> Response:
        """Keep the lease, and tell how far the run is."""
        told = self.read(HeartbeatSerializer)
        answer = remote.keep_alive(
            self.agent, pk, told["lease"], phase=told["phase"], progress=told["progress"], log_tail=told["log"]
        )
        return Response({"cancelled": answer.cancelled})


class ResultView(AgentEndpoint):
    max_body_bytes = settings.AGENT_RESULT_MAX_BYTES

    @extend_schema(request=ResultSerializer, responses={200: StoredSerializer, 409: LOST}, operation_id="agent_result")
    def post(self, request: Request, pk: int) -> Response:
        """Hand in what was found. Figures and verdicts are computed here, from the raw samples; sent again it is answered the same."""
        told = self.read(ResultSerializer)
        if failure := told.get("failure"):
            run = remote.give_up(self.agent, pk, told["lease"], failure["reason"], failure["detail"])
        else:
            skipped = [dict(each) for each in told.get("skipped", [])]
            run = answered(
                lambda: remote.hand_in(
                    self.agent, pk, told["lease"], records=told["records"], skipped=skipped, log_tail=told["log"]
                )
            )
        return Response({"id": run.pk, "state": run.state, "status": run.status})


class ReleaseView(AgentEndpoint):
    @extend_schema(
        request=HeldSerializer, responses={200: GivenBackSerializer, 409: LOST}, operation_id="agent_release"
    )
    def post(self, request: Request, pk: int) -> Response:
        """Give the run back undone: another takes it, and no attempt is counted."""
        told = self.read(HeldSerializer)
        return Response({"given_back": remote.give_back(self.agent, pk, told["lease"])})
