"""How records look as JSON. Measured, claimed and modelled figures have fields of their own."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from papers.models import (
    Claim,
    CodeLink,
    Device,
    DeviceKind,
    Implementation,
    Measurement,
    Paper,
    Run,
    RunMode,
    Source,
    Technique,
    Verdict,
)


class VerdictSerializer(serializers.ModelSerializer[Verdict]):
    run_url = serializers.HyperlinkedRelatedField(source="run", view_name="api-run-detail", read_only=True)  # type: ignore[var-annotated]

    class Meta:
        model = Verdict
        fields = (
            "id", "claim", "run", "run_url", "outcome", "ratio", "low", "high", "workload", "baseline", "reason",
            "hardware_note", "created_at", "withdrawn_at",
        )  # fmt: skip


class ClaimSerializer(serializers.ModelSerializer[Claim]):
    paper = serializers.SlugRelatedField(slug_field="slug", read_only=True)  # type: ignore[var-annotated]
    figure = serializers.CharField(read_only=True, help_text="The number as a reader writes it.")

    class Meta:
        model = Claim
        fields = (
            "id", "paper", "card_key", "statement", "figure", "metric", "phase", "form", "direction", "value",
            "value_max", "unit", "qualifier", "baseline", "hardware", "scope", "quote", "start", "end", "rule", "review",
            "raw", "confidence", "ratio", "base_value", "base_unit", "corrected_fields", "reviewed_at",
        )  # fmt: skip


class JudgedClaimSerializer(ClaimSerializer):
    """A claim with the verdict that stands for it, and all others. The claim's own figures are claimed, never measured."""

    standing = VerdictSerializer(
        read_only=True,
        allow_null=True,
        help_text="The newest decisive verdict, else the newest from a GPU, else from a CPU; null while there is none.",
    )
    verdicts = VerdictSerializer(many=True, read_only=True, source="judged")

    class Meta(ClaimSerializer.Meta):
        fields = (*ClaimSerializer.Meta.fields, "standing", "verdicts")  # type: ignore[assignment]


class SourceSerializer(serializers.ModelSerializer[Source]):
    class Meta:
        model = Source
        fields = ("kind", "locator", "line", "page_date", "seen_at")


class CodeLinkSerializer(serializers.ModelSerializer[CodeLink]):
    said_by = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = CodeLink
        fields = ("url", "original", "kind", "official", "framework", "said_by")


@extend_schema_field({"type": ["object", "null"], "additionalProperties": {}})
class ObjectField(serializers.JSONField):
    """JSON that is an object or null, which the schema cannot tell by itself."""


class TechniqueSerializer(serializers.ModelSerializer[Technique]):
    paper = serializers.SlugRelatedField(slug_field="slug", read_only=True)  # type: ignore[var-annotated]
    title = serializers.CharField(source="paper.title", read_only=True)
    families = serializers.ListField(child=serializers.CharField(), read_only=True)
    modality = serializers.ListField(child=serializers.CharField(), read_only=True)
    stage = serializers.ListField(child=serializers.CharField(), read_only=True)
    hardware = serializers.ListField(child=serializers.CharField(), read_only=True)
    quality_cost = ObjectField(read_only=True, allow_null=True)

    class Meta:
        model = Technique
        fields = (
            "paper", "title", "kind", "name", "families", "modality", "stage", "training_free", "hardware", "code_urls",
            "quality_cost", "verify", "mechanism", "extractor_version", "edited_fields", "updated_at",
        )  # fmt: skip


class PaperListSerializer(serializers.ModelSerializer[Paper]):
    url = serializers.HyperlinkedIdentityField(view_name="api-paper-detail", lookup_field="slug")
    name = serializers.CharField(source="technique.name", default="", read_only=True)
    kind = serializers.CharField(source="technique.kind", default="", read_only=True)
    families = serializers.ListField(
        source="technique.families", child=serializers.CharField(), default=list, read_only=True
    )
    claim_count = serializers.IntegerField(read_only=True)
    implementation_count = serializers.IntegerField(read_only=True)
    verified = serializers.BooleanField(read_only=True)

    class Meta:
        model = Paper
        fields = (
            "url", "slug", "title", "arxiv_id", "arxiv_url", "year", "published_on", "votes", "name", "kind", "families",
            "claim_count", "implementation_count", "verified", "updated_at",
        )  # fmt: skip
        extra_kwargs = {"arxiv_url": {"read_only": True}}

    def to_representation(self, instance: Paper) -> Any:
        """A paper without a technique has none of these; REST framework would make null of them."""
        row = super().to_representation(instance)
        for name, blank in (("name", ""), ("kind", ""), ("families", [])):
            if name in row and row[name] is None:
                row[name] = blank
        return row


