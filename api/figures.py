"""Rows of the charts on the pages."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import Endpoint
from papers.models import Outcome
from papers.pictures import claims_against_measurements, outcomes_by_family


class PointSerializer(serializers.Serializer[Any]):
    technique = serializers.CharField()
    page = serializers.CharField(help_text="The technique's page on this server.")
    metric = serializers.CharField(help_text="The claim in short.")
    claimed = serializers.FloatField(help_text="As a ratio, above 1 for a gain.")
    measured = serializers.FloatField(help_text="On a GPU, as the same ratio.")
    low = serializers.FloatField(help_text="Lower end of the 95 % interval.")
    high = serializers.FloatField()
    outcome = serializers.CharField(help_text=", ".join(Outcome.labels))
    device = serializers.CharField()


class PointsSerializer(serializers.Serializer[Any]):
    rows = PointSerializer(many=True)


class FamilyOutcomeSerializer(serializers.Serializer[Any]):
    family = serializers.CharField()
    outcome = serializers.CharField()
    claims = serializers.IntegerField()


class FamilyOutcomesSerializer(serializers.Serializer[Any]):
    rows = FamilyOutcomeSerializer(many=True)


class ClaimsAgainstMeasurementsView(Endpoint):
    """Every claim of a gain that a GPU measured: what was claimed beside what was found."""

    @extend_schema(responses=PointsSerializer)
    def get(self, request: Request) -> Response:
        return Response({"rows": [point.to_dict() for point in claims_against_measurements()]})


class OutcomesByFamilyView(Endpoint):
    """How many claims of each family stand with which outcome, by verdicts from GPUs."""

    @extend_schema(responses=FamilyOutcomesSerializer)
    def get(self, request: Request) -> Response:
        return Response({"rows": outcomes_by_family()})
