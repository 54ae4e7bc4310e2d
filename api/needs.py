"""The request and the answer of `recommendations`."""

from typing import Any

from rest_framework import serializers

from recommender.advice import Need
from recommender.need import (
    BUDGETS,
    DTYPES,
    LIMITS,
    LONGEST_NAME,
    LONGEST_TEXT,
    OBJECTIVES,
    STAGES,
    TRAINING,
)
from recommender.need_reader import ask


class WordsField(serializers.CharField):
    """Text; a number is no text, though Python can write it as one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class NumberField(serializers.FloatField):
    """A number; Python takes truths for numbers, people do not."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


def _amount(name: str, help_text: str = "") -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=LIMITS[name], required=False, help_text=help_text)


def _budget(name: str, help_text: str) -> serializers.FloatField:
    return NumberField(min_value=0, max_value=BUDGETS[name], required=False, help_text=help_text)


class NeedSerializer(serializers.Serializer[Any]):
    """What is not given is read from the words of `need`; what is given wins."""

    need = WordsField(
        max_length=LONGEST_TEXT, help_text="In plain words: one RTX 4090, Llama-3-8B, 32k prompts, no retraining."
    )
    stage = serializers.ChoiceField(choices=STAGES, required=False)
    gpu = WordsField(max_length=LONGEST_NAME, required=False)
    gpus = _amount("gpus")
    model = WordsField(
        max_length=LONGEST_NAME,
        required=False,
        help_text="A name, a size such as 7B, or a shape: layers=32 hidden=4096 heads=32 kv_heads=8 ffn=14336 vocab=32000.",
    )
    batch = _amount("batch", "Sequences at once, over all devices.")
    prompt = _amount("prompt", "Tokens of the prompt.")
    new_tokens = _amount("new_tokens")
    seq = _amount("seq", "Tokens of a training sequence.")
    training = serializers.ChoiceField(choices=TRAINING, required=False)
    max_error = NumberField(min_value=0, required=False, help_text="Largest accepted relative error.")
    objective = serializers.ChoiceField(choices=OBJECTIVES, required=False)
    dtype = serializers.ChoiceField(choices=DTYPES, required=False, help_text="Of the weights before any technique.")
    memory_gib = _budget("memory_gib", "Memory allowed over all devices.")
    first_token_ms = _budget("first_token_ms", "Time allowed to the first token.")
    token_ms = _budget("token_ms", "Time allowed for each further token.")
    step_ms = _budget("step_ms", "Time allowed for a training step.")

    def to_need(self) -> Need:
        given = dict(self.validated_data)
        return ask(given.pop("need"), **given)


class MemorySerializer(serializers.Serializer[Any]):
    weights = serializers.FloatField(allow_null=True)
    kv_cache = serializers.FloatField(allow_null=True)
    activations = serializers.FloatField(allow_null=True)
    gradients = serializers.FloatField(allow_null=True)
    optimizer = serializers.FloatField(allow_null=True)
    total = serializers.FloatField(allow_null=True)
    available = serializers.FloatField(allow_null=True)
    short_by = serializers.FloatField(allow_null=True)


class TimesSerializer(serializers.Serializer[Any]):
    prefill = serializers.FloatField(allow_null=True)
    decode_per_token = serializers.FloatField(allow_null=True)
    training_step = serializers.FloatField(allow_null=True)


class PassSerializer(serializers.Serializer[Any]):
    """Milliseconds of one pass, by what is waited for; `low` to `high` is the interval, `best_ms` the devices' bound."""

    compute_ms = serializers.FloatField()
    memory_ms = serializers.FloatField()
    launch_ms = serializers.FloatField()
    link_ms = serializers.FloatField()
    ms = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    best_ms = serializers.FloatField()
    binds = serializers.CharField()


class WorkloadSerializer(serializers.Serializer[Any]):
    stage = serializers.CharField()
    batch = serializers.IntegerField()
    prompt = serializers.IntegerField(required=False)
    new_tokens = serializers.IntegerField(required=False)
    seq = serializers.IntegerField(required=False)
    dtype = serializers.CharField()


