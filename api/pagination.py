from typing import Any

from rest_framework import status
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request

from api.errors import Problem
from api.queries import whole_number

LAST_PAGE = 1_000_000


class Pages(PageNumberPagination):
    """`?page=2&page_size=50`; what is no number in range is refused, not replaced."""

    page_size = 25
    page_size_query_param = "page_size"
    max_page_size = 200
    page_query_description = "Which page, from 1. Behind the last one there is nothing (404)."
    page_size_query_description = f"Records on a page, 1 to {max_page_size}; default {page_size}."

    def get_page_size(self, request: Request) -> int:
        return whole_number(request, "page_size", self.page_size, 1, self.max_page_size)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        number, size = whole_number(request, "page", 1, 1, LAST_PAGE), self.get_page_size(request)
        paginator = self.django_paginator_class(queryset, size)
        if number > paginator.num_pages:
            told = f"Page {number} is behind the last one, {paginator.num_pages}."
            raise Problem(status.HTTP_404_NOT_FOUND, told, "page")
        self.page, self.request = paginator.page(number), request
        return list(self.page)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        bounds = {"page": LAST_PAGE, "page_size": self.max_page_size}
        found: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for one in found:
            one["schema"] |= {"minimum": 1, "maximum": bounds[one["name"]]}
        return found

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """In the words of OpenAPI 3.1, which knows no `nullable`."""
        found: dict[str, Any] = super().get_paginated_response_schema(schema)
        for name in ("next", "previous"):
            del found["properties"][name]["nullable"]
            found["properties"][name]["type"] = ["string", "null"]
        return found
