"""What the pages and the API cost at the server: p50, p95 and queries over 611 made-up papers, as a ratio to the targets.

    python -m benchmarks.page_latency [PAPERS]

Runs in a database and data folder of its own; the client is Django's own, so the network and gunicorn are left out.
"""

import os
import statistics
import sys
import tempfile
import time

TARGET_MS = 100.0
TARGET_QUERIES = 12
ROUNDS = 30


def main() -> int:
    papers = int(sys.argv[1]) if len(sys.argv) > 1 else 611
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "ERROR"}
        os.environ.pop("DATABASE_URL", None)
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("sync_cards", verbosity=0)
        fill(papers)
        return measure()


def fill(count: int) -> None:
    """Papers with a record and two claims each, in every family."""
    from papers.services import SeenPaper, record_paper, store_record
    from papers.vocabulary import FAMILY_LABELS

    families = list(FAMILY_LABELS)
    for number in range(count):
        abstract = f"Method {number} needs 2x less memory and runs 3x faster than a plain one. " * 6
        paper, _ = record_paper(
            SeenPaper(title=f"Method {number}: a made-up paper", abstract=abstract, votes=number % 40)
        )
        claims = [
            {"metric": metric, "form": "factor", "direction": "better", "phase": "inference", "value": value, "unit": "x",
             "quote": quote, "start": abstract.index(quote), "end": abstract.index(quote) + len(quote), "rule": "made-up"}
            for metric, value, quote in (("memory", 2.0, "2x less memory"), ("speedup", 3.0, "3x faster"))
        ]  # fmt: skip
        record = {
            "kind": "technique", "name": f"Method {number}", "families": [families[number % len(families)]],
            "modality": ["language"], "stage": ["inference"], "hardware": ["A100"], "claims": claims,
        }  # fmt: skip
        store_record(paper, record, "made-up")


def measure() -> int:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from papers.models import Implementation, Paper

    paper = Paper.objects.order_by("-pk").first()
    implementation = Implementation.objects.select_related("paper").first()
    assert paper is not None
    assert implementation is not None
    addresses = {
        "home": "/",
        "browse": "/papers/",
        "browse, two facets": "/papers/?family=quantization&stage=inference",
        "browse by claims": "/papers/?ordering=claims",
        "paper": f"/papers/{paper.slug}/",
        "technique": f"/techniques/{implementation.paper.slug}/",
        "techniques": "/techniques/",
        "runs": "/runs/",
        "API papers": "/api/v1/papers",
        "API paper": f"/api/v1/papers/{paper.slug}",
        "API claims": "/api/v1/claims",
    }
    client = Client(headers={"host": "localhost"})
    worst = 0.0
    print(
        f"{'page':20} {'p50 ms':>8} {'p95 ms':>8} {'p95 ÷ target':>13} {'queries':>8} (targets: {TARGET_MS:.0f} ms, {TARGET_QUERIES})"
    )
    for name, address in addresses.items():
        client.get(address)
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(address)
        assert answer.status_code == 200, (address, answer.status_code)
        samples = sorted(timed(client, address) for _ in range(ROUNDS))
        p95 = samples[int(0.95 * (len(samples) - 1))]
        worst = max(worst, p95 / TARGET_MS)
        print(f"{name:20} {statistics.median(samples):8.1f} {p95:8.1f} {p95 / TARGET_MS:13.2f} {len(queries):8}")
    print(f"worst ratio to the target: {worst:.2f}")
    return 0


def timed(client: object, address: str) -> float:
    start = time.perf_counter()
    client.get(address)  # type: ignore[attr-defined]
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    sys.exit(main())
