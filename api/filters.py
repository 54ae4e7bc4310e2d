"""Filters of what has no page with facets; papers and techniques share theirs with the pages."""

from typing import Any

import django_filters as filters

from papers.models import (
    Claim,
    DeviceKind,
    Form,
    Implementation,
    Phase,
    Review,
    ReviewItem,
    ReviewReason,
    ReviewState,
    Run,
    RunState,
    Verdict,
)
from papers.models.run import Outcome
from papers.vocabulary import METRIC_LABELS


class LabelFilter(filters.CharFilter):
    """Techniques, or what belongs to one, with a label of the facet; `path` leads to the technique's labels."""

    def __init__(self, facet: str, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.facet, self.path = facet, path

    def filter(self, qs: Any, value: str) -> Any:
        return qs.filter(**{f"{self.path}__facet": self.facet, f"{self.path}__value": value}) if value else qs


class ClaimFilter(filters.FilterSet):
    paper = filters.CharFilter(field_name="paper__slug")
    metric = filters.MultipleChoiceFilter(choices=list(METRIC_LABELS.items()))
    form = filters.MultipleChoiceFilter(choices=Form.choices)
    phase = filters.MultipleChoiceFilter(choices=Phase.choices)
    family = LabelFilter("family", "paper__technique__labels", help_text="Claims of techniques of this family.")
    min_value = filters.NumberFilter(field_name="value", lookup_expr="gte")
    review = filters.MultipleChoiceFilter(choices=Review.choices)
    judged = filters.BooleanFilter(method="has_verdict", help_text="Whether a verdict was stored for it.")
    ordering = filters.OrderingFilter(fields=["id", "value"])

    class Meta:
        model = Claim
        fields: list[str] = []

    def has_verdict(self, found: Any, name: str, value: bool) -> Any:
        return found.filter(verdicts__isnull=not value).distinct()


class ImplementationFilter(filters.FilterSet):
    family = LabelFilter("family", "paper__technique__labels")
    retired = filters.BooleanFilter(field_name="retired_at", lookup_expr="isnull", exclude=True)
    ordering = filters.OrderingFilter(fields=["name", "updated_at"])

    class Meta:
        model = Implementation
        fields: list[str] = []


class RunFilter(filters.FilterSet):
    implementation = filters.CharFilter(field_name="implementation__name")
    state = filters.MultipleChoiceFilter(choices=RunState.choices)
    device_kind = filters.ChoiceFilter(choices=DeviceKind.choices)
    ordering = filters.OrderingFilter(fields=["id", "requested_at", "finished_at"])

    class Meta:
        model = Run
        fields: list[str] = []


class VerdictFilter(filters.FilterSet):
    outcome = filters.MultipleChoiceFilter(choices=Outcome.choices)
    implementation = filters.CharFilter(field_name="run__implementation__name")
    paper = filters.CharFilter(field_name="claim__paper__slug")
    withdrawn = filters.BooleanFilter(field_name="withdrawn_at", lookup_expr="isnull", exclude=True)
    ordering = filters.OrderingFilter(fields=["id", "ratio", "created_at"])

    class Meta:
        model = Verdict
        fields: list[str] = []


class ReviewItemFilter(filters.FilterSet):
    state = filters.MultipleChoiceFilter(choices=ReviewState.choices)
    reason = filters.MultipleChoiceFilter(choices=ReviewReason.choices)
    paper = filters.CharFilter(field_name="paper__slug")
    claim = filters.NumberFilter(field_name="claim_id")
    field = filters.CharFilter(field_name="field", help_text="Field of a technique record.")
    ordering = filters.OrderingFilter(fields=["id", "created_at", "decided_at"])

    class Meta:
        model = ReviewItem
        fields: list[str] = []
