from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inscl.data import ORDERS, load_stream
from inscl.data.published.trace import INSTRUCTIONS, convert_trace
from inscl.errors import DataError


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for name in ORDERS["trace"]:
        lead = "" if name == "Py150" else INSTRUCTIONS[name] + ("\n\n" if name == "ScienceQA" else "\n")
        for split, count in (("train", 4), ("eval", 2), ("test", 3)):
            rows = [{"prompt": f"{lead}{name} {split} {n}\n", "answer": f"answer {n}"} for n in range(count)]
            write(tmp_path / "TRACE" / name / f"{split}.json", rows)
    return tmp_path / "TRACE"


def test_the_eight_tasks(archive: Path, tmp_path: Path) -> None:
    rows = convert_trace(archive, tmp_path / "out")
    stream = load_stream(tmp_path / "out", order="trace")
    assert stream.names == ORDERS["trace"]
    for task in stream:
        assert (len(task.train), len(task.test)) == (4, 3)
        assert task.instructions == (INSTRUCTIONS[task.name],)
        assert [example.input for example in task.train] == [f"{task.name} train {n}\n" for n in range(4)]
        assert task.test[2].outputs == ("answer 2",)
    # Py150's prompts are code alone, in the archive too.
    assert rows.notes == [
        f"added: Py150's instruction to {count} {split} rows whose prompt doesn't begin with it"
        for split, count in (("train", 4), ("validation", 2), ("test", 3))
    ]


def test_a_data_set_that_is_none_of_them_and_rows_without_an_answer(archive: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        rows = [
            {"prompt": f"Say {split}.", "answer": "x"},
            {"prompt": "a", "answer": ""},
            {"prompt": "b", "answer": None},
        ]
        write(archive / "Lima" / f"{split}.json", rows)
    write(archive / "notes.txt", "x")
    (archive / "FOMC").rename(archive / "fomc")
    lines = convert_trace(archive, tmp_path / "out").lines()
    assert "Lima: none of TRACE's eight tasks; its prompts are kept whole, as instructions" in lines
    assert "left out: 2 train rows of Lima without a prompt or an answer" in lines
    assert "left out: 2 test rows of Lima without a prompt or an answer" in lines
    assert any("notes.txt" in line for line in lines)
    stream = load_stream(tmp_path / "out", order=["Lima", "FOMC"])
    assert [(e.instruction, e.input) for e in stream.tasks[0].train] == [("Say train.", "")]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("FOMC/test.json", None, "test.json: there is no such file"),
        ("FOMC/train.json", {"prompt": "x", "answer": "y"}, r"train.json: a list of .prompt, answer. was expected"),
        ("FOMC/train.json", [{"prompt": "x", "answer": "y"}, {"prompt": "x"}], "train.json: row 2: .*'answer'"),
        ("FOMC/train.json", [{"answer": "x"}], "train.json: row 1: .*'prompt'"),
        ("FOMC/train.json", ["x"], "this is a JSON str"),
        ("FOMC/train.json", [], "FOMC: the task 'FOMC' has no usable train rows"),
    ],
)
def test_damaged_archives(archive: Path, tmp_path: Path, file: str, content: Any, said: str) -> None:
    if content is None:
        (archive / file).unlink()
    else:
        write(archive / file, content)
    with pytest.raises(DataError, match=said):
        convert_trace(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_replay_set_without_answers_is_left_out(archive: Path, tmp_path: Path) -> None:
    write(archive / "Lima" / "train.json", [{"prompt": "Say.", "answer": "x"}])
    write(archive / "Lima" / "test.json", [{"prompt": "Say.", "answer": ""}])
    lines = convert_trace(archive, tmp_path / "out").lines()
    assert "left out: Lima as a whole, 1 rows; none of its test rows can be used" in lines
    assert set(load_stream(tmp_path / "out").names) == set(ORDERS["trace"])


def test_the_folder_above(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"give one of the folders in it \(TRACE\)"):
        convert_trace(archive.parent, tmp_path / "out")


def test_no_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no <data set>/train.json"):
        convert_trace(tmp_path / "nowhere", tmp_path / "out")
