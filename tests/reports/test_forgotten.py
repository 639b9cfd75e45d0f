"""Answers that were right and became wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from inscl.contract import Example, Task
from inscl.errors import WorkspaceError
from inscl.reports import write_report
from inscl.reports.forgotten import lost_answers
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.finished_run import Run, load_runs
from reports.conftest import seal_run

WriteRun = Callable[..., Path]


def rescore(run: Run, stage: int, scores: list[float]) -> None:
    """Replace the scores on the first task after a stage."""
    path = run.stages[stage - 1].folder / "predictions" / f"{run.tasks[0]}.jsonl"
    rows = [json.loads(line) for line in path.read_text(errors="surrogateescape").split("\n") if line]
    for row, score in zip(rows, scores, strict=True):
        row["scores"]["rouge_l"] = score
    path.write_text("\n".join(json.dumps(row) for row in rows))
    seal_run(run.folder)


def test_the_thresholds_and_the_order(write_run: WriteRun) -> None:
    (run,) = load_runs([write_run("a", tasks=("A", "B"), examples=7)])
    rescore(run, 1, [1.0, 0.9, 0.89, 1.0, 1.0, 0.0, 0.49])
    rescore(run, 2, [0.2, 0.49, 0.0, 0.5, 0.0, 1.0, 0.9])
    (lost,) = lost_answers([run], "rouge_l", per_task=10, total=60)
    (task,) = lost.tasks
    assert [(item.case.score_before, item.case.score_end) for item in task.shown] == [
        (1.0, 0.0),
        (1.0, 0.2),
        (0.9, 0.49),
    ]
    assert (lost.total, lost.gained, lost.compared, lost.last) == (3, 2, 7, 2)


def test_the_last_finished_stage_is_the_end(write_run: WriteRun) -> None:
    (run,) = load_runs([write_run("a", loss=14, finished=3)])
    (lost,) = lost_answers([run], "rouge_l", 10, 60)
    assert lost.last == 3
    assert [task.task for task in lost.tasks] == list(run.tasks[:2])


def test_one_stage_or_no_predictions_is_no_forgetting(write_run: WriteRun) -> None:
    (run,) = load_runs([write_run("a", finished=1)])
    assert lost_answers([run], "rouge_l", 10, 60)[0].last is None
    (other,) = load_runs([write_run("b")])
    for path in other.folder.glob("stages/*/predictions/*"):
        path.unlink()
    seal_run(other.folder)
    (lost,) = lost_answers([other], "rouge_l", 10, 60)
    assert (lost.last, lost.compared, lost.tasks) == (5, 0, [])


def test_what_is_shown_is_capped_and_counted(two_runs: list[Path]) -> None:
    runs = load_runs(two_runs)
    kept, forgot = lost_answers(runs, "rouge_l", per_task=3, total=10)
    assert forgot.total == 33
    assert forgot.shown == 5
    # One from each task in turn: none is crowded out.
    assert [len(task.shown) for task in forgot.tasks] == [2, 1, 1, 1]
    assert kept.shown == 3


def test_the_other_run_answers_beside(two_runs: list[Path]) -> None:
    _, forgot = lost_answers(load_runs(two_runs), "rouge_l", 10, 60)
    for task in forgot.tasks:
        for item in task.shown:
            ((label, other),) = item.others
            assert label == "InsCL"
            assert other.id == item.case.id


def remember(folder: Path, *tasks: Task) -> None:
    store = MemoryStore(folder / "memory")
    for number, task in enumerate(tasks, 1):
        store.add(f"{number:04d}", task, {}, {})


def answers(task: str, instruction: str, texts: list[str]) -> Task:
    return Task(task, tuple(Example(instruction, f"{task} {n}", (text,), task) for n, text in enumerate(texts)))


MAILS = answers(
    "Mails", "Write a mail", [f"Dear {name}, {day} March 2024" for name in ("Ann", "all") for day in range(9)]
)
CODES = answers("Codes", "Which team answers this message?", [f"FIN-{number:02d}" for number in range(18)])


def test_each_lost_answer_is_called_related_or_not(write_run: WriteRun) -> None:
    folder = write_run("a", tasks=("Codes", "Mails"), examples=5, loss=0)
    remember(folder, CODES, MAILS)
    (run,) = load_runs([folder])
    rescore(run, 1, [1.0] * 5)
    rescore(run, 2, [0.0, 0.1, 0.0, 1.0, 1.0])
    path = run.stages[1].folder / "predictions" / "Codes.jsonl"
    rows = [json.loads(line) for line in path.read_text().split("\n") if line]
    for row, said in zip(rows, ["FIN-99", "Dear customer, 12 March 2024", "", "x", "y"], strict=True):
        row["prediction"] = said
    path.write_text("\n".join(json.dumps(row) for row in rows))
    seal_run(run.folder)
    (lost,) = lost_answers([run], "rouge_l", 10, 60)
    (task,) = lost.tasks
    assert (task.total, task.related, task.unrelated, task.looks_like) == (3, 1, 2, {"Mails": 1})
    assert task.resemblance == "Mails 1, no task 1"
    assert {item.case.end: item.kind for item in task.shown} == {
        "FIN-99": "instruction-related",
        "Dear customer, 12 March 2024": "instruction-unrelated, looks like Mails",
        "": "instruction-unrelated",
    }
    page = write_report([folder]).read_text(encoding="utf-8")
    assert "as told by the 36 examples that the run learned" in page
    row = re.search(r"<tr><th scope=\"row\"><bdi>Codes</bdi></th>(<td>5</td>.*)</tr>", page)
    assert row is not None
    cells = re.findall(r"<td[^>]*>(?:<bdi>)?([^<]*)", row[1])
    assert cells == ["5", "3", "1", "2", "67&nbsp;%", "Mails 1, no task 1"]
    assert "After stage 2, instruction-unrelated, looks like Mails" in page


def test_without_kept_examples_nothing_is_said_of_the_kind(write_run: WriteRun) -> None:
    folder = write_run("a", loss=14)
    page = write_report([folder]).read_text(encoding="utf-8")
    assert "the run folder keeps no examples" in page
    assert "instruction-unrelated," not in page
    assert str(folder) not in page
    same = answers("Mails", "Which team answers this message?", ["FIN-01"] * 6)
    other = write_run("b", tasks=("Codes", "Mails"), loss=40)
    remember(other, CODES, same)
    assert "two tasks or more" in write_report([other]).read_text(encoding="utf-8")


def test_a_damaged_memory_is_named(write_run: WriteRun) -> None:
    folder = write_run("a", tasks=("Codes", "Mails"), loss=40)
    remember(folder, CODES, MAILS)
    for path in (folder / "memory").iterdir():
        if path.is_file():
            path.write_bytes(b"x")
    with pytest.raises(WorkspaceError, match="memory"):
        write_report([folder])
