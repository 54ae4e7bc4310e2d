"""What a page shows to some people only."""

from typing import Any

from django import template

from papers.services import may_edit, open_questions

register = template.Library()


@register.simple_tag
def open_questions_for(user: Any) -> int | None:
    """How many questions wait in the review queue, for whoever may answer them; None for everybody else."""
    return open_questions().count() if may_edit(user) else None
