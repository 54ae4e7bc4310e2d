"""What was measured of an implementation: a page of its own, and the part of the technique's page that holds it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from papers.models import Implementation
from runners.measured import Curve, OnDevice, measured
from runners.sweep_picture import pareto, picture


@require_safe
@vary_on_headers("HX-Request")
def show(request: HttpRequest, name: str) -> HttpResponse:
    implementation = get_object_or_404(Implementation.objects.select_related("paper"), name=name)
    found = measured(implementation)
    context = {
        "implementation": implementation,
        "name": implementation.name,
        "title": implementation.card.get("short_name") or implementation.name,
        "has_sweep": bool(implementation.card.get("sweep")),
        "measured": found,
        "devices": [_part(one) for one in found.devices],
    }
    partial = getattr(request, "htmx", False)
    return render(request, "runners/_measured.html" if partial else "runners/measured.html", context)


def _part(found: OnDevice) -> dict[str, Any]:
    curves = [
        {"rung": one.rung, "label": one.label, "points": one.points, "says": one.says(found.axis)}
        for one in found.curves
    ]
    rows = _rows(found.curves)
    return {
        "found": found,
        "curves": curves,
        "picture": picture(found.curves),
        "pareto": pareto(found.curves),
        "rows": rows,
        "has_quality": any(row["quality"] is not None for row in rows),
    }


def _rows(curves: list[Curve]) -> list[dict[str, Any]]:
    """The table beneath the picture: a row for each value of the axis, a point of each curve or None."""
    by_value = [{point.value: point for point in curve.points} for curve in curves]
    rows = []
    for value in sorted({value for points in by_value for value in points}):
        points = [points.get(value) for points in by_value]
        quality = next((point.quality for point in points if point and point.quality is not None), None)
        rows.append({"value": value, "points": points, "quality": quality})
    return rows
