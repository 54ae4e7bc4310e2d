"""Where people are signed in."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

SEEN_EVERY = timedelta(minutes=5)


class SignIn(models.Model):
    """One browser that is signed in: which, from where, and when it was last seen (to five minutes)."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True)
    device = models.CharField(max_length=300, blank=True)
    address = models.CharField(max_length=45, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-last_seen_at"]
        # What the roles of papers.roles are made of, beside "review".
        permissions = [
            ("request_run", "Can ask for runs"),
            ("ingest", "Can bring in papers and results"),
            ("operate", "Can do all that operators may"),
        ]

    def __str__(self) -> str:
        return f"{self.device} at {self.address}"


class Identity(models.Model):
    """Who an account is at a provider of OpenID Connect; the pair alone decides, never a name or an address of mail."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=300)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="identity_once")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"
