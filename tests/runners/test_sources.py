"""What a result's hash covers: exactly the sources that the implementation runs."""

import json
import subprocess
import sys
from pathlib import Path

from runners.cards import card_paths, find_card, load_card
from runners.sources import sources_of

IMPORTS = """
import importlib, json, sys
found = {}
for name in json.loads(sys.argv[1]):
    for known in [each for each in sys.modules if each.startswith(("runners.blocks", "runners.implementations"))]:
        del sys.modules[known]
    importlib.import_module(name)
    loaded = [each for each in sys.modules.values() if each.__name__.startswith(("runners.blocks.", "runners.implementations."))]
    found[name] = sorted(each.__file__ for each in loaded if not each.__file__.endswith("__init__.py"))
print(json.dumps(found))
"""


def test_the_sources_of_every_card_are_those_that_python_imports(project_root: Path) -> None:
    cards = {card.module_name: card for card in map(load_card, card_paths(None))}
    command = [sys.executable, "-c", IMPORTS, json.dumps(sorted(cards))]
    done = subprocess.run(command, cwd=project_root, capture_output=True, text=True, timeout=300, check=True)
    for name, files in json.loads(done.stdout).items():
        found = [str(path) for path in sources_of(cards[name].module_path) if path.name != "__init__.py"]
        assert sorted(found) == files, name


def test_sources_follow_imports_of_imports_and_leave_out_the_rest() -> None:
    names = [path.name for path in sources_of(find_card("flash-attention-2").module_path)]
    assert names[0] == "flash_attention_2.py"
    assert {"attention.py", "kernels.py"} <= set(names)
    assert "optimizers.py" not in names


def test_a_changed_source_is_read_anew(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("from runners.blocks.rand import Rand\n")
    assert [path.name for path in sources_of(module)] == ["module.py", "rand.py"]
    module.write_text("from runners.blocks import rand, kernels\nimport math\n")
    assert {path.name for path in sources_of(module)} >= {"module.py", "rand.py", "kernels.py"}
