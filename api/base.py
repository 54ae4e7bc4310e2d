"""What every view of the API is made of: strict parameters, sparse fields, and edits that can insist on a version."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import models, transaction
from rest_framework import status, viewsets
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from api.errors import Problem
from api.middleware import etag_of
from api.queries import SparseFields, StrictQuery

M = TypeVar("M", bound=models.Model)


class Endpoint(StrictQuery, APIView):
    """A view of its own, beside the records."""


class Records(StrictQuery, SparseFields, viewsets.ReadOnlyModelViewSet[M]):
    """Lists and single records of one model."""

    @contextmanager
    def locked(self, request: Request) -> Iterator[M]:
        """The record, held until the change is done. Raises: Problem where If-Match names another version of it.

        The row is locked before the versions are compared, so that of two editors who saw the same one is told.
        """
        with transaction.atomic():
            found = self.get_object()
            type(found)._default_manager.select_for_update().get(pk=found.pk)
            if wanted := request.headers.get("If-Match"):
                self._match(self.get_object(), wanted)
            yield found

    def _match(self, found: M, wanted: str) -> None:
        if wanted.strip() == "*":
            return
        # The bytes that GET would send.
        present = etag_of(JSONRenderer().render(self.get_serializer(found).data))
        if present not in [one.strip() for one in wanted.split(",")]:
            told = "Somebody changed the record since you read it. Read it again, then send your change."
            raise Problem(status.HTTP_412_PRECONDITION_FAILED, told, "If-Match")
