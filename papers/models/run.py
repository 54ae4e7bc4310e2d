"""Runs, what they measured, and what that says of a claim."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from papers.models.claim import Claim
from papers.models.implementation import Device, DeviceKind, Implementation


class RunState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    FINISHED = "finished", "Finished"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class RunMode(models.TextChoices):
    RUN = "run", "Check, then time the workloads"
    SWEEP = "sweep", "Check, then time along the swept axis"
    CHECK = "check", "Check the answers only"


FINAL_STATES = (RunState.FINISHED, RunState.FAILED, RunState.CANCELLED)


def heavy_fields(path: str = "") -> tuple[str, ...]:
    """What of a run may be megabytes and no list shows, for `defer`; `path` leads from another model to the run."""
    names = ("records", "log_tail", "environment", "skipped")
    return tuple(f"{path}__{name}" if path else name for name in names)


class RunQuerySet(models.QuerySet["Run"]):
    def for_lists(self) -> Self:
        return self.select_related("implementation__paper", "device", "requester").order_by("-id")

    def open(self) -> Self:
        return self.exclude(state__in=FINAL_STATES)

    def made_with_what_is_here(self) -> Self:
        """Of implementations that are present, with their card and code as they are now; see `Run.is_current`."""
        return self.filter(
            implementation__retired_at=None,
            card_hash=F("implementation__card_hash"),
            code_hash=F("implementation__code_hash"),
        )

    def expired(self, now: datetime) -> Self:
        """Running, and the worker that held it has been silent for a whole lease."""
        return self.filter(state=RunState.RUNNING, lease_until__lt=now)

    def ahead_of(self, run: "Run") -> Self:
        """Open runs for the same kind of device that were asked for earlier."""
        return self.open().filter(device_kind=run.device_kind, id__lt=run.pk)


class Run(models.Model):
    """One verification of one implementation. This row, not a message, decides who works on it.

    `lease_until` and `lease_token` belong to the worker that took it: a worker writes only while its token is still
    there, so that one which was given up for lost cannot write over its successor.
    """

    implementation = models.ForeignKey(Implementation, on_delete=models.PROTECT, related_name="runs")
    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="runs"
    )
    device_kind = models.CharField(max_length=10, choices=DeviceKind)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    mode = models.CharField(max_length=8, choices=RunMode, default=RunMode.RUN)
    state = models.CharField(max_length=12, choices=RunState, default=RunState.QUEUED, db_index=True)
    status = models.CharField(max_length=24, blank=True, help_text="The result's status, once there is one.")
    requested_at = models.DateTimeField(auto_now_add=True)
    rung_at = models.DateTimeField(null=True, blank=True, help_text="When a worker was last told of it.")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.CharField(max_length=36, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    phase = models.CharField(max_length=120, blank=True)
    progress = models.FloatField(default=0.0)
    log_tail = models.TextField(blank=True)
    failure_reason = models.CharField(max_length=40, blank=True)
    failure_detail = models.TextField(blank=True)
    environment = models.JSONField(default=dict, blank=True)
    records = models.JSONField(default=list, blank=True)
    skipped = models.JSONField(default=list, blank=True, help_text="What was not timed, each with its reason.")
    card_hash = models.CharField(max_length=64, blank=True)
    code_hash = models.CharField(max_length=64, blank=True)
    harness_version = models.CharField(max_length=40, blank=True)
    seed = models.BigIntegerField(null=True, blank=True)
    imported_from = models.CharField(max_length=300, blank=True)
    import_digest = models.CharField(max_length=64, null=True, blank=True, unique=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=RunState.values), name="run_state_known"),
            models.CheckConstraint(condition=Q(mode__in=RunMode.values), name="run_mode_known"),
            models.CheckConstraint(condition=Q(progress__gte=0, progress__lte=1), name="run_progress_is_a_share"),
            # The lock of a device: the database admits one running run on it, and a lost one's lease frees it.
            models.UniqueConstraint(
                fields=["device"], condition=Q(state="running"), name="run_one_at_a_time_on_a_device"
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False, device__isnull=False),
                name="run_running_has_lease_and_device",
            ),
        ]

    def __str__(self) -> str:
        return f"Run {self.pk} of {self.implementation_id}"

    def get_absolute_url(self) -> str:
        return reverse("run", args=[self.pk])

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def is_current(self) -> bool:
        """Made with the card and code that are here now."""
        made = (self.card_hash, self.code_hash)
        return made == (self.implementation.card_hash, self.implementation.code_hash)


class Measurement(models.Model):
    """A figure of a run: a subject on a workload, and its ratio to a rung of the ladder where it has one.

    Ratios are baseline ÷ subject, above 1 is better; low and high bound the 95 % interval.
    """

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="measurements")
    workload = models.CharField(max_length=120)
    subject = models.CharField(max_length=80)
    baseline = models.CharField(max_length=80, blank=True)
    measure = models.CharField(max_length=40)
    unit = models.CharField(max_length=20, blank=True)
    scope = models.CharField(max_length=20, blank=True)
    median = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    samples = models.JSONField(default=list, blank=True)
    ratio = models.FloatField(null=True)
    ratio_low = models.FloatField(null=True)
    ratio_high = models.FloatField(null=True)
    pairs = models.PositiveIntegerField(null=True)
    band = models.FloatField(null=True)
    cap_reached = models.BooleanField(default=False)

    class Meta:
        ordering = ["run_id", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "workload", "subject", "baseline", "measure"], name="measurement_once_per_run"
            )
        ]

    def __str__(self) -> str:
        return f"{self.workload} {self.subject} {self.measure}"


class Outcome(models.TextChoices):
    CONFIRMED = "confirmed", "Confirmed"
    BELOW_CLAIM = "below-claim", "Below the claim"
    NO_GAIN = "no-gain", "No gain"
    SLOWER = "slower", "Slower or larger"
    INCONCLUSIVE = "inconclusive", "Inconclusive"
    NOT_COMPARABLE = "not-comparable", "Not comparable"
    REJECTED = "rejected", "Rejected"


class VerdictQuerySet(models.QuerySet["Verdict"]):
    def current(self) -> Self:
        return self.filter(withdrawn_at=None)

    def decisive(self) -> Self:
        """Verdicts that say something of the claim: reached on a GPU at the claim's scope."""
        return self.exclude(outcome__in=[Outcome.NOT_COMPARABLE, Outcome.INCONCLUSIVE, Outcome.REJECTED])


class Verdict(models.Model):
    """What one run says of one claim. Append-only: a later run adds another, a wrong one is withdrawn and stays."""

    claim = models.ForeignKey(Claim, on_delete=models.PROTECT, related_name="verdicts")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="verdicts")
    outcome = models.CharField(max_length=20, choices=Outcome)
    ratio = models.FloatField(null=True, blank=True)
    low = models.FloatField(null=True, blank=True)
    high = models.FloatField(null=True, blank=True)
    workload = models.CharField(max_length=120, blank=True)
    baseline = models.CharField(max_length=80, blank=True)
    reason = models.TextField()
    hardware_note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = VerdictQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["claim", "run"], name="verdict_once_per_run"),
            models.CheckConstraint(condition=Q(outcome__in=Outcome.values), name="verdict_outcome_known"),
            models.CheckConstraint(
                condition=Q(low=None) | Q(high=None) | Q(high__gte=F("low")), name="verdict_interval_ordered"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()} ({self.claim_id})"
