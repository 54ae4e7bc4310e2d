"""The request and the answer of `recommendations`."""

from typing import Any

from rest_framework import serializers

from recommender.advice import Need, read_need
from recommender.need import OBJECTIVES, STAGES, TRAINING, check_known


class NeedSerializer(serializers.Serializer[Any]):
    """What is not given is read from the words of `need`; what is given wins."""

    need = serializers.CharField(
        max_length=4000, help_text="In plain words: one RTX 4090, Llama-3-8B, 32k prompts, no retraining."
    )
    stage = serializers.ChoiceField(choices=STAGES, required=False)
    gpu = serializers.CharField(max_length=60, required=False)
    gpus = serializers.IntegerField(min_value=1, max_value=65_536, required=False)
    model = serializers.CharField(max_length=80, required=False)
    batch = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False)
    prompt = serializers.IntegerField(
        min_value=1, max_value=100_000_000, required=False, help_text="Tokens of the prompt."
    )
    new_tokens = serializers.IntegerField(min_value=1, max_value=100_000_000, required=False)
    seq = serializers.IntegerField(
        min_value=1, max_value=100_000_000, required=False, help_text="Tokens of a training sequence."
    )
    training = serializers.ChoiceField(choices=TRAINING, required=False)
    max_error = serializers.FloatField(min_value=0, required=False, help_text="Largest accepted relative error.")
    objective = serializers.ChoiceField(choices=OBJECTIVES, required=False)

    def to_need(self) -> Need:
        given = dict(self.validated_data)
        return check_known(read_need(given.pop("need"), **given))


class MemorySerializer(serializers.Serializer[Any]):
    weights = serializers.FloatField(allow_null=True)
    kv_cache = serializers.FloatField(allow_null=True)
    activations = serializers.FloatField(allow_null=True)
    gradients = serializers.FloatField(allow_null=True)
    optimizer = serializers.FloatField(allow_null=True)
    total = serializers.FloatField(allow_null=True)
    available = serializers.FloatField(allow_null=True)


class TimesSerializer(serializers.Serializer[Any]):
    prefill = serializers.FloatField(allow_null=True)
    decode_per_token = serializers.FloatField(allow_null=True)
    training_step = serializers.FloatField(allow_null=True)


class SituationSerializer(serializers.Serializer[Any]):
    gpu = serializers.CharField(allow_null=True)
    gpus = serializers.IntegerField()
    model = serializers.CharField(allow_null=True)
    memory_gib = MemorySerializer()
    time_ms = TimesSerializer()
    binds = serializers.CharField(allow_null=True)
    fits = serializers.BooleanField(allow_null=True)


class GainSerializer(serializers.Serializer[Any]):
    metric = serializers.CharField()
    median = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    source = serializers.ChoiceField(choices=["measured", "scaled", "claimed", "modelled"])  # type: ignore[assignment]
    scope = serializers.CharField(allow_null=True)
    device = serializers.CharField(allow_null=True)


class AnswerSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(help_text="Of the paper.")
    title = serializers.CharField()
    name = serializers.CharField(allow_null=True)
    score = serializers.FloatField()
    score_parts = serializers.DictField(child=serializers.FloatField())
    gain = GainSerializer(allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField())
    evidence = serializers.ListField(child=serializers.DictField())
    implementation = serializers.CharField(allow_null=True)


class ExcludedSerializer(serializers.Serializer[Any]):
    title = serializers.CharField()
    reason = serializers.CharField()


class PlanSerializer(serializers.Serializer[Any]):
    names = serializers.ListField(child=serializers.CharField())
    meets_budget = serializers.BooleanField(allow_null=True)
    memory_gib = serializers.FloatField(allow_null=True)
    gain = GainSerializer(allow_null=True)
    conflicts = serializers.ListField(child=serializers.CharField())


class RecommendationSerializer(serializers.Serializer[Any]):
    situation = SituationSerializer()
    answers = AnswerSerializer(many=True)
    excluded = ExcludedSerializer(many=True)
    plan = PlanSerializer(many=True)
    nearest_constraint = serializers.CharField(allow_null=True)
