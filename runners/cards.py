"""Cards: the data half of a reference implementation. Standard library only: the web reads them without torch."""

from __future__ import annotations

import ast
import difflib
import threading
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TypeVar

from runners.card_fields import CardError, Fields
from runners.card_types import RUNNERS, Baseline, Card, Check, Claim, Effect, Needs, Sweep, Workload

Named = TypeVar("Named", Baseline, Workload, Claim)

__all__ = [
    "Baseline", "Card", "CardError", "Check", "Claim", "Effect", "Needs", "Sweep", "Workload",
    "all_cards", "find_card", "load_card",
]  # fmt: skip

IMPLEMENTATIONS = RUNNERS / "implementations"
_PARSING = (
    threading.Lock()
)  # Python 3.11 counts depth for all threads together: two that parse at once can end in a SystemError

SLUG = r"[a-z0-9]+(-[a-z0-9]+)*"
IDENTIFIER = r"[a-z][a-z0-9_]*"
ARXIV_ID = r"\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7}"
HIGHER_IS_BETTER_QUALITY = ("cosine", "topk_overlap")

KINDS = ("technique", "architecture", "system")
SCOPES = ("kernel", "module", "model", "training-step", "processes")
MODALITIES = (
    "language", "vision", "video", "speech-audio", "multimodal", "3d", "graph", "tabular", "recsys", "robotics-rl",
    "science", "code", "general",
)  # fmt: skip
STAGES = ("training", "fine-tuning", "inference", "search", "data")
FAMILIES = (
    "quantization", "sparsity-pruning", "distillation", "low-rank", "peft", "efficient-attention", "kv-cache",
    "ssm-recurrent", "mixture-of-experts", "conditional-computation", "token-reduction", "decoding-acceleration",
    "kernels-compilers", "distributed-training", "memory-efficient-training", "training-efficiency",
    "efficient-architecture", "nas", "weight-sharing", "retrieval-efficiency", "diffusion-acceleration",
    "serving-systems", "data-efficiency", "edge-deployment", "hardware-accelerators",
)  # fmt: skip
METRICS = (
    "latency", "throughput", "speedup", "memory", "params", "model_size", "flops", "energy", "communication",
    "training_time", "training_cost", "data_samples", "storage", "compression", "bandwidth", "other_efficiency",
)  # fmt: skip
EFFECT_TERMS = (
    "attention", "linear", "kv_cache", "weights", "optimizer", "activations", "gradients", "output-layer", "conv",
    "all",
)  # fmt: skip
MEASURES = (
    "time", "throughput", "peak_memory", "steady_memory", "weights", "kv_cache", "optimizer_state", "parameters", "flops",
)  # fmt: skip


