"""What editors send: the bodies of changes to records, for the schema; the services check what is in them."""

from collections.abc import Callable
from typing import Any, TypeVar

from rest_framework import serializers, status
from rest_framework.request import Request

from api.errors import Problem
from papers.models import QUALIFIERS, Direction, Form, Paper, Phase, ReviewItem, TwinCandidate
from papers.services import AlreadyDecided, FieldError
from papers.vocabulary import FAMILY_LABELS, KIND_LABELS, METRIC_LABELS, MODALITY_LABELS, STAGE_LABELS, VERIFY_LABELS

T = TypeVar("T")
NOTE = "Why; kept with the change."


def body_of(request: Request) -> tuple[dict[str, Any], str]:
    """The fields of a change and its note. Raises: Problem where the body is no object."""
    if not isinstance(request.data, dict):
        raise Problem(status.HTTP_400_BAD_REQUEST, "The body has to be an object of fields.")
    fields = dict(request.data)
    note = fields.pop("note", "")
    if not isinstance(note, str):
        raise Problem(status.HTTP_400_BAD_REQUEST, "Has to be text.", "note")
    return fields, note


def answered(change: Callable[[], T]) -> T:
    """What the service gives; its refusals as problems that name the field."""
    try:
        return change()
    except AlreadyDecided as fault:
        raise Problem(status.HTTP_409_CONFLICT, f"It {fault.message}.", fault.field) from None
    except FieldError as fault:
        raise Problem(
            status.HTTP_400_BAD_REQUEST, fault.message[:1].upper() + fault.message[1:] + ".", fault.field
        ) from None


def _choice(words: Any, **options: Any) -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=list(words), required=False, **options)


class PaperEditSerializer(serializers.Serializer[Any]):
    title = serializers.CharField(required=False)
    abstract = serializers.CharField(required=False, allow_blank=True)
    summary = serializers.CharField(required=False, allow_blank=True)
    arxiv_id = serializers.CharField(required=False, allow_null=True)
    doi = serializers.CharField(required=False, allow_null=True)
    year = serializers.IntegerField(required=False, allow_null=True)
    published_on = serializers.DateField(required=False, allow_null=True)
    authors = serializers.ListField(child=serializers.CharField(), required=False)
    note = serializers.CharField(required=False, help_text=NOTE)


class QualityCostSerializer(serializers.Serializer[Any]):
    value = serializers.FloatField(required=False, allow_null=True)
    unit = serializers.CharField(required=False, allow_null=True)
    lossless = serializers.BooleanField(required=False, allow_null=True)
    quote = serializers.CharField(help_text="An exact piece of the abstract.")


class TechniqueEditSerializer(serializers.Serializer[Any]):
    kind = _choice(KIND_LABELS.items())
    name = serializers.CharField(required=False, allow_blank=True)
    families = serializers.ListField(child=serializers.ChoiceField(choices=list(FAMILY_LABELS.items())), required=False)
    modality = serializers.ListField(
        child=serializers.ChoiceField(choices=list(MODALITY_LABELS.items())), required=False
    )
    stage = serializers.ListField(child=serializers.ChoiceField(choices=list(STAGE_LABELS.items())), required=False)
    training_free = serializers.BooleanField(required=False, allow_null=True)
    hardware = serializers.ListField(child=serializers.CharField(), required=False)
    code_urls = serializers.ListField(child=serializers.URLField(), required=False)
    quality_cost = QualityCostSerializer(required=False, allow_null=True)
    verify = _choice(VERIFY_LABELS.items(), allow_blank=True)
    mechanism = serializers.CharField(required=False, allow_blank=True)
    note = serializers.CharField(required=False, help_text=NOTE)


class ClaimFieldsSerializer(serializers.Serializer[Any]):
    metric = _choice(METRIC_LABELS.items())
    phase = _choice(Phase.choices)
    form = _choice(Form.choices)
    direction = _choice(Direction.choices)
    value = serializers.FloatField(required=False)
    value_max = serializers.FloatField(required=False, allow_null=True)
    unit = serializers.CharField(required=False, allow_blank=True)
    qualifier = _choice(((word, word) for word in QUALIFIERS), allow_blank=True)
    baseline = serializers.CharField(required=False, allow_blank=True)
    hardware = serializers.CharField(required=False, allow_blank=True)
    quote = serializers.CharField(required=False, help_text="An exact piece of the abstract.")


class ClaimReviewSerializer(ClaimFieldsSerializer):
    decision = serializers.ChoiceField(
        choices=["accept", "correct", "reject"], required=False, help_text="Default: correct. Only it takes fields."
    )
    note = serializers.CharField(required=False, help_text=NOTE)


class ClaimAddSerializer(ClaimFieldsSerializer):
    paper = serializers.CharField(help_text="Slug of the paper whose abstract makes the claim.")
    note = serializers.CharField(required=False, help_text=NOTE)


class TwinSerializer(serializers.ModelSerializer[TwinCandidate]):
    first = serializers.SlugRelatedField(slug_field="slug", read_only=True)  # type: ignore[var-annotated]
    second = serializers.SlugRelatedField(slug_field="slug", read_only=True)  # type: ignore[var-annotated]

    class Meta:
        model = TwinCandidate
        fields = ("first", "second", "score", "explanation", "state")


class ReviewItemSerializer(serializers.ModelSerializer[ReviewItem]):
    url = serializers.HyperlinkedIdentityField(view_name="api-review-item-detail")
    paper = serializers.SlugRelatedField(slug_field="slug", read_only=True)  # type: ignore[var-annotated]
    twin = TwinSerializer(read_only=True, allow_null=True)

    class Meta:
        model = ReviewItem
        fields = (
            "url", "id", "reason", "state", "paper", "claim", "field", "twin", "details", "decision", "decided_at",
            "created_at",
        )  # fmt: skip


class DecisionSerializer(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(
        choices=["accept", "correct", "reject", "take", "merge", "distinct"],
        help_text="Claims: accept, correct, reject. Fields: accept keeps the value. take: what the endpoint says. "
        "Pairs of papers: merge, distinct.",
    )
    fields = serializers.DictField(  # type: ignore[assignment]
        required=False, help_text="What a correction sets: fields of the claim, or {value} of a technique's field."
    )
    keep = serializers.CharField(required=False, help_text="For merge: slug of the paper that stays.")
    note = serializers.CharField(required=False, help_text=NOTE)


def paper_named(slug: Any) -> Paper:
    """Raises: Problem where no paper has the slug."""
    paper = Paper.objects.visible().filter(slug=slug).first() if isinstance(slug, str) else None
    if paper is None:
        raise Problem(status.HTTP_400_BAD_REQUEST, f"{str(slug)[:60]!r} is not the slug of a paper here.", "paper")
    return paper
