"""Numbers, intervals and outcomes as a page prints them. A colour never stands alone: each has a word and a shape."""

import math
from collections.abc import Iterable
from typing import Any

from django import template
from django.core.paginator import Paginator

from papers.models import Claim, Outcome
from papers.ratios import ratio_of

register = template.Library()

BAR_WIDTH, BAR_MARGIN = 200.0, 8.0


def significant(value: float, digits: int = 3) -> str:
    """A number with that many significant digits and no exponent where a reader would not write one."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 1e7 or abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def _plain_ratio(value: float) -> str:
    """Two decimals around one, where a ratio is read; fewer above and more below."""
    return f"{value:.2f}" if 0.1 <= value < 10 else significant(value)


@register.filter
def ratio(value: float | None) -> str:
    return "–" if value is None else f"{_plain_ratio(value)}×"


@register.simple_tag
def interval(low: float | None, high: float | None, sign: str = "×") -> str:
    """The 95 % interval beside its median: "1.58–1.66×"."""
    return "" if low is None or high is None else f"{_plain_ratio(low)}–{_plain_ratio(high)}{sign}"


@register.simple_tag
def amount(value: float | None, unit: str = "") -> str:
    """A figure with its unit; times and bytes in the unit that fits, counts in thousands and millions."""
    if value is None:
        return "–"
    if unit == "ms" and abs(value) >= 1000:
        return f"{significant(value / 1000)} s"
    if unit == "ms" and 0 < abs(value) < 0.1:
        return f"{significant(value * 1000)} µs"
    if unit in ("bytes", "B"):
        power = min(4, int(math.log(abs(value), 1024))) if abs(value) >= 1024 else 0
        return f"{significant(value / 1024**power)} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
    if unit in ("", "count", "counts") and abs(value) >= 1e4:
        power = min(4, int(math.log10(abs(value)) // 3))
        return f"{significant(value / 1000**power)} {('', 'thousand', 'million', 'billion', 'trillion')[power]}".strip()
    return f"{significant(value)} {unit}".strip()


@register.filter
def gib(value: float | None) -> str:
    return "–" if value is None else f"{significant(float(value))} GiB"


@register.filter
def share(value: float | None) -> str:
    """A share of one as per cent: "45 %"."""
    return "–" if value is None else f"{value:.0%}".replace("%", "\u00a0%")


@register.filter
def signed(value: float) -> str:
    """A weight with its sign, as parts of a sum are written."""
    return f"{value:+.2f}".replace("-", "−")


@register.filter
def percent(value: float | None) -> str:
    return "–" if value is None else f"±{significant(100 * value, 2)} %"


def claimed_ratio(claim: Claim) -> float | None:
    return ratio_of(claim.metric, claim.form, claim.direction, claim.value)


Scale = tuple[float, float]
"""The least and the largest ratio that bars which are compared have room for."""


def scale_of(values: Iterable[float | None]) -> Scale:
    """One scale for bars that a reader compares; 1× is always on it."""
    known = [value for value in values if value is not None and value > 0]
    return min(1.0, *known) / 1.15 if known else 1.0, max(1.0, *known) * 1.15 if known else 1.0


@register.inclusion_tag("papers/_interval.html")
def interval_bar(
    median: float | None,
    low: float | None,
    high: float | None,
    claim: Claim | None = None,
    verdict: bool = True,
    *,
    scale: Scale | None = None,
) -> dict[str, Any]:
    """A ratio with its interval on a logarithmic axis, beside 1× and what the paper claims.

    Without `verdict` it is drawn hollow: a figure that decides nothing. Bars of one `scale` can be compared by eye.
    """
    claimed = claimed_ratio(claim) if claim else None
    if median is None or median <= 0:
        return {"drawn": False}
    least, most = scale or scale_of((median, low, high, claimed))
    span = math.log(most / least)

    def place(value: float | None) -> float | None:
        if value is None or value <= 0:
            return None
        return round(BAR_MARGIN + (BAR_WIDTH - 2 * BAR_MARGIN) * math.log(value / least) / span, 1)

    left, right = place(low) or place(median), place(high) or place(median)
    assert left is not None  # noqa: S101 - the median is known here
    assert right is not None  # noqa: S101
    return {
        "drawn": True,
        "width": BAR_WIDTH,
        "one": place(1.0),
        "median": place(median),
        "left": left,
        "length": max(1.5, round(right - left, 1)),
        "claimed": place(claimed),
        "verdict": verdict,
        "words": _bar_words(median, low, high, claimed),
    }


def _bar_words(median: float, low: float | None, high: float | None, claimed: float | None) -> str:
    words = f"measured {ratio(median)}"
    if low is not None and high is not None:
        words += f", 95 % interval {interval(low, high)}"
    return words + (f", claimed {ratio(claimed)}" if claimed else "")


@register.simple_tag
def gain_figure(gain: dict[str, Any]) -> str:
    """The gain of a recommendation: its median, or what bounds it."""
    median, low, high = gain.get("median"), gain.get("low"), gain.get("high")
    if median is not None:
        return ratio(median)
    if low is not None and high is not None:
        return interval(low, high)
    if high is not None:
        return f"up to {ratio(high)}"
    return f"at least {ratio(low)}" if low is not None else ""


@register.inclusion_tag("papers/_outcome.html")
def outcome_badge(outcome: str) -> dict[str, str]:
    """The badge of a verdict's outcome; blank says that nothing was run for the claim."""
    return {"outcome": outcome or "untested", "word": Outcome(outcome).label if outcome else "Not tested"}


EVIDENCE = {
    "measured": ("Measured", "A run here measured it."),
    "scaled": ("Scaled", "Measured here, and carried over to this hardware or model."),
    "claimed": ("Claimed", "The paper says so; no run here stands behind it."),
    "modelled": ("Modelled", "Worked out from the hardware's figures; nobody measured it."),
}


@register.inclusion_tag("papers/_evidence.html")
def evidence(kind: str) -> dict[str, str]:
    """What a figure rests on, by shape and by word."""
    word, meaning = EVIDENCE[kind]
    return {"kind": kind, "word": word, "meaning": meaning}


@register.inclusion_tag("runners/_state.html")
def state_badge(state: str, word: str) -> dict[str, str]:
    return {"state": state, "word": word}


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as "8 s", "3 min 20 s" or "1 h 05 min"."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@register.filter
def wait(seconds: float) -> str:
    """A wait that was guessed from medians, no finer than it is known: "less than a minute", "about 6 min"."""
    if seconds < 45:
        return "less than a minute"
    minutes = max(1, round(seconds / 60)) if seconds < 600 else 5 * round(seconds / 300)
    return f"about {minutes} min" if minutes < 60 else f"about {minutes // 60} h {minutes % 60:02d} min"


@register.filter
def page_numbers(paginator: Paginator[Any], number: int) -> list[int | str]:
    """The page numbers to offer: the first, the last and those near the current one, with gaps marked."""
    return list(paginator.get_elided_page_range(number, on_each_side=1, on_ends=1))
