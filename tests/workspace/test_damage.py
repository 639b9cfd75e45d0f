"""Every file of a workspace, rolled back stages included, changed by a bit or cut: `verify` names it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import inscl
from inscl import Workspace
from inscl.doctor.verification import verify
from inscl.errors import ConfigError

sys.path.append(str(Path(__file__).parent.parent.parent / "benchmarks"))
from faults.damage import spoil


def test_whatever_file_of_a_workspace_changes_by_a_bit_or_is_cut_is_named(
    learned: Workspace, data: Callable[..., Path]
) -> None:
    learned.learn(data("first"))
    learned.rollback(3)
    learned.learn(data("double"))
    inscl.write_report([learned.path])
    assert verify(learned.path) == []
    chance = random.Random(7)
    files = sorted(path for path in learned.path.rglob("*") if path.is_file())
    assert not (learned.path / ".lock").read_bytes()
    assert {"log.txt", "workspace.json", "score_history.json", "memory.json", "report.html"} <= {
        path.name for path in files
    }
    for path in files:
        content = path.read_bytes()
        for how in ("bit", "cut"):
            if not spoil(path, how, chance):
                continue
            found = "\n".join(map(str, verify(learned.path)))
            name = "memory" if "memory" in path.parts else str(path)
            # The log's lines stand for themselves: cut where one ends, it is a shorter log.
            whole_lines = path.name == "log.txt" and path.read_bytes()[-1:] in (b"", b"\n")
            assert name in found or path.read_bytes() == content or whole_lines, (path, how, found)
            path.write_bytes(content)
    assert verify(learned.path) == []


def test_a_workspace_that_lost_its_state_is_still_no_folder_for_a_run(workspace: Workspace) -> None:
    (workspace.path / "workspace.json").unlink()
    with pytest.raises(ConfigError, match="is a workspace"):
        inscl.run(workspace.path / "inscl.yaml")
    assert workspace.status().tasks == ()
