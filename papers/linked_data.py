"""What pages say of themselves to machines: schema.org as JSON-LD."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from papers.models import Claim, Implementation, Paper, Technique
from papers.standing import rank
from papers.templatetags.text import plain_title
from papers.vocabulary import label_of

Absolute = Callable[[str], str]
_CODE_LICENSE = "https://spdx.org/licenses/Apache-2.0.html"
# In a script element only these can end it or start another; JSON reads them the same when they are escaped.
_IN_SCRIPT = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def as_script(said: dict[str, Any]) -> SafeString:
    """The JSON for a script element, whatever stands in its texts."""
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return mark_safe(text.translate(_IN_SCRIPT))  # noqa: S308 - no character is left that HTML reads


def article(paper: Paper, technique: Technique | None, absolute: Absolute) -> dict[str, Any]:
    """The paper as a ScholarlyArticle. Its abstract is the authors' and stays on the page."""
    address = absolute(paper.get_absolute_url())
    said: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "ScholarlyArticle",
        "@id": address,
        "url": address,
        "name": plain_title(paper.title),
        "headline": plain_title(paper.title)[:110],
        "identifier": _identifiers(paper),
        "sameAs": _elsewhere(paper),
        "author": [{"@type": "Person", "name": name} for name in paper.authors],
        "datePublished": paper.published_on.isoformat() if paper.published_on else str(paper.year or ""),
        "dateModified": paper.updated_at.isoformat(),
        "description": paper.summary,
        "keywords": [label_of(family) for family in technique.families] if technique else [],
    }
    return {name: value for name, value in said.items() if value}


def _identifiers(paper: Paper) -> list[dict[str, str]]:
    pairs = (("arXiv", paper.arxiv_id), ("doi", paper.doi))
    return [{"@type": "PropertyValue", "propertyID": name, "value": value} for name, value in pairs if value]


def _elsewhere(paper: Paper) -> list[str]:
    found = []
    if paper.arxiv_id:
        found.append(f"https://arxiv.org/abs/{paper.arxiv_id}")
    if paper.doi:
        found.append(f"https://doi.org/{paper.doi}")
    return found


def technique_page(
    paper: Paper,
    technique: Technique | None,
    implementations: Iterable[Implementation],
    claims: Iterable[Claim],
    absolute: Absolute,
) -> dict[str, Any]:
    """The paper, the code that runs here, and what was measured with it. Claims are no measurements and are not among it."""
    parts: list[dict[str, Any]] = [article(paper, technique, absolute)]
    page = absolute(reverse("technique", args=[paper.slug]))
    for one in implementations:
        parts.append(
            {
                "@type": "SoftwareSourceCode",
                "@id": f"{page}#{one.name}",
                "name": one.name,
                "description": one.card.get("summary", ""),
                "programmingLanguage": "Python",
                "runtimePlatform": "PyTorch",
                "license": _CODE_LICENSE,
                "isBasedOn": {"@id": parts[0]["@id"]},
                "version": one.code_hash[:12],
            }
        )
    if measured := [entry for claim in claims if (entry := _measured(claim, absolute))]:
        parts.append(_dataset(paper, technique, page, measured))
    for part in parts[:1]:
        part.pop("@context", None)
    return {"@context": "https://schema.org", "@graph": parts}


def _dataset(paper: Paper, technique: Technique | None, page: str, measured: list[dict[str, Any]]) -> dict[str, Any]:
    name = (technique.name if technique else "") or plain_title(paper.title)
    licence = f"https://spdx.org/licenses/{settings.DATA_LICENSE}.html"
    return {
        "@type": "Dataset",
        "@id": f"{page}#measured",
        "name": f"What was measured of {name}",
        "description": f"Ratios of baselines to {name}, measured on GPUs for claims of its paper, each with its interval and run.",
        "url": page,
        "license": licence,
        "isBasedOn": {"@id": page},
        "measurementTechnique": "Paired timing in random order, 95 % interval of the median ratio",
        "variableMeasured": measured,
    }


def _measured(claim: Claim, absolute: Absolute) -> dict[str, Any] | None:
    """The verdict that stands, where it was reached on a GPU and decides; None otherwise."""
    verdict = getattr(claim, "standing", None)
    if verdict is None or rank(verdict)[0] != 0 or verdict.ratio is None:
        return None
    said = {
        "@type": "PropertyValue",
        "name": f"{label_of(claim.metric)}, baseline ÷ technique",
        "value": verdict.ratio,
        "minValue": verdict.low,
        "maxValue": verdict.high,
        "description": verdict.get_outcome_display(),
        "url": absolute(verdict.run.get_absolute_url()),
    }
    return {name: value for name, value in said.items() if value is not None}
