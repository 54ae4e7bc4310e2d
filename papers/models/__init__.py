"""The data model; see docs/guide/data-model.md for the picture."""

from papers.models.audit import AppendOnly, AuditEntry
from papers.models.change import RecordChange
from papers.models.claim import QUALIFIERS, Claim, Direction, Form, Phase, Review
from papers.models.implementation import Device, DeviceKind, Implementation
from papers.models.paper import CodeLink, Paper, PaperTitle, Source
from papers.models.people import Identity, SignIn
from papers.models.regression import Regression
from papers.models.review import ReviewItem, ReviewReason, ReviewState, TwinCandidate, TwinState
from papers.models.run import FINAL_STATES, Measurement, Outcome, Run, RunMode, RunState, Verdict, heavy_fields
from papers.models.technique import Facet, Technique, TechniqueLabel

__all__ = [
    "FINAL_STATES",
    "QUALIFIERS",
    "AppendOnly",
    "AuditEntry",
    "Claim",
    "CodeLink",
    "Device",
    "DeviceKind",
    "Direction",
    "Facet",
    "Form",
    "Identity",
    "Implementation",
    "Measurement",
    "Outcome",
    "Paper",
    "PaperTitle",
    "Phase",
    "RecordChange",
    "Regression",
    "Review",
    "ReviewItem",
    "ReviewReason",
    "ReviewState",
    "Run",
    "RunMode",
    "RunState",
    "SignIn",
    "Source",
    "Technique",
    "TechniqueLabel",
    "TwinCandidate",
    "TwinState",
    "Verdict",
    "heavy_fields",
]
