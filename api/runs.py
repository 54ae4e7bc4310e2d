"""Runs: asking for one, following it as it goes, ending it, and its raw records."""

import json

from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import Records
from api.errors import Problem
from api.events import LAST_EVENT, Renderer, open_stream
from api.filters import RunFilter
from api.idempotency import KEY_PARAMETER, once
from api.models import Scope
from api.serializers import RunListSerializer, RunRequestSerializer, RunSerializer
from api.throttles import ByMethodThrottle
from papers.models import Run
from runners import services as runners


class NdjsonRenderer(JSONRenderer):
    """So that a client may ask for lines; what is none, such as a problem, is JSON."""

    media_type, format = "application/x-ndjson", "ndjson"


class RunViewSet(Records[Run]):
    """Runs; asking for one needs a signed-in user or a token with the scope `run`."""

    filterset_class, write_scope = RunFilter, Scope.RUN

    def get_queryset(self) -> QuerySet[Run]:
        runs = Run.objects.for_lists()
        return runs if self.action == "list" else runs.prefetch_related("measurements", "verdicts__claim")

    def get_serializer_class(self) -> type[RunListSerializer]:
        return RunListSerializer if self.action == "list" else RunSerializer

    @extend_schema(
        request=RunRequestSerializer,
        parameters=[KEY_PARAMETER],
        responses={202: RunSerializer, 409: OpenApiResponse(description="Refused")},
    )
    def create(self, request: Request) -> Response:
        """Queue a verification; follow it at the address in Location. Asking again while it is open gives the same run."""
        return once(request, lambda: self._create(request))

    def _create(self, request: Request) -> Response:
        wanted = RunRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            run = runners.request_run(
                wanted.validated_data["implementation"],
                request.user,
                wanted.validated_data["device"],
                wanted.validated_data["mode"],
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

    @extend_schema(
        parameters=[LAST_EVENT],
        responses={
            (200, "text/event-stream"): OpenApiTypes.STR,
            204: OpenApiResponse(description="The run has ended and you know its end: nothing follows."),
            503: OpenApiResponse(description="All streams are taken; poll the run, or come back after Retry-After."),
        },
    )
    @action(detail=True, filterset_class=None, pagination_class=None, renderer_classes=[Renderer, JSONRenderer])
    def events(self, request: Request, pk: str = "") -> StreamingHttpResponse | Response:
        """Follow a run as server-sent events: `state`, `progress` and `log`, to its end. Resumes after Last-Event-ID."""
        found = self.get_object()
        stream = open_stream(found.pk, request.headers.get("Last-Event-ID", ""), client_of(request))
        if stream is None:
            return Response(status=status.HTTP_204_NO_CONTENT)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingHttpResponse(stream, content_type="text/event-stream", headers=headers)

    @extend_schema(responses={(200, "application/x-ndjson"): OpenApiTypes.STR})
    @action(detail=True, filterset_class=None, pagination_class=None, renderer_classes=[NdjsonRenderer, JSONRenderer])
    def records(self, request: Request, pk: str = "") -> HttpResponse:
        """What the harness wrote: a JSON object a line, as `import_results` reads it."""
        lines = (json.dumps(one, ensure_ascii=False, sort_keys=True) + "\n" for one in self.get_object().records)
        return HttpResponse("".join(lines), content_type="application/x-ndjson; charset=utf-8")


def client_of(request: Request) -> str:
    """Whose streams are counted together: an account's, else an address's, as for rates."""
    return ByMethodThrottle().get_ident(request) if not request.user.is_authenticated else f"user-{request.user.pk}"
