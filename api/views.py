"""Endpoints: declare what is shown, then delegate to the services that the pages call too."""

from typing import Any

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

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
from api.filters import ClaimFilter, ImplementationFilter, ReviewItemFilter, RunFilter, VerdictFilter
from api.models import Scope
from api.needs import NeedSerializer, RecommendationSerializer
from api.permissions import ReadOrEditorsWrite
from api.serializers import (
    ClaimSerializer,
    DeviceSerializer,
    HitSerializer,
    ImplementationSerializer,
    PaperListSerializer,
    PaperSerializer,
    RunListSerializer,
    RunRequestSerializer,
    RunSerializer,
    SearchSerializer,
    TechniqueSerializer,
    VerdictSerializer,
)
from papers import services as papers
from papers.filters import PaperFilter, TechniqueFilter
from papers.models import Claim, Device, Implementation, Paper, ReviewItem, Run, Technique, Verdict
from recommender import services as recommender
from recommender.advice import NeedError
from recommender.encoders import EncoderError
from recommender.index import IndexBusy
from runners import services as runners

MAX_SEARCH_RESULTS = 100


class PaperViewSet(viewsets.ReadOnlyModelViewSet[Paper]):
    """Papers with their technique, claims and sources; the same filters as the browse page."""

    filterset_class, lookup_field = PaperFilter, "slug"
    permission_classes, write_scope = (ReadOrEditorsWrite,), Scope.EDIT

    def get_queryset(self) -> QuerySet[Paper]:
        if self.action == "list":
            return Paper.objects.for_lists()
        claims = Claim.objects.visible().select_related("paper")
        detail = Paper.objects.with_counts().select_related("technique__paper", "merged_into")
        shown = ("technique__labels", "sources", "code_links", "other_titles", "implementations")
        return detail.prefetch_related(*shown, Prefetch("claims", claims, to_attr="visible_claims"))

    def get_serializer_class(self) -> type[PaperListSerializer]:
        return PaperListSerializer if self.action == "list" else PaperSerializer

    @extend_schema(request=PaperEditSerializer, responses=PaperSerializer)
    def partial_update(self, request: Request, slug: str = "") -> Response:
        """Set fields; from then on they win over every source. For editors."""
        fields, note = body_of(request)
        paper = self.get_object()
        answered(lambda: papers.edit_paper(paper, fields, request.user, note))
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        parameters=[OpenApiParameter("limit", int, description="At most this many; 1 to 24, default 6.")],
        responses=HitSerializer(many=True),
    )
    @action(detail=True, filterset_class=None, pagination_class=None)
    def similar(self, request: Request, slug: str = "") -> Response:
        """Papers whose text is nearest."""
        limit = whole_number(request, "limit", 6, 1, 24)
        return Response(hits_as_json(request, recommender.similar_papers(self.get_object().pk, limit)))


class TechniqueViewSet(viewsets.ReadOnlyModelViewSet[Technique]):
    """Technique records, looked up by the slug of their paper."""

    queryset, serializer_class, filterset_class = Technique.objects.for_lists(), TechniqueSerializer, TechniqueFilter
    lookup_field, lookup_url_kwarg = "paper__slug", "slug"
    permission_classes, write_scope = (ReadOrEditorsWrite,), Scope.EDIT

    @extend_schema(request=TechniqueEditSerializer, responses=TechniqueSerializer)
    def partial_update(self, request: Request, slug: str = "") -> Response:
        """Set fields; from then on they win over extraction. For editors."""
        fields, note = body_of(request)
        paper = self.get_object().paper
        answered(lambda: papers.edit_technique(paper, fields, request.user, note))
        return Response(self.get_serializer(self.get_object()).data)


class ClaimViewSet(viewsets.ReadOnlyModelViewSet[Claim]):
    """Claims with the place in the abstract that makes them."""

    queryset, serializer_class, filterset_class = Claim.objects.for_lists(), ClaimSerializer, ClaimFilter
    permission_classes, write_scope = (ReadOrEditorsWrite,), Scope.EDIT

    @extend_schema(request=ClaimReviewSerializer, responses=ClaimSerializer)
    def partial_update(self, request: Request, pk: str = "") -> Response:
        """Accept, correct or reject; from then on extraction leaves the claim alone. For editors."""
        fields, note = body_of(request)
        decision = fields.pop("decision", "correct")
        claim = self.get_object()
        answered(lambda: papers.review_claim(claim, decision, request.user, fields=fields, note=note))
        return Response(self.get_serializer(Claim.objects.select_related("paper").get(pk=claim.pk)).data)

    @extend_schema(request=ClaimAddSerializer, responses={201: ClaimSerializer, 200: ClaimSerializer})
    def create(self, request: Request) -> Response:
        """Add a claim that extraction missed, by an exact piece of the abstract. For editors."""
        fields, note = body_of(request)
        paper = paper_named(fields.pop("paper", None))
        claim, change = answered(lambda: papers.add_claim(paper, fields, request.user, note))
        claim.refresh_from_db()
        made = status.HTTP_201_CREATED if change == "new" else status.HTTP_200_OK
        return Response(self.get_serializer(claim).data, made)


class ReviewItemViewSet(viewsets.ReadOnlyModelViewSet[ReviewItem]):
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
        item = self.get_object()
        if unknown := sorted(set(given) - {"decision", "fields", "keep"}):
            raise Problem(status.HTTP_400_BAD_REQUEST, "Is not known; send decision, fields, keep, note.", unknown[0])
        fields, keep = given.get("fields") or {}, str(given.get("keep") or "")
        if not isinstance(fields, dict):
            raise Problem(status.HTTP_400_BAD_REQUEST, "Has to be an object.", "fields")
        decision = str(given.get("decision") or "")
        answered(lambda: papers.decide(item, decision, request.user, fields=fields, note=note, keep=keep))
        return Response(self.get_serializer(self.get_object()).data)


