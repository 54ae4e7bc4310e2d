"""What fetching keeps between runs and shares between processes: versions, places, turns, and the days of the daily job."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q


class FetchedAddress(models.Model):
    """The version of an address that was read into the knowledge base, so that next time only a newer one is sent."""

    address = models.CharField(max_length=2000, unique=True)
    etag = models.CharField(max_length=300, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)
    status = models.PositiveSmallIntegerField()
    fetched_at = models.DateTimeField()

    class Meta:
        ordering = ["-fetched_at"]
        constraints = [models.CheckConstraint(condition=~Q(address=""), name="fetched_address_not_blank")]

    def __str__(self) -> str:
        return self.address


class FetchCursorQuerySet(models.QuerySet["FetchCursor"]):
    def unfinished(self) -> Self:
        return self.filter(done=False)


class FetchCursor(models.Model):
    """How far a feed or a large file was read. `position` is written and understood by what reads that feed alone."""

    name = models.CharField(max_length=64, unique=True, help_text="Digest of the target, which may be long.")
    target = models.TextField(help_text="As it is given to manage.py ingest.")
    position = models.JSONField(default=dict)
    done = models.BooleanField(default=False, help_text="The end was reached; position is where a later run begins.")
    updated_at = models.DateTimeField(auto_now=True)

    objects = FetchCursorQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="fetch_cursor_name_not_blank")]

    def __str__(self) -> str:
        return self.target


class HostTurn(models.Model):
    """When a host may be asked again, and until when another process is asking it. Holds for all machines of a database."""

    host = models.CharField(max_length=253, unique=True)
    next_at = models.DateTimeField(help_text="No request begins before this.")
    held_until = models.DateTimeField(null=True, blank=True, help_text="A request goes on until then at the latest.")
    token = models.CharField(max_length=36, blank=True)

    class Meta:
        ordering = ["host"]
        constraints = [
            models.CheckConstraint(condition=Q(held_until=None) | ~Q(token=""), name="host_turn_held_has_token")
        ]

    def __str__(self) -> str:
        return self.host


class DailyState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class DailyFetchQuerySet(models.QuerySet["DailyFetch"]):
    def due(self, now: datetime, most_attempts: int) -> Self:
        """Not read yet, and nobody is at it: waiting, failed a while ago, or taken by a worker that was lost."""
        lost = Q(state=DailyState.RUNNING, lease_until__lt=now)
        again = Q(state=DailyState.FAILED, next_try_at__lte=now, attempts__lt=most_attempts)
        return self.filter(Q(state=DailyState.WAITING) | lost | again)


class DailyFetch(models.Model):
    """One day of Daily Papers, as the daily job reads it. This row, not a message, decides who does it and whether."""

    day = models.DateField(unique=True)
    state = models.CharField(max_length=10, choices=DailyState, default=DailyState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.CharField(max_length=36, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict, blank=True, help_text="Entries read, new, updated, duplicate, refused.")
    failure = models.TextField(blank=True)

    objects = DailyFetchQuerySet.as_manager()

    class Meta:
        ordering = ["-day"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=DailyState.values), name="daily_fetch_state_known"),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False), name="daily_fetch_running_has_lease"
            ),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(failure=""), name="daily_fetch_failed_has_reason"),
        ]

    def __str__(self) -> str:
        return f"Daily Papers of {self.day}"
