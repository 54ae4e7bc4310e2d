"""Filters of what has no page with facets; papers and techniques share theirs with the pages."""

from typing import Any

import django_filters as filters
from django import forms
from drf_spectacular.utils import extend_schema_field

from papers.filters import YES_NO, PaperFilter, one_of
from papers.models import (
    Claim,
    Device,
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
from papers.vocabulary import FAMILY_LABELS, METRIC_LABELS


@extend_schema_field({"type": "string", "enum": ["true", "false"]})
class TruthFilter(filters.ChoiceFilter):
    """True or false; unlike a BooleanFilter it refuses anything else."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=YES_NO, error_messages=one_of(YES_NO), **kwargs)

    def filter(self, qs: Any, value: str) -> Any:
        return super().filter(qs, value == "true") if value else qs


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": 2**63 - 1})
class KeyFilter(filters.NumberFilter):
    field_class = forms.IntegerField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=2**63 - 1, **kwargs)


class FamilyFilter(filters.ChoiceFilter):
    """Techniques, or what belongs to one, of a family; `path` leads to the technique's labels."""

    def __init__(self, path: str, **kwargs: Any) -> None:
        words = list(FAMILY_LABELS.items())
        super().__init__(choices=words, error_messages=one_of(words), **kwargs)
        self.path = path

    def filter(self, qs: Any, value: str) -> Any:
        return qs.filter(**{f"{self.path}__facet": "family", f"{self.path}__value": value}) if value else qs


class ApiPaperFilter(PaperFilter):
    """As on the pages, and by the ids that a script knows a paper by."""

    arxiv_id = filters.CharFilter(field_name="arxiv_id", max_length=20, help_text="Without a version.")
    doi = filters.CharFilter(field_name="doi", max_length=200)

    class Meta(PaperFilter.Meta):
        pass


class ClaimFilter(filters.FilterSet):
    paper = filters.CharFilter(field_name="paper__slug")
    metric = filters.MultipleChoiceFilter(choices=list(METRIC_LABELS.items()))
    form = filters.MultipleChoiceFilter(choices=Form.choices)
    phase = filters.MultipleChoiceFilter(choices=Phase.choices)
    family = FamilyFilter("paper__technique__labels", help_text="Claims of techniques of this family.")
    min_value = filters.NumberFilter(field_name="value", lookup_expr="gte")
    review = filters.MultipleChoiceFilter(choices=Review.choices)
    judged = TruthFilter(method="has_verdict", help_text="Whether a verdict was stored for it.")
    ordering = filters.OrderingFilter(fields=["id", "value"])

    class Meta:
        model = Claim
        fields: list[str] = []

    def has_verdict(self, found: Any, name: str, value: bool) -> Any:
        return found.filter(verdicts__isnull=not value).distinct()


class DeviceFilter(filters.FilterSet):
    kind = filters.ChoiceFilter(choices=DeviceKind.choices, error_messages=one_of(DeviceKind.choices))
    ordering = filters.OrderingFilter(fields=["id", "name", "last_seen_at"])

    class Meta:
        model = Device
        fields: list[str] = []


class ImplementationFilter(filters.FilterSet):
    family = FamilyFilter("paper__technique__labels")
    retired = TruthFilter(field_name="retired_at", lookup_expr="isnull", exclude=True)
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
    withdrawn = TruthFilter(field_name="withdrawn_at", lookup_expr="isnull", exclude=True)
    ordering = filters.OrderingFilter(fields=["id", "ratio", "created_at"])

    class Meta:
        model = Verdict
        fields: list[str] = []


class ReviewItemFilter(filters.FilterSet):
    state = filters.MultipleChoiceFilter(choices=ReviewState.choices)
    reason = filters.MultipleChoiceFilter(choices=ReviewReason.choices)
    paper = filters.CharFilter(field_name="paper__slug")
    claim = KeyFilter(field_name="claim_id")
    field = filters.CharFilter(field_name="field", help_text="Field of a technique record.")
    ordering = filters.OrderingFilter(fields=["id", "created_at", "decided_at"])

    class Meta:
        model = ReviewItem
        fields: list[str] = []
