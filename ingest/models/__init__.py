"""What ingest keeps besides papers and records."""

from ingest.models.endpoint import EndpointDay, EndpointReading, ReadingOutcome
from ingest.models.fetching import DailyFetch, DailyState, FetchCursor, FetchedAddress, HostTurn

__all__ = [
    "DailyFetch",
    "DailyState",
    "EndpointDay",
    "EndpointReading",
    "FetchCursor",
    "FetchedAddress",
    "HostTurn",
    "ReadingOutcome",
]
