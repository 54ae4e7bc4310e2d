"""What ingest keeps besides papers and records."""

from ingest.models.endpoint import EndpointDay, EndpointReading, ReadingOutcome

__all__ = ["EndpointDay", "EndpointReading", "ReadingOutcome"]
