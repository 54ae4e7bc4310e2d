"""The technique of a paper: what it is, and the labels by which it is found."""

from typing import Self

from django.db import models
from django.urls import reverse

from papers.models.paper import Paper


class Facet(models.TextChoices):
    FAMILY = "family", "Family"
    MODALITY = "modality", "Modality"
    STAGE = "stage", "Stage"
    HARDWARE = "hardware", "Hardware"


class TechniqueQuerySet(models.QuerySet["Technique"]):
    def for_lists(self) -> Self:
        return self.filter(paper__withdrawn_at=None).select_related("paper").prefetch_related("labels")


class Technique(models.Model):
    """One for a paper. Fields named in `edited_fields` were set by a person or a card and win over re-extraction.

    `card_fields` names those of them that a card set: a later version of the card, or a person, may set them again.
    """

    paper = models.OneToOneField(Paper, on_delete=models.PROTECT, related_name="technique")
    kind = models.CharField(max_length=40, db_index=True)
    name = models.CharField(max_length=200, blank=True)
    training_free = models.BooleanField(null=True, blank=True)
    code_urls = models.JSONField(default=list, blank=True)
    quality_cost = models.JSONField(null=True, blank=True)
    verify = models.CharField(max_length=40, blank=True, help_text="What it takes to reproduce the mechanism.")
    mechanism = models.TextField(blank=True)
    reasons = models.JSONField(default=dict, blank=True, help_text="Words that made each decision.")
    extractor_version = models.CharField(max_length=40, blank=True)
    edited_fields = models.JSONField(default=list, blank=True)
    card_fields = models.JSONField(default=list, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TechniqueQuerySet.as_manager()

    class Meta:
        ordering = ["-paper_id"]

    def __str__(self) -> str:
        return self.name or self.paper.title

    def get_absolute_url(self) -> str:
        return reverse("technique", args=[self.paper.slug])

    def values_of(self, facet: str) -> list[str]:
        """The labels of one facet, primary first; reads what was prefetched."""
        return [label.value for label in self.labels.all() if label.facet == facet]

    @property
    def set_by_people(self) -> set[str]:
        return set(self.edited_fields) - set(self.card_fields)

    @property
    def families(self) -> list[str]:
        return self.values_of(Facet.FAMILY)

    @property
    def modality(self) -> list[str]:
        return self.values_of(Facet.MODALITY)

    @property
    def stage(self) -> list[str]:
        return self.values_of(Facet.STAGE)

    @property
    def hardware(self) -> list[str]:
        return self.values_of(Facet.HARDWARE)


class TechniqueLabel(models.Model):
    """A value of a facet, as rows rather than JSON, so that every database filters and counts it with an index."""

    technique = models.ForeignKey(Technique, on_delete=models.CASCADE, related_name="labels")
    facet = models.CharField(max_length=20, choices=Facet)
    value = models.CharField(max_length=80)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["facet", "position", "value"]
        constraints = [
            models.UniqueConstraint(fields=["technique", "facet", "value"], name="label_once_per_technique"),
            models.CheckConstraint(condition=models.Q(facet__in=Facet.values), name="label_facet_known"),
        ]
        indexes = [models.Index(fields=["facet", "value"], name="label_by_value")]

    def __str__(self) -> str:
        return f"{self.facet}: {self.value}"
