"""Endpoints: declare what is shown, then delegate to the services that the pages call too."""

from typing import Any

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api import reference
from api.base import Endpoint, Records
from api.editing import (
    ClaimAddSerializer,
    ClaimReviewSerializer,
    DecisionSerializer,
    PaperEditSerializer,
    ReviewItemSerializer,
    TechniqueEditSerializer,
    answered,
    body_of,
    paper_named,
)
from api.errors import Problem
from api.filters import ApiPaperFilter, ClaimFilter, DeviceFilter, ImplementationFilter, ReviewItemFilter, VerdictFilter
from api.measured import MeasuredSerializer, measured_as_json
from api.models import Scope
from api.needs import NeedSerializer, RecommendationSerializer
from api.overview import FILTER_PARAMETERS
from api.permissions import ReadOrEditorsWrite
from api.queries import bounded, whole_number, yes_or_no
from api.serializers import (
    ClaimSerializer,
    DeviceSerializer,
    HitSerializer,
    ImplementationSerializer,
    JudgedClaimSerializer,
    PaperListSerializer,
    PaperSerializer,
    SearchSerializer,
    TechniqueSerializer,
    VerdictSerializer,
)
from papers import services as papers
from papers.addresses import ignore, reads
from papers.encoding.encoders import EncoderError
from papers.filters import PaperFilter, TechniqueFilter
from papers.models import Claim, Device, Implementation, Paper, ReviewItem, Technique, Verdict
from papers.standing import settle, shown_claims, with_verdicts
from recommender import services as recommender
from recommender.advice import NeedError
from recommender.index import IndexBusy
from runners.measured import measured

MAX_SEARCH_RESULTS = 100


class PaperViewSet(Records[Paper]):
    """Papers with their technique, claims and sources; the same filters as the browse page."""

    filterset_class, lookup_field = ApiPaperFilter, "slug"
    parameters_of = {"similar": ("limit",)}
    permission_classes, write_scope = (ReadOrEditorsWrite,), Scope.EDIT

    def get_queryset(self) -> QuerySet[Paper]:
        if self.action == "list":
            return Paper.objects.for_lists()
        claims = shown_claims().select_related("paper")
        detail = Paper.objects.with_counts().select_related("technique__paper", "merged_into")
        shown = ("technique__labels", "sources", "code_links", "other_titles", "implementations")
        return detail.prefetch_related(*shown, Prefetch("claims", claims, to_attr="shown_claims"))

    def get_object(self) -> Paper:
        found: Paper = super().get_object()
        if hasattr(found, "shown_claims"):
            found.settled_claims = settle(found.shown_claims)  # type: ignore[attr-defined]
        return found

    def get_serializer_class(self) -> type[PaperListSerializer]:
        return PaperListSerializer if self.action == "list" else PaperSerializer

    @extend_schema(request=PaperEditSerializer, responses=PaperSerializer)
    def partial_update(self, request: Request, slug: str = "") -> Response:
        """Set fields; from then on they win over every source. For editors."""
        fields, note = body_of(request)
        with self.locked(request) as paper:
            answered(lambda: papers.edit_paper(paper, fields, request.user, note))
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        parameters=[OpenApiParameter("limit", bounded(1, 24), description="At most this many; default 6.")],
        responses=HitSerializer(many=True),
    )
    @action(detail=True, filterset_class=None, pagination_class=None)
    def similar(self, request: Request, slug: str = "") -> Response:
        """Papers whose text is nearest."""
        limit = whole_number(request, "limit", 6, 1, 24)
        return Response(hits_as_json(request, recommender.similar_papers(self.get_object().pk, limit)))


class TechniqueViewSet(Records[Technique]):
    """Technique records, looked up by the slug of their paper."""

    queryset, serializer_class, filterset_class = Technique.objects.for_lists(), TechniqueSerializer, TechniqueFilter
    lookup_field, lookup_url_kwarg = "paper__slug", "slug"
    permission_classes, write_scope = (ReadOrEditorsWrite,), Scope.EDIT

    @extend_schema(request=TechniqueEditSerializer, responses=TechniqueSerializer)
    def partial_update(self, request: Request, slug: str = "") -> Response:
        """Set fields; from then on they win over extraction. For editors."""
        fields, note = body_of(request)
        with self.locked(request) as technique:
            answered(lambda: papers.edit_technique(technique.paper, fields, request.user, note))
        return Response(self.get_serializer(self.get_object()).data)


