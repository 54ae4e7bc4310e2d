"""Who did what."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models


class AppendOnly(Exception):
    """The log was asked to change or forget an entry."""


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Reads and inserts; there is no way to change or remove an entry."""

    def update(self, **fields: Any) -> NoReturn:
        raise AppendOnly("Entries of the audit log are never changed.")

    def delete(self) -> NoReturn:
        raise AppendOnly("Entries of the audit log are never removed.")

    def bulk_update(self, *rows: Any, **options: Any) -> NoReturn:
        raise AppendOnly("Entries of the audit log are never changed.")


class AuditEntry(models.Model):
    """Written beside each change that a person or a token asked for; never edited.

    `actor_name` stays when the account is removed. `actor` is empty for commands and for whoever was not signed in.
    """

    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    actor_name = models.CharField(max_length=150, blank=True)
    action = models.CharField(max_length=60, db_index=True)
    target = models.CharField(max_length=200)
    detail = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(auto_now_add=True, db_index=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} {self.target}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("Entries of the audit log are never changed.")
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise AppendOnly("Entries of the audit log are never removed.")