class PaperSerializer(PaperListSerializer):
    technique = TechniqueSerializer(read_only=True, allow_null=True)
    claims = JudgedClaimSerializer(many=True, read_only=True, source="settled_claims")
    sources = SourceSerializer(many=True, read_only=True)
    code_links = CodeLinkSerializer(many=True, read_only=True)
    other_titles = serializers.SlugRelatedField(many=True, slug_field="title", read_only=True)  # type: ignore[var-annotated]
    merged_into = serializers.SlugRelatedField(  # type: ignore[var-annotated]
        slug_field="slug", read_only=True, allow_null=True, help_text="The paper that this one turned out to be."
    )
    implementations = serializers.SlugRelatedField(many=True, slug_field="name", read_only=True)  # type: ignore[var-annotated]

    class Meta(PaperListSerializer.Meta):
        fields = (
            *PaperListSerializer.Meta.fields, "doi", "other_titles", "abstract", "summary", "authors", "author_count",
            "edited_fields", "withdrawn_at", "merged_into", "technique", "claims", "sources", "code_links",
            "implementations",
        )  # type: ignore[assignment]  # fmt: skip


class ImplementationSerializer(serializers.ModelSerializer[Implementation]):
    url = serializers.HyperlinkedIdentityField(view_name="api-implementation-detail", lookup_field="name")
    paper = serializers.SlugRelatedField(slug_field="slug", read_only=True)  # type: ignore[var-annotated]
    title = serializers.CharField(source="paper.title", read_only=True)

    class Meta:
        model = Implementation
        fields = ("url", "name", "paper", "title", "card", "card_hash", "code_hash", "updated_at", "retired_at")


class DeviceSerializer(serializers.ModelSerializer[Device]):
    alive = serializers.BooleanField(source="is_alive", read_only=True)

    class Meta:
        model = Device
        fields = ("id", "kind", "name", "memory_bytes", "capability", "driver", "last_seen_at", "alive")


class MeasurementSerializer(serializers.ModelSerializer[Measurement]):
    class Meta:
        model = Measurement
        fields = (
            "workload", "subject", "baseline", "measure", "unit", "scope", "median", "low", "high", "ratio", "ratio_low",
            "ratio_high", "pairs", "band", "cap_reached",
        )  # fmt: skip


class RunListSerializer(serializers.ModelSerializer[Run]):
    url = serializers.HyperlinkedIdentityField(view_name="api-run-detail")
    implementation = serializers.SlugRelatedField(slug_field="name", read_only=True)  # type: ignore[var-annotated]
    device = DeviceSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Run
        fields = (
            "url", "id", "implementation", "device_kind", "device", "mode", "state", "status", "requested_at", "started_at",
            "finished_at", "attempts", "cancel_requested", "phase", "progress", "failure_reason", "failure_detail",
        )  # fmt: skip


class RunSerializer(RunListSerializer):
    measurements = MeasurementSerializer(many=True, read_only=True)
    verdicts = VerdictSerializer(many=True, read_only=True)
    queue_position = serializers.SerializerMethodField(
        help_text="Runs of this device kind before it; null once it started."
    )

    class Meta(RunListSerializer.Meta):
        fields = (
            *RunListSerializer.Meta.fields, "queue_position", "log_tail", "environment", "skipped", "card_hash", "code_hash",
            "harness_version", "seed", "imported_from", "measurements", "verdicts",
        )  # type: ignore[assignment]  # fmt: skip

    @extend_schema_field({"type": ["integer", "null"]})
    def get_queue_position(self, run: Run) -> int | None:
        return Run.objects.ahead_of(run).count() if run.state == "queued" else None


class RunRequestSerializer(serializers.Serializer[Any]):
    implementation = serializers.SlugRelatedField(
        slug_field="name",
        queryset=Implementation.objects.filter(retired_at=None),
        help_text="Name of an implementation.",
    )
    device = serializers.ChoiceField(
        choices=DeviceKind.choices, required=False, default="", help_text="Default: a GPU where a worker has one."
    )
    mode = serializers.ChoiceField(choices=RunMode.choices, required=False, default=RunMode.RUN)


class HitSerializer(serializers.Serializer[Any]):
    paper = PaperListSerializer()
    score = serializers.FloatField()
    parts = serializers.DictField(
        child=serializers.FloatField(), help_text="What the score is made of; they add up to it."
    )
    snippet = serializers.CharField(help_text="The passage that matched.")


class SearchSerializer(serializers.Serializer[Any]):
    query = serializers.CharField()
    corrected = serializers.CharField(help_text="What was searched for instead of mistyped words; blank if as typed.")
    total = serializers.IntegerField(help_text="Papers that the filters leave; all of them are ranked.")
    note = serializers.CharField(help_text="What the reader should know, such as an index that is being built.")
    facets = serializers.DictField(
        child=serializers.DictField(child=serializers.IntegerField()),
        help_text="For each filter its values with how many of what was found have them.",
    )
    results = HitSerializer(many=True)
