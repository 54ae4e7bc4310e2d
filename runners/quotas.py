"""How many runs one person may have: open at once and within a day, in all and by kind of device."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from papers.models import DeviceKind, Run, RunState

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Quota:
    """Of one person: runs of a kind of device ("" for all kinds), open at once or asked for within a day.

    `frees_at` is when at the latest the next one is possible, where that can be told; only full quotas have it.
    """

    kind: str
    within: str  # "open" or "day"
    used: int
    most: int
    frees_at: datetime | None = None

    @property
    def is_full(self) -> bool:
        return self.used >= self.most

    @property
    def label(self) -> str:
        kind = f" for {DeviceKind(self.kind).label}" if self.kind else ""
        return f"waiting or running{kind}" if self.within == "open" else f"asked for within a day{kind}"

    def refusal(self) -> str:
        at = f"{self.frees_at:%d %b %Y, %H:%M} UTC" if self.frees_at else ""
        told = f"You have {self.used} runs {self.label}; {self.most} are allowed."
        if self.within == "open":
            return f"{told} Wait for one{f' (one ends by {at})' if at else ''} or cancel one."
        return f"{told} {f'The next one is possible from {at}.' if at else 'None is possible.'}"


def quotas_of(user: Any, kinds: tuple[str, ...] = tuple(DeviceKind.values)) -> list[Quota]:
    """Every quota of the user that has a limit, for all kinds together and for each of `kinds`."""
    mine, now = Run.objects.filter(requester_id=user.pk), timezone.now()
    found = [_open(mine, "", settings.RUN_QUOTA_PER_USER)]
    for kind in kinds:
        if (most := settings.RUN_QUOTA_OPEN.get(kind)) is not None:
            found.append(_open(mine, kind, most))
        if (most := settings.RUN_QUOTA_DAY.get(kind)) is not None:
            found.append(_day(mine, kind, most, now))
    return found


def _open(mine: QuerySet[Run], kind: str, most: int) -> Quota:
    rows = mine.filter(device_kind=kind) if kind else mine
    rows = rows.filter(state__in=[RunState.QUEUED, RunState.RUNNING])
    used, frees = rows.count(), None
    if used >= most > 0:
        began = rows.filter(state=RunState.RUNNING).order_by("started_at").values_list("started_at", flat=True).first()
        frees = began + timedelta(seconds=settings.RUN_WALL_LIMIT_S) if began else None
    return Quota(kind, "open", used, most, frees)


def _day(mine: QuerySet[Run], kind: str, most: int, now: datetime) -> Quota:
    """A run that was cancelled before it began has cost nothing."""
    asked = mine.filter(device_kind=kind, requested_at__gt=now - DAY)
    asked = asked.exclude(state=RunState.CANCELLED, started_at=None)
    used, frees = asked.count(), None
    if used >= most > 0:
        oldest_that_counts = asked.order_by("-requested_at").values_list("requested_at", flat=True)[most - 1]
        frees = oldest_that_counts + DAY
    return Quota(kind, "day", used, most, frees)
