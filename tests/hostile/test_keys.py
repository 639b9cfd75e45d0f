"""API keys stand in nothing that is left behind: run folder, report, caches, logs, messages."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

import inscl
from hostile.conftest import KEY, HostileRun, configuration, hostile_stream
from inscl.config.confidential import secret_problems
from inscl.errors import ConfigError, InsclError


def holds(file: Path, text: str) -> bool:
    """Whether a file holds a text: as bytes, and where it is a database in its values too."""
    content = file.read_bytes()
    found = any(form in content for form in (text.encode(), text.encode("utf-16-le"), text[::-1].encode()))
    if content.startswith(b"SQLite format 3"):
        with sqlite3.connect(file) as database:
            found |= text in "\n".join(database.iterdump())
    return found


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.sqlite") as database:
        database.execute("CREATE TABLE t (x TEXT)")
        database.execute("INSERT INTO t VALUES (?)", (KEY,))
    database.close()
    assert holds(tmp_path / "a.sqlite", KEY)
    assert not holds(tmp_path / "a.sqlite", f"{KEY}x")


def test_a_run_leaves_no_key_anywhere(hostile_run: HostileRun) -> None:
    assert hostile_run.tagged >= 6  # the server was asked, with the key, and sent it back
    files = [path for path in hostile_run.folder.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"inscl.yaml", "manifest.json", "report.html", "tags.sqlite", "plan.json", "scores.json"} <= names
    assert [path for path in files if holds(path, KEY)] == []
    assert KEY not in hostile_run.printed
    assert any("[key]" in path.read_text("utf-8", "replace") for path in files if path.name == "plan.json") or any(
        holds(path, "[key]") for path in files
    )


SECRETS: list[dict[str, Any]] = [
    {"replay": {"tagger": {"name": "llm", "params": {"model": "m", "base_url": f"http://u:{KEY}@127.0.0.1:1/v1"}}}},
    {"replay": {"tagger": {"name": "llm", "params": {"model": "m", "base_url": f"http://127.0.0.1:1/v1?key={KEY}"}}}},
    {"replay": {"tagger": {"name": "llm", "params": {"model": "m", "api_key_env": KEY}}}},
    {"replay": {"tagger": {"name": "llm", "params": {"model": "m", "request": {"api_key": KEY}}}}},
    {"training": {"hf_args": {"hub_token": KEY}}},
    {"model": {"name": f"https://user:{KEY}@example.org/model"}},
]


@pytest.mark.parametrize("section", SECRETS, ids=range(len(SECRETS)))
@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_key_in_the_configuration_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: dict[str, Any], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    values = configuration(
        hostile_stream(tmp_path / "stream"), tmp_path / "model", tmp_path / "run", "http://127.0.0.1:1"
    )
    # A strategy that needs no tags: the tagger would never be made, and never look at its address.
    values["replay"] = {"strategy": "random", "budget": {"per_task": 2}, **section.get("replay", {})}
    values |= {key: value for key, value in section.items() if key != "replay"}
    with pytest.raises(ConfigError, match="environment") as caught:
        inscl.run(values) if command == "run" else inscl.plan_stream(values)
    assert KEY not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stream"]


def test_names_of_variables_and_plain_addresses_are_no_secrets() -> None:
    fine = {"a": {"api_key_env": "MY_KEY", "base_url": "http://localhost:8000/v1", "x": ["http://a/b?c=d", None, 3]}}
    assert secret_problems(fine) == []
    assert secret_problems({"budget": {"tokens": 3}, "api_key": None}) == []


def test_a_refused_key_is_not_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InsclError) as caught:
        inscl.run(
            {"replay": {"tagger": {"name": "llm", "params": {"api_key": KEY}}}, "output_dir": str(tmp_path / "run")}
        )
    assert KEY not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
