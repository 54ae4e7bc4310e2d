"""What a badge says. Only a run on a GPU is ever told as measured."""

from dataclasses import dataclass

from papers.models import Claim, DeviceKind, Implementation, Outcome, Run, RunMode, RunState, Verdict, heavy_fields
from papers.standing import UNDECISIVE, rank
from papers.templatetags.figures import ratio

LABEL = "Speedproof"
_COLOURS = {
    Outcome.CONFIRMED: "#2f7d32",
    Outcome.BELOW_CLAIM: "#9a6700",
    Outcome.NO_GAIN: "#5f6b76",
    Outcome.SLOWER: "#b3261e",
}
_QUIET = "#5f6b76"


@dataclass(frozen=True)
class Badge:
    message: str
    colour: str = _QUIET
    label: str = LABEL

    @property
    def title(self) -> str:
        return f"{self.label}: {self.message}"

    def for_shields(self) -> dict[str, object]:
        """The form that shields.io reads from an endpoint."""
        return {"schemaVersion": 1, "label": self.label, "message": self.message, "color": self.colour.lstrip("#")}


UNKNOWN = Badge("no such technique")


def badge_of(implementations: list[Implementation], device: str = "") -> Badge:
    """What stands for the first implementation that a GPU decided something of; `device` is part of a device's name."""
    if not implementations:
        return UNKNOWN
    present = [one for one in implementations if one.retired_at is None]
    if not present:
        return Badge("retired")
    verdicts = _verdicts(present, device)
    if verdicts:
        return _of_verdict(min(verdicts, key=lambda verdict: (rank(verdict)[0], _place(verdict, present), -verdict.pk)))
    where = f" on {device}" if device else ""
    if not device and (checked := _where_checked(present)):
        on_cpu = DeviceKind.CUDA not in checked
        return Badge("not verified yet, checked on CPU only" if on_cpu else "not verified yet, answers checked")
    return Badge(f"not verified{where} yet")


def _verdicts(implementations: list[Implementation], device: str) -> list[Verdict]:
    timed = Verdict.objects.current().exclude(run__mode=RunMode.CHECK)
    found = timed.filter(
        run__implementation__in=implementations,
        run__device_kind=DeviceKind.CUDA,
        claim__withdrawn_at=None,
        claim__paper__withdrawn_at=None,
    )
    if device:
        found = found.filter(run__device__name__icontains=device)
    rows = found.select_related("claim", "run__device", "run__implementation")
    return list(rows.defer(*heavy_fields("run")))


def _place(verdict: Verdict, implementations: list[Implementation]) -> tuple[int, int]:
    """In the order of the implementations, then of the claims in the card: the first claim is the paper's main one."""
    number = next(i for i, one in enumerate(implementations) if one.pk == verdict.run.implementation_id)
    keys = [entry["key"] for entry in implementations[number].card.get("claims", [])]
    key = (verdict.claim.card_key or "").partition("/")[2]
    return number, keys.index(key) if key in keys else len(keys)


def _where_checked(implementations: list[Implementation]) -> set[str]:
    """Kinds of device on which answers were right."""
    passed = Run.objects.made_with_what_is_here().filter(state=RunState.FINISHED, status="PASSED")
    return set(passed.filter(implementation__in=implementations).values_list("device_kind", flat=True))


def _of_verdict(verdict: Verdict) -> Badge:
    device = short_name(verdict.run.device.name if verdict.run.device else "a GPU")
    claimed = claimed_words(verdict.claim)
    if verdict.outcome == Outcome.REJECTED:
        return Badge(f"rejected on {device}: the answer or its times cannot be trusted", "#b3261e")
    if verdict.outcome == Outcome.NOT_COMPARABLE or verdict.ratio is None:
        return Badge(f"run on {device}, not comparable with the claim of {claimed}")
    figure = f"{ratio(verdict.ratio)} on {device}"
    if verdict.outcome in UNDECISIVE:
        return Badge(f"{figure}, inconclusive, claimed {claimed}")
    return Badge(f"{figure}, claimed {claimed}", _COLOURS.get(Outcome(verdict.outcome), _QUIET))


def short_name(device: str) -> str:
    """Without the maker, as people say it."""
    return device.removeprefix("NVIDIA ").removeprefix("AMD ").strip() or device


def claimed_words(claim: Claim) -> str:
    """The claim as a ratio like the measured one, where it says one; else as the paper writes it."""
    if claim.ratio is None or claim.form == "factor":
        return claim.figure
    return f"{claim.qualifier} {claim.ratio:.3g}×".strip()
