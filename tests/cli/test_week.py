"""A week of a workspace as a user lives it: four learns, a bad one, a gate that fails, back, again, hand over, ask."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from inscl import Workspace
from inscl.storage.files.atomic import read_json, read_jsonl
from typed import Done


def story(typed: Callable[..., Done], data: Callable[..., Path], where: Path, gate: tuple[str, ...]) -> None:
    """All but the making: `gate` fails after the bad task, and opens after the same task is learned well."""

    def go(code: int, *arguments: object) -> Done:
        done = typed(*arguments, "-w", where)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    for number, name in enumerate(("upper", "backwards", "length", "first"), start=1):
        dry = go(0, "learn", data(name), "--dry-run", "--json")
        assert [task["stage"] for task in json.loads(dry.stdout)["tasks"]] == [number]
        done = go(0, "learn", data(name), "--yes", "--json")
        assert json.loads(done.stdout)["learned"] == [name]
    good = read_json(where / "scores.json")
    go(0, "learn", data("double"), "--budget", "0", "--yes")
    failed = go(1, "gate", *gate, "--json")
    assert json.loads(failed.stdout)["failures"]
    assert json.loads(go(0, "diff", "4", "5", "--json").stdout)["compared"] > 0
    go(0, "rollback", "4")
    assert read_json(where / "scores.json") == good
    assert [task["name"] for task in json.loads(go(0, "status", "--json").stdout)["tasks"]] == [
        "upper",
        "backwards",
        "length",
        "first",
    ]
    go(0, "learn", data("double"), "--budget", "6", "--yes")
    assert len(read_jsonl(where / "stages" / "05-double" / "replay.jsonl")) == 24
    events = [event["what"] for event in json.loads(go(0, "log", "--json").stdout)]
    assert events == ["made", *["learned"] * 5, "rolled back", "learned"]
    assert len((where / "log.txt").read_text().splitlines()) == len(events)
    go(0, "prune", "--yes")


def test_with_a_learner_that_learns(
    typed: Callable[..., Done], workspace: Workspace, data: Callable[..., Path]
) -> None:
    story(typed, data, workspace.path, ("--max-forgetting", "5"))
    assert typed("gate", "--max-forgetting", 5, "--min-score", "*=100", "-w", workspace.path).returncode == 0
    assert typed("ask", "Do the double job.", "--input", "ab", "-w", workspace.path).stdout == "abab\n"


def test_with_a_real_if_tiny_model(
    typed: Callable[..., Done], tiny_model: Path, stub: None, data: Callable[..., Path], tmp_path: Path
) -> None:
    where = tmp_path / "ws"
    settings = ("training.epochs=1", "replay.embedder=ngrams", "replay.tag_embedder=null", "model.adapter.r=4")
    more = ("replay.budget.per_task=3", "evaluation.max_new_tokens=4", "evaluation.metrics=[exact_match]")
    changes = [part for setting in (*settings, *more) for part in ("--set", setting)]
    made = typed("init", where, "--model", tiny_model, *changes)
    assert made.returncode == 0, made.stderr
    # So small a model answers nothing right, and that is what the gate finds.
    story(typed, data, where, ("--min-score", "double=60"))
    assert typed("gate", "--max-forgetting", 100, "-w", where).returncode == 0
    exported = typed("export", where, "--to", "jsonl", "--out", tmp_path / "mix")
    assert exported.returncode == 0, exported.stderr
    train = read_json(where / "manifest.json")["stream"]["tasks"][4]["train"]
    assert len(read_jsonl(next((tmp_path / "mix").glob("*.jsonl")))) == train + 24
    for command in (("report", where), ("plan", where, "--out", tmp_path / "plans"), ("forgotten", where)):
        done = typed(*command)
        assert done.returncode == 0, done.stderr
    assert typed("evaluate", where, "--stage", "0", "--task", "upper").returncode == 0
    assert (0, "upper") in [(c["stage"], c["task"]) for c in read_json(where / "scores.json")["cells"]]
    asked = typed("ask", "Do the double job.", "--input", "ab", "-w", where)
    assert asked.returncode == 0, asked.stderr
    assert typed("run", where / "inscl.yaml").returncode == 2
