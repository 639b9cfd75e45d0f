from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inscl import load_stream
from inscl.contract import Example, Stream
from inscl.data.columns import RowProblem
from inscl.data.options import find_options, read_options, told
from inscl.errors import ConfigError, DataError


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def every(stream: Stream) -> list[Example]:
    return [example for task in stream for example in (*task.train, *task.test)]


def answers(*texts: str, instruction: str = "Say.") -> list[Example]:
    return [Example(instruction, f"item {n}", (text,)) for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (["a", "b"], ("a", "b")),
        (("a", "b"), ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("a\nb\n", ("a", "b")),
        ("a; b ;c;", ("a", "b", "c")),
        ("one; two\nthree", ("one; two", "three")),
        (["b", " b ", "a"], ("b", "a")),
        ([1, 2.5, True], ("1", "2.5", "true")),
        (["yes", "yes please"], ("yes", "yes please")),
        (None, ()),
        ("", ()),
        ([], ()),
        (" \n", ()),
    ],
)
def test_options_of_a_row(value: Any, options: tuple[str, ...]) -> None:
    assert read_options(value) == options


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (["a"], "one option only, 'a'"),
        ("a", "one option only"),
        (["a", "a "], "one option only"),
        (["a", " "], "one of the options is empty"),
        (["a", None], "the options is null"),
        ({"A": "x"}, "the options are dict"),
        (3, "the options are int"),
    ],
)
def test_options_that_are_none(value: Any, said: str) -> None:
    with pytest.raises(RowProblem, match=said):
        read_options(value)


def test_few_short_answers_that_come_again_are_options() -> None:
    assert find_options(answers(*["red", "blue"] * 3)).task == ("blue", "red")
    assert find_options(answers(*["red", "blue"] * 2, "red", "blue ")).task == ("blue", "red")
    assert find_options(answers(*["yes", "yes please"] * 5)).task == ("yes", "yes please")
    twenty = [str(n) for n in range(20)]
    assert len(find_options(answers(*twenty * 3)).task) == 20
    # 3,000 examples, one answer 30 times: in one of a hundred; 2,000,000 would need no more than 20 times.
    assert find_options(answers(*["a"] * 2970, *["b"] * 20)).task == ("a", "b")


@pytest.mark.parametrize(
    "texts",
    [
        ["red"] * 9,
        ["red", "blue", "red", "blue", "red"],
        [str(n) for n in range(21)] * 5,
        ["red", "x" * 51] * 9,
        ["red", "a\nb"] * 9,
        ["a"] * 990 + ["b"] * 9,
        [],
    ],
)
def test_other_answers_are_none(texts: list[str]) -> None:
    assert find_options(answers(*texts)).task == ()


def test_every_reference_counts() -> None:
    several = [Example("Say.", str(n), ("red", f"scarlet {n}")) for n in range(30)]
    assert find_options([*several, *answers(*["blue"] * 9)]).task == ()


def test_a_task_of_several_instructions_is_looked_at_by_instruction() -> None:
    choice = answers(*["yes", "no"] * 10, instruction="Is it?")
    free = answers(*(f"text {n}" for n in range(30)), instruction="Write.")
    found = find_options([*choice, *free])
    assert (found.task, found.by_instruction) == ((), {"Is it?": ("no", "yes")})
    assert found.set_on(choice[0]).options == ("no", "yes")
    assert found.set_on(free[0]) is free[0]
    train = list(map(found.set_on, [*choice, *free]))
    assert told("mixed", train, train, ["found in its answers"]) == (
        "task mixed: 20 of 50 examples are choices, among 2 options, found in its answers (in 20 of them: no, yes)"
    )


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"instruction": "Colour?", "input": f"i{n}", "output": ("red", "blue")[n % 2], **more} for n in range(count)
    ]


def test_options_are_told_and_set_on_both_splits(tmp_path: Path) -> None:
    data = [*rows(12, split="train"), {**rows(1)[0], "input": "x", "output": "green", "split": "test"}]
    stream = load_stream(lines(tmp_path / "colours.jsonl", data))
    assert {e.options for e in every(stream)} == {("blue", "red")}
    assert stream.findings == (
        "task colours: a choice among 2 options (blue, red), found in its answers; the answers of 1 of 1 test examples "
        "are none of them",
    )
    few = load_stream(tmp_path / "colours.jsonl", train_per_task=2)
    assert {e.options for e in every(few)} == {("blue", "red")}  # found before sampling


