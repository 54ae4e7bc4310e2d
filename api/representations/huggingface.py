"""Papers in the shape of the Hugging Face papers API.

Fields that only the hub knows (comments, who submitted it, linked models) are left out or empty; nothing is made up.
"""

from datetime import UTC, date, datetime, time
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.errors import Problem
from api.queries import bounded, whole_number
from papers.identifiers import bare_arxiv_id
from papers.models import Paper

MOST = 100


class AuthorSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    hidden = serializers.BooleanField()


class HubPaperSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="The arXiv id.")
    authors = AuthorSerializer(many=True)
    publishedAt = serializers.DateTimeField(allow_null=True)
    title = serializers.CharField()
    summary = serializers.CharField(help_text="The abstract.")
    upvotes = serializers.IntegerField()
    githubRepo = serializers.URLField(required=False)
    projectPage = serializers.URLField(required=False)


class HubDailyPaperSerializer(serializers.Serializer[Any]):
    paper = HubPaperSerializer()
    publishedAt = serializers.DateTimeField(allow_null=True)
    title = serializers.CharField()
    summary = serializers.CharField()
    numComments = serializers.IntegerField()


def hub_papers() -> QuerySet[Paper]:
    return Paper.objects.visible().exclude(arxiv_id=None).prefetch_related("code_links")


def hub_paper(paper: Paper) -> dict[str, Any]:
    """As the hub tells of one paper."""
    said: dict[str, Any] = {
        "id": paper.arxiv_id,
        "authors": [{"name": name, "hidden": False} for name in paper.authors],
        "publishedAt": _moment(paper),
        "title": paper.title,
        "summary": paper.abstract or paper.summary,
        "upvotes": paper.votes or 0,
    }
    links = list(paper.code_links.all())
    # What sources call official comes first, whichever was seen first.
    links.sort(key=lambda link: not link.official)
    if code := next((link.url for link in links if link.url.startswith("https://github.com/")), None):
        said["githubRepo"] = code
    if page := next((link.url for link in links if "projectPage" in link.said_by and link.url != code), None):
        said["projectPage"] = page
    return said


def _moment(paper: Paper) -> str | None:
    if paper.published_on is None:
        return None
    return datetime.combine(paper.published_on, time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def hub_daily(paper: Paper) -> dict[str, Any]:
    """As the hub's daily list tells of it."""
    whole = hub_paper(paper)
    return {
        "paper": whole,
        **{name: whole[name] for name in ("publishedAt", "title", "summary")},
        "numComments": 0,
    }


_ONE = {
    "id": "2401.00001", "authors": [{"name": "A. Author", "hidden": False}], "publishedAt": "2024-01-01T00:00:00.000Z",
    "title": "A paper", "summary": "Its abstract.", "upvotes": 3,
}  # fmt: skip


class HubPaperView(APIView):
    """One paper by its arXiv id, in the shape of Hugging Face's `/api/papers/<id>`."""

    @extend_schema(
        operation_id="compat_huggingface_paper",
        responses={200: HubPaperSerializer, 404: OpenApiResponse(description="No paper with this id is here.")},
        examples=[OpenApiExample("A paper", value=_ONE, response_only=True, status_codes=["200"])],
    )
    def get(self, request: Request, arxiv_id: str) -> Response:
        try:
            found = hub_papers().filter(arxiv_id=bare_arxiv_id(arxiv_id)).first()
        except ValueError:
            found = None
        if found is None:
            raise Http404
        return Response(hub_paper(found))


class HubDailyView(APIView):
    """Papers of a day in the shape of Hugging Face's `/api/daily_papers`, most votes first.

    A paper is of a day on which a daily list that was read here showed it, or on which it was published.
    """

    @extend_schema(
        operation_id="compat_huggingface_daily_papers",
        parameters=[
            OpenApiParameter("date", date, description="Such as 2025-03-13; left out: the newest papers of any day."),
            OpenApiParameter("limit", bounded(1, MOST), description=f"1 to {MOST}, default 50."),
            OpenApiParameter("p", bounded(0, 10_000), description="Page, from 0."),
        ],
        responses={
            200: HubDailyPaperSerializer(many=True),
            400: OpenApiResponse(description="A parameter is wrong."),
        },
    )
    def get(self, request: Request) -> Response:
        limit = whole_number(request, "limit", 50, 1, MOST)
        start = whole_number(request, "p", 0, 0, 10_000) * limit
        found = hub_papers().order_by("-published_on", "-votes", "-pk")
        given = request.query_params.get("date")
        if given is not None:
            found = found.filter(pk__in=_of_day(_day(given))).order_by("-votes", "-pk")
        return Response([hub_daily(paper) for paper in found[start : start + limit]])


def _day(given: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise Problem(status.HTTP_400_BAD_REQUEST, f"{given[:40]!r} is not a day such as 2025-03-13.", "date") from None


def _of_day(day: date) -> QuerySet[Any]:
    listed = Q(sources__page_date=day.isoformat()) | Q(sources__locator__contains=f"date={day.isoformat()}")
    return Paper.objects.filter(listed | Q(published_on=day)).order_by().values("pk")
