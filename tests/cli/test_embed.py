"""``inscl embed`` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from streams import toy_stream
from typed import Done


def test_vectors_are_made_once_and_mistakes_are_one_message(inscl: Callable[..., Done], tmp_path: Path) -> None:
    toy_stream(tmp_path / "data")
    (tmp_path / "run.yaml").write_text(json.dumps({"stream": {"path": "data"}, "replay": {"embedder": "ngrams"}}))
    # A width that no other test asks for, since tests may share a cache.
    changes = ["--set", "replay.embedder={name: ngrams, params: {dim: 77}}"]
    for computed in (8, 0):
        done = inscl("embed", "run.yaml", *changes)
        assert done.returncode == 0, done.stderr
        assert f"8 instructions, {computed} of them embedded now" in done.stdout
    for arguments, said in (
        (["embed", "run.yaml", "--on", "rays"], "expected local or ray, got 'rays'"),
        (["tag", "run.yaml", "--on", "cloud"], "got 'cloud'"),
    ):
        done = inscl(*arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
