"""What of an address was left out, for the place above the results."""

from typing import Any

from django import template

from papers.addresses import MOST_SHOWN, ignored_in

register = template.Library()


@register.inclusion_tag("papers/_ignored.html", takes_context=True)
def ignored(context: template.Context) -> dict[str, Any]:
    request = context.get("request")
    found = ignored_in(request) if request is not None else []
    return {"ignored": found[:MOST_SHOWN], "further": len(found[MOST_SHOWN:])}
