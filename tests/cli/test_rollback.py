"""``inscl rollback``, ``inscl prune`` and ``inscl ask``."""

from __future__ import annotations

import json
from collections.abc import Callable

from inscl import Workspace
from typed import Done, refused


def test_back_ask_and_prune(typed: Callable[..., Done], learned: Workspace) -> None:
    where = ("-w", learned.path)
    asked = typed("ask", "Do the length job.", "--input", "abcd", *where)
    assert (asked.returncode, asked.stdout) == (0, "4\n"), asked.stderr
    assert typed("ask", "Do the length job.", "--input", "abcd", "--stage", 2, *where).stdout == "no idea\n"
    back = typed("rollback", 2, *where)
    assert back.returncode == 0, back.stderr
    assert "set aside: length in discarded/01, until `inscl prune`" in back.stdout
    assert json.loads(typed("ask", "Do the length job.\n\nabcd", "--json", *where).stdout)["answer"] == "no idea"
    refused(typed("rollback", 5, *where), 2, "no stage 5")
    refused(typed("prune", *where), 2, "add --yes")
    assert (learned.path / "discarded").exists()
    pruned = typed("prune", "--yes", "--json", *where)
    assert json.loads(pruned.stdout)["tasks"] == ["length"]
    assert "nothing" in typed("prune", *where).stdout
    refused(typed("ask", " ", *where), 2, "empty")