class ClaimViewSet(Records[Claim]):
    """Claims with the place in the abstract that makes them."""

    filterset_class = ClaimFilter
    permission_classes, write_scope = (ReadOrEditorsWrite,), Scope.EDIT

    def get_queryset(self) -> QuerySet[Claim]:
        if self.action == "list":
            return Claim.objects.for_lists()
        return shown_claims().select_related("paper")

    def get_serializer_class(self) -> type[ClaimSerializer]:
        return ClaimSerializer if self.action == "list" else JudgedClaimSerializer

    def get_object(self) -> Claim:
        return settle([super().get_object()])[0]

    @extend_schema(request=ClaimReviewSerializer, responses=JudgedClaimSerializer)
    def partial_update(self, request: Request, pk: str = "") -> Response:
        """Accept, correct or reject; from then on extraction leaves the claim alone. For editors."""
        fields, note = body_of(request)
        decision = fields.pop("decision", "correct")
        with self.locked(request) as claim:
            answered(lambda: papers.review_claim(claim, decision, request.user, fields=fields, note=note))
        # A rejected claim is no longer among those that are shown, and this answer is the last that shows it.
        return Response(self._as_json(claim.pk))

    @extend_schema(request=ClaimAddSerializer, responses={201: JudgedClaimSerializer, 200: JudgedClaimSerializer})
    def create(self, request: Request) -> Response:
        """Add a claim that extraction missed, by an exact piece of the abstract. For editors."""
        fields, note = body_of(request)
        paper = paper_named(fields.pop("paper", None))
        claim, change = answered(lambda: papers.add_claim(paper, fields, request.user, note))
        made = status.HTTP_201_CREATED if change == "new" else status.HTTP_200_OK
        return Response(self._as_json(claim.pk), made)

    def _as_json(self, pk: int) -> dict[str, Any]:
        claim = Claim.objects.select_related("paper").prefetch_related(with_verdicts()).get(pk=pk)
        answer: dict[str, Any] = self.get_serializer(settle([claim])[0]).data
        return answer


class ReviewItemViewSet(Records[ReviewItem]):
    """Questions about doubtful claims, fields and pairs of papers, oldest first."""

    queryset, serializer_class, filterset_class = ReviewItem.objects.for_lists(), ReviewItemSerializer, ReviewItemFilter
    permission_classes, write_scope = (ReadOrEditorsWrite,), Scope.EDIT

    @extend_schema(
        request=DecisionSerializer,
        responses={200: ReviewItemSerializer, 409: OpenApiResponse(description="Answered otherwise already")},
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def decision(self, request: Request, pk: str = "") -> Response:
        """Answer a question; the same answer again changes nothing. For editors."""
        given, note = body_of(request)
        if unknown := sorted(set(given) - {"decision", "fields", "keep"}):
            raise Problem(status.HTTP_400_BAD_REQUEST, "Is not known; send decision, fields, keep, note.", unknown[0])
        fields, keep = given.get("fields") or {}, str(given.get("keep") or "")
        if not isinstance(fields, dict):
            raise Problem(status.HTTP_400_BAD_REQUEST, "Has to be an object.", "fields")
        decision = str(given.get("decision") or "")
        with self.locked(request) as item:
            answered(lambda: papers.decide(item, decision, request.user, fields=fields, note=note, keep=keep))
        return Response(self.get_serializer(self.get_object()).data)


class ImplementationViewSet(Records[Implementation]):
    """What can be run, with its whole card."""

    queryset = Implementation.objects.select_related("paper")
    serializer_class, filterset_class, lookup_field = ImplementationSerializer, ImplementationFilter, "name"

    @extend_schema(responses=MeasuredSerializer)
    @action(detail=True, filterset_class=None, pagination_class=None)
    def measured(self, request: Request, name: str = "") -> Response:
        """By device the ladder of baselines, the sweep with its crossover, doubts, and gains that are gone."""
        return Response(measured_as_json(measured(self.get_object())))


class DeviceViewSet(Records[Device]):
    """Devices that workers offer or offered."""

    queryset, serializer_class, filterset_class = Device.objects.all(), DeviceSerializer, DeviceFilter


class VerdictViewSet(Records[Verdict]):
    """Verdicts, newest first. They are append-only: a withdrawn one stays, marked as such."""

    queryset = Verdict.objects.select_related("run", "claim")
    serializer_class, filterset_class = VerdictSerializer, VerdictFilter


class SearchView(Endpoint):
    """Hybrid search; filters are applied before ranking, with the parameters of `papers`."""

    parameters = ("q", "exact", "limit", "offset", "runnable", "verified", "year")
    repeated = ("like", "unlike", "family", "modality", "stage", "hardware", "metric", "kind", "training")

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "q", str, description="Words, or a pasted abstract; may be left out where `like` is given."
            ),
            OpenApiParameter("like", str, many=True, description="Slugs or arXiv ids of papers to resemble."),
            OpenApiParameter("unlike", str, many=True, description="Slugs or arXiv ids of papers not to resemble."),
            OpenApiParameter(
                "exact",
                {"type": "string", "enum": ["true", "false"]},
                description="Take words as they are typed, without mending them.",
            ),
            OpenApiParameter("limit", bounded(1, MAX_SEARCH_RESULTS), description="Default 25."),
            OpenApiParameter("offset", bounded(0, 10_000), description="Results to skip, default 0."),
            *FILTER_PARAMETERS,
        ],
        responses=SearchSerializer,
    )
    def get(self, request: Request) -> Response:
        text = request.query_params.get("q", "").strip()
        examples = {name: self._examples(request, name) for name in ("like", "unlike")}
        if not text and not examples["like"]:
            raise Problem(
                status.HTTP_400_BAD_REQUEST, "Give the words to search for, or a paper to resemble in `like`.", "q"
            )
        limit = whole_number(request, "limit", 25, 1, MAX_SEARCH_RESULTS)
        offset = whole_number(request, "offset", 0, 0, 10_000)
        given = request.query_params.copy()
        for name in ("q", "ordering", "like", "unlike", "exact"):
            given.pop(name, None)
        chosen = PaperFilter(given, queryset=Paper.objects.visible())
        if not chosen.is_valid():
            field, messages = next(iter(chosen.errors.items()))
            raise Problem(status.HTTP_400_BAD_REQUEST, str(messages[0]), field)
        narrowed = any(value for value in chosen.form.cleaned_data.values())
        allowed = set(chosen.qs.values_list("pk", flat=True)) if narrowed else None
        exact = yes_or_no(request, "exact")
        asked = recommender.Asked(text=text, allowed_ids=allowed, limit=limit, offset=offset, exact=exact, **examples)
        found = recommender.search(asked)
        groups = recommender.facets_of(asked, found, chosen)
        return Response(
            {
                "query": text,
                "corrected": found.corrected,
                "note": found.note,
                "total": found.total,
                "facets": {g.name: {o.value: o.count for o in g.options if o.count} for g in groups},
                "results": hits_as_json(request, found.hits),
            }
        )

    def _examples(self, request: Request, name: str) -> tuple[int, ...]:
        named, unknown = recommender.papers_named(request.query_params.getlist(name))
        if unknown:
            raise Problem(
                status.HTTP_400_BAD_REQUEST, f"No paper is called {unknown[0][:60]!r}; use a slug or an arXiv id.", name
            )
        return tuple(paper.pk for paper in named)


