"""Every module has a test file of its name, or stands in CONTRIBUTING.md with the test that covers it and why."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "inscl"


def listed() -> dict[str, list[str]]:
    """Module -> test files, from the table in CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| module | tested in | why there |")[2].partition("\n\n")[0]
    found = {}
    for row in table.splitlines()[2:]:
        modules, tests, why = (cell.strip() for cell in row.strip("|").split("|"))
        assert why, row
        for module in re.findall(r"`([^`]+)`", modules):
            assert module not in found, f"{module} stands there twice"
            found[module] = re.findall(r"`([^`]+)`", tests)
    return found


def mirror(module: Path) -> Path:
    return ROOT / "tests" / module.parent / f"test_{module.name}"


def test_every_module_has_a_test_file_or_says_where_it_is_tested() -> None:
    known = listed()
    modules = [path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if path.name != "__init__.py"]
    missing = [str(module) for module in modules if not mirror(module).exists() and str(module) not in known]
    assert not missing, f"write tests, or say in CONTRIBUTING.md which test covers: {', '.join(sorted(missing))}"


def test_the_list_names_modules_and_tests_that_are_there() -> None:
    wrong = []
    for module, tests in listed().items():
        wrong += [] if (SOURCE / module).exists() else [f"no module {module}"]
        wrong += [f"{module} has a test file of its name: take it out"] if mirror(Path(module)).exists() else []
        wrong += [f"{module}: no test {test}" for test in tests or ["at all"] if not (ROOT / "tests" / test).is_file()]
    assert not wrong, "\n".join(wrong)


def test_what_the_makefile_imports_is_there() -> None:
    imported = re.findall(r"from (inscl[\w.]*) import (\w+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert imported
    for module, name in imported:
        assert hasattr(importlib.import_module(module), name), f"the Makefile imports {name} from {module}"
