from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from inscl.contract import Example
from inscl.contract.example import Image, Turn
from inscl.data import load_stream
from inscl.data.export import Layout, training_row, write_training_file
from inscl.data.readers import read_rows
from inscl.errors import ConfigError, WorkspaceError
from pictures import picture

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


PICTURES = [Image(f"{n}.png", sha256(picture(n)).hexdigest(), partial(picture, n)) for n in range(2)]


def _asked(example: Example) -> tuple[object, ...]:
    """What a row asks and answers, whichever form it has, and about which pictures."""
    turns = [(turn.role, turn.content) for turn in example.turns or (Turn("user", example.prompt),)]
    return (*turns, *(image.digest for image in example.images), example.output)


def test_rows_with_pictures(tmp_path: Path) -> None:
    before = (Turn("system", "Be brief."), Turn("user", "Is it red?"), Turn("assistant", "No."), Turn("user", "Why?"))
    pictured = [
        Example("Compare", "", ("Same.",), images=(PICTURES[0], PICTURES[0])),
        Example("Name it.", "in German", ("Katze",), images=(PICTURES[1],)),
        Example("Name <image>.", "", ("a cat",), images=(PICTURES[1],)),
        Example("Be brief.", "Why?", ("It is blue.",), turns=before, images=(PICTURES[1],)),
        Example("Say", "hello", ("hello",)),
    ]
    for layout, column in (("alpaca", "instruction"), ("messages", "messages")):
        write_training_file(tmp_path / layout / "train.jsonl", pictured, layout)  # type: ignore[arg-type]
        rows = [row.values for row in read_rows(tmp_path / layout / "train.jsonl")]
        assert [len(row["images"]) for row in rows] == [2, 1, 1, 1, 0]
        assert [(tmp_path / layout / row["images"][-1]).read_bytes() for row in rows[:4]] == [
            picture(0), picture(1), picture(1), picture(1)
        ]  # fmt: skip
        assert [json.dumps(row).count("<image>") for row in rows] == [2, 1, 1, 1, 0]
        assert {path.suffix for path in (tmp_path / layout / "images").iterdir()} == {".png"}
        assert len(list((tmp_path / layout / "images").iterdir())) == 2
        asked = rows[0][column] if layout == "alpaca" else rows[0][column][0]["content"]
        assert asked == "<image><image>\nCompare"
        stream = load_stream(tmp_path / layout / "train.jsonl")
        back = [example for task in stream for example in (*task.train, *task.test)]
        assert len(back) == 5
        assert set(map(_asked, back)) == set(map(_asked, pictured))
    assert rows[3]["messages"][1]["content"] == "<image>\nIs it red?"
    assert "images" not in training_row(pictured[4])


def test_a_form_without_room_for_pictures_is_refused() -> None:
    pictured = Example("Compare", "", ("Same.",), source="a.jsonl:3", images=(PICTURES[0],))
    for layout, names in (("messages", None), ("alpaca", {}), ("turns", {PICTURES[0].digest: "a.png"})):
        with pytest.raises(ConfigError, match=r"a\.jsonl:3 has pictures, which this form can't hold"):
            training_row(pictured, layout, names)  # type: ignore[arg-type]


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