class RecommendationView(Endpoint):
    """Advice for a need: what fits, what it gains, and why the rest was left out. Nothing is stored."""

    open_post = True

    @extend_schema(
        request=NeedSerializer,
        responses={
            200: RecommendationSerializer,
            503: OpenApiResponse(description="Advice is not ready: the index is being built, or the encoder is away."),
        },
    )
    def post(self, request: Request) -> Response:
        wanted = NeedSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            return Response(recommender.recommend(wanted.to_need()).to_json())
        except NeedError as fault:
            field, _, message = str(fault).partition(": ")
            raise Problem(status.HTTP_400_BAD_REQUEST, message, field) from None
        except (EncoderError, IndexBusy) as fault:
            raise Problem(status.HTTP_503_SERVICE_UNAVAILABLE, str(fault)) from None


def hits_as_json(request: Request, hits: list[Any]) -> list[dict[str, Any]]:
    rows = {paper.pk: paper for paper in Paper.objects.for_lists().filter(pk__in=[hit.id for hit in hits])}
    found = [hit for hit in hits if hit.id in rows]
    return [
        {
            "paper": PaperListSerializer(rows[hit.id], context={"request": request}).data,
            "score": hit.score,
            "parts": hit.parts,
            "snippet": "".join(piece for piece, _ in hit.snippet),
        }
        for hit in found
    ]


@reads("section", "tool")
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """All operations, or one section of them in full; with `tool=swagger` Swagger UI from our own static files.

    Its set-up script is a file, so that the content policy stays strict.
    """
    version = settings.SPECTACULAR_SETTINGS["VERSION"]
    tool, name = request.GET.get("tool", "").strip(), request.GET.get("section", "").strip()
    if tool == "swagger":
        return render(request, "api/swagger.html", {"version": version})
    if tool:
        ignore(request, "tool", "known: swagger")
    everything = reference.sections()
    chosen = [section for section in everything if section.name == name]
    if name and not chosen:
        ignore(request, "section", f"known: {', '.join(section.name for section in everything)}")
    context = {"version": version, "sections": chosen or everything, "chosen": bool(chosen)}
    return render(request, "api/docs.html", context)
