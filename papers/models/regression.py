"""Techniques that were faster than a rung of their ladder and are no longer."""

from typing import Self

from django.db import models
from django.db.models import Q

from papers.models.implementation import Implementation
from papers.models.run import Run


class RegressionQuerySet(models.QuerySet["Regression"]):
    def current(self) -> Self:
        """Those that still hold."""
        return self.filter(ended_at=None)


class Regression(models.Model):
    """ "No longer faster than SDPA since torch 2.13" on one device and workload. Append-only: its end is written, not it."""

    implementation = models.ForeignKey(Implementation, on_delete=models.PROTECT, related_name="regressions")
    since_run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="+")
    device_name = models.CharField(max_length=200)
    workload = models.CharField(max_length=120)
    baseline = models.CharField(max_length=80)
    ratio_before = models.FloatField()
    ratio_after = models.FloatField()
    changes = models.JSONField(default=dict, blank=True, help_text="Versions by name, each [before, after].")
    sentence = models.CharField(max_length=400)
    found_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When it was found to be faster again.")

    objects = RegressionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["implementation", "device_name", "workload", "baseline"],
                condition=Q(ended_at=None),
                name="regression_one_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return self.sentence