def test_a_column_of_options_counts_first(tmp_path: Path) -> None:
    data = [{**row, "options": ["red", "blue", f"c{n}"]} for n, row in enumerate(rows(12))]
    stream = load_stream(lines(tmp_path / "a.jsonl", data))
    assert {len(e.options) for e in every(stream)} == {3}
    assert any("are choices, among 3 options, read from its column of options" in line for line in stream.findings)
    same = load_stream(lines(tmp_path / "b.jsonl", rows(12, options="red\nblue")))
    assert "task b: a choice among 2 options (red, blue), read from its column of options" in same.findings
    none = load_stream(tmp_path / "b.jsonl", options="none")
    assert {e.options for e in every(none)} == {()}
    assert "b.jsonl: not used: options (12 rows)" in none.findings
    mapped = load_stream(lines(tmp_path / "c.jsonl", rows(12, choices=["red", "blue"])), columns={"options": "choices"})
    assert {e.options for e in every(mapped)} == {("red", "blue")}


def test_an_answer_with_its_reasoning_is_no_choice(tmp_path: Path) -> None:
    data = [{**row, "thinking": f"hm {n}"} for n, row in enumerate(rows(12, options=["red", "blue"]))]
    stream = load_stream(lines(tmp_path / "a.jsonl", data), reasoning="keep")
    assert {e.options for e in every(stream)} == {()}
    assert "a.jsonl: not used: options (12 rows)" in stream.findings
    assert {e.options for e in every(load_stream(tmp_path / "a.jsonl"))} == {("red", "blue")}


def test_an_answer_that_is_none_of_the_options_is_a_bad_row(tmp_path: Path) -> None:
    data = [*rows(6, options=["red", "blue"]), {**rows(1)[0], "output": "green", "options": ["red", "blue"]}]
    with pytest.raises(DataError, match=r"line 7: the output 'green' is none of the options \(red, blue\)"):
        load_stream(lines(tmp_path / "a.jsonl", data))
    with pytest.raises(DataError, match=r"line 7: the output 'green' is none of the options"):
        load_stream(lines(tmp_path / "a.jsonl", [*rows(6), data[-1] | {"options": None}]), options=["red", "blue"])


def test_options_are_set_for_all_tasks_or_one(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", rows(12))
    lines(tmp_path / "b.jsonl", [{**row, "input": row["input"] + " b"} for row in rows(12)])
    lines(tmp_path / "c.jsonl", [{**row, "input": row["input"] + " c"} for row in rows(12)])
    given = load_stream(tmp_path, options=["red", "blue", "green"])
    assert {e.options for e in every(given)} == {("red", "blue", "green")}
    items = [
        {"path": str(tmp_path / "a.jsonl"), "options": ["blue", "red", "x"]},
        {"path": str(tmp_path / "b.jsonl"), "options": "none"},
        str(tmp_path / "c.jsonl"),
    ]
    stream = load_stream(items)
    assert [{e.options for e in task.train} for task in stream] == [{("blue", "red", "x")}, {()}, {("blue", "red")}]
    assert "task a: a choice among 3 options (blue, red, x), as `options` gives them" in stream.findings
    assert {e.options for e in every(load_stream(tmp_path, options="none"))} == {()}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("all", "found, given, none or a list of texts was expected"),
        (["a"], "one option only"),
        (["a", 1], "found, given, none or a list"),
        ([True, False], "YAML takes yes, no, on and off for true and false: put options in quotes"),
        ([], "there are no options"),
        ({"a": "b"}, "found, given, none or a list"),
    ],
)
def test_a_setting_that_is_wrong_is_told(tmp_path: Path, setting: Any, said: str) -> None:
    lines(tmp_path / "a.jsonl", rows(12))
    with pytest.raises(ConfigError, match=rf"stream\.options: .*{said}"):
        load_stream(tmp_path / "a.jsonl", options=setting)
    with pytest.raises(ConfigError, match=rf"\[1\]\.options: .*{said}"):
        load_stream([{"path": str(tmp_path / "a.jsonl"), "options": setting}])


def test_two_tasks_of_the_demo_are_choices() -> None:
    stream = load_stream("demo", train_per_task=2, test_per_task=1)
    assert [len(task.train[0].options) for task in stream] == [4, 4, 0, 0, 0]
    assert len(stream.findings) == 2
    assert {e.options for e in every(load_stream("demo", options="none"))} == {()}
    with pytest.raises(ConfigError, match=r"stream\.options"):
        load_stream("demo", options=["a", "b"])
