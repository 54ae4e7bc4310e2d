"""Tokens for scripts. Only a digest is stored; the token itself is shown once."""

import hashlib
import secrets
from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.utils import timezone

PREFIX = "sp_"


class Scope(models.TextChoices):
    READ = "read", "Read"
    RUN = "run", "Request and cancel runs"
    IMPORT = "import", "Import results and pages"
    EDIT = "edit", "Edit records"


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
            owner_id=owner.pk, label=label, scopes=sorted(scopes), digest=digest_of(token), expires_at=expires_at
        )
        return row, token

    def valid(self, token: str) -> "ApiToken | None":
        live = self.filter(digest=digest_of(token), revoked_at=None, owner__is_active=True).select_related("owner")
        return live.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now())).first()


class ApiToken(models.Model):
    """A token acts as its owner, within its scopes."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    label = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True)
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
        return scope in self.scopes

    def touch(self) -> Self:
        """Note the use, at most once a minute: reading must not become writing."""
        now = timezone.now()
        if self.last_used_at is None or (now - self.last_used_at).total_seconds() > 60:
            type(self).objects.filter(pk=self.pk).update(last_used_at=now)
        return self
