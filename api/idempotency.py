"""`Idempotency-Key`: a request that is sent again, because its answer was lost, is answered again and not done again."""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from api.errors import Problem
from api.models import DoneRequest

NAME = "Idempotency-Key"
LONGEST = 120
KEPT = timedelta(hours=24)
KEPT_HEADERS = ("Location",)
KEY_PARAMETER = OpenApiParameter(
    NAME,
    {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": r"^[\x21-\x7e]+$"},
    OpenApiParameter.HEADER,
    description="Any text of your own, new for each request; sent again within 24 hours it gets the first answer.",
)


def once(request: Request, do: Callable[[], Response]) -> Response:
    """What `do` answers, or what it answered to the same key before. Without a key it is simply done.

    The key's row, what is done and its answer are one transaction: of two at once the second waits for the first.
    A refusal takes all of it back, and the key may be used again.

    Raises: Problem where the key is malformed, or was used for another request.
    """
    key = request.headers.get(NAME)
    if key is None:
        return do()
    if not 1 <= len(key) <= LONGEST or not key.isascii() or not key.isprintable() or " " in key:
        told = f"Has to be 1 to {LONGEST} printable ASCII characters without spaces."
        raise Problem(status.HTTP_400_BAD_REQUEST, told, NAME)
    digest = _digest(request)
    mine = DoneRequest.objects.filter(owner_id=request.user.pk, key=key)
    mine.filter(created_at__lt=timezone.now() - KEPT).delete()
    try:
        with transaction.atomic():
            row = DoneRequest(owner_id=int(request.user.pk or 0), key=key, digest=digest)
            row.save(force_insert=True)
            answer = do()
            row.status = answer.status_code
            row.body = json.loads(JSONRenderer().render(answer.data))
            row.headers = {name: answer[name] for name in KEPT_HEADERS if name in answer}
            row.save()
            return answer
    except IntegrityError:
        done = mine.first()
        if done is None:  # something else than the key clashed
            raise
    if done.digest != digest:
        told = "Was used for another request; give each request a key of its own."
        raise Problem(status.HTTP_422_UNPROCESSABLE_ENTITY, told, NAME)
    return Response(done.body, done.status, headers={**done.headers, "Idempotent-Replayed": "true"})


def _digest(request: Request) -> str:
    said = [request.method, request.path, request.data]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
