from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from typed import Done, refused


def test_a_missing_row_is_filled_in(inscl: Callable[..., Done], toy: Path, tmp_path: Path) -> None:
    assert inscl("run", toy).returncode == 0
    done = inscl("evaluate", tmp_path / "run", "--stage", "0", "--task", "upper")
    assert done.returncode == 0, done.stderr
    assert re.search(r"base\s+\d", done.stdout)
    refused(inscl("evaluate", tmp_path / "run", "--stage", "7"), 2, r"stages 0 \(the base model\) to 3")
    refused(inscl("evaluate", tmp_path / "run", "--task", "uper"), 2, "did you mean 'upper'")


def test_no_run_there(inscl: Callable[..., Done], tmp_path: Path) -> None:
    refused(inscl("evaluate", tmp_path / "none"), 2, "no run there")
