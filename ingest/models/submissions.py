"""What people hand in on the page of ingest: read, shown to them, and kept once they confirm it."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class SubmissionKind(models.TextChoices):
    FILE = "file", "File"
    TEXT = "text", "Pasted page"
    TARGET = "target", "Fetched"


class SubmissionState(models.TextChoices):
    READING = "reading", "Being read"
    READY = "ready", "Waiting for your word"
    APPLYING = "applying", "Being kept"
    DONE = "done", "Kept"
    DISCARDED = "discarded", "Thrown away"
    EXPIRED = "expired", "Expired"
    FAILED = "failed", "Failed"


AT_WORK = (SubmissionState.READING, SubmissionState.APPLYING)


class SubmissionQuerySet(models.QuerySet["Submission"]):
    def for_lists(self) -> Self:
        """Without what was handed in, which may be megabytes."""
        return self.select_related("owner").defer("pages", "preview")

    def idle(self, now: datetime) -> Self:
        """There is work to do, and nobody is at it: it waits, or its worker was lost."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=now), state__in=AT_WORK)

    def stale(self, now: datetime) -> Self:
        """Nobody said what to do with it in time."""
        return self.filter(state=SubmissionState.READY, expires_at__lt=now)


class Submission(models.Model):
    """One file, pasted page or target. This row decides who works on it, and whether it is kept.

    `pages` holds what was read, in the form of `ingest.kept_pages`, until its end: what is kept is what was shown.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="submissions"
    )
    kind = models.CharField(max_length=8, choices=SubmissionKind)
    name = models.CharField(max_length=300, help_text="File name or target, as the papers list it.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of what was handed in.")
    size = models.PositiveIntegerField(default=0, help_text="Bytes.")
    state = models.CharField(max_length=10, choices=SubmissionState, default=SubmissionState.READING)
    pages = models.JSONField(default=list, blank=True)
    preview = models.JSONField(default=dict, blank=True)
    counts = models.JSONField(default=dict, blank=True, help_text="What came of keeping it.")
    failure = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.CharField(max_length=36, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    steps_done = models.PositiveIntegerField(default=0)
    steps = models.PositiveIntegerField(default=0)

    objects = SubmissionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=SubmissionState.values), name="submission_state_known"),
            models.CheckConstraint(condition=Q(kind__in=SubmissionKind.values), name="submission_kind_known"),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(failure=""), name="submission_failed_has_reason"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_at_work(self) -> bool:
        return self.state in AT_WORK

    @property
    def is_late(self) -> bool:
        """Nobody said what to do with it in time."""
        return self.state == SubmissionState.READY and self.expires_at < timezone.now()
