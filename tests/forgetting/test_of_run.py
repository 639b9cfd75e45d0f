"""What a run forgot, from a run folder made by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inscl.contract import Example, Stream, Task
from inscl.errors import UserError
from inscl.forgetting.of_run import forgotten_of_run
from inscl.reports.forgotten import lost_answers
from inscl.storage.files.sealed_files import write_sealed_json
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.finished_run import load_run
from inscl.storage.run.stage_record import Record

FEELING, SUM, TITLE = "Positive or negative?", "Add the numbers.", "Write a title."
ANSWERS = {
    "feeling": (FEELING, [("positive", "negative")[number % 2] for number in range(24)]),
    "sums": (SUM, [str(number * 37) for number in range(1, 25)]),
    "titles": (TITLE, [f"The {first}a{last} of the {last}i{first}" for first in "mtbs" for last in "nrdkpl"]),
}
TASKS = [
    Task(name, tuple(Example(instruction, f"{name} {text}", (text,), name) for text in answers))
    for name, (instruction, answers) in ANSWERS.items()
]
# task -> (reference, answer and score after its own stage, answer and score after the last)
TOLD: Mapping[str, Sequence[tuple[str, str, float, str, float]]] = {
    "feeling": [
        ("positive", "positive", 1.0, "negative", 0.0),
        ("negative", "negative", 1.0, "481", 0.0),
        ("negative", "negative", 1.0, "The man of the nim", 0.4),
        ("negative", "negative", 1.0, "negative", 1.0),
        ("positive", "positive", 0.8, "negative", 0.0),
    ],
    "sums": [("74", "74", 1.0, "75", 0.0), ("111", "12", 0.0, "111", 1.0)],
    "titles": [("The mar", "The mar", 1.0, "The mar", 1.0)],
}


PERCENT = {"unit": "percent", "better": "higher"}


def _rows(task: str, end: bool) -> list[dict[str, Any]]:
    rows = []
    for number, (reference, *answers) in enumerate(TOLD[task]):
        said, score = answers[2:] if end else answers[:2]
        asked = {"id": f"{task}{number}", "instruction": ANSWERS[task][0], "input": "x", "references": [reference]}
        rows.append({**asked, "prediction": said, "scores": {"rouge_l": score, "exact_match": float(score == 1)}})
    return rows


@pytest.fixture
def run(tmp_path: Path) -> Path:
    tasks = [{"name": name, "train": 24, "test": len(TOLD[name])} for name in ANSWERS]
    manifest = {"schema": 1, "strategy": "none", "stream": {"name": "three", "tasks": tasks}}
    scores = {
        "schema": 1,
        "metrics": dict.fromkeys(("rouge_l", "exact_match"), PERCENT),
        "tasks": list(ANSWERS),
        "cells": [],
    }
    folder = tmp_path / "run"
    for number, name in enumerate(ANSWERS, 1):
        stage = folder / "stages" / f"{number:02d}-{name}"
        (stage / "predictions").mkdir(parents=True)
        for task in list(ANSWERS)[:number]:
            lines = [json.dumps(row) for row in _rows(task, end=number == len(ANSWERS))]
            (stage / "predictions" / f"{task}.jsonl").write_text("\n".join(lines) + "\n")
        Record(stage, number, name).finish()
        MemoryStore(folder / "memory").add(f"{number:04d}", TASKS[number - 1], {}, {})
    write_sealed_json(folder / "manifest.json", manifest)
    (folder / "scores.json").write_text(json.dumps(scores))
    return folder


def test_shares_by_task(run: Path) -> None:
    assert forgotten_of_run(run).shares == {
        "feeling": {
            "compared": 5,
            "forgotten": 3,
            "related": 1,
            "unrelated": 2,
            "looks_like": {"sums": 1, "titles": 1},
        },
        "sums": {"compared": 2, "forgotten": 1, "related": 1, "unrelated": 0, "looks_like": {}},
    }


def test_as_many_as_the_report_finds(run: Path) -> None:
    (lost,) = lost_answers([load_run(run)], "rouge_l", 100, 100)
    found = forgotten_of_run(run)
    counted = ("compared", "forgotten", "related", "unrelated", "looks_like")
    assert {
        task.task: [task.compared, task.total, task.related, task.unrelated, task.looks_like] for task in lost.tasks
    } == {task: [share[name] for name in counted] for task, share in found.shares.items()}
    assert (lost.unknown, lost.references) == (None, 3 * 24)
    assert (found.metric, found.stage) == ("rouge_l", lost.last)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"right": 0.8}, ["feeling0", "feeling1", "feeling2", "feeling4", "sums0"]),
        ({"wrong": 0.4}, ["feeling0", "feeling1", "sums0"]),
        ({"drop": 0.7}, ["feeling0", "feeling1", "feeling4", "sums0"]),
        ({"metric": "exact_match"}, ["feeling0", "feeling1", "feeling2", "sums0"]),
    ],
)
def test_rules_and_metrics(run: Path, options: dict[str, Any], ids: list[str]) -> None:
    assert [case.id for case in forgotten_of_run(run, **options).cases] == ids


def test_a_stream_teaches_instead_of_the_memory(run: Path) -> None:
    shutil.rmtree(run / "memory")
    with pytest.raises(UserError, match="give the stream"):
        forgotten_of_run(run)
    assert not (run / "memory").exists()
    numbers = tuple(replace(example, outputs=(str(n % 2),)) for n, example in enumerate(TASKS[0].train))
    given = Stream((Task("feeling", numbers), *TASKS[1:]))
    assert [case.related for case in forgotten_of_run(run, stream=given).cases[:2]] == [False, False]


def test_the_judge_decides_and_the_check_says_what_it_looks_like(run: Path) -> None:
    asked: list[tuple[str, str, str]] = []

    def judge(cases: Sequence[tuple[str, str, str]]) -> list[bool]:
        asked.extend(cases)
        return [False, False, True, False]

    cases = forgotten_of_run(run, judge=judge).cases
    assert asked[1] == (FEELING, "x", "481")
    assert [(case.related, case.looks_like, case.reason) for case in cases] == [
        (False, None, "judge"),
        (False, "sums", "judge"),
        (True, "feeling", "judge"),
        (False, None, "judge"),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"right": 0.3}, "wrong <= right"),
        ({"drop": 1.5}, "drop"),
        ({"metric": "bleu"}, "rouge_l, exact_match"),
    ],
)
def test_options_out_of_range(run: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        forgotten_of_run(run, **options)


def test_one_stage_forgets_nothing(run: Path, tmp_path: Path) -> None:
    (run / "stages" / "02-sums" / "DONE").unlink()
    with pytest.raises(UserError, match="at least two"):
        forgotten_of_run(run)
    with pytest.raises(UserError, match="not a run folder"):
        forgotten_of_run(tmp_path)


def test_nothing_is_written_in_the_run(run: Path) -> None:
    def state() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    before = state()
    forgotten_of_run(run)
    assert state() == before
