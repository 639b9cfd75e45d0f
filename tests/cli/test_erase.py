"""``inscl erase``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from inscl import Workspace
from typed import Done, refused
from workspace.conftest import everything


def test_it_asks_first_and_names_the_models(typed: Callable[..., Done], learned: Workspace, tmp_path: Path) -> None:
    where = ("-w", learned.path)
    before = everything(learned.path)
    look = typed("erase", "upper", "--dry-run", *where)
    assert look.returncode == 0, look.stderr
    assert "would be erased: 20 examples (upper 20)" in look.stdout
    assert "stage 2 backwards: replayed" in look.stdout
    refused(typed("erase", "upper", *where), 2, "add --yes")
    assert everything(learned.path) == before
    done = json.loads(typed("erase", "--match", "uword|upperword", "--yes", "--json", *where).stdout)
    assert done["examples"] == {"upper": 20}
    assert not [name for name, content in everything(learned.path).items() if b"upperword" in content]
    refused(typed("erase", *where), 2, "say what to erase")
