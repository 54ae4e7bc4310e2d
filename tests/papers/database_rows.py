"""All that the database says of papers, without keys and times: two ways to write the same can be compared."""

import re
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.db.models import DateTimeField, Model

APPS = ("papers", "ingest")
_KEY = re.compile(r"(?<=:)\d+")


def database_rows() -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each model, sorted. A key of another row is written as what that row says."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    names = _names()
    for label in APPS:
        for model in apps.get_app_config(label).get_models():
            if model.__name__ == "RecordChange":  # how often a row was written is not what it says
                continue
            said = [tuple(_value(row, field, names) for field in model._meta.concrete_fields) for row in _all(model)]
            rows[model.__name__] = sorted(said, key=repr)
    return rows


def _all(model: type[Model]) -> Iterable[Model]:
    return model._default_manager.order_by("pk")


def _names() -> dict[str, dict[int, str]]:
    """What papers, records, claims and pairs are called instead of by their keys."""
    from papers.models import Claim, Paper, Technique, TwinCandidate

    papers = {row.pk: row.folded_title for row in Paper.objects.all()}
    claims = {
        row.pk: f"{papers[row.paper_id]}/{row.start}-{row.end}/{row.metric}/{row.form}/{row.value:g}/{row.baseline}"
        f"/{row.quote}/{row.withdrawn_at is None}"
        for row in Claim.objects.all()
    }
    twins = {row.pk: f"{papers[row.first_id]} and {papers[row.second_id]}" for row in TwinCandidate.objects.all()}
    techniques = {row.pk: papers[row.paper_id] for row in Technique.objects.all()}
    return {"Paper": papers, "Claim": claims, "TwinCandidate": twins, "Technique": techniques}


def _value(row: Model, field: Any, names: dict[str, dict[int, str]]) -> Any:
    value = getattr(row, field.attname)
    if field.primary_key:
        return ""
    if isinstance(field, DateTimeField):
        return value is not None
    if field.is_relation and value is not None:
        return names.get(field.related_model.__name__, {}).get(value, value)
    if row.__class__.__name__ == "ReviewItem" and field.name == "key":
        kind = "Claim" if ":claim:" in value else "Paper"
        return _KEY.sub(lambda found: names[kind][int(found[0])], value)
    for name in ("with", "claims"):
        if field.name in ("details", "detail") and name in value:
            return value | {name: [_named(said, names["Claim"]) for said in value[name]]}
    return value


def _named(said: Any, claims: dict[int, str]) -> Any:
    """A claim in the details of a question or of the audit."""
    return said | {"claim": claims[said["claim"]]} if isinstance(said, dict) else claims[said]
