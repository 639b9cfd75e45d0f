from __future__ import annotations

import json
from pathlib import Path

import pytest

from inscl.contract import Example
from inscl.data.export import write_training_file
from inscl.data.readers import read_rows
from inscl.errors import ConfigError, WorkspaceError

EXAMPLES = [
    Example("Say", "", ("yes\u2028", "no")),
    Example("Say", "it 👩\u200d👧\n", ("\u202emaybe",)),
    Example("Say", "\ud800", ("x",)),
]


def test_alpaca_rows_come_back_as_they_were(tmp_path: Path) -> None:
    assert write_training_file(tmp_path / "new" / "train.jsonl", EXAMPLES) == 3
    assert [row.values for row in read_rows(tmp_path / "new" / "train.jsonl")] == [
        {"instruction": e.instruction, "input": e.input, "output": e.output} for e in EXAMPLES
    ]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["train.jsonl"]


def test_chat_rows(tmp_path: Path) -> None:
    write_training_file(tmp_path / "train.jsonl", EXAMPLES[1:2], "messages")
    assert json.loads((tmp_path / "train.jsonl").read_text()) == {
        "messages": [
            {"role": "user", "content": "Say\n\nit 👩\u200d👧\n"},
            {"role": "assistant", "content": "\u202emaybe"},
        ]
    }


def test_what_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="alpaca or messages"):
        write_training_file(tmp_path / "a.jsonl", EXAMPLES, "sharegpt")  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match="can't write"):
        write_training_file(tmp_path / "file" / "a.jsonl", EXAMPLES)
