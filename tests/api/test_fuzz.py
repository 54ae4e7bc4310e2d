"""The whole schema under Schemathesis: what is documented is answered, what is malformed is refused, nothing breaks.

A fixed seed and a fixed number of cases, so that a failure is the same failure the next time.
"""

import os
from typing import Any

import pytest
import schemathesis
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from schemathesis.config import SchemathesisConfig

from papers.models import RunState
from papers.services import store_record
from tests.factories import make_device, make_implementation, make_measurement, make_run, make_verdict
from tests.papers.sample import a_claim, a_record, the_paper

pytestmark = pytest.mark.django_db
THOROUGH = os.environ.get("SCHEMATHESIS_THOROUGH") == "1"
# Where more than the shape of a value decides: words that have to stand in an abstract, names of things that are here.
MEANING = ["2xx", "3xx", "400", "401", "403", "404", "409", "413", "422", "429", "5xx"]
MEANINGFUL = [
    "GET /api/v1/changes", "GET /api/v1/facets", "GET /api/v1/papers", "GET /api/v1/techniques", "GET /api/v1/search", "POST /api/v1/claims",
    "PATCH /api/v1/claims/{id}", "PATCH /api/v1/papers/{slug}", "PATCH /api/v1/techniques/{slug}", "POST /api/v1/runs",
    "POST /api/v1/ingest", "POST /api/v1/recommendations", "POST /api/v1/review-items/{id}/decision",
    "POST /api/v1/agent/devices", "POST /api/v1/agent/lease", "POST /api/v1/agent/runs/{id}/heartbeat",
    "POST /api/v1/agent/runs/{id}/result", "POST /api/v1/agent/runs/{id}/release",
]  # fmt: skip
CONFIG = SchemathesisConfig.from_dict(
    {
        "seed": 1,
        "generation": {
            "max-examples": int(os.environ.get("SCHEMATHESIS_EXAMPLES", "3")),
            "deterministic": True,
            "database": "none",
        },
        "operations": [
            {"include-name": name, "checks": {"positive_data_acceptance": {"expected-statuses": MEANING}}}
            for name in MEANINGFUL
        ],
        # Every value at and beyond its bounds as well, which takes minutes: SCHEMATHESIS_THOROUGH=1.
        "phases": {"coverage": {"enabled": THOROUGH}, "fuzzing": {"enabled": True}},
    }
)


@pytest.fixture
def api_schema(db: None) -> Any:
    """Without `fields`: what was chosen is less than a record's schema demands; tests/api/test_protocol.py looks at it."""
    found = schemathesis.openapi.from_wsgi("/api/v1/schema", get_wsgi_application(), config=CONFIG)
    for operations in found.raw_schema["paths"].values():
        for operation in operations.values():
            operation["parameters"] = [one for one in operation.get("parameters", []) if one["name"] != "fields"]
    return found


schema = schemathesis.pytest.from_fixture("api_schema")


@pytest.fixture(autouse=True)
def _records(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One record of each kind, so that not every address is empty; streams end at once, and rates do not."""
    from api.throttles import ByMethodThrottle

    monkeypatch.setattr(ByMethodThrottle, "THROTTLE_RATES", {"reading": None, "writing": None})
    settings.EVENT_STREAM_S = 0
    cache.clear()
    implementation = make_implementation(name="foldcache")
    run = make_run(implementation, device=make_device(details={"ceilings": []}))
    make_measurement(run)
    make_verdict(implementation.paper.claims.get(), run)
    make_run(implementation, RunState.CANCELLED)
    store_record(the_paper(), a_record(claims=[a_claim(confidence=0.2)]), "1")


@schema.parametrize()
def test_everybody(case: schemathesis.Case) -> None:
    case.call_and_validate()
