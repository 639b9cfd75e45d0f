"""A part of benchmarks/faults, about a minute: runs struck by every kind of fault, gone on with, and compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HARNESS = ROOT / "benchmarks" / "faults" / "run.py"


def struck(tmp_path: Path, *options: str) -> dict:
    """The harness's counts. In a process of its own: it forks, which a test's process with threads must not."""
    out = tmp_path / "faults.json"
    command = [sys.executable, str(HARNESS), "--out", str(out), "--folder", str(tmp_path), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return json.loads(out.read_text(encoding="utf-8"))


def test_nothing_is_lost_whatever_strikes(tmp_path: Path) -> None:
    found = struck(tmp_path, "--take", "2", "--seed", "7")
    assert found["lost"] == 0
    kinds = Counter(found["by kind"])
    for kind in ("kill", "terminate", "interrupt", "disk full", "read-only", "no memory", "clock", "kill at random"):
        assert kinds[kind] >= 1, kind
    assert sum(count for kind, count in kinds.items() if kind.startswith("damage")) >= 5
    # The faults did strike: those runs didn't simply end.
    ended = found["how runs ended"]
    assert ended.get("kill: killed") == kinds["kill"]
    assert ended.get("disk full: refused", 0) > 0
    assert ended.get("no memory: refused") == kinds["no memory"]


def test_no_command_of_a_workspace_loses_anything(tmp_path: Path) -> None:
    found = struck(tmp_path, "--life", "--take", "1", "--seed", "4", "--kinds", "kill")
    assert found["lost"] == 0
    assert len(found["points of an undisturbed run"]) == 8
    assert found["how runs ended"]["kill: killed"] == found["by kind"]["kill"] >= 10


def test_real_training_and_answering_are_gone_on_with(tmp_path: Path, tiny_model: Path) -> None:
    found = struck(tmp_path, "--take", "1", "--model", str(tiny_model), "--kinds", "kill", "no memory")
    assert found["lost"] == 0
    assert found["by kind"] == {"kill": 2, "no memory": 1}


RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import inscl
from faults.small_run import settings, use_counted_learner
import time
use_counted_learner()
import faults.small_run
def slow(where):
    print("work", flush=True)
    time.sleep(0.2)
faults.small_run.tick = slow
try:
    inscl.run(settings(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
except inscl.InsclError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_two_at_once_and_a_signal(tmp_path: Path, sent: signal.Signals) -> None:
    sys.path.insert(0, str(HARNESS.parents[1]))
    try:
        from faults.small_run import make_stream
        from faults.strikes import toy_model
    finally:
        sys.path.pop(0)
    stream, model = make_stream(tmp_path / "stream"), toy_model(tmp_path / "model")
    command = [sys.executable, "-c", RUN, str(HARNESS.parents[1]), str(stream), str(tmp_path / "run"), str(model)]
    environment = {**os.environ, "INSCL_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as first:
        assert first.stdout is not None
        for _ in range(3):
            assert first.stdout.readline() == "work\n"
        second = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert second.returncode == 1
        assert f"in use by another inscl process (pid {first.pid}" in second.stdout
        first.send_signal(sent)
        first.stdout.read()
    assert first.returncode in (-sent, 1)
    again = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (tmp_path / "run" / "metrics.json").exists()
