"""The dumps of Papers with Code, page by page: links between papers and code, methods, papers, evaluation tables."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.errors import Problem
from api.exports.papers_with_code import EVALUATION, LINKS, METHODS, PAPERS, Dump
from api.pagination import LAST_PAGE, Pages
from api.queries import bounded
from papers.identifiers import ARXIV_ID_PATTERN, bare_arxiv_id


class PwcLinkSerializer(serializers.Serializer[Any]):
    paper_url = serializers.CharField()
    paper_title = serializers.CharField()
    paper_arxiv_id = serializers.CharField(allow_null=True)
    paper_url_abs = serializers.CharField(allow_null=True)
    paper_url_pdf = serializers.CharField(allow_null=True)
    repo_url = serializers.CharField()
    is_official = serializers.BooleanField(allow_null=True, help_text="Null where no source says.")
    mentioned_in_paper = serializers.BooleanField()
    mentioned_in_github = serializers.BooleanField(allow_null=True)
    framework = serializers.CharField()


class PwcMethodSerializer(serializers.Serializer[Any]):
    url = serializers.CharField()
    name = serializers.CharField()
    full_name = serializers.CharField()
    description = serializers.CharField(allow_blank=True, help_text="In our own words.")
    introduced_year = serializers.IntegerField(allow_null=True)
    source_url = serializers.CharField(allow_null=True)
    source_title = serializers.CharField()
    code_snippet_url = serializers.CharField(allow_blank=True, help_text="The authors' own code, where known.")
    main_collection = serializers.JSONField(allow_null=True)
    paper = serializers.JSONField()
    collections = serializers.ListField(child=serializers.JSONField())


class PwcPaperSerializer(serializers.Serializer[Any]):
    paper_url = serializers.CharField()
    arxiv_id = serializers.CharField(allow_null=True)
    title = serializers.CharField()
    abstract = serializers.CharField()
    short_abstract = serializers.CharField(allow_null=True)
    url_abs = serializers.CharField(allow_null=True)
    url_pdf = serializers.CharField(allow_null=True)
    proceeding = serializers.CharField(allow_null=True)
    authors = serializers.ListField(child=serializers.CharField())
    tasks = serializers.ListField(child=serializers.CharField())
    date = serializers.DateField(allow_null=True)
    methods = serializers.ListField(child=serializers.JSONField())


class PwcTaskSerializer(serializers.Serializer[Any]):
    task = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    categories = serializers.ListField(child=serializers.CharField())
    datasets = serializers.ListField(child=serializers.JSONField())
    subtasks = serializers.ListField(child=serializers.JSONField())
    synonyms = serializers.ListField(child=serializers.CharField())
    source_link = serializers.CharField(allow_null=True)


class _DumpView(APIView):
    """`dump` a page at a time; `paper_path` leads from its records to the paper."""

    dump: Dump
    paper_path: str

    def answer(self, request: Request) -> Response:
        records = self.dump.records()
        given = request.query_params.get("arxiv_id")
        if given is not None:
            try:
                records = records.filter(**{f"{self.paper_path}arxiv_id": bare_arxiv_id(given)})
            except ValueError:
                message = f"{given[:60]!r} is not an arXiv id such as 2101.00001."
                raise Problem(status.HTTP_400_BAD_REQUEST, message, "arxiv_id") from None
        pages = Pages()
        shown = pages.paginate_queryset(records, request, self) or []
        return pages.get_paginated_response([self.dump.item(record) for record in shown])


_PARAMETERS = [
    OpenApiParameter(
        "arxiv_id",
        {"type": "string", "pattern": ARXIV_ID_PATTERN},
        description="Only of this paper, such as 2101.00001.",
    ),
    OpenApiParameter("page", bounded(1, LAST_PAGE), description="From 1."),
    OpenApiParameter("page_size", bounded(1, Pages.max_page_size), description="1 to 200, default 25."),
]
_WRONG = {
    400: OpenApiResponse(description="A parameter is wrong."),
    404: OpenApiResponse(description="There is no such page."),
}


def _page_of(child: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    fields = {
        "count": serializers.IntegerField(),
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "results": child(many=True),
    }
    return type(child.__name__.replace("Serializer", "PageSerializer"), (serializers.Serializer,), fields)


_LINK = {
    "paper_url": "/papers/a-paper/", "paper_title": "A paper", "paper_arxiv_id": "2401.00001",
    "paper_url_abs": "https://arxiv.org/abs/2401.00001", "paper_url_pdf": "https://arxiv.org/pdf/2401.00001",
    "repo_url": "https://github.com/owner/name", "is_official": True, "mentioned_in_paper": True,
    "mentioned_in_github": None, "framework": "pytorch",
}  # fmt: skip
_LINK_PAGE = {"count": 1, "next": None, "previous": None, "results": [_LINK]}


class PwcLinksView(_DumpView):
    """Links between papers and code, with the keys of `links-between-papers-and-code.json`."""

    dump, paper_path = LINKS, "paper__"

    @extend_schema(
        operation_id="compat_papers_with_code_links",
        parameters=_PARAMETERS,
        responses={200: _page_of(PwcLinkSerializer), **_WRONG},
        examples=[OpenApiExample("One link", value=_LINK_PAGE, response_only=True, status_codes=["200"])],
    )
    def get(self, request: Request) -> Response:
        return self.answer(request)


class PwcMethodsView(_DumpView):
    """Techniques that have a name, with the keys of `methods.json`."""

    dump, paper_path = METHODS, "paper__"

    @extend_schema(
        operation_id="compat_papers_with_code_methods",
        parameters=_PARAMETERS,
        responses={200: _page_of(PwcMethodSerializer), **_WRONG},
    )
    def get(self, request: Request) -> Response:
        return self.answer(request)


class PwcPapersView(_DumpView):
    """Papers with the keys of `papers-with-abstracts.json`."""

    dump, paper_path = PAPERS, ""

    @extend_schema(
        operation_id="compat_papers_with_code_papers",
        parameters=_PARAMETERS,
        responses={200: _page_of(PwcPaperSerializer), **_WRONG},
    )
    def get(self, request: Request) -> Response:
        return self.answer(request)


class PwcTablesView(APIView):
    """Measured figures with the keys of `evaluation-tables.json`: a family a task. From GPUs only, nothing claimed."""

    @extend_schema(operation_id="compat_papers_with_code_tables", responses=PwcTaskSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(list(EVALUATION.items()))
