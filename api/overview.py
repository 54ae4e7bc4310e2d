"""What the front page, the filters and comparisons tell: counts, words with their labels, techniques side by side."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import Endpoint
from api.errors import Problem
from api.measured import MeasuredSerializer, measured_as_json
from api.queries import bounded
from api.serializers import JudgedClaimSerializer, TechniqueSerializer
from papers.families import Family, applicable, families
from papers.filters import TRAINING, PaperFilter
from papers.models import Implementation, Paper, Verdict
from papers.shown import MOST_COMPARED
from papers.standing import outcome_counts, settle
from papers.vocabulary import (
    FAMILY_LABELS,
    KIND_LABELS,
    METRIC_LABELS,
    MODALITY_LABELS,
    STAGE_LABELS,
    VERIFY_LABELS,
)
from runners.compare_views import papers_with_everything
from runners.comparing import columns

VOCABULARIES = {
    "family": FAMILY_LABELS,
    "kind": KIND_LABELS,
    "metric": METRIC_LABELS,
    "modality": MODALITY_LABELS,
    "stage": STAGE_LABELS,
    "verify": VERIFY_LABELS,
}
FEWEST = 2


FILTER_PARAMETERS = [
    *(
        OpenApiParameter(name, str, many=True, enum=list(words) or None, description=f"As in `papers`: {name}.")
        for name, words in {
            "family": FAMILY_LABELS, "modality": MODALITY_LABELS, "stage": STAGE_LABELS, "hardware": (),
            "metric": METRIC_LABELS, "kind": KIND_LABELS, "training": dict(TRAINING),
        }.items()
    ),
    *(OpenApiParameter(name, str, enum=["true", "false"]) for name in ("runnable", "verified")),
    OpenApiParameter("year", bounded(1950, 2100)),
]  # fmt: skip


class OverviewSerializer(serializers.Serializer[Any]):
    papers = serializers.IntegerField()
    claims = serializers.IntegerField()
    implementations = serializers.IntegerField(help_text="That can be run here.")
    verdicts = serializers.IntegerField(help_text="That stand.")
    untested = serializers.IntegerField(help_text="Claims without a verdict.")
    outcomes = serializers.DictField(
        child=serializers.IntegerField(), help_text="Claims by the verdict that stands for them."
    )


class OverviewView(Endpoint):
    """How much there is, and how the claims stand."""

    @extend_schema(responses=OverviewSerializer)
    def get(self, request: Request) -> Response:
        outcomes = outcome_counts()
        untested = outcomes.pop("", 0)
        row = {
            "papers": Paper.objects.visible().count(),
            "claims": untested + sum(outcomes.values()),
            "implementations": Implementation.objects.filter(retired_at=None).count(),
            "verdicts": Verdict.objects.current().count(),
            "untested": untested,
            "outcomes": outcomes,
        }
        return Response(OverviewSerializer(row).data)


class WordSerializer(serializers.Serializer[Any]):
    value = serializers.CharField(allow_blank=True)
    label = serializers.CharField()  # type: ignore[assignment]


class VocabularySerializer(serializers.Serializer[Any]):
    family = WordSerializer(many=True)
    kind = WordSerializer(many=True)
    metric = WordSerializer(many=True)
    modality = WordSerializer(many=True)
    stage = WordSerializer(many=True)
    verify = WordSerializer(many=True, help_text="What it takes to reproduce a mechanism.")


class VocabularyView(Endpoint):
    """The words that records use, with what people read: families, kinds, metrics, modalities, stages."""

    @extend_schema(responses=VocabularySerializer)
    def get(self, request: Request) -> Response:
        told = {
            name: [{"value": value, "label": label} for value, label in words.items()]
            for name, words in VOCABULARIES.items()
        }
        return Response(told, headers={"Cache-Control": "public, max-age=3600"})


class ComparedSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    title = serializers.CharField()
    year = serializers.IntegerField(allow_null=True)
    technique = TechniqueSerializer()
    claims = JudgedClaimSerializer(many=True)
    measured = MeasuredSerializer(many=True, help_text="Of each of its implementations.")


class CompareView(Endpoint):
    """Techniques side by side: what each claims, how its claims stand, and what was measured."""

    repeated = ("technique",)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "technique",
                {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": FEWEST,
                    "maxItems": MOST_COMPARED,
                    "uniqueItems": True,
                },
                required=True,
                description=f"Slugs of {FEWEST} to {MOST_COMPARED} papers; given once for each.",
            )
        ],
        responses={
            200: ComparedSerializer(many=True),
            404: OpenApiResponse(description="One of the slugs is of no technique's paper here"),
        },
    )
    def get(self, request: Request) -> Response:
        slugs = list(dict.fromkeys(request.query_params.getlist("technique")))
        if not FEWEST <= len(slugs) <= MOST_COMPARED:
            told = f"Name {FEWEST} to {MOST_COMPARED} different papers by slug; {len(slugs)} were named."
            raise Problem(status.HTTP_400_BAD_REQUEST, told, "technique")
        papers = {one.slug: one for one in papers_with_everything(slugs)}
        if missing := [slug for slug in slugs if slug not in papers]:
            raise Problem(
                status.HTTP_404_NOT_FOUND,
                f"{missing[0][:60]!r} is not the slug of a technique's paper here.",
                "technique",
            )
        rows = [
            {
                "slug": column.paper.slug,
                "title": column.paper.title,
                "year": column.paper.year,
                "technique": column.technique,
                "claims": settle(column.claims),
                "measured": [measured_as_json(each) for each in column.measured],
            }
            for column in columns([papers[slug] for slug in slugs])
        ]
        return Response(ComparedSerializer(rows, many=True, context={"request": request}).data)


class OptionSerializer(serializers.Serializer[Any]):
    value = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    count = serializers.IntegerField(help_text="Papers that would be left with it, all other filters applied.")
    chosen = serializers.BooleanField()


class FacetSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="The parameter.")
    title = serializers.CharField()
    single = serializers.BooleanField(help_text="Holds one value.")
    options = OptionSerializer(many=True)


class FacetsView(Endpoint):
    """How many papers each value of each filter would leave; the filters of `papers`."""

    queryset, filterset_class, is_listing = Paper.objects.all(), PaperFilter, True

    @extend_schema(
        parameters=[*FILTER_PARAMETERS, OpenApiParameter("q", {"type": "string", "maxLength": 400})],
        responses=FacetSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        chosen = PaperFilter(request.query_params, queryset=Paper.objects.visible())
        if not chosen.is_valid():
            raise serializers.ValidationError(chosen.errors)
        return Response(FacetSerializer(chosen.facets(), many=True).data)


class FamilySerializer(serializers.Serializer[Any]):
    """A family of techniques. Figures of outcomes are of verdicts from GPUs alone."""

    name = serializers.CharField()
    title = serializers.CharField()
    what = serializers.CharField(source="words.what", help_text="The idea.")
    gains = serializers.CharField(source="words.gains", help_text="What it makes cheaper.")
    watch = serializers.CharField(source="words.watch", help_text="What to look out for.")
    techniques = serializers.IntegerField()
    runnable = serializers.IntegerField()
    claims = serializers.IntegerField()
    metrics = serializers.SerializerMethodField(help_text="The most usual metrics of its claims, with how many.")
    outcomes = serializers.DictField(child=serializers.IntegerField())
    measured = serializers.IntegerField()
    median_share = serializers.FloatField(
        allow_null=True, help_text="Measured ÷ claimed: 1 is all of what the papers say."
    )

    def get_metrics(self, family: Family) -> dict[str, int]:
        return dict(family.metrics)


class FamiliesView(Endpoint):
    """The families of techniques: what each is, what is here of it, and how far its claims hold."""

    @extend_schema(responses=FamilySerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(FamilySerializer(families(applicable()), many=True).data)
