"""The page that explains how verdicts come about."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from papers.models import Claim, Outcome
from papers.templatetags.figures import scale_of

CLAIMED = Claim(metric="speedup", form="factor", direction="better", value=2.0, unit="x", qualifier="up to")


@dataclass(frozen=True)
class Example:
    """Made-up figures beside the claim, and the verdict that the rules of `runners.bench.verdicts` draw from them."""

    ratio: float
    low: float
    high: float
    outcome: str
    why: str
    decides: bool = True
    claim: Claim = CLAIMED


EXAMPLES = (
    Example(1.95, 1.88, 2.02, Outcome.CONFIRMED, "1.88 is more than 0.9 × 2 = 1.8."),
    Example(1.40, 1.35, 1.45, Outcome.BELOW_CLAIM, "1.45 is less than 1.8, and 1.35 is a gain."),
    Example(1.00, 0.995, 1.005, Outcome.NO_GAIN, "Equal code differs by as much."),
    Example(0.80, 0.78, 0.82, Outcome.SLOWER, "0.82 is less than 0.99."),
    Example(1.70, 1.45, 1.98, Outcome.INCONCLUSIVE, "It may reach 1.8 or not."),
    Example(1.90, 1.85, 1.95, Outcome.NOT_COMPARABLE, "It was measured on a CPU.", decides=False),
)


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    scale = scale_of(end for each in EXAMPLES for end in (each.low, each.high, CLAIMED.value))
    return render(request, "about.html", {"examples": EXAMPLES, "scale": scale})
