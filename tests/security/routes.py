"""Every route of the service, and who may do what there. A route without a row here fails the tests."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from papers.roles import EDIT, INGEST, OPERATE, REQUEST_RUNS

ANYONE, SIGNED_IN, AGENT = "anyone", "signed-in", "agent"
READ = {"GET": ANYONE}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

TABLE: dict[str, dict[str, str]] = {
    # pages
    "health": READ, "ready": READ, "metrics": READ, "status": READ, "home": READ, "papers": READ, "paper": READ, "techniques": READ, "technique": READ, "families": READ, "family": READ,
    "coverage": READ, "about": READ, "components": READ, "hardware": READ, "device": READ, "compare": READ, "runs": READ, "run": READ, "run-panel": READ,
    "runs-waiting": READ, "run-compare": READ, "run-records": READ, "run-bundle": READ, "measured": READ, "ask": READ, "search": READ,
    "recommend": READ, "similar": READ,
    "sign-in": {"GET": ANYONE, "POST": ANYONE}, "sign-out": {"POST": ANYONE},
    "request-run": {"POST": REQUEST_RUNS}, "cancel-run": {"POST": REQUEST_RUNS},
    "review": {"GET": EDIT}, "review-answer": {"POST": EDIT},
    "ingest": {"GET": INGEST, "POST": INGEST}, "submission": {"GET": INGEST}, "submission-panel": {"GET": INGEST},
    "submission-confirm": {"POST": INGEST}, "submission-discard": {"POST": INGEST},
    "audit": {"GET": OPERATE},
    "account": {"GET": SIGNED_IN}, "password": {"GET": SIGNED_IN, "POST": SIGNED_IN}, "add-token": {"POST": SIGNED_IN},
    "revoke-token": {"POST": SIGNED_IN}, "end-session": {"POST": SIGNED_IN}, "end-other-sessions": {"POST": SIGNED_IN},
    # the API
    "api-paper-list": READ, "api-paper-detail": {"GET": ANYONE, "PATCH": EDIT}, "api-paper-similar": READ,
    "api-technique-list": READ, "api-technique-detail": {"GET": ANYONE, "PATCH": EDIT},
    "api-claim-list": {"GET": ANYONE, "POST": EDIT}, "api-claim-detail": {"GET": ANYONE, "PATCH": EDIT},
    "api-implementation-list": READ, "api-implementation-detail": READ, "api-implementation-measured": READ,
    "api-device-list": READ, "api-device-detail": READ, "api-verdict-list": READ, "api-verdict-detail": READ,
    "api-run-list": {"GET": ANYONE, "POST": REQUEST_RUNS}, "api-run-detail": READ, "api-run-cancel": {"POST": REQUEST_RUNS},
    "api-run-events": READ, "api-run-records": READ,
    "api-ingest-list": {"GET": INGEST, "POST": INGEST}, "api-ingest-detail": {"GET": INGEST}, "api-ingest-confirm": {"POST": INGEST},
    "api-ingest-discard": {"POST": INGEST},
    "api-review-item-list": READ, "api-review-item-detail": READ, "api-review-item-decision": {"POST": EDIT},
    "api-search": READ, "api-overview": READ, "api-vocabulary": READ, "api-families": READ, "api-facets": READ, "api-compare": READ,
    "api-hardware-list": READ, "api-hardware": READ, "api-coverage": READ, "api-claims-against-measurements": READ,
    "api-outcomes-by-family": READ, "api-recommendations": {"POST": ANYONE}, "api-schema": READ, "api-docs": READ,
    # agents: a token with the scope `device`, and nobody else
    "api-agent-devices": {"POST": AGENT}, "api-agent-lease": {"POST": AGENT}, "api-agent-heartbeat": {"POST": AGENT},
    "api-agent-result": {"POST": AGENT}, "api-agent-release": {"POST": AGENT},
    # data to take away
    "exports": READ, "export-file": READ, "papers-feed": READ, "verdicts-feed": READ, "runs-feed": READ, "badge": READ, "robots": READ,
    "llms": READ, "sitemap": READ, "sitemap-part": READ, "citation": READ,
    "api-run-bundle": READ, "api-exports": READ, "api-changes": READ, "api-croissant": READ, "api-hub-paper": READ, "api-hub-daily": READ,
    "api/v1/compat/huggingface/api/papers/<path:arxiv_id>": READ, "api/v1/compat/huggingface/api/daily_papers": READ, "api-pwc-links": READ,
    "api-pwc-methods": READ, "api-pwc-papers": READ, "api-pwc-tables": READ,
}  # fmt: skip
# What an address asks for: things that do not exist, but for the implementation, whose page one comes back to.
GIVEN: dict[str, Any] = {"pk": 987654, "slug": "not-there", "name": "foldcache", "form": "atom"}
FORMS = {"citation": "bib", "badge": "svg"}


@dataclass(frozen=True)
class Route:
    name: str
    address: str
    is_api: bool


def routes() -> Iterator[Route]:
    """All but those of the admin, which has a test of its own. A route without a name goes by its pattern."""
    for name, text, fields in _patterns(get_resolver(), ""):
        given = {field: GIVEN.get(field, "x") for field in fields}
        if name in FORMS:
            given["form"] = FORMS[name]
        filled = re.sub(r"<(?:\w+:)?\w+>", "x", f"/{text}")
        address = reverse(name, kwargs=given) if name else filled
        yield Route(name or text, address, address.startswith("/api/"))


def _patterns(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, str, list[str]]]:
    for pattern in resolver.url_patterns:
        text = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield pattern.name or "", text, list(pattern.pattern.regex.groupindex)
        elif pattern.namespace != "admin":
            yield from _patterns(pattern, text)


def admin_routes() -> Iterator[str]:
    """Addresses of the admin."""
    for pattern in get_resolver().url_patterns:
        if isinstance(pattern, URLResolver) and pattern.namespace == "admin":
            yield from _addresses(pattern, "/admin/")


def _addresses(resolver: URLResolver, prefix: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        text = prefix + str(pattern.pattern).replace("<path:object_id>", "1").replace("<id>", "1")
        if isinstance(pattern, URLResolver):
            yield from _addresses(pattern, text)
        elif "^" not in text and "(?P" not in text and "<" not in text:
            yield text
