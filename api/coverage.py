"""How much of the corpus can be run, as the page of coverage tells it."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import Endpoint
from papers.coverage import (
    CHOICES,
    FIELDS,
    STATE_LABELS,
    by_family,
    by_wave,
    chosen_rows,
    coverage_rows,
    problems_of,
    tally,
)
from papers.vocabulary import FAMILY_LABELS


class TallySerializer(serializers.Serializer[Any]):
    """Counts of systems that have something to run. What is verified is also checked, what is checked also runnable."""

    name = serializers.CharField()
    title = serializers.CharField()
    systems = serializers.IntegerField()
    runnable = serializers.IntegerField()
    checked = serializers.IntegerField()
    verified = serializers.IntegerField()


class SystemSerializer(serializers.Serializer[Any]):
    title = serializers.CharField()
    slug = serializers.CharField(help_text="Of the paper here; blank while it was not read.")
    state = serializers.ChoiceField(choices=list(STATE_LABELS.items()))
    wave = serializers.CharField()
    needs = serializers.CharField(help_text="What reproducing the mechanism takes.")
    mechanism = serializers.CharField()
    families = serializers.ListField(child=serializers.CharField())
    implementations = serializers.ListField(child=serializers.CharField())
    scopes = serializers.ListField(child=serializers.CharField())
    claims = serializers.IntegerField(help_text="Claims that the implementations' cards name.")
    verified_on = serializers.ListField(child=serializers.CharField(), help_text="GPUs.")
    outcomes = serializers.DictField(
        child=serializers.IntegerField(), help_text="Claims by outcome of their newest verdict from a GPU."
    )


class CoverageSerializer(serializers.Serializer[Any]):
    all = TallySerializer()
    waves = TallySerializer(many=True)
    families = TallySerializer(many=True)
    systems = SystemSerializer(many=True)


class CoverageView(Endpoint):
    """Every system of the corpus with what is here for it. The counts are of the systems that were asked for."""

    parameters = FIELDS

    @extend_schema(
        parameters=[
            OpenApiParameter("wave", str, enum=list(CHOICES["wave"]), description="Only systems of this wave."),
            OpenApiParameter("family", str, enum=list(FAMILY_LABELS), description="Only systems of this family."),
            OpenApiParameter(
                "state", str, enum=list(CHOICES["state"]), description="How far it is; includes what is farther."
            ),
            OpenApiParameter("needs", str, enum=list(CHOICES["needs"]), description="What reproducing it takes."),
            OpenApiParameter("words", str, description="Words of the title or the mechanism; all must be there."),
        ],
        responses=CoverageSerializer,
    )
    def get(self, request: Request) -> Response:
        question = {name: request.query_params.get(name, "").strip() for name in FIELDS}
        if problems := problems_of(question, FAMILY_LABELS):
            raise ValidationError({name: [problem] for name, problem in problems.items()})
        rows = chosen_rows(coverage_rows(), **question)
        answer = {
            "all": tally("", "All", rows).to_json(),
            "waves": [one.to_json() for one in by_wave(rows)],
            "families": [one.to_json() for one in by_family(rows, FAMILY_LABELS)],
            "systems": [row.to_json() for row in rows],
        }
        return Response(CoverageSerializer(answer).data)
