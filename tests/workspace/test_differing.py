from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from inscl import Workspace
from inscl.errors import UserError
from workspace.conftest import SETTINGS


def test_scores_and_the_answers_that_changed_worst_first(learned: Workspace, data: Callable[..., Path]) -> None:
    learned.learn(data("first"), budget=0)
    found = learned.diff(2)
    assert (found.first, found.second, found.metric) == (2, 4, "exact_match")
    assert {task.task: task.change for task in found.tasks} == {
        "upper": -100.0,
        "backwards": -100.0,
        "length": None,
        "first": None,
    }
    tests = {task.name: task.test for task in learned.status().tasks}
    assert found.compared == tests["upper"] + tests["backwards"] == len(found.answers)
    answer = next(answer for answer in found.answers if answer.task == "upper")
    assert (answer.before, answer.after, answer.score_before, answer.score_after) == (
        answer.input.upper(),
        "no idea",
        1.0,
        0.0,
    )
    changes = [answer.score_after - answer.score_before for answer in learned.diff(4, 2).answers]
    assert changes == sorted(changes)
    assert learned.diff(2, 3).answers == ()
    with pytest.raises(UserError, match="no stage 9"):
        learned.diff(1, 9)


def test_what_both_answered_is_compared_where_samples_differ(workspace: Workspace, data: Callable[..., Path]) -> None:
    file = data("upper", rows=40)
    rows = file.read_text().splitlines()
    # Half of it can't be learned, so that a score depends on which examples are asked.
    odd = [json.dumps({**json.loads(row), "output": "other"}) for row in rows[20:]]
    file.write_text("\n".join([*rows[:20], *odd]) + "\n")
    workspace.learn(file, eval_per_task=1)
    workspace.learn(data("length"), budget=30)
    found = workspace.diff(1, 2)
    assert (found.compared, found.answers) == (1, ())
    assert (found.tasks[0].task, found.tasks[0].change) == ("upper", 0.0)
    assert found.tasks[0].after != workspace.status().tasks[0].scores["exact_match"].now
    (note,) = found.notes
    assert "upper was scored on different examples, 1 at stage 1 and" in note
    assert "on the 1 that both answered" in note


def test_losses_are_compared_without_texts_and_worst_first(losing: Workspace) -> None:
    found = losing.diff(1)
    assert (found.metric, found.scale.unit) == ("answer_loss", "nats")
    assert [(task.task, task.change) for task in found.tasks] == [("upper", 1.75), ("first", None)]
    # Rouge-L is measured too, so that there are texts; the rows that rose most come first.
    assert {(row.score_before, row.score_after, row.after) for row in found.answers} == {(0.25, 2.0, "no idea")}
    back = losing.diff(2, 1)
    assert [row.score_after - row.score_before for row in back.answers] == [-1.75] * len(back.answers)


def test_a_loss_on_shared_examples_counts_each_token_once(
    tmp_path: Path, model: Path, stub: None, data: Callable[..., Path]
) -> None:
    made = Workspace.init(tmp_path / "ws", str(model), changes=[*SETTINGS, "evaluation.metrics=[answer_loss]"])
    file = data("upper", rows=40)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    # Two instructions, of which only one is learned, with answers of unlike length.
    odd = [{**row, "instruction": "Another job.", "output": row["output"] * 5} for row in rows[20:]]
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows[:20], *odd]))
    made.learn(file)
    made.learn(data("length"), budget=30, eval_per_task=4)
    (task, _), (note,) = (found := made.diff(1, 2)).tasks, found.notes
    assert found.compared == 4
    assert "at stage 1 and 4 at stage 2" in note
    kept = [
        json.loads(line) for line in (made.path / "stages/02-length/predictions/upper.jsonl").read_text().splitlines()
    ]
    nats, tokens = (sum(row["likelihood"][key] for row in kept) for key in ("nats", "tokens"))
    assert task.after == pytest.approx(-nats / tokens)
    assert all(row.before is row.after is None for row in found.answers)
