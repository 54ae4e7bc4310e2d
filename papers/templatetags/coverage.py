"""Words and badges of the page of coverage."""

from django import template

from papers.coverage import NEEDS_LABELS, STATE_LABELS, WAVE_LABELS

register = template.Library()

# A shape of its own beside each word, the one that the lists of runs use for the like.
_LOOKS = {
    "verified": "finished", "checked": "checked", "failed": "failed", "runnable": "running", "missing": "missing",
    "nothing": "cancelled",
}  # fmt: skip


@register.inclusion_tag("runners/_state.html")
def coverage_badge(state: str) -> dict[str, str]:
    return {"state": _LOOKS[state], "word": STATE_LABELS[state]}


@register.filter
def needs_words(needs: str) -> str:
    return NEEDS_LABELS.get(needs, needs)


@register.filter
def wave_words(wave: str) -> str:
    return WAVE_LABELS.get(wave, wave)


@register.simple_tag
def width_of(part: int, whole: int) -> str:
    """The share as a width of 100, for a bar."""
    return f"{100 * part / whole:.1f}" if whole else "0"
