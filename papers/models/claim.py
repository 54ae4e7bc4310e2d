"""What a paper says of its own gain."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from papers.models.paper import Paper


class Form(models.TextChoices):
    FACTOR = "factor", "Factor"
    PERCENT = "percent", "Percent"
    ABSOLUTE = "absolute", "Absolute"


class Phase(models.TextChoices):
    INFERENCE = "inference", "Inference"
    TRAINING = "training", "Training"
    FINE_TUNING = "fine-tuning", "Fine-tuning"
    SEARCH = "search", "Search"
    OTHER = "other", "Other"


class Direction(models.TextChoices):
    BETTER = "better", "Better"
    WORSE = "worse", "Worse"
    NONE = "none", "None (absolute)"


class Review(models.TextChoices):
    UNREVIEWED = "unreviewed", "Not reviewed"
    ACCEPTED = "accepted", "Accepted"
    CORRECTED = "corrected", "Corrected"
    REJECTED = "rejected", "Rejected"


QUALIFIERS = ("up to", "at least", "about", "average")


def is_visible(path: str = "") -> Q:
    """A claim that lists show; `path` leads to it from another model, such as "claim__"."""
    present = Q(**{f"{path}withdrawn_at": None, f"{path}paper__withdrawn_at": None})
    return present & ~Q(**{f"{path}review": Review.REJECTED})


class ClaimQuerySet(models.QuerySet["Claim"]):
    def visible(self) -> Self:
        return self.filter(is_visible())

    def for_lists(self) -> Self:
        return self.visible().select_related("paper__technique")


class Claim(models.Model):
    """One checkable statement, tied to the place in the abstract that makes it where the abstract is here.

    A claim that an implementation judges carries that card's `card_key` ("card-name/claim-key"); where extraction
    finds the same claim in the abstract, both are this one row. Once a person accepted, corrected or rejected it,
    extraction leaves it alone; `extracted` keeps what a corrected one said before, so that it is known again.
    """

    paper = models.ForeignKey(Paper, on_delete=models.PROTECT, related_name="claims")
    card_key = models.CharField(max_length=160, null=True, blank=True, unique=True)
    statement = models.TextField(blank=True, help_text="In our own words, from the card.")
    metric = models.CharField(max_length=40, db_index=True)
    phase = models.CharField(max_length=20, choices=Phase, default=Phase.OTHER)
    form = models.CharField(max_length=10, choices=Form)
    direction = models.CharField(max_length=10, choices=Direction)
    value = models.FloatField()
    value_max = models.FloatField(null=True, blank=True)
    unit = models.CharField(max_length=40, blank=True)
    qualifier = models.CharField(max_length=20, blank=True)
    baseline = models.CharField(max_length=300, blank=True)
    hardware = models.CharField(max_length=120, blank=True)
    scope = models.CharField(max_length=20, blank=True)
    quote = models.TextField(blank=True)
    start = models.PositiveIntegerField(null=True, blank=True)
    end = models.PositiveIntegerField(null=True, blank=True)
    rule = models.CharField(max_length=80, blank=True)
    raw = models.CharField(max_length=120, blank=True, help_text="The number as the abstract writes it.")
    confidence = models.FloatField(null=True, blank=True, help_text="How sure extraction is, 0 to 1.")
    ratio = models.FloatField(null=True, blank=True, help_text="Baseline ÷ technique: above 1 is better.")
    base_value = models.FloatField(null=True, blank=True, help_text="The amount in its base unit.")
    base_unit = models.CharField(max_length=40, blank=True)
    review = models.CharField(max_length=12, choices=Review, default=Review.UNREVIEWED)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="reviewed_claims"
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    review_note = models.TextField(blank=True)
    corrected_fields = models.JSONField(default=list, blank=True)
    extracted = models.JSONField(default=dict, blank=True, help_text="What it said before a person corrected it.")
    created_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = ClaimQuerySet.as_manager()

    class Meta:
        ordering = ["paper_id", F("start").asc(nulls_last=True), "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["paper", "start", "end", "metric", "form", "value", "baseline"],
                condition=Q(start__isnull=False, withdrawn_at=None),
                name="claim_once_per_place",
            ),
            models.CheckConstraint(
                condition=Q(start=None, end=None) | Q(end__gt=F("start")), name="claim_span_not_empty"
            ),
            models.CheckConstraint(
                condition=Q(value_max=None) | Q(value_max__gte=F("value")), name="claim_range_ordered"
            ),
            models.CheckConstraint(condition=Q(form__in=Form.values), name="claim_form_known"),
            models.CheckConstraint(condition=Q(review__in=Review.values), name="claim_review_known"),
            models.CheckConstraint(
                condition=Q(confidence=None) | Q(confidence__gte=0, confidence__lte=1),
                name="claim_confidence_is_a_share",
            ),
        ]
        indexes = [models.Index(fields=["metric", "form"], name="claim_by_metric")]

    def __str__(self) -> str:
        return f"{self.metric} {self.figure}"

    @property
    def is_reviewed(self) -> bool:
        return self.review != Review.UNREVIEWED

    @property
    def figure(self) -> str:
        """The number as a reader writes it: "up to 2×", "40–60 %", "225 TFLOPs/s"."""
        number = f"{self.value:g}" if self.value_max is None else f"{self.value:g}–{self.value_max:g}"
        unit = {"x": "×", "%": " %"}.get(self.unit, f" {self.unit}" if self.unit else "")
        return f"{self.qualifier} {number}{unit}".strip()
