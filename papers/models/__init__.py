"""The data model; see docs/guide/data-model.md for the picture."""

from papers.models.audit import AuditEntry
from papers.models.claim import QUALIFIERS, Claim, Direction, Form, Phase, Review
from papers.models.implementation import Device, DeviceKind, Implementation
from papers.models.paper import CodeLink, Paper, PaperTitle, Source
from papers.models.regression import Regression
from papers.models.review import ReviewItem, ReviewReason, ReviewState, TwinCandidate, TwinState
from papers.models.run import FINAL_STATES, Measurement, Outcome, Run, RunState, Verdict
from papers.models.technique import Facet, Technique, TechniqueLabel

__all__ = [
    "FINAL_STATES",
    "QUALIFIERS",
    "AuditEntry",
    "Claim",
    "CodeLink",
    "Device",
    "DeviceKind",
    "Direction",
    "Facet",
    "Form",
    "Implementation",
    "Measurement",
    "Outcome",
    "Paper",
    "PaperTitle",
    "Phase",
    "Regression",
    "Review",
    "ReviewItem",
    "ReviewReason",
    "ReviewState",
    "Run",
    "RunState",
    "Source",
    "Technique",
    "TechniqueLabel",
    "TwinCandidate",
    "TwinState",
    "Verdict",
]
