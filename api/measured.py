"""What was measured of an implementation, and what devices can do, as their pages tell it."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import Endpoint
from api.serializers import DeviceSerializer, MeasurementSerializer, RunListSerializer
from papers.models import DeviceKind, Outcome, Regression, Run, heavy_fields
from runners.hardware_views import LISTED_RUNS, Gain, Hardware, gains_on, hardware
from runners.measured import Curve, Measured, OnDevice

Json = dict[str, Any]


class RungSerializer(serializers.Serializer[Any]):
    """The technique beside one baseline."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    role = serializers.CharField(help_text="paper, eager, compiled or library.")
    question = serializers.CharField()
    same_function = serializers.BooleanField()
    answer = serializers.ChoiceField(choices=["better", "worse", "equal", "unclear", "unknown"])
    figure = MeasurementSerializer()


class MeasuredWorkloadSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    representative = serializers.BooleanField()
    axes = serializers.DictField()
    dtype = serializers.CharField()
    ladder = RungSerializer(many=True)
    others = MeasurementSerializer(many=True, help_text="Memory and counts: measures other than time.")
    error = serializers.DictField(help_text="Error figures of the technique.")


class SweepPointSerializer(serializers.Serializer[Any]):
    value = serializers.IntegerField()
    ratio = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    band = serializers.FloatField()
    loss = serializers.FloatField(allow_null=True)
    quality = serializers.FloatField(allow_null=True)
    is_best = serializers.BooleanField(help_text="No other point is at least as fast and at least as right.")


class CrossoverSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["crosses", "always", "never", "mixed"])
    at = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class CurveSerializer(serializers.Serializer[Any]):
    rung = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    says = serializers.CharField(help_text="The crossover as a sentence.")
    crossover = CrossoverSerializer()
    points = SweepPointSerializer(many=True)


class SweepSerializer(serializers.Serializer[Any]):
    run = serializers.IntegerField()
    axis = serializers.CharField()
    quality = serializers.CharField(help_text="Which error figure the points tell.")
    curves = CurveSerializer(many=True)


class OnDeviceSerializer(serializers.Serializer[Any]):
    device = serializers.CharField()
    kind = serializers.ChoiceField(choices=DeviceKind.choices)
    run = serializers.IntegerField()
    is_current = serializers.BooleanField(help_text="Made with the card and code that are here now.")
    decides = serializers.BooleanField(help_text="Only a GPU's figures decide a claim.")
    workloads = MeasuredWorkloadSerializer(many=True)
    sweep = SweepSerializer(allow_null=True)
    doubts = serializers.ListField(child=serializers.CharField())
    loses_to = serializers.ListField(child=serializers.CharField(), help_text="Baselines that beat the technique.")


class RegressionSerializer(serializers.ModelSerializer[Regression]):
    class Meta:
        model = Regression
        fields = ("device_name", "workload", "baseline", "ratio_before", "ratio_after", "sentence", "found_at")


class MeasuredSerializer(serializers.Serializer[Any]):
    implementation = serializers.CharField()
    devices = OnDeviceSerializer(many=True)
    regressions = RegressionSerializer(many=True)


class GainOnDeviceSerializer(serializers.Serializer[Any]):
    implementation = serializers.CharField()
    title = serializers.CharField()
    rung = serializers.CharField(help_text="The baseline that was beaten or not, as people read it.")
    role = serializers.CharField()
    figure = MeasurementSerializer()


class HardwareSerializer(serializers.Serializer[Any]):
    """Devices of one name."""

    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=DeviceKind.choices)
    alive = serializers.BooleanField()
    runs = serializers.IntegerField(help_text="Finished ones.")
    outcomes = serializers.DictField(child=serializers.IntegerField(), help_text="Verdicts that stand, by outcome.")


class CeilingSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    value = serializers.FloatField()
    unit = serializers.CharField()
    detail = serializers.CharField(allow_blank=True)


class HardwareDetailSerializer(HardwareSerializer):
    devices = DeviceSerializer(many=True)
    ceilings = CeilingSerializer(many=True, help_text="What the device reached at most, measured.")
    ceilings_of = serializers.DictField(child=serializers.CharField(), help_text="Versions that they were taken with.")
    gains = GainOnDeviceSerializer(many=True, help_text="Measured over the best baseline beside it, largest first.")
    newest_runs = RunListSerializer(many=True)


class HardwareListView(Endpoint):
    """Kinds of devices that ran something here, GPUs first."""

    @extend_schema(operation_id="hardware_list", responses=HardwareSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(HardwareSerializer([_row(each) for each in hardware()], many=True).data)


class HardwareView(Endpoint):
    """One kind of device: what it can do at most, and the gains measured on it."""

    @extend_schema(operation_id="hardware_retrieve", responses=HardwareDetailSerializer)
    def get(self, request: Request, slug: str) -> Response:
        found = next((each for each in hardware() if each.slug == slug), None)
        if found is None:
            raise Http404
        ids = [device.pk for device in found.devices]
        ceilings = found.newest.details.get("ceilings") or []
        runs = Run.objects.for_lists().filter(device__in=ids).defer(*heavy_fields())
        row = _row(found) | {
            "devices": found.devices,
            "ceilings": [{name: each.get(name, "") for name in ("name", "value", "unit", "detail")} for each in ceilings],
            "ceilings_of": {name: str(word) for name, word in (found.newest.details.get("ceilings_of") or {}).items()},
            "gains": [_gain(each) for each in gains_on(ids)],
            "newest_runs": runs[:LISTED_RUNS],
        }  # fmt: skip
        return Response(HardwareDetailSerializer(row, context={"request": request}).data)


def _row(found: Hardware) -> Json:
    outcomes = {value: found.outcomes[value] for value in Outcome.values if found.outcomes.get(value)}
    return {
        "slug": found.slug, "name": found.name, "kind": found.kind, "alive": found.is_alive, "runs": found.runs,
        "outcomes": outcomes,
    }  # fmt: skip


def _gain(gain: Gain) -> Json:
    return {
        "implementation": gain.implementation.name, "title": gain.implementation.paper.title, "rung": gain.rung,
        "role": gain.role, "figure": gain.figure,
    }  # fmt: skip


def measured_as_json(found: Measured) -> Json:
    row = {
        "implementation": found.implementation.name,
        "devices": [_on_device(each) for each in found.devices],
        "regressions": found.regressions,
    }
    return MeasuredSerializer(row).data


def _on_device(found: OnDevice) -> Json:
    sweep = found.sweep_run and {
        "run": found.sweep_run.pk, "axis": found.axis, "quality": found.quality,
        "curves": [_curve(each, found.axis) for each in found.curves],
    }  # fmt: skip
    return {
        "device": found.device,
        "kind": found.kind,
        "run": found.run.pk,
        "is_current": found.run.is_current,
        "decides": found.decides,
        "workloads": found.workloads,
        "sweep": sweep or None,
        "doubts": found.doubts,
        "loses_to": [rung.label for rung in found.loses_to],
    }


def _curve(curve: Curve, axis: str) -> Json:
    return {
        "rung": curve.rung, "label": curve.label, "says": curve.says(axis), "crossover": curve.crossover,
        "points": curve.points,
    }  # fmt: skip
