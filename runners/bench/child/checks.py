"""Right before fast: every subject against a float64 reference, on fresh seeds, two distributions and an odd shape."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from runners.bench.child import compare
from runners.bench.child.channel import Channel
from runners.bench.child.compare import Figures
from runners.bench.child.devices import poison
from runners.bench.child.integrity import Watch
from runners.bench.child.subjects import (
    DTYPES,
    HarnessError,
    ReferenceTooLargeError,
    Setting,
    as_outputs,
    classify,
    cloned,
    cotangents_for,
    differentiable,
    in_float64,
    odd_workload,
    pulled_back,
    with_gradients,
)
from runners.blocks.rand import DISTRIBUTIONS
from runners.card_types import Workload

FRESH_SEEDS = 5
ODD_SEEDS = 2
TECHNIQUE = "technique"


@dataclass(frozen=True)
class Trial:
    """One seed and distribution on one workload.

    In a `primed` trial every subject is called once more beforehand, with other values at the very addresses that the
    call to be judged gets: who remembers answers by address gives one of the wrong values.
    """

    workload: Workload
    seed: int
    distribution: str
    primed: bool = False


@dataclass
class Finding:
    """What a subject did in one trial: error figures by output, or why it is wrong."""

    figures: list[Figures] = field(default_factory=list)
    quality: float | None = None
    status: str = "PASSED"
    detail: str = ""


@dataclass(frozen=True)
class Called:
    """Outputs of the last step and then the gradients asked for, with a name for each."""

    tensors: tuple[Tensor, ...]
    names: tuple[str, ...]


def trials(setting: Setting, seed: int) -> Iterator[list[Trial]]:
    """The trials of each check workload and of the odd shape; the distributions alternate."""
    chooser = random.Random(seed)
    workloads = [(each, FRESH_SEEDS) for each in setting.card.workloads if each.is_checked and each.use == "check"]
    workloads += [(each, FRESH_SEEDS) for each in setting.card.workloads if each.use == "both"]
    workloads.append((odd_workload(setting, seed), ODD_SEEDS))
    for workload, count in workloads:
        yield [
            Trial(workload, chooser.randrange(2**40), DISTRIBUTIONS[index % len(DISTRIBUTIONS)], primed=index == 0)
            for index in range(count)
        ]


def gradient_indices(setting: Setting, workload: Workload) -> tuple[int, ...]:
    """Inputs whose gradients are checked; a forward-only timed workload is checked as it is timed."""
    if workload.use == "time" and not workload.has_backward:
        return ()
    return setting.card.check.gradients


class Checker:
    """Runs trials and judges each subject by the card's rule."""

    def __init__(self, setting: Setting, channel: Channel, watch: Watch) -> None:
        self._setting = setting
        self._channel = channel
        self._watch = watch
        self._distances: dict[tuple[str, str], list[list[float]]] = {}
        self._shapes: dict[tuple[str, tuple[tuple[str, int], ...]], list[tuple[torch.Size, torch.dtype]]] = {}

    def check_all(self, seed: int) -> None:
        """Checks the technique and the rungs of the ladder. Raises HarnessError when the technique is wrong.

        A rung that is wrong is reported as such and later not timed. Compiled rungs are checked where they are timed.
        """
        groups = list(trials(self._setting, seed))
        for position, group in enumerate(groups):
            self._channel.phase("check", position / len(groups), group[0].workload.name)
            self.check_workload(group, self._rungs())

    def distances(self, workload: str, rung: str) -> list[float]:
        """The farthest that technique and rung were apart in each output while both were right; empty if unknown."""
        return [max(several) for several in zip(*self._distances.get((workload, rung), []), strict=True)]

    def _rungs(self) -> list[str]:
        ladder = [rung for rung in self._setting.card.baselines if rung.same_function]
        named = [rung.name for rung in ladder if not self._setting.is_compiled(rung.name)]
        return list(dict.fromkeys([self._setting.card.check.same_precision, *named]))

    def check_workload(self, group: Sequence[Trial], rungs: Sequence[str]) -> dict[str, str]:
        """Checks the technique and `rungs` on one workload; gives what is wrong with each rung that is not right."""
        check = self._setting.card.check
        found: dict[str, list[tuple[Trial, Finding]]] = {}
        previous: tuple[Tensor, ...] = ()
        for position, trial in enumerate(group):
            # The same-precision rung gives the measure of error in every trial; the others must be right in both
            # distributions, and need not pay for all seeds.
            names = [rung for rung in rungs if rung == check.same_precision or position < len(DISTRIBUTIONS)]
            findings, reference = self._run_trial(trial, [TECHNIQUE, *names])
            for name, finding in findings.items():
                found.setdefault(name, []).append((trial, finding))
            if position < 2:
                self._refuse_degenerate(trial, reference, findings[check.same_precision].figures, previous)
            previous = reference
            self._watch.verify(f"while {trial.workload.name} was checked")
        wrong: dict[str, str] = {}
        for name, several in found.items():
            status, detail = self._decide(name, several, found[check.same_precision])
            self._report(name, several, status, detail)
            if status != "PASSED" and name == TECHNIQUE:
                reason = "incorrect" if status.startswith("INCORRECT") else "crashed"
                raise HarnessError(status, reason, f"{group[0].workload.name}: {detail}")
            if status != "PASSED":
                wrong[name] = detail
        return wrong

    def check_other_function(self, trial: Trial, rung: str) -> str:
        """What is wrong with a rung that computes something else: it must run, be finite and leave its inputs alone."""
        setting, workload = self._setting, trial.workload
        weights = setting.weights(workload, trial.seed)
        inputs = setting.inputs(workload, trial.seed + 1, trial.distribution)
        try:
            called = self._call(rung, trial, weights, [inputs])
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:500]
        if not all(bool(torch.isfinite(each).all()) for each in called.tensors if each.is_floating_point()):
            return "its outputs are not finite"
        return ""

    def _run_trial(self, trial: Trial, names: Sequence[str]) -> tuple[dict[str, Finding], tuple[Tensor, ...]]:
        """Calls the subjects in the order of `names` (the technique first) and then the reference."""
        setting, workload = self._setting, trial.workload
        weights = setting.weights(workload, trial.seed)
        steps = [
            setting.inputs(workload, trial.seed + 1 + step, trial.distribution)
            for step in range(setting.card.check.steps)
        ]
        called: dict[str, Called] = {}
        findings: dict[str, Finding] = {}
        for name in names:
            try:
                called[name] = self._call(name, trial, weights, steps)
            except Exception as error:
                if name == TECHNIQUE:
                    raise
                findings[name] = Finding(status=classify(error)[0], detail=f"{type(error).__name__}: {error}"[:500])
        for name, outputs in called.items():
            if not compare.shape_problem(outputs.tensors, called[TECHNIQUE].tensors, outputs.names):
                pairs = zip(called[TECHNIQUE].tensors, outputs.tensors, strict=True)
                distances = [compare.figures(*pair).relative_l2 for pair in pairs]
                self._distances.setdefault((workload.name, name), []).append(distances)
        try:
            reference = self._call_reference(trial, weights, steps)
        except Exception as error:
            if classify(error)[1] == "out-of-memory":
                raise ReferenceTooLargeError("the float64 reference does not fit into memory") from None
            raise
        same = called.get(setting.card.check.same_precision)
        if same is None:
            failed = findings[setting.card.check.same_precision]
            if failed.status == "OUT_OF_MEMORY":
                raise ReferenceTooLargeError("the same-precision rung does not fit into memory")
            detail = failed.detail
            raise HarnessError("INVALID_REFERENCE", "incorrect", f"the same-precision rung failed: {detail}")
        for name, outputs in called.items():
            findings[name] = self._finding(outputs, reference, same)
        return findings, reference.tensors

    def _call(self, name: str, trial: Trial, weights: dict[str, Tensor], steps: Sequence[tuple[Tensor, ...]]) -> Called:
        """Calls a subject on clones, over poisoned memory, and sees that it left what it was given unchanged."""
        workload = trial.workload
        shape_key = (workload.name, tuple(sorted(workload.axes.items())))
        own_weights = cloned(weights)
        subject = self._setting.module.SUBJECTS[name](dict(workload.axes), own_weights)
        indices = gradient_indices(self._setting, workload)
        for position, inputs in enumerate(steps):
            arguments = self._arguments(subject, trial, inputs, indices, position)
            poison(self._shapes.get(shape_key, []), self._setting.device)
            last = position == len(steps) - 1
            result = self._outputs(subject, arguments, indices if last else (), trial)
            _refuse_changed(name, inputs, arguments, weights, own_weights)
        self._shapes[shape_key] = [(tensor.shape, tensor.dtype) for tensor in result.tensors]
        return result

    def _call_reference(self, trial: Trial, weights: dict[str, Tensor], steps: Sequence[tuple[Tensor, ...]]) -> Called:
        workload = trial.workload
        exact = {name: in_float64(tensor) for name, tensor in weights.items()}
        subject = self._setting.module.SUBJECTS[self._setting.card.check.reference](dict(workload.axes), exact)
        indices = gradient_indices(self._setting, workload)
        for position, inputs in enumerate(steps):
            exact_inputs = [in_float64(tensor) for tensor in inputs]
            arguments = self._arguments(subject, trial, exact_inputs, indices, position)
            last = position == len(steps) - 1
            result = self._outputs(subject, arguments, indices if last else (), trial)
        for name, tensor in zip(result.names, result.tensors, strict=True):
            if tensor.is_floating_point() and tensor.dtype != torch.float64:
                detail = f"the reference's {name} is {tensor.dtype}, not float64; do not cast inside that rung"
                raise HarnessError("INVALID_REFERENCE", "incorrect", detail)
        return result

    def _arguments(
        self,
        subject: Callable[..., Any],
        trial: Trial,
        inputs: Sequence[Tensor],
        indices: Sequence[int],
        position: int,
    ) -> tuple[Tensor, ...]:
        """Clones of `inputs`; in a primed trial at addresses where the subject has just seen other values."""
        if not trial.primed or position:
            return with_gradients(inputs, indices)
        unused_seed = trial.seed + 1 + self._setting.card.check.steps
        others = self._setting.inputs(trial.workload, unused_seed, trial.distribution)
        if [each.shape for each in others] != [each.shape for each in inputs]:
            return with_gradients(inputs, indices)  # shapes that follow from values leave no address to come back to
        alike = [other.to(each.dtype) for other, each in zip(others, inputs, strict=True)]
        arguments = with_gradients(alike, indices)
        self._outputs(subject, arguments, (), trial)
        with torch.no_grad():
            for argument, each in zip(arguments, inputs, strict=True):
                argument.copy_(each)
        return arguments

    def _outputs(
        self, subject: Callable[..., Any], arguments: Sequence[Tensor], indices: Sequence[int], trial: Trial
    ) -> Called:
        outputs = as_outputs(subject(*arguments))
        names = tuple(f"output {index}" for index in range(len(outputs)))
        gradients: tuple[Tensor, ...] = ()
        if indices:
            heads = differentiable(outputs)
            if not heads:
                detail = "no output depends on the inputs through autograd, but the card asks for gradients"
                raise HarnessError("RUNTIME_ERROR", "crashed", detail)
            wanted = [arguments[index] for index in indices]
            cotangents = cotangents_for(outputs, trial.seed, DTYPES[trial.workload.dtype])
            gradients = pulled_back(heads, wanted, cotangents)
            names += tuple(f"gradient of input {index}" for index in indices)
        # Cloned: a subject that hands out its own buffer would overwrite it at its next call.
        return Called(tuple(tensor.detach().clone() for tensor in (*outputs, *gradients)), names)

    def _finding(self, called: Called, reference: Called, same: Called) -> Finding:
        problem = compare.shape_problem(called.tensors, reference.tensors, reference.names)
        if problem:
            return Finding(status="INCORRECT_SHAPE", detail=problem)
        problem = compare.dtype_problem(called.tensors, same.tensors, reference.names)
        if problem:
            return Finding(status="INCORRECT_DTYPE", detail=problem)
        pairs = list(zip(called.tensors, reference.tensors, strict=True))
        return Finding([compare.figures(*pair) for pair in pairs], self._quality(called.tensors, reference.tensors))

    def _quality(self, outputs: Sequence[Tensor], reference: Sequence[Tensor]) -> float | None:
        """The worst quality figure over floating outputs; None on an exact card or where all outputs are integers."""
        check = self._setting.card.check
        pairs = [pair for pair in zip(outputs, reference, strict=True) if pair[1].is_floating_point()]
        if not check.quality or not pairs:
            return None
        figures = [compare.quality(check.quality, *pair) for pair in pairs]
        if any(math.isnan(figure) for figure in figures):
            return float("nan")
        return min(figures) if check.quality in compare.HIGHER_IS_BETTER else max(figures)

    def _decide(
        self, name: str, several: Sequence[tuple[Trial, Finding]], same: Sequence[tuple[Trial, Finding]]
    ) -> tuple[str, str]:
        """Status of a subject over all its trials on one workload, and what is wrong."""
        for trial, finding in several:
            if finding.status != "PASSED":
                return finding.status, finding.detail
            peers = [each.figures for peer, each in same if peer.distribution == trial.distribution]
            detail = self._numerical_problem(name, finding, peers, trial)
            if detail:
                return "INCORRECT_NUMERICAL", f"{detail} (seed {trial.seed}, {trial.distribution} inputs)"
        return "PASSED", ""

    def _numerical_problem(self, name: str, finding: Finding, peers: Sequence[Sequence[Figures]], trial: Trial) -> str:
        card, check = self._setting.card, self._setting.card.check
        if any(figure.relative_l2 == float("inf") for figure in finding.figures):
            return "the output has values that are not finite where the reference's are, or is far off a zero reference"
        if card.correctness == "approximate":
            # A rung may be a cruder approximation than the technique: it is compared with, not held to the budget.
            if name != TECHNIQUE or finding.quality is None or compare.within_budget(check, finding.quality):
                return ""
            return f"{check.quality} is {finding.quality:.4g}, over the card's budget of {check.budget:g}"
        epsilon = torch.finfo(getattr(torch, trial.workload.dtype)).eps
        for index, figure in enumerate(finding.figures):
            allowed = compare.worst([peer[index] for peer in peers])
            if not compare.within_factor(figure, allowed, check.error_factor, epsilon):
                return (
                    f"result {index} has relative error {figure.relative_l2:.3g} (largest {figure.max_abs:.3g}) where "
                    f"{check.same_precision!r} has {allowed.relative_l2:.3g} (largest {allowed.max_abs:.3g}); "
                    f"at most {check.error_factor:g} times that is accepted"
                )
        return ""

    def _refuse_degenerate(
        self, trial: Trial, reference: Sequence[Tensor], same: Sequence[Figures], previous: Sequence[Tensor]
    ) -> None:
        """Raises HarnessError when the card's own rule accepts an output that knows nothing of the inputs."""
        candidates = {
            "all-zero": [torch.zeros_like(tensor) for tensor in reference],
            "constant": [
                torch.full_like(tensor, tensor.mean().item()) if tensor.is_floating_point() else torch.ones_like(tensor)
                for tensor in reference
            ],
        }
        if previous:
            candidates["previous"] = list(previous)
        for label, outputs in candidates.items():
            pairs = list(zip(outputs, reference, strict=True))
            finding = Finding([compare.figures(*pair) for pair in pairs], self._quality(outputs, reference))
            if not self._numerical_problem(TECHNIQUE, finding, [same], trial):
                detail = (
                    f"{trial.workload.name}: the card's check accepts an {label} output; "
                    "tighten the budget or use inputs whose result is not constant"
                )
                raise HarnessError("INVALID_REFERENCE", "incorrect", detail)

    def _report(self, name: str, several: Sequence[tuple[Trial, Finding]], status: str, detail: str) -> None:
        workload = several[0][0].workload
        figures = [figure for _, finding in several for figure in finding.figures]
        qualities = [finding.quality for _, finding in several if finding.quality is not None]
        check = self._setting.card.check
        pick = min if check.quality in compare.HIGHER_IS_BETTER else max
        self._channel.send(
            "check",
            workload=workload.name,
            axes=workload.axes,
            dtype=workload.dtype,
            subject=name,
            status=status,
            detail=detail,
            seeds=[trial.seed for trial, _ in several],
            distributions=sorted({trial.distribution for trial, _ in several}),
            error=compare.worst(figures).to_dict() if figures else {},
            quality=pick(qualities) if qualities else None,
        )


def _refuse_changed(
    name: str,
    inputs: Sequence[Tensor],
    arguments: Sequence[Tensor],
    weights: dict[str, Tensor],
    own_weights: dict[str, Tensor],
) -> None:
    for index, (before, after) in enumerate(zip(inputs, arguments, strict=True)):
        if not compare.identical(before, after.detach()):
            raise HarnessError("REWARD_HACK", "integrity", f"{name} changed its input {index}; clone what is updated")
    for key, before in weights.items():
        if not compare.identical(before, own_weights[key].detach()):
            raise HarnessError("REWARD_HACK", "integrity", f"{name} changed the weight {key!r}; clone what is updated")
