"""A workspace that learned a hostile stream, its tags asked with a key: pages, commands, and everything it keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lance
import pytest

import forking
import inscl
from chat_server import Server
from hostile.conftest import KEY, SCRIPT, TASKS, configuration, hostile_stream
from hostile.test_keys import holds
from hostile.test_pages import silent
from hostile.test_terminal import HIDDEN, TURNED

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile-workspace")


@pytest.fixture(scope="module")
def command(place: Path) -> Command:
    """Types a command as a user with a key does; whatever it says holds no key and nothing a terminal obeys."""

    def call(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OPENAI_API_KEY": KEY, "INSCL_CACHE": str(place / "cache"), "COLUMNS": "200"}
        for name in ("OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            environment.pop(name, None)
        line = [sys.executable, "-c", "from inscl.cli import main; main()", *map(str, arguments)]
        done = forking.run(line, env=environment, cwd=place)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert KEY not in said
        assert "Traceback" not in said
        assert not set(said) & set(TURNED + HIDDEN)
        assert not any(ord(character) < 32 and character not in "\n\t" for character in said)
        return done

    return call


@pytest.fixture(scope="module")
def workspace(place: Path, tiny_model: Path, command: Command) -> Path:
    """Learned by two commands, a task at once and then two, each asking the server for tags."""
    stream = hostile_stream(place / "<b>stream")
    server = Server()
    answer = json.dumps([{"tag": f"<i>x</i> {KEY}", "explanation": f"{SCRIPT}{KEY}"}])
    server.script = [(200, {}, json.dumps({"choices": [{"message": {"content": answer}}]}))]
    values = configuration(stream, tiny_model, place / "unused", server.url)
    settings = {key: values[key] for key in ("replay", "training", "evaluation")}
    settings["model"] = {"adapter": values["model"]["adapter"]}  # type: ignore[index]
    settings["stream"] = {"skip_bad_rows": True, "test_per_task": 2}
    flat = [part for pair in _flat(settings) for part in ("--set", pair)]
    try:
        command("init", place / "ws", "--model", tiny_model, "--eval-per-task", 2, *flat)
        command("learn", stream / f"{TASKS[0]}.jsonl", "-w", place / "ws", "--yes")
        command("learn", stream, "-w", place / "ws", "--yes")
        assert len(server.requests) >= 6
    finally:
        server.end()
    return place / "ws"


def test_everything_that_learning_leaves_holds_no_key(place: Path, workspace: Path) -> None:
    files = [path for path in place.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"workspace.json", "log.txt", "tags.sqlite", "plan.json", "score_history.json", "inscl.yaml"} <= names
    assert [path for path in files if holds(path, KEY)] == []
    # A table's file may be compressed, so its values are looked at too.
    tables = [path for path in (workspace / "memory").rglob("*.lance") if path.is_dir()]
    texts = [str(lance.dataset(str(table)).to_table().to_pylist()) for table in tables]
    assert any("alert(1)" in text for text in texts)
    assert not any(KEY in text for text in texts)


def test_every_command_that_looks_at_it_shows_markup_as_text(place: Path, workspace: Path, command: Command) -> None:
    looked = [
        command("status", "-w", workspace),
        command("log", "-w", workspace),
        command("diff", 2, 3, "-w", workspace),
        command("gate", "--min-score", "*=100", "-w", workspace, code=1),
        command("erase", "--match", "javascript", "--dry-run", "-w", workspace),
        command("learn", place / "<b>stream", "--dry-run", "-w", workspace),
    ]
    assert any("<img" in done.stdout for done in looked)
    assert any("[bold]" in done.stdout for done in looked)
    for arguments in (("status",), ("log",), ("diff", 2, 3)):
        json.loads(command(*arguments, "--json", "-w", workspace).stdout)
    command("ask", SCRIPT.replace("\0", "").replace("\ud800", ""), "-w", workspace)


def test_its_report_in_a_browser(browser: Any, workspace: Path) -> None:
    text = silent(browser, inscl.write_report([workspace]))
    assert "<script>alert(1)</script>" in text
    for name in TASKS:
        assert name in text


@pytest.mark.parametrize("target", ["jsonl", "trl", "llama-factory", "axolotl", "ms-swift"])
def test_what_it_hands_over_holds_no_key_and_names_no_file_outside(
    place: Path, workspace: Path, command: Command, target: str
) -> None:
    before = {path for path in place.rglob("*") if path.is_file()}
    command("export", workspace, "--to", target, "--out", place / f"for-{target}")
    made = {path for path in place.rglob("*") if path.is_file()} - before
    assert made
    assert all(path.is_relative_to(place / f"for-{target}") for path in made)
    assert not any(holds(path, KEY) for path in made)


def test_erased_text_is_gone_though_it_is_hostile(place: Path, workspace: Path, command: Command) -> None:
    command("erase", TASKS[1], "--yes", "-w", workspace)
    for table in [path for path in (workspace / "memory").rglob("*.lance") if path.is_dir()]:
        assert not any("Do 1." in str(row) for row in lance.dataset(str(table)).to_table().to_pylist())
    kept = [path for path in workspace.rglob("*") if path.is_file() and holds(path, "Do 1.")]
    assert kept == []


def _flat(values: Any, key: str = "") -> list[str]:
    """A nested configuration as overrides, as in ``training.epochs=1``."""
    if not isinstance(values, dict):
        return [f"{key}={json.dumps(values)}"]
    return [pair for name, value in values.items() for pair in _flat(value, f"{key}.{name}" if key else name)]
