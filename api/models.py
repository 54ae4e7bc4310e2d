"""Tokens for scripts. Only a digest is stored; the token itself is shown once."""

import hashlib
import secrets
from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.utils import timezone

from papers.roles import EDIT, INGEST, OPERATE, REQUEST_RUNS, may

PREFIX = "sp_"
HINT = 7  # characters that are kept, so that its owner knows it again


class Scope(models.TextChoices):
    READ = "read", "Read"
    RUN = "run", "Request and cancel runs"
    IMPORT = "import", "Import results and pages"
    EDIT = "edit", "Edit records"
    OPERATE = "operate", "Do all that operators may"
    DEVICE = "device", "Offer a machine's devices and hand in its runs"


# The permission that a scope stands for. A token does what both its scopes and the present role of its owner allow.
NEEDED: dict[str, str] = {
    Scope.READ: "",
    Scope.RUN: REQUEST_RUNS,
    Scope.IMPORT: INGEST,
    Scope.EDIT: EDIT,
    Scope.OPERATE: OPERATE,
    Scope.DEVICE: OPERATE,  # what a GPU is said to have measured decides about claims
}


def digest_of(token: str) -> str:
    """Tokens hold 256 random bits, so a plain hash is as good as a slow one and each request stays cheap."""
    return hashlib.sha256(token.encode()).hexdigest()


class ApiTokenManager(models.Manager["ApiToken"]):
    def issue(
        self, owner: AbstractBaseUser, label: str, scopes: list[str], expires_at: datetime | None = None
    ) -> tuple["ApiToken", str]:
        """A new token's row and the token itself, which is nowhere else.

        Raises: ValueError naming scopes that do not exist.
        """
        if unknown := set(scopes) - set(Scope.values):
            raise ValueError(f"scopes: {', '.join(sorted(unknown))} unknown; use {', '.join(Scope.values)}")
        token = PREFIX + secrets.token_urlsafe(32)
        row = self.create(
            owner_id=owner.pk,
            label=label,
            scopes=sorted(set(scopes)),
            digest=digest_of(token),
            hint=token[:HINT],
            expires_at=expires_at,
        )
        return row, token

    def alive(self) -> models.QuerySet["ApiToken"]:
        """Neither revoked nor expired."""
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now()), revoked_at=None)

    def in_use(self, owner: AbstractBaseUser) -> models.QuerySet["ApiToken"]:
        return self.alive().filter(owner_id=owner.pk).select_related("owner")

    def valid(self, token: str) -> "ApiToken | None":
        return self.alive().filter(digest=digest_of(token), owner__is_active=True).select_related("owner").first()


class ApiToken(models.Model):
    """A token acts as its owner, within its scopes."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    label = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12, blank=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenManager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.label

    def allows(self, scope: str) -> bool:
        """Whether the token has the scope, and its owner still has the role for it."""
        needed = NEEDED.get(scope, OPERATE)
        return scope in self.scopes and (needed == "" or may(self.owner, needed))

    @property
    def is_alive(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    def touch(self) -> Self:
        """Note the use, at most once a minute: reading must not become writing."""
        now = timezone.now()
        if self.last_used_at is None or (now - self.last_used_at).total_seconds() > 60:
            type(self).objects.filter(pk=self.pk).update(last_used_at=now)
        return self


class DoneRequest(models.Model):
    """The answer to a request that carried a key, for when the same request comes again."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=120)
    digest = models.CharField(max_length=64, help_text="Of the method, the address and the body.")
    status = models.PositiveSmallIntegerField(default=0)
    body = models.JSONField(default=dict)
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="done_request_once_per_key")]

    def __str__(self) -> str:
        return self.key
