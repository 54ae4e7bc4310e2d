"""Subjects whose ratio is known before it is measured."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
CARD_NAME = "known-work"
# What each rung takes over what the technique takes.
KNOWN_RATIOS = {"half": 0.5, "half_more": 1.5, "double": 2.0}
AXES = {"cpu": "{{ rows = {rows}, dim = 256 }}", "cuda": "{{ rows = {rows}, dim = 4096 }}"}
LIGHT_ROWS = {"cpu": 128, "cuda": 4096}
HEAVY = 8  # so much more work that what a call costs once, such as waking threads, does not count
DTYPES = {"cpu": "float32", "cuda": "bfloat16"}


def write_card(folder: Path, device: str, rungs: tuple[str, ...], rounds: int, *, heavy: bool) -> Path:
    """Writes a card that times `rungs` in `rounds` equal workloads, and its module; gives the card's path."""
    axes = AXES[device].format(rows=LIGHT_ROWS[device] * (HEAVY if heavy else 1))
    parts = [(FOLDER / "known_work.toml").read_text(encoding="utf-8")]
    if rungs:
        parts[0] = parts[0].replace('name = "same"\nlabel', f'name = "{rungs[0]}"\nlabel', 1)
    parts += [f'[[baselines]]\nname = "{rung}"\nlabel = "Other work"\nrole = "library"\n' for rung in rungs[1:]]
    for number in range(rounds):
        parts.append(
            f'[[workloads]]\nname = "round-{number + 1}"\nuse = "time"\nrepresentative = {str(not number).lower()}\n'
            f'axes = {axes}\ndtype = "{DTYPES[device]}"\n'
        )
    card = folder / "known_work.toml"
    card.write_text("\n".join(parts), encoding="utf-8")
    card.with_suffix(".py").write_text((FOLDER / "known_work.py").read_text(encoding="utf-8"), encoding="utf-8")
    return card
