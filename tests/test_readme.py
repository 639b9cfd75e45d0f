"""What the README and the guides tell people to type, typed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import forking
from streams import toy_stream

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
QUICKSTART = ROOT / "docs" / "quickstart.md"
EXTENDING = ROOT / "docs" / "extending.md"
PAGES = sorted([README, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])

# What makes a command of the documentation small enough for a test; everything else stays as it is written.
TINY_STREAM = {"path": "demo", "order": ["route_message", "grade_review"], "train_per_task": 4, "test_per_task": 2}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    lines = "".join(blocks(page, "console")).splitlines()
    return [line.removeprefix("$ ").partition("  #")[0].strip() for line in lines if line.startswith("$ ")]


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    toy_stream(tmp_path / "mydata")
    return tmp_path


def small(command: str, model: Path) -> list[str]:
    """The arguments of an inscl command; those that learn do so on a tiny stream with a tiny model."""
    name, *arguments = shlex.split(command)
    assert name == "inscl"
    if arguments[0] in ("run", "plan", "demo"):
        changes = {f"stream.{key}": json.dumps(value) for key, value in TINY_STREAM.items()}
        changes |= {"model.name": str(model), "training.epochs": "1", "evaluation.max_new_tokens": "4"}
        arguments += [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    if arguments[0] == "init":
        changes = {"training.epochs": "1", "evaluation.max_new_tokens": "4", "replay.budget.per_task": "2"}
        changes |= {"replay.embedder": "ngrams", "replay.tag_embedder": "null"}
        arguments += ["--model", str(model), *(f"--set={key}={value}" for key, value in changes.items())]
    if arguments[0] == "bench":
        changes = {"model.name": str(model), "training.epochs": "1", "evaluation.max_new_tokens": "4"}
        changes |= {"replay.embedder": "ngrams", "replay.tag_embedder": "null", "replay.budget.per_task": "2"}
        arguments += [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
        arguments[arguments.index("--seeds") + 1] = "1"
    return arguments


def type_in(arguments: list[str], folder: Path) -> str:
    command = [sys.executable, "-c", "from inscl.cli import main; main()", *arguments]
    done = forking.run(command, cwd=folder, timeout=500)
    # A gate is free to say no: a tiny model forgets.
    expected = (0, 1) if arguments[0] == "gate" else (0,)
    assert done.returncode in expected, f"{shlex.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", [README, QUICKSTART], ids=lambda page: page.stem)
def test_commands_work_one_after_the_other(page: Path, workplace: Path, tiny_model: Path) -> None:
    typed = [command for command in commands(page) if command.startswith("inscl ")]
    assert typed
    for command in typed:
        type_in(small(command, tiny_model), workplace)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {command.split()[1] for page in PAGES for command in commands(page) if command.startswith("make ")}
    assert {"demo", "test"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, flags=re.MULTILINE)] == []


def test_python_of_the_readme(workplace: Path, tiny_model: Path) -> None:
    script = next(block for block in blocks(README, "python") if "inscl.run(" in block)
    changes = {
        '"stream": {"path": "demo", "train_per_task": 64}': f'"stream": {TINY_STREAM!r}',
        '"model": {"prompt": "plain"}': f'"model": {{"prompt": "plain", "name": {str(tiny_model)!r}}}',
    }
    changed = script
    for written, small_one in changes.items():
        assert written in script
        changed = changed.replace(written, small_one)
    command = [sys.executable, "-c", changed]
    shown = subprocess.run(command, cwd=workplace, capture_output=True, text=True, timeout=500)
    assert shown.returncode == 0, shown.stderr
    assert [line.split()[0] for line in shown.stdout.splitlines()][:2] == ["none", "inscl"]
    assert "<html" in Path(workplace, shown.stdout.splitlines()[-1]).read_text(encoding="utf-8")


def test_python_of_the_quickstart(workplace: Path) -> None:
    script = "\n".join(blocks(QUICKSTART, "python"))
    command = [sys.executable, "-c", script]
    shown = subprocess.run(command, cwd=workplace, capture_output=True, text=True, timeout=500)
    assert shown.returncode == 0, shown.stderr
    first, *picks = shown.stdout.splitlines()
    assert "route_message" in first
    assert len(picks) == 3


def test_configuration_of_the_quickstart_is_valid() -> None:
    import yaml

    from inscl.config.loading import load_config

    parsed = [yaml.safe_load(block) for block in blocks(QUICKSTART, "yaml")]
    assert len(parsed) == 2
    assert load_config(parsed[0]).replay.budget.per_task == 100
    assert load_config(parsed[1]).replay.tagger.name == "llm"  # type: ignore[union-attr]


def test_rows_of_the_quickstart_are_read(tmp_path: Path) -> None:
    from inscl.data import load_stream

    (rows,) = blocks(QUICKSTART, "json")
    (tmp_path / "routing.jsonl").write_text(rows, encoding="utf-8")
    (task,) = load_stream(tmp_path)
    assert {example.output for example in (*task.train, *task.test)} == {"LOGISTICS", "BILLING"}


def test_the_strategy_of_the_readme_keeps_the_contract() -> None:
    from inscl.testing import check_strategy

    (script,) = [block for block in blocks(README, "python") if "class Newest" in block]
    names: dict[str, object] = {}
    exec(script, names)
    check_strategy(names["Newest"])  # type: ignore[arg-type]


def test_the_code_of_the_extension_guide_works(tmp_path: Path) -> None:
    from inscl import plan_replay
    from inscl.contract import Memory, Question
    from inscl.testing import made_task

    names: dict[str, object] = {}
    for script in blocks(EXTENDING, "python"):
        exec(script, names)
    old, new = made_task("old", 12), made_task("new", 6)
    plan = plan_replay(
        Memory((old,)), new, 5, embedder=names["LetterEmbedder"](), tagger=names["FirstWordTagger"](), tag_embedder=None
    )
    assert plan.allocation == {"old": 5}
    parrot = names["Parrot"]()
    assert parrot.learn(old, plan).replayed == 5
    assert [a.text for a in parrot.answer([Question.of(old.train[0]), Question("?")])] == [old.train[0].output, ""]
    assert names["first_line"]("yes\nand more", ["yes"]) == 1
    assert names["first_line"]("", [""]) == 0
    assert names["Nearest"](embedder=None).limit == 0.5


def test_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_no_output_is_left_to_be_filled_in() -> None:
    assert [page.name for page in PAGES if "<!-- output:" in page.read_text(encoding="utf-8")] == []


def test_the_tree_of_the_readme_names_what_is_there() -> None:
    (tree,) = re.findall(r"^```\n(src/inscl/\n.*?)^```", README.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    named = {line.split()[0] for line in tree.splitlines() if line.startswith("  ")}
    there = {path.name + "/" * path.is_dir() for path in (ROOT / "src" / "inscl").iterdir()}
    assert named - there == set()
    packages = {name for name in there if name.endswith("/") and not name.startswith("__")}
    assert packages - named == set()
