"""The form in which someone describes what they need."""

from typing import Any

from django import forms

from recommender.hardware.catalogue import devices
from recommender.hardware.models import models
from recommender.need import OBJECTIVES, STAGES, Need, NeedError, check_known
from recommender.need_reader import read_need

TRAINING_WORDS = {
    "none": "None at all",
    "calibration": "Calibration on some data",
    "finetune": "Fine-tuning",
    "pretrain": "Training from scratch",
}
# The largest that a field takes: far beyond any machine, and small enough that no product overflows a float.
MOST = 10_000_000


def _amount(label: str, example: str, most: int = MOST) -> forms.IntegerField:
    hint = forms.TextInput(attrs={"inputmode": "numeric", "placeholder": example})
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=most, widget=hint)


class NeedForm(forms.Form):
    """Words are enough; what is chosen in the details wins over what the words say."""

    need = forms.CharField(
        label="What should become faster, smaller or cheaper?",
        max_length=4000,
        widget=forms.Textarea(
            attrs={"rows": 4, "placeholder": "Serve Llama-3-8B on one A100 with 32k prompts; no training"}
        ),
        error_messages={"required": "Say in a sentence what you need."},
    )
    stage = forms.ChoiceField(label="Stage", required=False)
    gpu = forms.CharField(label="GPU", required=False, max_length=80)
    gpus = _amount("Number of GPUs", "1", 100_000)
    model = forms.CharField(label="Model", required=False, max_length=120)
    batch = _amount("Batch", "1")
    prompt = _amount("Prompt tokens", "8192")
    new_tokens = _amount("New tokens", "256")
    seq = _amount("Sequence in training", "4096")
    training = forms.ChoiceField(label="Training allowed", required=False)
    max_error = forms.FloatField(
        label="Largest relative error",
        required=False,
        min_value=0,
        max_value=1,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "placeholder": "0.01"}),
    )
    objective = forms.ChoiceField(label="What matters most", required=False)

    details = (
        "stage",
        "objective",
        "training",
        "gpu",
        "gpus",
        "model",
        "batch",
        "prompt",
        "new_tokens",
        "seq",
        "max_error",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, values in (("stage", STAGES), ("objective", OBJECTIVES)):
            self._offer(name, {value: value.capitalize() for value in values})
        self._offer("training", TRAINING_WORDS)
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
            given = {name: cleaned[name] for name in self.details if cleaned.get(name) not in (None, "")}
            try:
                self.wanted: Need = check_known(read_need(cleaned["need"], **given))
            except NeedError as fault:
                field, _, message = str(fault).partition(": ")
                self.add_error(field if field in self.fields else None, message or str(fault))
        return cleaned

    @property
    def has_details(self) -> bool:
        """Whether a detail is given or wrong, so that the page shows them."""
        return any(self.data.get(name) or self.errors.get(name) for name in self.details)
