"""What waits for a person to decide: doubtful claims and fields, and papers that may be one."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from papers.models.claim import Claim
from papers.models.paper import Paper


class TwinState(models.TextChoices):
    OPEN = "open", "Open"
    MERGED = "merged", "Merged"
    DISTINCT = "distinct", "Not the same"


class TwinCandidate(models.Model):
    """Two papers that may be one, the older row first. It is never merged without a person, and asked about once."""

    first = models.ForeignKey(Paper, on_delete=models.PROTECT, related_name="twins_as_first")
    second = models.ForeignKey(Paper, on_delete=models.PROTECT, related_name="twins_as_second")
    score = models.FloatField(help_text="0 to 1; the explanation's parts add up to it.")
    explanation = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=TwinState, default=TwinState.OPEN)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="decided_twins"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="twin_once_per_pair"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="twin_pair_ordered"),
            models.CheckConstraint(condition=Q(state__in=TwinState.values), name="twin_state_known"),
            models.CheckConstraint(condition=Q(score__gte=0, score__lte=1), name="twin_score_is_a_share"),
        ]

    def __str__(self) -> str:
        return f"{self.first_id} and {self.second_id}"


class ReviewReason(models.TextChoices):
    LOW_CONFIDENCE = "low-confidence", "Low confidence"
    CONFLICT = "conflict", "Conflict"
    ENDPOINT_DISAGREES = "endpoint-disagrees", "Endpoint disagrees"
    SPAN_LOST = "span-lost", "Evidence lost"
    TWIN = "twin", "Possible twin"


class ReviewState(models.TextChoices):
    OPEN = "open", "Open"
    DONE = "done", "Done"
    DISMISSED = "dismissed", "Dismissed"


GONE = "gone"  # the decision of an item that closed by itself: what it asked about is no longer there


class ReviewItemQuerySet(models.QuerySet["ReviewItem"]):
    def open(self) -> Self:
        return self.filter(state=ReviewState.OPEN)

    def decided(self) -> Self:
        """Answered by people; those that closed by themselves left out."""
        return self.exclude(state=ReviewState.OPEN).exclude(decision__in=["", GONE])

    def for_lists(self) -> Self:
        """With everything that a page or the API shows of an item, oldest first."""
        return self.select_related(
            "paper__technique", "claim__paper", "twin__first", "twin__second", "decided_by"
        ).order_by("id")


class ReviewItem(models.Model):
    """A question about a claim, a field of a technique, or a pair of papers.

    `key` names the question, so that finding the same doubt again does not ask twice.
    """

    key = models.CharField(max_length=200, unique=True)
    reason = models.CharField(max_length=20, choices=ReviewReason)
    state = models.CharField(max_length=10, choices=ReviewState, default=ReviewState.OPEN)
    paper = models.ForeignKey(Paper, on_delete=models.PROTECT, related_name="review_items")
    claim = models.ForeignKey(Claim, on_delete=models.PROTECT, null=True, blank=True, related_name="review_items")
    field = models.CharField(max_length=40, blank=True, help_text="The technique's field in question.")
    twin = models.ForeignKey(
        TwinCandidate, on_delete=models.PROTECT, null=True, blank=True, related_name="review_items"
    )
    details = models.JSONField(default=dict, blank=True)
    decision = models.CharField(max_length=20, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="review_decisions"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ReviewItemQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        permissions = [("review", "Can review and edit records")]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=ReviewState.values), name="review_state_known"),
            models.CheckConstraint(condition=Q(reason__in=ReviewReason.values), name="review_reason_known"),
            models.CheckConstraint(condition=~Q(key=""), name="review_key_not_blank"),
        ]
        indexes = [models.Index(fields=["state", "reason"], name="review_by_state")]

    def __str__(self) -> str:
        return self.key
