"""A stage in rounds: parts of a task, plans made anew between them, and one record of it all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inscl
from inscl.contract import Answer, Example, Memory, Question, Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport, NullProgress
from inscl.engine.rounds import InRounds, rounds_of
from inscl.errors import ConfigError
from inscl.replay import Budget
from inscl.replay.kpig import KPIG
from inscl.storage.files.atomic import read_json, read_jsonl
from inscl.testing import made_task

MEMORY = Memory((made_task("old", 8), made_task("older", 8)))
NEW = made_task("new", 7)


class Pupil:
    """Remembers what it was taught; the more often, the less it heeds the key parts of `older`."""

    def __init__(self) -> None:
        self.taught: list[tuple[Task, ReplayPlan]] = []
        self.log: list[dict[str, Any]] = []
        self.progress_dir: Path | None = None

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        self.taught.append((task, plan))
        self.log = [{"step": 1, "loss": 1.0, "tokens": 10, "seconds": 0.5}, {"step": 2, "tokens": 20, "seconds": 1.0}]
        visits = {"a": (4.0 - len(self.taught), 1.0 / len(self.taught))}
        return LearnReport(2, len(task.train), len(plan.picks), 20, 10 * len(self.taught), 5, 1.0, 1.0, visits=visits)

    def answer(self, questions: list[Question], max_new_tokens: int = 64) -> list[Answer]:
        return []

    def losses(self, examples: list[Example]) -> np.ndarray:
        worth = {"old": 1.0, "older": 2.0 if len(self.taught) == 1 else 0.5}
        return np.array([worth[one.task] if "[...]" in one.instruction else 0.0 for one in examples])


def in_rounds(budget: Budget, rounds: int = 3, seed: int = 0) -> tuple[Pupil, InRounds, ReplayPlan]:
    pupil = Pupil()
    strategy = KPIG(pupil.losses, tasks=1, rounds=rounds)
    assert rounds_of(strategy, MEMORY) == rounds
    assert rounds_of(strategy, Memory()) == 1
    plan = strategy.plan(MEMORY, NEW, budget, np.random.default_rng(0))
    return pupil, InRounds(pupil, strategy, MEMORY, budget, rounds, [seed]), plan


@pytest.mark.parametrize(
    "budget",
    [Budget(per_task=2), Budget(total=5), Budget(share=0.6), Budget(tokens=60), Budget(total=0)],
    ids=lambda budget: budget.kind,
)
def test_task_and_budget_are_dealt_and_each_round_is_planned_with_the_model_as_it_is(
    budget: Budget, tmp_path: Path
) -> None:
    pupil, taught, plan = in_rounds(budget)
    taught.progress_dir = tmp_path
    report = taught.learn(NEW, plan)
    parts = [task for task, _ in pupil.taught]
    assert sorted(len(part.train) for part in parts) == [2, 2, 3]
    assert Counter(one.id for part in parts for one in part.train) == Counter(NEW.train_ids)
    whole = budget.tokens or budget.examples(MEMORY, NEW)
    cost = budget.count_tokens if budget.tokens else lambda example: 1
    spent = [sum(cost(pick.example) for pick in made.picks) for _, made in pupil.taught]
    assert sum(spent) <= whole
    if not budget.tokens:
        assert sum(spent) == whole
        assert max(spent) - min(spent) <= 1
    # Which task is rehearsed changes after the first round, since the gain has.
    chosen = [{pick.task for pick in made.picks} for _, made in pupil.taught]
    assert all(tasks <= {wanted} for tasks, wanted in zip(chosen, ["older", "old", "older"], strict=True))
    revised = InRounds.revised(tmp_path)
    assert revised is not None
    assert Counter(pick.example.id for pick in revised.picks) == Counter(
        pick.example.id for _, made in pupil.taught for pick in made.picks
    )
    counts = Counter(pick.task for pick in revised.picks)
    assert revised.allocation == {"old": counts["old"], "older": counts["older"]}
    gains = {share.task: [one["information_gain"] for one in share.reason["rounds"]] for share in revised.shares}
    assert gains == {"old": [1.0] * 3, "older": [0.5, 2.0, 0.5]}
    assert "planned anew within the stage: 3 rounds" in revised.notes
    assert (report.steps, report.examples, report.replayed) == (6, 7, len(revised.picks))
    assert report.visits == {"a": (3.0, 1.0 / 3)}
    assert [(row["step"], row["round"], row["tokens"]) for row in taught.log] == [
        (1, 1, 10),
        (2, 1, 20),
        (3, 2, 30),
        (4, 2, 40),
        (5, 3, 50),
        (6, 3, 60),
    ]


def test_a_task_has_no_more_rounds_than_examples_and_the_seed_decides() -> None:
    pupil, taught, plan = in_rounds(Budget(total=4), rounds=9)
    taught.learn(NEW, plan)
    assert [len(task.train) for task, _ in pupil.taught] == [1] * 7
    dealt = []
    for seed in (0, 0, 1):
        pupil, taught, plan = in_rounds(Budget(total=4), seed=seed)
        taught.learn(NEW, plan)
        dealt.append([(task.train_ids, [pick.example.id for pick in made.picks]) for task, made in pupil.taught])
    assert dealt[0] == dealt[1] != dealt[2]


def config(model: Path, out: Path, **changes: Any) -> dict[str, Any]:
    order = ["route_message", "grade_review"]
    return {
        "stream": {"path": "demo", "order": order, "train_per_task": 6, "test_per_task": 2},
        "model": {"name": str(model), "precision": "fp32", "adapter": {"r": 2}},
        "replay": {"strategy": "kpig", "budget": {"per_task": 2}, "params": {"sample": 2, "rounds": 2, "tasks": 1}},
        "training": {"epochs": 1, "batching": "pack", "batch_size": 4},
        "evaluation": {"metrics": ["answer_loss"]},
        "output_dir": str(out),
        **changes,
    }


class Stops(NullProgress):
    """Interrupts the second stage when it is learned."""

    def __init__(self) -> None:
        self.number = 0

    def stage(self, number: int, total: int, task: str) -> None:
        self.number = number

    def phase(self, name: str, total: int) -> None:
        if self.number == 2 and name.startswith("evaluate"):
            raise KeyboardInterrupt


def test_a_run_that_is_killed_ends_as_one_that_isnt(tiny_model: Path, tmp_path: Path) -> None:
    whole = inscl.run(config(tiny_model, tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        inscl.run(config(tiny_model, tmp_path / "killed"), progress=Stops())
    again = inscl.run(config(tiny_model, tmp_path / "killed"))
    names = ("plan.json", "replay.jsonl", "scores.json", "model/*")
    kept = [
        {file.relative_to(run.path): file.read_bytes() for name in names for file in run.path.rglob(name)}
        for run in (whole, again)
    ]
    assert len(kept[0]) > 6
    assert kept[0] == kept[1]
    (second,) = whole.path.glob("stages/02-*")
    plan, rows = read_json(second / "plan.json"), read_jsonl(second / "replay.jsonl")
    assert plan["parameters"]["rounds"] == 2
    assert [row["reason"]["round"] for row in rows] == [1, 2]
    for share in plan["tasks"]:
        before, within = (one["information_gain"] for one in share["reason"]["rounds"])
        assert before != within
    learned = read_json(second / "learn.json")
    assert (learned["examples"], learned["replayed"]) == (6, 2)
    assert inscl.write_report([whole.path]).is_file()


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"adapter": {"r": 2, "mode": "fresh"}}},
        {"model": {"adapter": {"r": 2, "mode": "merge"}}},
        {"training": {"learner": "dual_increment"}},
    ],
)
def test_learners_that_begin_or_end_something_at_each_stage_are_refused(
    tiny_model: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    settings = config(tiny_model, tmp_path)
    for section, values in changes.items():
        settings[section] = {**settings[section], **values}
    with pytest.raises(ConfigError, match="several rounds need a learner that learns a task in parts"):
        inscl.run(settings)
