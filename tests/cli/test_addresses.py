"""Commands that are given an address of object storage for a folder say so, and make nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from streams import toy_stream
from typed import Done


def test_commands_say_so(inscl: Callable[..., Done], tmp_path: Path) -> None:
    data = toy_stream(tmp_path / "data")
    (tmp_path / "run.yaml").write_text(json.dumps({"stream": {"path": str(data)}, "output_dir": "s3://bucket/run"}))
    before = sorted(tmp_path.iterdir())
    for arguments in (
        ["run", "run.yaml"],
        ["init", "s3://bucket/w"],
        ["refine", "data", "s3://bucket/refined", "--with", "deduplicate"],
    ):
        done = inscl(*arguments)
        assert (done.returncode, "is an address and no folder" in done.stderr) == (2, True), (arguments, done.stderr)
        assert sorted(tmp_path.iterdir()) == before, arguments
