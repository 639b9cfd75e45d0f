"""``inscl bench`` as a user types it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import yaml

from streams import toy_config, toy_stream
from typed import Done


def test_a_users_own_stream_is_compared_and_the_second_call_runs_nothing(
    inscl: Callable[..., Done], tmp_path: Path, tiny_model: Path
) -> None:
    toy_stream(tmp_path / "mine")
    settings = [f"model.name={tiny_model}", "replay.embedder=ngrams", "replay.tag_embedder=null"]
    settings += ["replay.budget.per_task=2", "training.epochs=1", "evaluation.max_new_tokens=4"]
    changes = [part for change in settings for part in ("--set", change)]
    arguments = ["bench", "--stream", "mine", "--methods", "none,inscl", "--seeds", "1", *changes]
    dry = inscl(*arguments, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "2 of 2 cells to run" in dry.stdout
    assert not (tmp_path / "bench").exists()
    done = inscl(*arguments, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 cells have a record" in done.stdout
    assert re.search(r"finished: inscl.* s(, relative_gain_final [\d.]+)?, average_performance [\d.]+\n", done.stderr)
    assert (tmp_path / "bench" / "mine" / "index.html").exists()
    for path in (tmp_path / "bench" / "mine" / "records").glob("*.json"):
        record = json.loads(path.read_text())
        for task, asked in record["questions"].items():
            mean = 100 * sum(asked["scores"]["rouge_l"]) / len(asked["ids"])
            assert abs(mean - record["scores"]["rouge_l"][-1][record["tasks"].index(task)]) < 0.01
    power = inscl(*arguments, "--power")
    assert power.returncode == 0, power.stderr
    assert "2 of 2 cells have a record" in power.stdout
    assert "power 80 %, two-sided t test at 5 %" in power.stdout
    again = inscl(*arguments)
    assert again.returncode == 0
    assert "started" not in again.stderr


def test_mistakes_are_one_message_and_exit_code_2(inscl: Callable[..., Done], tmp_path: Path, tiny_model: Path) -> None:
    shared = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run")
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump({"run": shared, "methods": ["rndom"]}))
    for arguments, said in (
        (["bench"], "--stream"),
        (["bench", "missing.yaml"], "missing.yaml"),
        (["bench", "grid.yaml"], "did you mean 'random'"),
        (["bench", "grid.yaml", "--set", "seed=1"], "--set needs --stream"),
        (["bench", "--stream", "nothing", "--methods", "none"], "nothing"),
        (["bench", "--stream", "stream", "--on", "moon"], "expected local, ray or ray://HOST:10001, got 'moon'"),
        (["bench", "--stream", "stream", "--cell-gpus", "1"], "need --on ray or --submit slurm"),
        (["bench", "--stream", "stream", "--submit", "pbs"], "slurm is the only scheduler, got 'pbs'"),
        (["bench", "--stream", "stream", "--submit", "slurm", "--on", "ray"], "leave --on out"),
    ):
        done = inscl(*arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
