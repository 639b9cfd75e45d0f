from __future__ import annotations

import json
from pathlib import Path

import pytest

from inscl import load_stream
from inscl.planning.tags import estimate_tagging, tag_stream
from streams import toy_stream


def test_tags_and_information_of_a_whole_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    config = {"stream": {"path": str(toy_stream(tmp_path / "stream"))}, "replay": {"tag_embedder": None}}
    rows = tag_stream(config, tmp_path / "tags.jsonl")
    stream = load_stream(config["stream"])
    assert [(r.task, r.instruction) for r in rows] == [(t.name, text) for t in stream for text in t.instructions]
    assert all(row.insinfo >= 0 for row in rows)
    assert any(row.tags for row in rows)
    written = [json.loads(line) for line in (tmp_path / "tags.jsonl").read_text().splitlines()]
    assert [row["instruction"] for row in written] == [row.instruction for row in rows]
    assert estimate_tagging(config) is None
