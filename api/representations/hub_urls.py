"""The same answers at the hub's own paths, so that a client with HF_ENDPOINT set to /api/v1/compat/huggingface reads here."""

from django.urls import path
from drf_spectacular.utils import extend_schema

from api.representations.huggingface import HubDailyView, HubPaperView


@extend_schema(exclude=True)
class HubPaperAtItsOwnPath(HubPaperView):
    pass


@extend_schema(exclude=True)
class HubDailyAtItsOwnPath(HubDailyView):
    pass


urlpatterns = [
    path("papers/<path:arxiv_id>", HubPaperAtItsOwnPath.as_view()),
    path("daily_papers", HubDailyAtItsOwnPath.as_view()),
]
