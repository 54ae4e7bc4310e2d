"""The form in which someone describes what they need."""

from typing import Any

from django import forms

from recommender.hardware.catalogue import devices
from recommender.hardware.models import models
from recommender.need import (
    BUDGETS,
    DTYPES,
    LIMITS,
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST_ERROR,
    OBJECTIVES,
    STAGES,
    Need,
    NeedError,
)
from recommender.need_reader import ask

TRAINING_WORDS = {
    "none": "None at all",
    "calibration": "Calibration on some data",
    "finetune": "Fine-tuning",
    "pretrain": "Training from scratch",
    "any": "Any",
}
# Needs to start from: what is set, and the words.
PRESETS: tuple[tuple[str, dict[str, str]], ...] = (
    ("A 70B model on two gaming GPUs", {
        "need": "Fit a large language model into the memory of two gaming GPUs", "gpu": "NVIDIA RTX 4090", "gpus": "2",
        "model": "Llama-3-70B", "training": "none",
    }),
    ("Long prompts, many users", {
        "need": "Serve long prompts to several users at once", "gpu": "NVIDIA A100 80GB", "model": "Llama-3-8B",
        "batch": "8", "prompt": "32768", "token_ms": "40", "training": "none",
    }),
    ("Fine-tune on one card", {
        "need": "Fine-tune a language model within the memory of one card", "gpu": "NVIDIA RTX 3090",
        "model": "Llama-2-7B", "stage": "fine-tuning", "seq": "2048",
    }),
    ("A small model on a phone", {
        "need": "Answer quickly on a phone", "gpu": "Snapdragon 8 Gen 3", "model": "Llama-3.2-3B", "token_ms": "50",
    }),
    ("Pre-train an image classifier", {
        "need": "Train a vision transformer in less time", "gpu": "NVIDIA H100 SXM", "gpus": "8", "model": "ViT-L",
        "stage": "training", "batch": "1024",
    }),
)  # fmt: skip


def _amount(label: str, example: str, most: int) -> forms.IntegerField:
    hint = forms.TextInput(attrs={"inputmode": "numeric", "placeholder": example})
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=most, widget=hint)


def _budget(label: str, example: str, name: str) -> forms.FloatField:
    hint = forms.TextInput(attrs={"inputmode": "decimal", "placeholder": example})
    return forms.FloatField(label=label, required=False, min_value=0, max_value=BUDGETS[name], widget=hint)


class NeedForm(forms.Form):
    """Words are enough; what is chosen in the details wins over what the words say."""

    need = forms.CharField(
        label="What should become faster, smaller or cheaper?",
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(
            attrs={"rows": 4, "placeholder": "Serve Llama-3-8B on one A100 with 32k prompts; no training"}
        ),
        error_messages={"required": "Say in a sentence what you need."},
    )
    stage = forms.ChoiceField(label="Stage", required=False)
    gpu = forms.CharField(label="GPU", required=False, max_length=LONGEST_NAME)
    gpus = _amount("Number of GPUs", "1", LIMITS["gpus"])
    model = forms.CharField(
        label="Model",
        required=False,
        max_length=LONGEST_NAME,
        help_text="A name, a size such as 7B, or a shape: layers=32 hidden=4096 heads=32 kv_heads=8 ffn=14336 vocab=32000",
    )
    batch = _amount("Sequences at once", "1", LIMITS["batch"])
    prompt = _amount("Prompt tokens", "2048", LIMITS["prompt"])
    new_tokens = _amount("New tokens", "256", LIMITS["new_tokens"])
    seq = _amount("Sequence in training", "2048", LIMITS["seq"])
    dtype = forms.ChoiceField(label="Weights are in", required=False)
    memory_gib = _budget("Memory allowed, GiB", "all of it", "memory_gib")
    first_token_ms = _budget("To the first token, ms", "500", "first_token_ms")
    token_ms = _budget("For each new token, ms", "40", "token_ms")
    step_ms = _budget("For a training step, ms", "1000", "step_ms")
    training = forms.ChoiceField(label="Training allowed", required=False)
    max_error = forms.FloatField(
        label="Largest relative error",
        required=False,
        min_value=0,
        max_value=MOST_ERROR,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "placeholder": "0.01"}),
    )
    objective = forms.ChoiceField(label="What matters most", required=False)

    short = ("gpu", "gpus", "model", "training")
    groups = (
        ("Workload", ("stage", "batch", "prompt", "new_tokens", "seq", "dtype")),
        ("Budget", ("memory_gib", "first_token_ms", "token_ms", "step_ms", "max_error", "objective")),
    )
    details = tuple(name for _, names in groups for name in names)
    given = short + details

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, values in (("stage", STAGES), ("objective", OBJECTIVES)):
            self._offer(name, {value: value.capitalize() for value in values})
        self._offer("training", TRAINING_WORDS)
        self._offer("dtype", {dtype: dtype for dtype in DTYPES})
        for name, known in (("gpu", devices()), ("model", models())):
            self.fields[name].widget.attrs |= {"list": f"known-{name}", "autocomplete": "off"}
            setattr(self, f"known_{name}", sorted(known))

    def _offer(self, name: str, words: dict[str, str]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - for the type checker
        field.choices = [("", "As the words say"), *words.items()]
        field.error_messages["invalid_choice"] = f"“%(value)s” is not one of: {', '.join(words)}."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("need") and not self.errors:
            given = {name: cleaned[name] for name in self.given if cleaned.get(name) not in (None, "")}
            try:
                self.wanted: Need = ask(cleaned["need"], **given)
            except NeedError as fault:
                self.add_fault(str(fault))
        return cleaned

    def add_fault(self, text: str) -> None:
        """An error "field: what is wrong" beside its field; "one, other: …" beside each of them."""
        names, _, message = text.partition(": ")
        fields = [name for name in names.split(", ") if name in self.fields]
        for field in fields:
            self.add_error(field, message)
        if not fields:
            self.add_error(None, text)

    @property
    def short_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.short]

    @property
    def detail_groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        return [(title, [self[name] for name in names]) for title, names in self.groups]

    @property
    def has_details(self) -> bool:
        """Whether a detail is given or wrong, so that the page shows them."""
        return any(self.data.get(name) or self.errors.get(name) for name in self.details)
