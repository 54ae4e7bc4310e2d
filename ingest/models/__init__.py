"""What ingest keeps besides papers and records."""

from ingest.models.endpoint import EndpointDay, EndpointReading, ReadingOutcome
from ingest.models.fetching import DailyFetch, DailyState, FetchCursor, FetchedAddress, HostTurn
from ingest.models.submissions import Submission, SubmissionKind, SubmissionState

__all__ = [
    "DailyFetch",
    "DailyState",
    "EndpointDay",
    "EndpointReading",
    "FetchCursor",
    "FetchedAddress",
    "HostTurn",
    "ReadingOutcome",
    "Submission",
    "SubmissionKind",
    "SubmissionState",
]
