"""The data model; see docs/guide/data-model.md for the picture."""

from papers.models.audit import AuditEntry
from papers.models.claim import Claim, Direction, Form, Phase, Review
from papers.models.implementation import Device, DeviceKind, Implementation
from papers.models.paper import Paper, Source
from papers.models.run import FINAL_STATES, Measurement, Outcome, Run, RunState, Verdict
from papers.models.technique import Facet, Technique, TechniqueLabel

__all__ = [
    "FINAL_STATES",
    "AuditEntry",
    "Claim",
    "Device",
    "DeviceKind",
    "Direction",
    "Facet",
    "Form",
    "Implementation",
    "Measurement",
    "Outcome",
    "Paper",
    "Phase",
    "Review",
    "Run",
    "RunState",
    "Source",
    "Technique",
    "TechniqueLabel",
    "Verdict",
]