def load_card(path: Path) -> Card:
    """The card at `path`. Raises CardError that names file and field."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(f"{path}: file: cannot be read ({error.strerror}); give the path of a card") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CardError(f"{path}: file: is not TOML in UTF-8 ({error}); mend the syntax") from error
    card = _card(Fields(path, "", raw), path)
    _check_subjects(card)
    return card


def card_paths(root: Path | None = None) -> list[Path]:
    """Every card file below `root` (default: runners/implementations), sorted."""
    return sorted((root or IMPLEMENTATIONS).rglob("*.toml"))


def all_cards(root: Path | None = None) -> dict[str, Card]:
    """Every card by name, sorted by name. Raises CardError at the first bad card."""
    cards: dict[str, Card] = {}
    for path in card_paths(root):
        card = load_card(path)
        if card.name in cards:
            raise CardError(f"{path}: name: {card.name!r} is taken by {cards[card.name].path}; names are unique")
        cards[card.name] = card
    return dict(sorted(cards.items()))


def find_card(name: str, root: Path | None = None) -> Card:
    """The card called `name`. Raises CardError that suggests close names; other bad cards do not matter."""
    by_name = {path.stem.replace("_", "-"): path for path in card_paths(root)}
    if name not in by_name:
        close = difflib.get_close_matches(name, by_name, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "`python -m runners.bench list` shows all names"
        raise CardError(f"{root or IMPLEMENTATIONS}: name: there is no card {name!r}; {hint}")
    return load_card(by_name[name])


def _card(fields: Fields, path: Path) -> Card:
    fields.integer("schema", low=1, high=1)
    correctness = fields.text("correctness", choices=("exact", "approximate"))
    workloads = _unique(fields, "workloads", [_workload(each) for each in fields.tables("workloads")])
    baselines = _unique(fields, "baselines", [_baseline(each) for each in fields.tables("baselines")])
    scope = fields.text("scope", choices=SCOPES)
    card = Card(
        path=path,
        schema=1,
        name=fields.text("name", pattern=SLUG),
        title=fields.text("title"),
        arxiv=fields.text("arxiv", default="", pattern=ARXIV_ID),
        year=fields.integer("year", low=1950, high=2100),
        kind=fields.text("kind", choices=KINDS),
        short_name=fields.text("short_name"),
        families=fields.texts("families", choices=FAMILIES),
        modality=fields.texts("modality", choices=MODALITIES),
        stage=fields.texts("stage", choices=STAGES),
        training_free=fields.flag("training_free", default=None),
        summary=fields.text("summary"),
        simplified=fields.text("simplified", default=""),
        missing_baselines=fields.text("missing_baselines", default=""),
        scope=scope,
        correctness=correctness,
        needs=_needs(fields.table("needs", default={})),
        check=_check(fields.table("check", default={}), correctness),
        baselines=baselines,
        workloads=workloads,
        sweep=_sweep(fields.table("sweep"), workloads) if fields.has("sweep") else None,
        claims=_unique(
            fields, "claims", [_claim(each, scope, baselines, workloads) for each in fields.tables("claims", [])], "key"
        ),
        effect=_effect(fields.table("effect")) if fields.has("effect") else None,
    )
    fields.finish()
    if card.name != path.stem.replace("_", "-"):
        wanted = path.stem.replace("_", "-")
        raise fields.error(
            "name", f"{card.name!r} differs from the file's name", f"write {wanted!r} or rename the file"
        )
    _check_workloads(fields, card)
    for key in (card.check.reference, card.check.same_precision):
        if any(rung.name == key and not rung.same_function for rung in baselines):
            problem = f"{key!r} computes another function and cannot say what is right"
            raise fields.error("check", problem, "name a rung with same_function = true")
    return card


def _needs(fields: Fields) -> Needs:
    triton = bool(fields.flag("triton", default=False))
    needs = Needs(
        triton=triton,
        cuda_capability=fields.text("cuda_capability", default="", pattern=r"\d+\.\d"),
        memory_gib=fields.number("memory_gib", default=None, above=0.0),
        cpu_timing=bool(fields.flag("cpu_timing", default=not triton)),
    )
    fields.finish()
    return needs


def _check(fields: Fields, correctness: str) -> Check:
    reference = fields.text("reference", default="eager")
    approximate = correctness == "approximate"
    if approximate and not fields.has("budget"):
        raise fields.error("budget", "is missing on an approximate card", "state the worst accepted figure")
    if not approximate and (fields.has("budget") or fields.has("quality")):
        raise fields.error("quality", "does not go with an exact card", "drop quality and budget, or say approximate")
    if approximate and fields.has("error_factor"):
        raise fields.error("error_factor", "does not go with an approximate card", "drop it")
    check = Check(
        reference=reference,
        same_precision=fields.text("same_precision", default=reference),
        error_factor=fields.number("error_factor", default=2.0, above=0.0) or 2.0,
        gradients=fields.integers("gradients", low=0, default=()),
        steps=fields.integer("steps", default=1, low=1, high=10_000),
        quality=fields.text(
            "quality",
            default="relative_l2" if approximate else "",
            choices=("relative_l2", *HIGHER_IS_BETTER_QUALITY, "kl"),
        ),
        budget=fields.number("budget", default=None, above=0.0),
        multiples=fields.axes("multiples", default={}, low=1),
        fixed=fields.texts("fixed", default=()),
    )
    if check.quality in HIGHER_IS_BETTER_QUALITY and check.budget is not None and check.budget > 1:
        raise fields.error(
            "budget", f"{check.budget} can never be reached by {check.quality}", "give the least, under 1"
        )
    fields.finish()
    return check


def _baseline(fields: Fields) -> Baseline:
    baseline = Baseline(
        name=fields.text("name", pattern=IDENTIFIER),
        label=fields.text("label"),
        role=fields.text("role", choices=("paper", "eager", "compiled", "library")),
        cpu_timing=bool(fields.flag("cpu_timing", default=True)),
        same_function=bool(fields.flag("same_function", default=True)),
    )
    if baseline.name == "technique":
        raise fields.error("name", "'technique' is the subject itself", "name a rung")
    fields.finish()
    return baseline


def _workload(fields: Fields) -> Workload:
    workload = Workload(
        name=fields.text("name", pattern=SLUG),
        use=fields.text("use", choices=("check", "time", "both")),
        device=fields.text("device", default="any", choices=("cuda", "any")),
        representative=bool(fields.flag("representative", default=False)),
        axes=fields.axes("axes"),
        dtype=fields.text("dtype", choices=("float64", "float32", "float16", "bfloat16")),
        pass_=fields.text("pass", default="forward", choices=("forward", "forward+backward")),
    )
    if workload.representative and workload.use == "check":
        raise fields.error("representative", "is set on a workload that is not timed", "drop it, or use = 'time'")
    fields.finish()
    return workload


def _sweep(fields: Fields, workloads: Collection[Workload]) -> Sweep:
    timed = {workload.name: workload for workload in workloads if workload.is_timed}
    sweep = Sweep(
        workload=fields.text("workload", choices=tuple(timed)),
        axis=fields.text("axis"),
        values=fields.integers("values", low=1),
    )
    axes = timed[sweep.workload].axes
    if sweep.axis not in axes:
        raise fields.error("axis", f"{sweep.axis!r} is no axis of {sweep.workload!r}", f"one of {', '.join(axes)}")
    if len(set(sweep.values)) < 2:
        raise fields.error("values", "holds fewer than two different values", "give at least two")
    fields.finish()
    return sweep


def _claim(fields: Fields, scope: str, baselines: Iterable[Baseline], workloads: Iterable[Workload]) -> Claim:
    claim = Claim(
        key=fields.text("key", pattern=SLUG),
        statement=fields.text("statement"),
        metric=fields.text("metric", choices=METRICS),
        phase=fields.text("phase", choices=("inference", "training", "fine-tuning", "search", "other")),
        form=fields.text("form", choices=("factor", "percent", "absolute")),
        direction=fields.text("direction", default="better", choices=("better", "worse", "none")),
        value=fields.number("value", above=0.0) or 0.0,
        value_max=fields.number("value_max", default=None, above=0.0),
        unit=fields.text("unit", default=""),
        qualifier=fields.text("qualifier", default="", choices=("", "up to", "at least", "about", "average")),
        baseline=fields.text("baseline", default="", choices=("", *(rung.name for rung in baselines))),
        baseline_text=fields.text("baseline_text", default=""),
        measure=fields.text("measure", choices=MEASURES),
        workload=fields.text("workload", default="", choices=("", *(each.name for each in workloads if each.is_timed))),
        scope=fields.text("scope", default=scope, choices=SCOPES),
        hardware=fields.text("hardware", default=""),
    )
    if claim.value_max is not None and claim.value_max < claim.value:
        raise fields.error("value_max", f"{claim.value_max} is below value {claim.value}", "give the range's upper end")
    fields.finish()
    return claim


def _effect(fields: Fields) -> Effect:
    effect = Effect(
        term=fields.text("term", choices=EFFECT_TERMS),
        resource=fields.text("resource", choices=("time", "memory")),
        low=fields.number("low", above=0.0) or 0.0,
        high=fields.number("high", above=0.0) or 0.0,
        stages=fields.texts("stages", choices=STAGES),
        requires_training=fields.text("requires_training", choices=("none", "calibration", "finetune", "pretrain")),
        architectures=fields.texts(
            "architectures", choices=("transformer", "moe", "ssm", "cnn", "vit", "diffusion"), default=("transformer",)
        ),
    )
    if effect.high < effect.low:
        raise fields.error("high", f"{effect.high} is below low {effect.low}", "give the range's upper end")
    fields.finish()
    return effect


def _unique(fields: Fields, key: str, items: Iterable[Named], attribute: str = "name") -> tuple[Named, ...]:
    seen: dict[str, Named] = {}
    for item in items:
        label = getattr(item, attribute)
        if label in seen:
            raise fields.error(f"{key}.{attribute}", f"{label!r} appears twice", "each must be unique in the card")
        seen[label] = item
    return tuple(seen.values())


def _check_workloads(fields: Fields, card: Card) -> None:
    if not any(workload.is_checked for workload in card.workloads):
        raise fields.error("workloads", "holds none with use = 'check' or 'both'", "add a small odd one for checking")
    for device in ("cuda", "any"):
        timed = [each for each in card.workloads if each.is_timed and each.device == device]
        chosen = [each.name for each in timed if each.representative]
        if timed and len(chosen) != 1:
            found = " and ".join(chosen) or "none"
            raise fields.error(
                "workloads.representative",
                f"exactly one timed workload with device = {device!r} must be representative, found {found}",
                f"set representative = true on one of {', '.join(each.name for each in timed)}",
            )
    for axis in (*card.check.multiples, *card.check.fixed):
        if not any(axis in workload.axes for workload in card.workloads):
            raise fields.error("check", f"{axis!r} in multiples or fixed is no axis of a workload", "drop it")


def _check_subjects(card: Card) -> None:
    """Compares the ladder with the keys of SUBJECTS as far as they are written out in the module's source."""
    if not card.module_path.is_file():
        raise CardError(f"{card.path}: module: {card.module_path.name} is missing; put it beside the card")
    try:
        with _PARSING:
            subjects = _declared_subjects(ast.parse(card.module_path.read_text(encoding="utf-8")))
    except SyntaxError as error:
        raise CardError(f"{card.module_path}: line {error.lineno}: is not Python ({error.msg}); mend it") from error
    if subjects is None:
        return  # assembled at run time: the child checks it when the module is imported
    needed = {
        "technique": "SUBJECTS",
        card.check.reference: "check.reference",
        card.check.same_precision: "check.same_precision",
        **{rung.name: "baselines" for rung in card.baselines},
    }
    for name, field in needed.items():
        if name not in subjects:
            found = ", ".join(sorted(subjects)) or "none"
            raise CardError(
                f"{card.path}: {field}: {card.module_path.name} has no subject {name!r} (it has {found}); "
                f"add it to SUBJECTS or name one of those"
            )


def _declared_subjects(module: ast.Module) -> set[str] | None:
    """Keys of SUBJECTS, from its dict display and later item assignments; None if it is built in another way."""
    found: set[str] | None = set()
    for node in module.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="SUBJECTS")], value=value)
                | ast.AnnAssign(target=ast.Name(id="SUBJECTS"), value=value)
            ):
                keys = value.keys if isinstance(value, ast.Dict) else [None]
                texts = [str(key.value) for key in keys if isinstance(key, ast.Constant)]
                found = set(texts) if len(texts) == len(keys) else None
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id="SUBJECTS"), slice=ast.Constant(value=str(key)))]):
                if found is not None:
                    found.add(key)
            case _:
                mentioned = any(isinstance(each, ast.Name) and each.id == "SUBJECTS" for each in ast.walk(node))
                if mentioned and not isinstance(node, ast.FunctionDef | ast.ClassDef):
                    return None
    return found
