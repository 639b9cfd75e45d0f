from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typed import Done, refused


def test_plans_and_the_mixed_file(inscl: Callable[..., Done], toy: Path, tmp_path: Path) -> None:
    done = inscl("plan", toy, "--out", tmp_path / "plans", "--layout", "messages")
    assert done.returncode == 0, done.stderr
    assert "length: 6 replayed (inscl)" in done.stdout
    row = json.loads((tmp_path / "plans" / "03-length" / "train.jsonl").read_text().splitlines()[0])
    assert row["messages"][-1]["role"] == "assistant"
    assert not (tmp_path / "run").exists()


def test_a_task_that_isnt_there(inscl: Callable[..., Done], toy: Path) -> None:
    refused(inscl("plan", toy, "--task", "lenght"), 2, "did you mean 'length'")


def test_a_proxy_measures_what_is_forgotten(
    inscl: Callable[..., Done], toy: Path, tiny_model: Path, tmp_path: Path
) -> None:
    changes = ("--set", "replay.strategy=measured", "--set", f"model.name={tmp_path / 'elsewhere'}")
    numbers = ("--proxy", tiny_model, "--proxy-rows", "4", "--proxy-probes", "2")
    done = inscl("plan", toy, "--out", tmp_path / "plans", *changes, *numbers)
    assert done.returncode == 0, done.stderr
    assert "loss rise" in done.stdout
    plan = json.loads((tmp_path / "plans" / "03-length" / "plan.json").read_text())
    assert plan["parameters"]["proxy"] == str(tiny_model)
    assert [share["reason"]["rows"] for share in plan["tasks"]] == [2, 2]
    refused(inscl("plan", toy, "--proxy", tiny_model), 2, "set it to measured")
