"""The bundle of a run."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request

from api.base import Endpoint
from api.bundles.crate import bundle
from api.errors import Problem
from papers.models import Run


@method_decorator(conditional_page, name="dispatch")
class BundleView(Endpoint):
    """A run that has ended as an RO-Crate 1.1: records, card, environment and log in one zip, without paths and secrets."""

    @extend_schema(
        operation_id="runs_bundle",
        responses={
            (200, "application/zip"): OpenApiTypes.BINARY,
            404: OpenApiResponse(description="There is no such run."),
            409: OpenApiResponse(description="The run has not ended yet."),
        },
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        run = get_object_or_404(Run.objects.select_related("implementation__paper", "device"), pk=pk)
        if not run.is_final:
            raise Problem(
                status.HTTP_409_CONFLICT, f"Run {run.pk} is {run.state}; its bundle is made when it has ended."
            )
        address = request.build_absolute_uri(reverse("run", args=[run.pk]))
        answer = HttpResponse(bundle(run, address), content_type="application/zip")
        answer["Content-Disposition"] = f'attachment; filename="speedproof-run-{run.pk}.zip"'
        return answer
