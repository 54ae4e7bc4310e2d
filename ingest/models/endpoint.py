"""What the endpoint said of each paper, and how often it was asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from papers.models import Paper
from papers.models.paper import PaperQuerySet

MOST_FAILURES = 3
"""Failures in a row after which a paper is only asked about again when someone asks for it by name."""


class ReadingOutcome(models.TextChoices):
    """How the last reading ended; all but the first two are faults of `ingest.endpoint.errors`."""

    NONE = "", "Not read yet"
    ANSWERED = "answered", "Answered"
    REFUSED = "refused", "Refused"
    TIMED_OUT = "timed-out", "Timed out"
    UNAVAILABLE = "unavailable", "Unavailable"
    MALFORMED = "malformed", "Malformed answer"
    OVER_LIMIT = "over-limit", "Over its limit"


class EndpointReadingQuerySet(models.QuerySet["EndpointReading"]):
    def answered_with(self, model: str, prompt_version: str) -> Self:
        return self.filter(outcome=ReadingOutcome.ANSWERED, model=model, prompt_version=prompt_version)

    def given_up(self) -> Self:
        return self.exclude(outcome=ReadingOutcome.ANSWERED).filter(failures__gte=MOST_FAILURES)


class EndpointReading(models.Model):
    """One for a paper. `answer` is what the checks left of the last answer, for the text with `text_hash`.

    `claimed_until` is set while somebody asks; a process that dies leaves it, and it runs out.
    """

    paper = models.OneToOneField(Paper, on_delete=models.PROTECT, related_name="endpoint_reading")
    outcome = models.CharField(max_length=20, choices=ReadingOutcome, blank=True, default=ReadingOutcome.NONE)
    message = models.TextField(blank=True, help_text="Why there is no answer.")
    failures = models.PositiveSmallIntegerField(
        default=0, help_text="In a row; faults of the endpoint itself left out."
    )
    model = models.CharField(max_length=200, blank=True)
    prompt_version = models.CharField(max_length=20, blank=True)
    extractor_version = models.CharField(max_length=40, blank=True, help_text="Of the rules it was compared with.")
    text_hash = models.CharField(max_length=64, blank=True, help_text="Of the title and abstract that were read.")
    answer = models.JSONField(null=True, blank=True)
    requests = models.PositiveIntegerField(default=0, help_text="Of the last reading, retries included.")
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    read_at = models.DateTimeField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)

    objects = EndpointReadingQuerySet.as_manager()

    class Meta:
        ordering = ["-read_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=ReadingOutcome.values), name="reading_outcome_known"),
            models.CheckConstraint(
                condition=~Q(outcome=ReadingOutcome.ANSWERED) | Q(answer__isnull=False),
                name="reading_answered_has_answer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.paper_id}: {self.outcome or 'not read'}"


class EndpointDay(models.Model):
    """What was asked on one day in UTC, by every process together. Requests are counted before they are sent."""

    day = models.DateField(unique=True)
    requests = models.PositiveIntegerField(default=0)
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    completion_tokens = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return f"{self.day}: {self.requests} requests"


def unread(papers: PaperQuerySet, model: str, prompt_version: str) -> PaperQuerySet:
    """Those of `papers` whose text may not be what this model was last asked about, oldest first; given-up ones left out.

    A paper that changed since then is among them; whether its text did is for the caller to see.
    """
    settled = EndpointReading.objects.answered_with(model, prompt_version) | EndpointReading.objects.given_up()
    known = settled.filter(read_at__gte=F("paper__updated_at")).order_by().values("paper_id")
    return papers.visible().exclude(abstract="").exclude(pk__in=known).order_by("pk")


def lately_stopped(minutes: int) -> bool:
    """Whether the endpoint itself was at fault a short while ago: a wrong key, no such model, over its limit."""
    since = timezone.now() - timedelta(minutes=minutes)
    stopping = (ReadingOutcome.REFUSED, ReadingOutcome.OVER_LIMIT, ReadingOutcome.UNAVAILABLE)
    return EndpointReading.objects.filter(outcome__in=stopping, read_at__gte=since).exists()
