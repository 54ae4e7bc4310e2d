"""Speedproof from outside: a typed client, a command line and tools for coding agents. Needs no Django."""

from speedproof.client import Client
from speedproof.errors import ApiError, NotAllowed, NotFound, NotReachable, SpeedproofError, TooManyRequests

__all__ = ["ApiError", "Client", "NotAllowed", "NotFound", "NotReachable", "SpeedproofError", "TooManyRequests"]
