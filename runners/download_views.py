"""What a run found, to take away: its records as the harness writes them, and all of it in one object."""

import json
from collections.abc import Iterator

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from papers.models import Run

_RUN = (
    "mode", "state", "status", "failure_reason", "failure_detail", "environment", "skipped", "card_hash", "code_hash",
    "harness_version", "seed", "requested_at", "started_at", "finished_at",
)  # fmt: skip
_VERDICT = (
    "claim__card_key", "outcome", "ratio", "low", "high", "workload", "baseline", "reason", "hardware_note", "withdrawn_at",
)  # fmt: skip


@require_safe
def run_records(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The run's records as JSON lines, in the form that the command-line harness writes."""
    records = get_object_or_404(Run.objects.only("records"), pk=pk).records

    def lines() -> Iterator[str]:
        for record in records:
            yield json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n"

    answer = StreamingHttpResponse(lines(), content_type="application/x-ndjson; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="speedproof-run-{pk}.jsonl"'
    return answer


@require_safe
def run_bundle(request: HttpRequest, pk: int) -> JsonResponse:
    """The run, what it found, and the card that is here now, which may be a later one than it ran with."""
    found = get_object_or_404(Run.objects.select_related("implementation__paper", "device"), pk=pk)
    implementation, paper = found.implementation, found.implementation.paper
    bundle = {
        "run": {"id": found.pk, **{name: getattr(found, name) for name in _RUN}},
        "device": {"kind": found.device_kind, "name": found.device.name if found.device else None},
        "paper": {"title": paper.title, "arxiv_id": paper.arxiv_id, "doi": paper.doi},
        "card": implementation.card,
        "card_is_the_one_it_ran_with": found.is_current,
        "verdicts": list(found.verdicts.values(*_VERDICT)),
        "records": found.records,
    }
    answer = JsonResponse(bundle, json_dumps_params={"ensure_ascii": False, "indent": 1})
    answer["Content-Disposition"] = f'attachment; filename="speedproof-run-{pk}.json"'
    return answer
