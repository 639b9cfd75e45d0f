from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from inscl.data.orders import ORDERS
from streams import toy_stream
from typed import Done, refused


def test_what_is_in_a_stream_and_the_named_orders(inscl: Callable[..., Done], tmp_path: Path) -> None:
    done = inscl("data", "show", toy_stream(tmp_path / "stream"))
    assert "upper: " in done.stdout, done.stderr
    assert "superni16_curriculum" in inscl("data", "orders").stdout


def test_the_stream_of_a_configuration_is_shown_as_it_is_read(inscl: Callable[..., Done], tmp_path: Path) -> None:
    rows = [{"question": f"q{k}", "answer": ("red", "blue")[k % 2], "id": k} for k in range(12)]
    (tmp_path / "colours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    mapping = "columns: {instruction: question, output: answer}"
    refused(inscl("data", "show", tmp_path / "colours.jsonl"), 2, mapping.replace("{", "."))
    (tmp_path / "inscl.yaml").write_text(f"stream: {{path: {tmp_path}/colours.jsonl, {mapping}}}\n")
    done = inscl("data", "show", tmp_path / "inscl.yaml")
    assert done.returncode == 0, done.stderr
    assert "note: colours.jsonl: not used: id (12 rows)" in done.stdout
    assert "note: task colours: a choice among 2 options (blue, red), found in its answers" in done.stdout


@pytest.mark.parametrize("name", ["a/b", "..", "a\tb", "a\u202eb"])
def test_bad_task_names(inscl: Callable[..., Done], tmp_path: Path, name: str) -> None:
    rows = [{"task": name, "instruction": "x", "input": str(k), "output": "y"} for k in range(4)]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    refused(inscl("data", "show", tmp_path / "all.jsonl"), 2, "name|task")


def test_ten_megabytes_in_one_field_are_read(inscl: Callable[..., Done], tmp_path: Path) -> None:
    rows = [
        {"instruction": "x", "input": "y" * (10_000_000 if k == 1 else 5) + str(k), "output": "z"} for k in range(4)
    ]
    (tmp_path / "big.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = inscl("data", "show", tmp_path / "big.jsonl")
    assert done.returncode == 0, done.stderr
    assert "note:" in done.stdout


def test_a_checkout_that_is_none(inscl: Callable[..., Done], tmp_path: Path) -> None:
    refused(inscl("data", "superni", tmp_path / "no-checkout", tmp_path / "out"), 2, "no-checkout")


def write_rows(folder: Path, splits: tuple[str, ...], row: Callable[[str], dict[str, str]]) -> None:
    folder.mkdir(parents=True)
    for split in splits:
        (folder / f"{split}.json").write_text(json.dumps([row(f"{split} {number}") for number in range(3)]))


def test_a_cl_benchmark_becomes_a_stream(inscl: Callable[..., Done], tmp_path: Path) -> None:
    folder = tmp_path / "CL_Benchmark" / "COPA" / "COPA"
    write_rows(folder, ("train", "dev", "test"), lambda text: {"sentence": text, "label": "A"})
    (folder / "labels.json").write_text('["A", "B"]')
    done = inscl("data", "cl-benchmark", tmp_path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "COPA: 3 train, 3 validation, 3 test" in done.stdout
    assert "COPA: 3 train, 3 test, 1 instructions" in inscl("data", "show", tmp_path / "out").stdout


def test_trace_becomes_a_stream(inscl: Callable[..., Done], tmp_path: Path) -> None:
    splits = ("train", "eval", "test")
    write_rows(tmp_path / "trace" / "Py150", splits, lambda text: {"prompt": text, "answer": "A"})
    done = inscl("data", "trace", tmp_path / "trace", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "in all: 1 tasks, 9 rows" in done.stdout
    assert "added: Py150's instruction to 3 train rows" in done.stdout


@pytest.mark.parametrize(
    ("command", "said"), [("cl-benchmark", "CL_Benchmark"), ("trace", "train.json"), ("citb", "cl_dialogue_tasks.txt")]
)
def test_benchmarks_that_are_not_there(inscl: Callable[..., Done], tmp_path: Path, command: str, said: str) -> None:
    refused(inscl("data", command, tmp_path / "nowhere", tmp_path / "out"), 2, "nowhere", said)


def test_a_stream_that_citb_does_not_have(inscl: Callable[..., Done], tmp_path: Path) -> None:
    done = inscl("data", "citb", tmp_path, tmp_path / "out", "--stream", "instrdialog+")
    refused(done, 2, r"did you mean 'instrdialog(\+\+)?'")


def test_all_converters_and_all_orders_are_listed(inscl: Callable[..., Done]) -> None:
    said = inscl("data", "--help").stdout
    assert all(command in said for command in ("superni", "cl-benchmark", "trace", "citb"))
    listed = [line.partition(": ")[0] for line in inscl("data", "orders").stdout.splitlines()]
    assert listed == list(ORDERS)
