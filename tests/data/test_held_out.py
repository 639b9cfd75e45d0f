"""Tasks that are scored and never learned, as a stream is read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inscl.data import load_stream
from inscl.data.held_out import parted
from inscl.errors import ConfigError, DataError, InsclError


def rows(task: str, count: int = 10, **more: Any) -> str:
    made = ({"instruction": f"Do {task}.", "input": f"{task} {k}", "output": f"o{k}", **more} for k in range(count))
    return "".join(json.dumps(row) + "\n" for row in made)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", "general"):
        (tmp_path / f"{name}.jsonl").write_text(rows(name))
    return tmp_path


def test_what_is_held_out_has_test_rows_alone_and_the_rest_is_as_without_it(folder: Path) -> None:
    stream = load_stream(folder, held_out=["general"])
    assert stream.names == ("a", "b")
    (general,) = stream.held_out
    assert (general.name, len(general.train), len(general.test)) == ("general", 0, 10)
    assert stream.scored == (*stream.tasks, general)
    (folder / "general.jsonl").unlink()
    alone = load_stream(folder)
    assert alone.tasks == stream.tasks
    assert not alone.held_out
    assert stream.fingerprint != alone.fingerprint


def test_without_held_out_tasks_a_stream_s_fingerprint_says_nothing_of_them(folder: Path) -> None:
    stream = load_stream(folder)
    assert load_stream({"path": str(folder), "held_out": []}) == stream
    assert stream.fingerprint == "94f7e72ec5e9b3d355397c5823225ff5898bcdeec10122349c774b4309e5f28d"


def test_train_rows_are_left_out_and_told_and_options_are_found_in_them(folder: Path) -> None:
    for split, count in (("train", 20), ("test", 4)):
        answers = ({"instruction": "Grade.", "input": f"{split} {k}", "output": "yn"[k % 2]} for k in range(count))
        (folder / "grade").mkdir(exist_ok=True)
        (folder / "grade" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    stream = load_stream(folder, held_out=["grade"])
    (grade,) = stream.held_out
    assert grade.train == ()
    assert {example.options for example in grade.test} == {("n", "y")}
    assert "grade is held out; its 20 train rows are not learned, but by its own expert" in stream.findings
    (whole,) = stream.for_experts
    assert (whole.name, len(whole.train), whole.test) == ("grade", 20, grade.test)
    assert stream.fingerprint == replace(stream, for_experts=()).fingerprint


def test_an_expert_learns_no_test_row_of_its_own_task(folder: Path) -> None:
    (folder / "general").mkdir()
    (folder / "general" / "train.jsonl").write_text(rows("general"))
    (folder / "general" / "test.jsonl").write_text(rows("general", 4))
    (folder / "general.jsonl").unlink()
    stream = load_stream(folder, held_out=["general"], train_per_task=3)
    (whole,) = stream.for_experts
    assert len(whole.train) == 3
    assert not {example.input for example in whole.train} & {example.input for example in whole.test}
    said = "general: 4 of these train rows stand in its test split too; its expert doesn't learn them"
    assert said in stream.findings
    (folder / "general" / "train.jsonl").write_text(rows("general", 4))
    assert load_stream(folder, held_out=["general"]).for_experts == ()


def test_samples_and_orders(folder: Path) -> None:
    stream = load_stream(folder, order=["b", "a"], held_out=["general"], test_per_task=3)
    assert stream.names == ("b", "a")
    assert len(stream.held_out[0].test) == 3
    assert not any("left out" in finding for finding in stream.findings)
    demo = load_stream("demo", held_out=["grade_review", "order_to_json"], test_per_task=5)
    assert [(task.name, len(task.train), len(task.test)) for task in demo.held_out] == [
        ("grade_review", 0, 5),
        ("order_to_json", 0, 5),
    ]
    assert [len(task.train) for task in demo.for_experts] == [240, 240]
    assert demo.names == ("route_message", "rewrite_date", "redact_personal_data")


def test_a_row_that_is_learned_too_is_a_leak(folder: Path) -> None:
    (folder / "general.jsonl").write_text(rows("general") + rows("a"))
    with pytest.raises(DataError, match=r"9 test examples stand in train too(.|\n)*train of a .* and test of general"):
        load_stream(folder, held_out=["general"])
    with pytest.raises(DataError, match="every train example of the task 'a'"):
        load_stream(folder, held_out=["general"], leaks="drop")


def test_no_test_rows(folder: Path) -> None:
    (folder / "general.jsonl").write_text(rows("general", split="train"))
    with pytest.raises(DataError, match="'general' is held out and has train rows alone"):
        load_stream(folder, held_out=["general"])


@pytest.mark.parametrize(
    ("held_out", "order", "said"),
    [
        (["genral"], None, r"stream\.held_out: there is no task 'genral' \(did you mean 'general'\?"),
        (["general", "general"], None, "'general' stands twice"),
        (["a", "b", "general"], None, "every task is held out"),
        (["general"], ["a", "general"], r"'general' is in stream\.order too"),
        ("general", None, "a list of task names was expected"),
    ],
)
def test_what_can_not_be_held_out(folder: Path, held_out: Any, order: Any, said: str) -> None:
    with pytest.raises(InsclError, match=said):
        load_stream(folder, held_out=held_out, order=order)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parted(["a", "b"], ["a"], ["a", "c"])
    assert len(caught.value.problems) == 2
    assert parted(["a", "b", "c"], None, ["b"]) == (["a", "c"], [])
    assert parted(["a", "b", "c"], ["c"], ["b"]) == (["c"], ["left out, not in the order: a"])
