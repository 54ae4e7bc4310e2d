"""Measurements that others published (published.toml) beside what the model of the situation says of them."""

from __future__ import annotations

import functools
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

from recommender.hardware.catalogue import devices
from recommender.hardware.models import models
from recommender.hardware.timing import Cost, Efficiency, Machine, cost_of, efficiency_of
from recommender.hardware.work import Workload, passes

SOURCE = Path(__file__).with_name("published.toml")
PASSES = {"decode": "decode_per_token", "prompt": "prefill", "train": "training_step"}


@dataclass(frozen=True, slots=True)
class Published:
    """One figure: `measured_ms` of a pass in a setting, and where it stands. `held_out` ones took no part in fitting."""

    device: str
    count: int
    model: str
    work: Workload
    what: str
    measured_ms: float
    source: str
    address: str
    sharing: str
    held_out: bool = False

    def expected(self, efficiency: Efficiency | None = None) -> Cost:
        """What the model says, of the way in which the devices were used."""
        model, device = models()[self.model], devices()[self.device]
        machine = Machine(device, self.count, efficiency or efficiency_of(device), self.sharing)
        one = next(one for one in passes(model, self.work) if one.name == PASSES[self.what])
        return cost_of(one, self.work, machine, model)

    @property
    def error(self) -> float:
        """ln(measured ÷ expected): 0 when the model is right, 0.1 when it is 10 % too quick."""
        return math.log(self.measured_ms / self.expected().ms)


@functools.cache
def published() -> tuple[Published, ...]:
    found = []
    for source in tomllib.loads(SOURCE.read_text(encoding="utf-8"))["source"]:
        for device, count, model, dtype, what, batch, tokens, new, value in source["rows"]:
            trains = what == "train"
            work = Workload(
                "training" if trains else "inference", batch, tokens, new, tokens if trains else 2048, dtype=dtype
            )
            handled = {"decode": 1, "prompt": tokens, "train": batch * tokens / count}[what]
            ms, sharing = 1e3 * handled / value, source["sharing"] if count > 1 else "one"
            found.append(
                Published(
                    device,
                    count,
                    model,
                    work,
                    what,
                    ms,
                    source["name"],
                    source["address"],
                    sharing,
                    bool(source.get("held_out")),
                )
            )
    return tuple(found)
