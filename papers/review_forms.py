"""The forms of the review queue: what a claim or field says as inputs, and what a person changed in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from papers.models import QUALIFIERS, Claim, Direction, Form, Phase
from papers.services import FieldError
from papers.vocabulary import KIND_LABELS, METRIC_LABELS, VERIFY_LABELS

Options = list[tuple[str, str]]
LISTS = ("families", "modality", "stage", "hardware", "code_urls")
TRAINING: Options = [("", "Not stated"), ("true", "Applies without training"), ("false", "Needs training")]


@dataclass
class FormField:
    """One input. `shown` is what it holds now, `present` what the record says, both as text."""

    name: str
    label: str
    present: str
    options: Options | None = None
    is_long: bool = False
    hint: str = ""
    is_number: bool = False
    span: int = 6  # columns of six
    shown: str = ""
    error: str = ""

    def __post_init__(self) -> None:
        self.shown = self.present

    def take(self, given: Mapping[str, Any] | None, fault: FieldError | None) -> None:
        """Keep what a person typed, and say what was wrong with it."""
        if given is not None and self.name in given:
            self.shown = str(given[self.name])
        if fault is not None and fault.field == self.name:
            self.error = fault.message

    @property
    def is_changed(self) -> bool:
        return self.shown != self.present


def number_text(value: float | None) -> str:
    """A number as a person would type it: 2.5, 5000000000, not 5e+09."""
    if value is None:
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def claim_form(claim: Claim) -> list[FormField]:
    qualifiers = [("", "None"), *((word, word.capitalize()) for word in QUALIFIERS)]
    return [
        FormField("value", "Value", number_text(claim.value), is_number=True, span=2),
        FormField("value_max", "Up to", number_text(claim.value_max), is_number=True, span=2),
        FormField("unit", "Unit", claim.unit, span=2),
        FormField("qualifier", "Qualifier", claim.qualifier, qualifiers, span=2),
        FormField("metric", "Metric", claim.metric, list(METRIC_LABELS.items()), span=4),
        FormField("form", "Form", claim.form, list(Form.choices), span=2),
        FormField(
            "direction",
            "Direction",
            claim.direction,
            [(value, label.partition(" (")[0]) for value, label in Direction.choices],
            span=2,
        ),
        FormField("phase", "Phase", claim.phase, list(Phase.choices), span=2),
        FormField("baseline", "Against", claim.baseline, span=3),
        FormField("hardware", "Hardware", claim.hardware, span=3),
        FormField("quote", "Words that say it", claim.quote, is_long=True, hint="An exact piece of the abstract."),
    ]


def field_form(name: str, value: Any) -> list[FormField]:
    """The one input for a field of a technique record."""
    label = name.replace("_", " ").capitalize()
    if name == "kind":
        return [FormField("value", label, value or "", list(KIND_LABELS.items()))]
    if name == "verify":
        return [FormField("value", label, value or "", [("", "Not stated"), *VERIFY_LABELS.items()])]
    if name == "training_free":
        return [FormField("value", "Training", {True: "true", False: "false"}.get(value, ""), TRAINING)]
    if name in LISTS:
        return [FormField("value", label, ", ".join(value or ()), hint="Separated by commas, the first one first.")]
    return [FormField("value", label, str(value or ""), is_long=name == "mechanism")]


def changed_in(form: list[FormField], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields whose input no longer says what the record says, as the services take them."""
    changed = {}
    for field in form:
        if field.name not in given:
            continue
        # A browser sends line breaks in a form as CR LF.
        text = str(given[field.name]).replace("\r\n", "\n")
        if text.strip() != field.present.strip():
            changed[field.name] = _typed(field, text)
    return changed


def _typed(field: FormField, text: str) -> Any:
    if field.options is TRAINING:
        return {"true": True, "false": False, "": None}.get(text, text)
    if field.hint.startswith("Separated"):
        return [word.strip() for word in text.split(",") if word.strip()]
    return text
