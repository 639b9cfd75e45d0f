from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from inscl.config import kinds
from inscl.contract.traits import LearnerTraits
from inscl.demonstration import run_demo
from inscl.errors import ConfigError
from typed import Done
from workspace.stub import Stub


class NoReplayTaken(Stub):
    """A learner that only the first of the two runs can have."""

    traits = LearnerTraits(saves=True, replays=False)


def test_both_runs_are_printed_and_drawn(inscl: Callable[..., Done], tmp_path: Path, tiny_model: Path) -> None:
    small = ("stream.train_per_task=8", "stream.test_per_task=4", f"model.name={tiny_model}", "replay.embedder=ngrams")
    given = ["demo", "--out", str(tmp_path / "demo"), *(word for change in small for word in ("--set", change))]
    command = [sys.executable, "-c", "from inscl.cli import main; main()", *given]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        said = []
        for line in running.stderr:
            said.append(line)
            if sum("stage 1/5" in one for one in said) == 2:  # the second run is at work, in its own process
                break
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
        assert running.wait(timeout=60) == 130
    assert "Traceback" not in rest
    assert f"is kept in {tmp_path / 'demo'}: give the same command again" in rest
    assert not (tmp_path / "demo" / "report.html").exists()

    done = inscl(*given)
    assert done.returncode == 0, done.stderr
    assert "No Replay" in done.stdout
    assert "InsCL" in done.stdout
    assert "route_message" in done.stdout
    left = re.findall(r"about (\d+):(\d\d) left of the whole demo", "".join(said) + rest + done.stderr)
    assert len(left) >= 6  # from the second stage of the first run to the last of the second
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["inscl", "none", "report.html"]
    assert (tmp_path / "demo" / "none" / "metrics.json").exists()


def test_both_configurations_are_checked_before_the_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries, entry = kinds._entries, EntryPoint("alone", f"{__name__}:NoReplayTaken", "inscl.learners")
    monkeypatch.setattr(
        kinds, "_entries", lambda kind: {**entries(kind), **({"alone": entry} if kind == "learners" else {})}
    )
    with pytest.raises(ConfigError, match="alone takes no replay, but inscl replays"):
        run_demo(tmp_path / "demo", overrides=["training.learner=alone", "stream.train_per_task=8"])
    assert not (tmp_path / "demo").exists()
