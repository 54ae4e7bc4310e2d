"""An RO-Crate 1.1 of a run: its records, card, environment and log, and a description that ties them together."""

import io
import json
import zipfile
from datetime import UTC, datetime
from typing import Any

from api.bundles.redaction import redact, redact_all
from api.exports.columns import json_text
from api.exports.licence import licence
from api.exports.tables import BY_KIND, BY_NAME
from papers.models import Run, RunState
from papers.templatetags.text import plain_title

METADATA = "ro-crate-metadata.json"
_ABOUT = {
    "records.jsonl": ("Records of the harness", "All raw samples, one record a line, as `import_results` reads them.", "application/jsonl"),
    "run.json": ("Run", "The run with its measurements and verdicts.", "application/json"),
    "card.json": ("Card", "What was run, on which shapes, against what, as the installation holds it now.", "application/json"),
    "environment.json": ("Environment", "Versions, device and settings that the run found.", "application/json"),
    "log.txt": ("End of the log", "The last lines that the run wrote.", "text/plain"),
}  # fmt: skip


def bundle(run: Run, address: str) -> bytes:
    """The zip. The same run gives the same bytes. Secrets and paths of its machine are taken out of every text."""
    files = _files(run)
    described = json.dumps(_metadata(run, address, files), indent=2, ensure_ascii=False) + "\n"
    packed = io.BytesIO()
    moment = (run.finished_at or run.requested_at).astimezone(UTC)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, text in ((METADATA, described), *files.items()):
            entry = zipfile.ZipInfo(name, date_time=max(moment, datetime(1980, 1, 1, tzinfo=UTC)).timetuple()[:6])
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, text.encode())
    return packed.getvalue()


def _files(run: Run) -> dict[str, str]:
    table = BY_NAME["measurements"]
    figures = [
        table.row_of(one)
        for one in run.measurements.select_related("run__implementation", "run__device").order_by("pk")
    ]
    judged = [
        BY_KIND["verdict"].row_of(one) for one in run.verdicts.select_related("run__implementation").order_by("pk")
    ]
    whole = BY_KIND["run"].row_of(run) | {"measurements": figures, "verdicts": judged, "skipped": run.skipped}
    return {
        "records.jsonl": "".join(json_text(redact_all(record)) + "\n" for record in run.records),
        "run.json": json_text(redact_all(_plain(whole))) + "\n",
        "card.json": json_text(redact_all(run.implementation.card)) + "\n",
        "environment.json": json_text(redact_all(run.environment)) + "\n",
        "log.txt": redact(run.log_tail),
    }


def _plain(value: Any) -> Any:
    return json.loads(json_text(value))


# ── the description ─────────────────────────────────────────────────────────────────────────────────────────────────
def _metadata(run: Run, address: str, files: dict[str, str]) -> dict[str, Any]:
    implementation, terms = run.implementation, licence()
    name = f"Run {run.pk} of {implementation.name}"
    device = run.device.name if run.device else run.get_device_kind_display()
    decides = "" if run.device_kind == "cuda" else " A run on a CPU never decides a claim."
    graph: list[dict[str, Any]] = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": name,
            "description": f"{implementation.name} on {device}: {run.get_state_display().lower()}, {run.status or run.failure_reason}."
            f"{decides} Secrets and paths of the machine were taken out.",
            "datePublished": _moment(run.finished_at or run.requested_at),
            "identifier": address,
            "license": {"@id": terms.url},
            "hasPart": [{"@id": path} for path in files],
            "mentions": [{"@id": "#run"}],
        },
        *(_file(path, text) for path, text in files.items()),
        _action(run, name, files),
        *_context(run),
        {"@id": terms.url, "@type": "CreativeWork", "name": terms.spdx, "description": terms.note},
    ]
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}


def _file(path: str, text: str) -> dict[str, Any]:
    title, about, kind = _ABOUT[path]
    return {
        "@id": path,
        "@type": "File",
        "name": title,
        "description": about,
        "encodingFormat": kind,
        "contentSize": str(len(text.encode())),
    }


def _action(run: Run, name: str, files: dict[str, str]) -> dict[str, Any]:
    done = run.state == RunState.FINISHED
    action: dict[str, Any] = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": name,
        "instrument": {"@id": "#harness"},
        "object": [{"@id": "card.json"}, {"@id": "#implementation"}],
        "result": [{"@id": path} for path in files if path != "card.json"],
        "actionStatus": {"@id": f"http://schema.org/{'CompletedActionStatus' if done else 'FailedActionStatus'}"},
    }
    for word, at in (("startTime", run.started_at), ("endTime", run.finished_at)):
        if at is not None:
            action[word] = _moment(at)
    if run.failure_detail and not done:
        action["error"] = redact(run.failure_detail)
    return action


def _context(run: Run) -> list[dict[str, Any]]:
    implementation, paper = run.implementation, run.implementation.paper
    article: dict[str, Any] = {"@id": "#paper", "@type": "ScholarlyArticle", "name": plain_title(paper.title)}
    if paper.arxiv_id:
        article["url"] = f"https://arxiv.org/abs/{paper.arxiv_id}"
    return [
        {
            "@id": "#harness",
            "@type": "SoftwareApplication",
            "name": "Speedproof harness",
            "version": run.harness_version or "unknown",
        },
        {
            "@id": "#implementation",
            "@type": "SoftwareSourceCode",
            "name": implementation.name,
            "version": run.code_hash,
            "description": f"Card {run.card_hash}",
            "isBasedOn": {"@id": "#paper"},
        },
        article,
    ]


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
