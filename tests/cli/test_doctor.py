from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from inscl.config.loading import load_config
from inscl.contract import Stream
from inscl.storage.run.run_folder import RunFolder, memory_key
from inscl.testing import made_task
from typed import Done


def test_says_what_this_machine_has(inscl: Callable[..., Done]) -> None:
    done = inscl("doctor")
    assert done.returncode == 0, done.stderr
    for subject in ("python", "processor", "bf16", "GPU", r"extra \[train\]", "torch", "default model", "cache"):
        assert re.search(subject, done.stdout), subject


def test_examines_a_run_folder(inscl: Callable[..., Done], tmp_path: Path) -> None:
    task = made_task("a", 4)
    manifest = {
        "stream": {"fingerprint": "s", "tasks": [{"name": "a"}]},
        "model": {"fingerprint": "m"},
    }
    folder = RunFolder.open(tmp_path / "run", load_config({}), Stream((task,)), manifest)
    record = folder.stage(1)
    record.begin()
    record.write("plan.json", {"picks": 0})
    folder.memory.add(memory_key(1), task, {}, {})
    record.finish()
    done = inscl("doctor", tmp_path / "run")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "every file is as it was written" in done.stdout
    (record.path / "plan.json").write_text('{"picks": 1}')
    done = inscl("doctor", tmp_path / "run")
    assert done.returncode == 1
    assert "01-a/plan.json is damaged" in done.stdout
    assert "remove the file DONE" in done.stdout
    done = inscl("doctor", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no run there" in done.stderr