class EfficiencySerializer(serializers.Serializer[Any]):
    """Shares of the device's peaks that are reckoned with, and where they are from."""

    compute = serializers.FloatField()
    memory = serializers.FloatField()
    origin = serializers.CharField()


class ModelErrorSerializer(serializers.Serializer[Any]):
    """How far the model was from baselines that were timed on this device."""

    typical = serializers.FloatField()
    baselines = serializers.IntegerField()


class SituationSerializer(serializers.Serializer[Any]):
    gpu = serializers.CharField(allow_null=True)
    gpus = serializers.IntegerField()
    model = serializers.CharField(allow_null=True)
    memory_gib = MemorySerializer()
    time_ms = TimesSerializer()
    time_by_part = serializers.DictField(child=PassSerializer())
    shares = serializers.DictField(child=serializers.FloatField())
    binds = serializers.CharField(allow_null=True)
    fits = serializers.BooleanField(allow_null=True)
    workload = WorkloadSerializer()
    sharing = serializers.CharField(help_text="How several devices share the work: one, tensor, layers or data.")
    efficiency = EfficiencySerializer(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField())
    model_error = ModelErrorSerializer(allow_null=True)


class GainSerializer(serializers.Serializer[Any]):
    metric = serializers.CharField()
    median = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    source = serializers.ChoiceField(choices=["measured", "scaled", "claimed", "modelled"])  # type: ignore[assignment]
    scope = serializers.CharField(allow_null=True)
    device = serializers.CharField(allow_null=True)
    basis = serializers.CharField(help_text="How the figure came about, as a sentence.")
    part = serializers.CharField(allow_null=True, help_text="The term that the factor acts on.")
    share = serializers.FloatField(allow_null=True, help_text="Of the whole, where the figure was projected by it.")
    phase = serializers.CharField(allow_null=True)


class AnswerSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(help_text="Of the paper.")
    title = serializers.CharField()
    name = serializers.CharField(allow_null=True)
    score = serializers.FloatField()
    score_parts = serializers.DictField(child=serializers.FloatField())
    gain = GainSerializer(allow_null=True)
    projected = GainSerializer(allow_null=True, help_text="The gain carried over to the whole of the need's model.")
    error = serializers.FloatField(allow_null=True, help_text="Relative error to expect; null where nothing is known.")
    reasons = serializers.ListField(child=serializers.CharField())
    evidence = serializers.ListField(child=serializers.DictField())
    implementation = serializers.CharField(allow_null=True)


class ExcludedSerializer(serializers.Serializer[Any]):
    title = serializers.CharField()
    reason = serializers.CharField()
    constraint = serializers.CharField(help_text="The field of the need that rules it out.")


class PlanSerializer(serializers.Serializer[Any]):
    names = serializers.ListField(child=serializers.CharField())
    ids = serializers.ListField(child=serializers.IntegerField())
    meets_budget = serializers.BooleanField(allow_null=True, help_text="At the likely factors.")
    sure = serializers.BooleanField(allow_null=True, help_text="Also at the cautious ones.")
    memory_gib = serializers.FloatField(allow_null=True)
    time_ms = serializers.DictField(child=serializers.FloatField())
    error = serializers.FloatField(allow_null=True)
    effort = serializers.CharField()
    evidence = serializers.CharField(allow_null=True, help_text="The weakest of its parts.")
    misses = serializers.DictField(child=serializers.FloatField(), help_text="By how many times a budget is missed.")
    gain = GainSerializer(allow_null=True)
    conflicts = serializers.ListField(child=serializers.CharField())


class RecommendationSerializer(serializers.Serializer[Any]):
    situation = SituationSerializer()
    answers = AnswerSerializer(many=True)
    excluded = ExcludedSerializer(many=True)
    plan = PlanSerializer(many=True)
    pareto = PlanSerializer(many=True, help_text="Plans that no other beats in gain, quality and effort at once.")
    nearest_constraint = serializers.CharField(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField())
