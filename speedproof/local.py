"""The local database through the same API: the client's requests are answered in this process, without a server."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from speedproof.client import Client
from speedproof.errors import SpeedproofError

ROOT = Path(__file__).resolve().parent.parent
LABEL = "speedproof command line"


@contextmanager
def local_client(*, may_write: bool = False, user: str = "") -> Iterator[Client]:
    """A client of the installation in this folder. may_write: as an operator, or as the user that is named.

    Raises: SpeedproofError where there is no installation here, or nobody to act as.
    """
    application = _application()
    from django.conf import settings

    scheme = "https" if settings.SECURE_SSL_REDIRECT else "http"
    host = next((name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"), "localhost")
    transport = httpx.WSGITransport(app=application, raise_app_exceptions=False)
    with _token(user) if may_write else _nobody() as token:
        client = Client(f"{scheme}://{host}", token, transport=transport)
        try:
            yield client
        finally:
            client.close()


def _application() -> Any:
    if not (ROOT / "manage.py").exists():
        raise SpeedproofError("server: there is no installation here; name one with --server or SPEEDPROOF_SERVER")
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("LOG_LEVEL", "ERROR")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from django.db import DatabaseError

    from config.wsgi import application
    from recommender.services import refresh_index

    try:
        refresh_index()
    except DatabaseError:
        raise SpeedproofError("database: is not set up yet; run manage.py prepare") from None
    return application


@contextmanager
def _nobody() -> Iterator[None]:
    yield None


@contextmanager
def _token(name: str) -> Iterator[str]:
    """A token for as long as the command runs, and an hour at most."""
    from datetime import timedelta

    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from api.models import Scope
    from api.services import make_token, revoke_token, scopes_for

    users = get_user_model().objects.filter(is_active=True)
    owner = users.filter(username=name).first() if name else users.filter(is_superuser=True).order_by("pk").first()
    if owner is None:
        told = f"there is no user {name!r}" if name else "there is no operator here; run script/server once"
        raise SpeedproofError(f"user: {told}")
    scopes = [scope.value for scope in scopes_for(owner) if scope != Scope.DEVICE]  # that one is for machines alone
    row, token = make_token(owner, LABEL, scopes, timezone.now() + timedelta(hours=1), owner)
    try:
        yield token
    finally:
        revoke_token(row, owner)
