"""``inscl status``, ``inscl log`` and ``inscl diff``: what looks and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from inscl import Workspace
from typed import Done, refused
from workspace.conftest import everything


def test_looking_changes_nothing(typed: Callable[..., Done], learned: Workspace, tmp_path: Path) -> None:
    before = everything(learned.path)
    where = ("-w", learned.path)
    status = typed("status", *where)
    assert status.returncode == 0, status.stderr
    for said in ("3 tasks learned", "backwards", "100.0", "60 examples"):
        assert said in status.stdout
    log = typed("log", *where)
    assert "stage 3 length" in log.stdout
    assert "6 replayed" in log.stdout
    assert [event["what"] for event in json.loads(typed("log", *where, "--json").stdout)] == ["made"] + ["learned"] * 3
    diff = typed("diff", 1, 3, *where)
    assert "+0.0" in diff.stdout
    assert json.loads(typed("diff", 1, *where, "--json").stdout)["second"] == 3
    assert everything(learned.path) == before
    refused(typed("diff", 1, 7, *where), 2, "no stage 7")
    refused(typed("status", "-w", tmp_path), 2, "inscl init")


def test_names_are_shown_and_never_obeyed(
    typed: Callable[..., Done], learned: Workspace, data: Callable[..., Path]
) -> None:
    learned.learn(data("first"), name="[red]first --yes")
    for command in ("status", "log"):
        assert "[red]first --yes" in typed(command, "-w", learned.path).stdout
