"""Refiners while a stream is read: counts, reasons, provenance, and nothing of a test split in train."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inscl.config.loading import load_config
from inscl.contract import Example
from inscl.contract.refined import Made, Refined
from inscl.data import load_stream
from inscl.data.refiner_steps import steps_of
from inscl.errors import ConfigError, DataError, InsclError


class Refining:
    """Does to each example what a function says."""

    def __init__(self, settle: Callable[[Example], Refined]) -> None:
        self.settle = settle

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        return map(self.settle, examples)


def louder(example: Example) -> Refined:
    return Refined.add(example, Made(replace(example, input=example.input.upper()), "made louder", facts={"by": 2}))


def rows(count: int = 6) -> list[dict[str, Any]]:
    train = [
        {"instruction": "Spell it.", "input": f"word{k}", "output": f"w o {k}", "split": "train"} for k in range(count)
    ]
    return [*train, {"instruction": "Spell it.", "input": "TESTED", "output": "t e", "split": "test"}]


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: dict[str, Any]) -> Path:
        path = tmp_path / "spell.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


def test_near_duplicates_go_with_their_reason_and_order_and_tests_stay(data: Callable[..., Path]) -> None:
    lines = rows()
    lines.insert(3, {**lines[0], "input": "word0"})
    plain = load_stream(data(*lines)).tasks[0]
    stream = load_stream(data(*lines), refine=["deduplicate"])
    (task,) = stream.tasks
    assert task.test == plain.test
    assert [example.input for example in task.train] == [f"word{k}" for k in range(6)]
    assert all(not example.provenance for example in task.train)
    (row,) = stream.rejected
    assert (row["file"], row["line"], row["task"], row["refiner"]) == ("spell.jsonl", 4, "spell", "deduplicate")
    assert row["duplicate_of"] == task.train[0].id
    assert row["row"]["input"] == "word0"
    assert "spell, refined by deduplicate: 6 kept, 0 replaced, 0 added, 1 rejected" in stream.findings


def test_refining_comes_before_sampling(data: Callable[..., Path]) -> None:
    lines = [{**rows()[0]} for _ in range(20)] + rows(9)
    sampled = load_stream(data(*lines), refine=["deduplicate"], train_per_task=9).tasks[0]
    assert len({example.id for example in sampled.train}) == 9


def test_what_was_made_says_of_what_by_whom_and_how(data: Callable[..., Path]) -> None:
    (task,) = load_stream(data(*rows(2)), refine=[Refining(louder)]).tasks
    assert [example.input for example in task.train] == ["word0", "WORD0", "word1", "WORD1"]
    made = task.train[1]
    assert made.task == "spell"
    (step,) = steps_of([Refining(louder)])
    assert made.provenance == {
        "parent": task.train[0].id,
        "refiner": "Refining",
        "version": "1",
        "parameters": step.fingerprint,
        "how": "made louder",
        "by": 2,
    }


def test_a_second_refiner_keeps_the_first_ones_parents(data: Callable[..., Path]) -> None:
    def shorter(example: Example) -> Refined:
        return Refined.replace(example, Made(replace(example, input=example.input[:3]), "cut"))

    (task,) = load_stream(data(*rows(1)), refine=[Refining(louder), Refining(shorter)]).tasks
    first, second = task.train
    (original, louder_one) = load_stream(data(*rows(1)), refine=[Refining(louder)]).tasks[0].train
    assert (first.provenance["parent"], first.provenance.get("ancestors")) == (original.id, None)
    assert (second.provenance["parent"], second.provenance["ancestors"]) == (louder_one.id, [original.id])


def test_what_says_the_same_as_a_test_example_is_rejected(data: Callable[..., Path]) -> None:
    test = load_stream(data(*rows())).tasks[0].test[0]

    def leaking(example: Example) -> Refined:
        return Refined.replace(example, Made(test, "copied")) if example.input == "word1" else Refined.keep(example)

    stream = load_stream(data(*rows(3)), refine=[Refining(leaking)], leaks="allow")
    assert [example.input for example in stream.tasks[0].train] == ["word0", "word2"]
    told = [(row["row"]["input"], row["reason"]) for row in stream.rejected]
    assert told == [
        ("word1", "replaced by what the refiner made of it"),
        ("TESTED", "what the refiner made says the same as a test example"),
    ]
    assert stream.findings[-1] == "spell, refined by Refining: 2 kept, 0 replaced, 0 added, 1 rejected"


@pytest.mark.parametrize(
    ("settle", "told"),
    [
        (lambda example: Refined.reject(example, " "), "without a reason"),
        (lambda example: Refined.replace(example), "made nothing"),
        (lambda example: Refined.keep(replace(example, input="other")), "another example"),
        (lambda example: Refined.add(example, Made(replace(example, outputs=()), "x")), "without an instruction"),
        (
            lambda example: Refined.add(example, Made(replace(example, input="n"), "x", ("0123456789abcdef",))),
            "a parent that it wasn't given",
        ),
    ],
)
def test_a_broken_refiner_is_named(data: Callable[..., Path], settle: Any, told: str) -> None:
    with pytest.raises(InsclError, match=f"'Refining' is broken: .*{told}"):
        load_stream(data(*rows()), refine=[Refining(settle)])


def test_an_example_may_not_vanish(data: Callable[..., Path]) -> None:
    class Forgetful:
        def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
            return (Refined.keep(example) for example in examples[1:])

    with pytest.raises(InsclError, match="told of 5 of 6"):
        load_stream(data(*rows()), refine=[Forgetful()])


def test_nothing_left_to_learn_is_an_error(data: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="every train example of the task 'spell' was rejected"):
        load_stream(data(*rows()), refine=[Refining(lambda example: Refined.reject(example, "no"))])


def test_wrong_names_and_parameters_are_told_with_all_other_mistakes() -> None:
    refine = [
        "deduplicat",
        {"name": "deduplicate", "params": {"treshold": 1}},
        {"name": "deduplicate", "params": {"by": 3}},
    ]
    with pytest.raises(ConfigError) as caught:
        load_config({"stream": {"refine": refine}, "seed": -1})
    told = {problem.key: problem.message for problem in caught.value.problems}
    assert "did you mean 'deduplicate'" in told["stream.refine.0"]
    assert "did you mean 'threshold'" in told["stream.refine.1.params.treshold"]
    assert "instruction" in told["stream.refine.2.params.by"]
    assert "seed" in told
    with pytest.raises(ConfigError, match="treshold"):
        load_stream("demo", refine=refine)


def test_a_version_or_a_parameter_changes_the_fingerprint() -> None:
    plain, same, other = steps_of(
        [
            "deduplicate",
            {"name": "deduplicate", "params": {"threshold": 0.95}},
            {"name": "deduplicate", "params": {"by": "prompt"}},
        ]
    )
    assert plain.fingerprint == same.fingerprint != other.fingerprint


def test_provenance_in_parquet_is_read_whatever_its_rows_have(tmp_path: Path) -> None:
    """A table has every key in every row, with nothing in it where a row has none; or JSON in a text."""
    import pyarrow
    from pyarrow import parquet

    made = [{"parent": ["1", "2"], "refiner": "a", "how": "joined"}, {"parent": ["3"], "refiner": "b", "score": 0.5}]
    cells = {"structs": [*made, None], "texts": [*map(json.dumps, made), ""]}
    for name, column in cells.items():
        lines = [{**row, "provenance": cell} for row, cell in zip(rows(3), column, strict=False)]
        lines.append({**rows(0)[0], "provenance": None if name == "structs" else ""})
        parquet.write_table(pyarrow.Table.from_pylist(lines), tmp_path / f"{name}.parquet")
        (task,) = load_stream(tmp_path / f"{name}.parquet").tasks
        assert [example.provenance for example in task.train] == [*made, {}], name


def test_parents_of_several_lines_are_all_ancestors(data: Callable[..., Path]) -> None:
    class Joined:
        def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
            for example in examples:
                others = tuple(one.id for one in examples if one.id != example.id)
                yield Refined.replace(example, Made(replace(example, input=f"all {example.input}"), "joined", others))

    (plain,) = load_stream(data(*rows(2))).tasks
    once = load_stream(data(*rows(2)), refine=[Refining(louder)]).tasks[0].train
    (twice,) = load_stream(data(*rows(2)), refine=[Refining(louder), Joined()]).tasks
    for example in twice.train:
        assert set(example.provenance["parent"]) == {one.id for one in once}
        # All four are parents here, so the older generation is not named twice.
        assert "ancestors" not in example.provenance
    (thrice,) = load_stream(data(*rows(2)), refine=[Refining(louder), Joined(), Joined()]).tasks
    assert {one.id for one in plain.train} < {one.id for one in once} == set(thrice.train[0].provenance["ancestors"])


def test_the_demo_is_refined_too() -> None:
    parameters = {"threshold": 0.8, "by": "prompt"}
    stream = load_stream("demo", refine=[{"name": "deduplicate", "params": parameters}], train_per_task=200)
    assert all(len(task.train) == 200 for task in stream)
    assert stream.rejected
