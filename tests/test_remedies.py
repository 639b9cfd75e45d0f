"""Commands, options and settings that messages and help texts name: a user who follows them must get somewhere."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

from inscl.cli.app import app
from inscl.config import kinds
from inscl.config.settings import RunConfig

SOURCE = Path(__file__).parent.parent / "src" / "inscl"
# Variables of CSS; a command of TRL; commands of Slurm; an option of accelerate.
OTHERS = {
    "reports/colours.py",
    "handover/trl.py",
    "bench/grid/slurm.py",
    "engine/endpoint.py",
    "engine/processes.py",
}
ANY_COMMAND = {"--debug", "--help"}
FILES = {"jsonl", "yaml", "json", "html"}
COMMAND = re.compile(r"(?:^|`|: )inscl ([a-z][a-z-]*)([^`]*)")
OPTION = re.compile(r"(?<![\w(-])--[a-z][a-z-]+")
KEY = re.compile(rf"(?<![\w./-])(?:{'|'.join(RunConfig.model_fields)})(?:\.[a-z]\w*)+")


ROOT: Any = typer.main.get_command(app)


def below(command: Any) -> dict[str, Any]:
    """The commands of a group by name; none of a plain command."""
    return getattr(command, "commands", {})


def options(command: Any) -> set[str]:
    """The options of a command and of the commands below it."""
    own = {flag for one in command.params for flag in one.opts}
    return own.union(ANY_COMMAND, *(options(one) for one in below(command).values()))


def texts(module: Path) -> Iterator[tuple[int, str]]:
    """Every string of a module but docstrings, with its line; what an f-string fills in reads ``{}``."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    passed: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in node.values}
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            yield node.lineno, node.value


def wrong_commands(text: str) -> Iterator[str]:
    for name, rest in COMMAND.findall(text):
        command = below(ROOT).get(name)
        if command is None:
            yield f"inscl {name}"
            continue
        word = re.match(r" ([a-z][a-z-]*)", rest)
        if below(command) and word and word[1] not in below(command):
            yield f"inscl {name} {word[1]}"
        yield from (f"inscl {name} {flag}" for flag in OPTION.findall(rest) if flag not in options(command))


def wrong_options(text: str) -> Iterator[str]:
    if "pip install" not in text:  # those are pip's
        yield from (flag for flag in OPTION.findall(text) if flag not in options(ROOT))


def known(key: str) -> bool:
    """Whether a configuration may have this dotted key, with some component in force."""
    model: type[BaseModel] = RunConfig
    names = key.split(".")
    for place, name in enumerate(names):
        if model.model_config.get("extra") == "allow" and name not in model.model_fields:
            return name in parameters("adapters")
        if name not in model.model_fields:
            return False
        owner = next((kind.name for kind in kinds.KINDS.values() if kind.params == ".".join(names[: place + 1])), None)
        if owner is not None:
            return set(names[place + 1 :]) <= parameters(owner)
        inner = model.model_fields[name].annotation
        if not (inspect.isclass(inner) and issubclass(inner, BaseModel)):
            return place == len(names) - 1 or "dict" in str(inner)
        model = inner
    return True


def parameters(kind: str) -> set[str]:
    return {name for one in kinds.names(kind) for name in inspect.signature(kinds.load(kind, one)).parameters}


def wrong_keys(text: str) -> Iterator[str]:
    found = (match.rstrip(".") for match in KEY.findall(text))
    yield from (key for key in found if key.rpartition(".")[2] not in FILES and not known(key))


MODULES = [path for path in sorted(SOURCE.rglob("*.py")) if path.relative_to(SOURCE).as_posix() not in OTHERS]


@pytest.mark.parametrize("wrong", [wrong_commands, wrong_options, wrong_keys], ids=lambda check: check.__name__[6:])
def test_what_messages_and_help_texts_name_is_there(wrong: Callable[[str], Iterator[str]]) -> None:
    lost = [
        f"{module.relative_to(SOURCE)}:{line}: {name}"
        for module in MODULES
        for line, text in texts(module)
        for name in wrong(text)
    ]
    assert lost == []


def test_a_commands_module_names_its_own_options() -> None:
    lost = []
    for name, command in below(ROOT).items():
        if below(command):
            continue
        module = Path(inspect.getfile(inspect.unwrap(command.callback)))
        lost += [
            f"{module.name}:{line}: {flag} is no option of inscl {name}"
            for line, text in texts(module)
            for flag in OPTION.findall(text)
            if flag not in options(command)
        ]
    assert lost == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("give `inscl rollbak 1`", ["inscl rollbak"]),
        ("make it again: inscl report {}", []),
        ("`inscl data superini`", ["inscl data superini"]),
        ("`inscl evaluate --stages 0`", ["inscl evaluate --stages", "--stages"]),
        ("`inscl status --stage 0`", ["inscl status --stage"]),
        ("choose another --outt", ["--outt"]),
        ("set training.prompt: plain", ["training.prompt"]),
        ("set model.adapter.rang or model.adapter.rank_step", ["model.adapter.rang"]),
        ("see replay.params.alpha in replay.jsonl", ["replay.params.alpha"]),
        ("evaluation.max_new_tokens.default, replay.budget.total and training.hf_args.seed", []),
    ],
)
def test_names_that_lead_nowhere_are_found(text: str, wrong: list[str]) -> None:
    assert [*wrong_commands(text), *wrong_options(text), *wrong_keys(text)] == wrong
