"""Charts: a figure that a script draws from rows of the API, with the caller's table beneath it."""

from typing import Any

from django import template
from django.templatetags.static import static

register = template.Library()


@register.inclusion_tag("papers/_chart.html")
def chart(name: str, rows: str, title: str, size: str = "") -> dict[str, Any]:
    """`name` is a specification in static/charts, `rows` the address of its rows, `size` "", "low" or "tall"."""
    return {"spec": static(f"charts/{name}.json"), "rows": rows, "title": title, "size": size}


@register.inclusion_tag("papers/_chart_head.html")
def chart_head() -> dict[str, Any]:
    """For the head of a page with charts; other pages do not load the library."""
    return {}
