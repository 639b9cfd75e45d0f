from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from inscl.contract import Example
from inscl.contract.example import Turn
from inscl.data import load_stream
from inscl.data.export import Layout, training_row, write_training_file
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


def test_provenance_is_one_text_a_row_and_comes_back(tmp_path: Path) -> None:
    one = {"parent": "00112233445566aa", "refiner": "tidy", "version": "1", "how": "tidied", "by": 2}
    other = {**one, "parent": ["00112233445566aa", "bb"], "by": {"much": "more"}}
    made = [replace(EXAMPLES[0], provenance=one), replace(EXAMPLES[1], provenance=other), EXAMPLES[2]]
    for layout in ("alpaca", "messages", "turns"):
        write_training_file(tmp_path / f"{layout}.jsonl", made, layout)  # type: ignore[arg-type]
        rows = [row.values for row in read_rows(tmp_path / f"{layout}.jsonl")]
        assert [row["provenance"] and json.loads(row["provenance"]) for row in rows] == [one, other, ""]
    rows = [{**training_row(e), "provenance": json.dumps(e.provenance), "split": "train"} for e in made[:2]]
    rows.append({**training_row(EXAMPLES[0]), "input": "asked", "split": "test"})
    (tmp_path / "task.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert [e.provenance for e in load_stream(tmp_path / "task.jsonl").tasks[0].train] == [one, other]


def test_a_training_file_with_provenance_is_read_by_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    made = [replace(EXAMPLES[0], provenance={"parent": ["a", "b"], "refiner": "r"}), *EXAMPLES[1:2] * 3]
    write_training_file(tmp_path / "train.jsonl", [*made[1:], made[0]])
    read = datasets.load_dataset("json", data_files=str(tmp_path / "train.jsonl"), cache_dir=str(tmp_path / "cache"))
    assert [bool(text) for text in read["train"]["provenance"]] == [False, False, False, True]


def test_chat_rows(tmp_path: Path) -> None:
    write_training_file(tmp_path / "train.jsonl", EXAMPLES[1:2], "messages")
    assert json.loads((tmp_path / "train.jsonl").read_text()) == {
        "messages": [
            {"role": "user", "content": "Say\n\nit 👩\u200d👧\n"},
            {"role": "assistant", "content": "\u202emaybe"},
        ]
    }


TURNS = (Turn("system", "s"), Turn("user", "a"), Turn("assistant", "b", learn=True), Turn("user", "Say\n\nit"))
ALPACA = Example("Say", "it", ("x", "y"), turns=TURNS)
CHAT = Example("s", "Say\n\nit", ("x",), turns=TURNS)


def test_rows_of_conversations() -> None:
    messages = [{"role": turn.role, "content": turn.content} for turn in TURNS]
    answer = {"role": "assistant", "content": "x"}
    for example in (ALPACA, CHAT):
        assert training_row(example, "messages") == {"messages": [*messages, answer]}
        assert training_row(example, "turns") == {"prompt": messages, "completion": [answer]}
    history = {"output": "x", "system": "s", "history": [["a", "b"]]}
    assert training_row(ALPACA) == {"instruction": "Say", "input": "it", **history}
    assert training_row(CHAT) == {"instruction": "Say\n\nit", "input": "", **history}
    first = Example("a", "c", ("d",), turns=(Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c")))
    assert training_row(first) == {"instruction": "c", "input": "", "output": "d", "history": [["a", "b"]]}


@pytest.mark.parametrize("layout", ["alpaca", "messages", "turns"])
def test_a_conversation_comes_back_as_it_was(tmp_path: Path, layout: Layout) -> None:
    examples = [replace(example, outputs=(f"x{n}",)) for n in range(3) for example in (ALPACA, CHAT)]
    write_training_file(tmp_path / "t.jsonl", examples, layout)
    (task,) = load_stream(tmp_path / "t.jsonl", turns="all", leaks="allow")
    assert {e.turns for e in (*task.train, *task.test)} == {TURNS}
    assert {e.output for e in (*task.train, *task.test)} == {"x0", "x1", "x2"}


def test_what_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="alpaca or messages"):
        write_training_file(tmp_path / "a.jsonl", EXAMPLES, "sharegpt")  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match="can't write"):
        write_training_file(tmp_path / "file" / "a.jsonl", EXAMPLES)
