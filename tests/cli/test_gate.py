"""``inscl gate``: its exit code is what a pipeline goes by."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from inscl import Workspace
from typed import Done, refused


def test_exit_codes(typed: Callable[..., Done], learned: Workspace, data: Callable[..., Path]) -> None:
    where = ("-w", learned.path)
    passed = typed("gate", "--max-forgetting", 5, "--min-score", "upper=60", "--min-score", "length=60", *where)
    assert passed.returncode == 0, passed.stderr
    assert "gate passed" in passed.stdout
    learned.learn(data("first"), budget=0)
    failed = typed("gate", "--max-forgetting", 5, *where)
    assert failed.returncode == 1
    assert "upper stands 100.0 points below its best" in failed.stdout
    found = typed("gate", "--min-score", "*=60", "--json", *where)
    assert found.returncode == 1
    assert [failure["task"] for failure in json.loads(found.stdout)["failures"]] == ["upper", "backwards", "length"]
    refused(typed("gate", *where), 2, "nothing to check")
    refused(typed("gate", "--min-score", "upper", *where), 2, "TASK=PERCENT")
    refused(typed("gate", "--min-score", "upper=lots", *where), 2, "TASK=PERCENT")
    refused(typed("gate", "--min-score", "upper=nan", *where), 2, "0 to 100")
    refused(typed("gate", "--max-forgetting", "nan", *where), 2, "0 to 100")