class ImplementationViewSet(viewsets.ReadOnlyModelViewSet[Implementation]):
    """What can be run, with its whole card."""

    queryset = Implementation.objects.select_related("paper")
    serializer_class, filterset_class, lookup_field = ImplementationSerializer, ImplementationFilter, "name"


class DeviceViewSet(viewsets.ReadOnlyModelViewSet[Device]):
    """Devices that workers offer or offered."""

    queryset, serializer_class, filterset_fields = Device.objects.all(), DeviceSerializer, ["kind"]


class VerdictViewSet(viewsets.ReadOnlyModelViewSet[Verdict]):
    """Verdicts, newest first. They are append-only: a withdrawn one stays, marked as such."""

    queryset = Verdict.objects.select_related("run", "claim")
    serializer_class, filterset_class = VerdictSerializer, VerdictFilter


class RunViewSet(viewsets.ReadOnlyModelViewSet[Run]):
    """Runs; asking for one needs a signed-in user or a token with the scope `run`."""

    filterset_class, write_scope = RunFilter, Scope.RUN

    def get_queryset(self) -> QuerySet[Run]:
        runs = Run.objects.for_lists()
        return runs if self.action == "list" else runs.prefetch_related("measurements", "verdicts__claim")

    def get_serializer_class(self) -> type[RunListSerializer]:
        return RunListSerializer if self.action == "list" else RunSerializer

    @extend_schema(
        request=RunRequestSerializer, responses={202: RunSerializer, 409: OpenApiResponse(description="Refused")}
    )
    def create(self, request: Request) -> Response:
        """Queue a verification; poll the address in Location. Asking again while it is open gives the same run."""
        wanted = RunRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            run = runners.request_run(
                wanted.validated_data["implementation"], request.user, wanted.validated_data["device"]
            )
        except runners.RunRefused as fault:
            raise Problem(status.HTTP_409_CONFLICT, str(fault)) from None
        body = RunSerializer(run, context={"request": request}).data
        return Response(body, status.HTTP_202_ACCEPTED, headers={"Location": body["url"]})

    @extend_schema(
        request=None, responses={202: RunSerializer, 409: OpenApiResponse(description="It has ended already")}
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def cancel(self, request: Request, pk: str = "") -> Response:
        """Stop a run: at once if it waits, within seconds if it runs."""
        run = self.get_object()
        if not run.is_final and not runners.may_cancel(run, request.user):
            raise PermissionDenied("Only the person who asked for a run, or an operator, may cancel it.")
        if not runners.cancel_run(run, request.user):
            raise Problem(status.HTTP_409_CONFLICT, f"Run {run.pk} has ended already; it is {run.state}.")
        return Response(RunSerializer(self.get_object(), context={"request": request}).data, status.HTTP_202_ACCEPTED)


class SearchView(APIView):
    """Hybrid search; filters are applied before ranking, with the parameters of `papers`."""

    @extend_schema(
        parameters=[
            OpenApiParameter("q", str, required=True, description="Words, or a pasted abstract."),
            OpenApiParameter("limit", int, description=f"1 to {MAX_SEARCH_RESULTS}, default 25."),
            OpenApiParameter("offset", int, description="Results to skip, default 0."),
            *(
                OpenApiParameter(name, str, many=True, description=f"As in `papers`: {name}.")
                for name in ("family", "modality", "stage", "hardware", "metric", "kind")
            ),
        ],
        responses=SearchSerializer,
    )
    def get(self, request: Request) -> Response:
        text = request.query_params.get("q", "").strip()
        if not text:
            raise Problem(status.HTTP_400_BAD_REQUEST, "Give the words to search for.", "q")
        limit = whole_number(request, "limit", 25, 1, MAX_SEARCH_RESULTS)
        offset = whole_number(request, "offset", 0, 0, 10_000)
        given = request.query_params.copy()
        for name in ("q", "ordering"):
            given.pop(name, None)
        chosen = PaperFilter(given, queryset=Paper.objects.visible())
        if not chosen.is_valid():
            field, messages = next(iter(chosen.errors.items()))
            raise Problem(status.HTTP_400_BAD_REQUEST, str(messages[0]), field)
        narrowed = any(value for value in chosen.form.cleaned_data.values())
        allowed = set(chosen.qs.values_list("pk", flat=True)) if narrowed else None
        found = recommender.search(text, allowed, limit, offset)
        return Response({"query": text, "note": found.note, "results": hits_as_json(request, found.hits)})


class RecommendationView(APIView):
    """Advice for a need: what fits, what it gains, and why the rest was left out. Nothing is stored."""

    open_post = True

    @extend_schema(request=NeedSerializer, responses=RecommendationSerializer)
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


def whole_number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A query parameter as a number in range. Raises: Problem that names it."""
    given = request.query_params.get(name, str(default))
    if not given.isascii() or not given.isdigit() or not low <= int(given[:9]) <= high:
        raise Problem(status.HTTP_400_BAD_REQUEST, f"{given[:40]!r} is not a whole number from {low} to {high}.", name)
    return int(given)


def docs(request: HttpRequest) -> HttpResponse:
    """Swagger UI from our own static files; its set-up script is a file, so that the content policy stays strict."""
    return render(request, "api/docs.html", {"version": settings.SPECTACULAR_SETTINGS["VERSION"]})
