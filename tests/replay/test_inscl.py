"""InsCL's plan against an independent computation from the same vectors and tags."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

import inscl
from inscl.contract import Example, Memory, Task
from inscl.contract.plan import PastStage
from inscl.errors import ConfigError
from inscl.planning.plan import plan_stream
from inscl.replay import Budget
from inscl.replay.inscl import InsCL
from inscl.testing import check_strategy, fake_embedder, fake_tagger, made_task
from streams import toy_config, toy_stream


def emd_by_linear_programming(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    unit = lambda m: m / np.linalg.norm(m, axis=1, keepdims=True)  # noqa: E731
    cost = 1 - unit(x) @ unit(y).T
    n, m = cost.shape
    rows = np.zeros((n + m, n * m))
    for i in range(n):
        rows[i, i * m : (i + 1) * m] = 1
    for j in range(m):
        rows[n + j, j::m] = 1
    solved = linprog(cost.ravel(), A_eq=rows, b_eq=np.concatenate([a / a.sum(), b / b.sum()]))
    assert solved.success
    return float(solved.fun)


def sixteen_tasks() -> list[Task]:
    rng = np.random.default_rng(3)
    tasks = []
    for t in range(16):
        texts = [f"{rng.choice(['sort', 'name', 'grade', 'route'])} {chr(97 + t)} things {k}" for k in range(t % 5 + 1)]
        counts = rng.integers(1, 30, len(texts))
        rows = [Example(text, f"{t}.{k}.{n}", ("x",)) for k, text in enumerate(texts) for n in range(counts[k] + 10)]
        tasks.append(Task(f"task{t:02d}", tuple(rows)))
    return tasks


@pytest.mark.parametrize("weights", ["real", "uniform"])
def test_sixteen_task_plans_equal_an_independent_computation(weights: str) -> None:
    tasks = sixteen_tasks()
    strategy = InsCL(fake_embedder, fake_tagger, weights=weights)  # type: ignore[arg-type]
    for i in range(1, 16):
        plan = strategy.plan(Memory(tuple(tasks[:i])), tasks[i], Budget(per_task=5), np.random.default_rng(i))
        distances = []
        for earlier in tasks[:i]:
            (x, a), (y, b) = (
                (fake_embedder(list(t.instructions)), np.array(list(t.instruction_counts.values()), dtype=float))
                for t in (earlier, tasks[i])
            )
            if weights == "uniform":
                a, b = np.ones_like(a), np.ones_like(b)
            distances.append(emd_by_linear_programming(x.astype(float), y.astype(float), a, b))
        assert [share.reason["distance"] for share in plan.shares] == pytest.approx(distances, abs=1e-6)
        quotas = 5 * i * np.array(distances) / sum(distances)
        expected = np.floor(quotas).astype(int)
        for j in np.argsort(-(quotas - expected), kind="stable")[: 5 * i - expected.sum()]:
            expected[j] += 1
        assert list(plan.allocation.values()) == expected.tolist()
        assert len(plan.picks) == 5 * i


def test_insinfo_is_counted_over_the_new_task_too() -> None:
    old = Task("old", (Example("sort mail", "1", ("x",)), Example("sort files", "2", ("x",))))
    new = Task("new", (Example("sort coins", "3", ("x",)),))
    plan = InsCL(fake_embedder, fake_tagger).plan(Memory((old,)), new, Budget(total=1), np.random.default_rng(0))
    # N = 3 instructions; "sort" is on all three, "mail" on one: ln(3/3) + ln(3/1).
    assert [row.reason["insinfo"] for row in plan.shares[0].instructions] == pytest.approx([math.log(3)] * 2)


def test_every_pick_carries_its_reason() -> None:
    memory = Memory((made_task("near", 20), made_task("zzzz", 20)))
    plan = InsCL(fake_embedder, fake_tagger).plan(
        memory, made_task("nears", 9), Budget(per_task=6), np.random.default_rng(0)
    )
    shares = {share.task: share for share in plan.shares}
    assert shares["zzzz"].allocation > shares["near"].allocation > 0
    for pick in plan.picks:
        row = pick.to_json()
        reason = row["reason"]
        assert reason["distance"] == shares[pick.task].reason["distance"]
        assert reason["allocation"] == shares[pick.task].allocation
        assert reason["insinfo"] >= 0
        assert 1 <= reason["rank"] <= 3
        assert row["instruction"] == reason["instruction"]
    taken = Counter(pick.example.instruction for pick in plan.picks)
    assert all(row.picked == taken[row.instruction] for share in plan.shares for row in share.instructions)


def test_identical_tasks_share_evenly_and_the_plan_says_so() -> None:
    twin = made_task("twin", 12)
    memory = Memory(tuple(Task(name, twin.train) for name in "ab"))
    plan = InsCL(fake_embedder, fake_tagger).plan(
        memory, Task("c", twin.train), Budget(total=7), np.random.default_rng(0)
    )
    assert [share.reason["distance"] for share in plan.shares] == [0, 0]
    assert list(plan.allocation.values()) == [4, 3]
    assert "distance 0" in plan.notes[0]


def test_of_very_many_instructions_the_plan_lists_those_it_picks(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = sixteen_tasks()
    monkeypatch.setattr("inscl.replay.inscl.LISTED", 20)
    whole = sum(len(task.instructions) for task in tasks[:12])
    plans = [
        InsCL(fake_embedder, fake_tagger).plan(
            Memory(tuple(tasks[:n])), tasks[12], Budget(total=total), np.random.default_rng(0)
        )
        for n, total in ((6, 3), (12, 24))
    ]
    assert any(not row.picked for share in plans[0].shares for row in share.instructions)
    assert not any("listed" in note for note in plans[0].notes)
    rows = [row for share in plans[1].shares for row in share.instructions]
    assert all(row.picked and row.reason["tags"] for row in rows)
    assert sum(row.picked for row in rows) == 24 == len(plans[1].picks)
    assert any(note.startswith(f"of {whole} instructions") for note in plans[1].notes)


def test_switched_off_it_measures_nothing() -> None:
    plan = InsCL(dynamic=False, insinfo=False).plan(
        Memory((made_task("a", 9),)), made_task("b", 3), Budget(total=4), np.random.default_rng(0)
    )
    assert "distance" not in plan.shares[0].reason
    assert plan.picks[0].reason == {}
    assert len(plan.picks) == 4


def test_known_vectors_and_tags_are_not_made_again() -> None:
    task, new = made_task("a", 9), made_task("b", 3)
    texts = [*task.instructions, *new.instructions]
    memory = Memory(
        (task,),
        dict(zip(texts, fake_embedder(texts), strict=True)),
        {text: tuple(tags) for text, tags in zip(texts, fake_tagger(texts), strict=True)},
    )
    plan = InsCL().plan(memory, new, Budget(total=4), np.random.default_rng(0))
    again = InsCL(fake_embedder, fake_tagger).plan(Memory((task,)), new, Budget(total=4), np.random.default_rng(0))
    assert plan.to_json() == again.to_json()


def test_says_what_is_missing() -> None:
    memory, new = Memory((made_task("a", 9),)), made_task("b", 3)
    with pytest.raises(ConfigError, match="embedder"):
        InsCL(insinfo=False).plan(memory, new, Budget(total=4), np.random.default_rng(0))
    with pytest.raises(ConfigError, match="tagger"):
        InsCL(dynamic=False).plan(memory, new, Budget(total=4), np.random.default_rng(0))


def test_all_wrong_parameters_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        InsCL(weights="heavy", p=0.5, merge_eps=0)  # type: ignore[arg-type]
    assert {problem.key for problem in caught.value.problems} == {"weights", "p", "merge_eps"}


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("insinfo", [True, False])
def test_keeps_the_contract(dynamic: bool, insinfo: bool) -> None:
    check_strategy(lambda: InsCL(fake_embedder, fake_tagger, dynamic=dynamic, insinfo=insinfo))


def test_coverage_changes_which_examples_and_not_how_many() -> None:
    tasks = sixteen_tasks()
    plain = InsCL(fake_embedder, fake_tagger)  # type: ignore[arg-type]
    covering = InsCL(fake_embedder, fake_tagger, coverage=True)  # type: ignore[arg-type]
    memory = Memory()
    seen: Counter[tuple[str, str]] = Counter()
    for stage, task in enumerate(tasks):
        rng = np.random.default_rng(stage)
        plan = covering.plan(memory, task, Budget(per_task=4), rng)
        by_distance = plain.plan(memory, task, Budget(per_task=4), rng)
        assert plan.allocation == by_distance.allocation
        assert [share.reason for share in plan.shares] == [share.reason for share in by_distance.shares]
        for pick in plan.picks:
            assert pick.reason["replayed_before"] == seen[pick.task, pick.example.id]
        seen.update((pick.task, pick.example.id) for pick in plan.picks)
        memory = replace(memory.including(task), past=(*memory.past, PastStage(plan)))
    for task in tasks[:-1]:
        visits = [seen[task.name, example.id] for example in task.train]
        assert max(visits) - min(visits) <= 1
    assert plan.parameters["coverage"] is True
    assert "coverage" not in by_distance.parameters


def test_coverage_keeps_the_contract_of_strategies() -> None:
    check_strategy(lambda: InsCL(fake_embedder, fake_tagger, coverage=True))  # type: ignore[arg-type]
    assert InsCL(coverage=True).traits.remembers
    assert not InsCL().traits.remembers


def test_coverage_goes_on_over_the_stages_of_a_run_that_is_resumed(tiny_model: Path, tmp_path: Path) -> None:
    """Three examples of the first task at each stage: none of the second stage comes again at the third."""
    settings = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run")
    settings["replay"]["params"] = {"coverage": True}
    run = inscl.run(settings)
    names = ("02-backwards", "03-length")
    plans = [(run.path / "stages" / name / "replay.jsonl").read_text() for name in names]
    first, second = ([json.loads(line) for line in text.splitlines()] for text in plans)
    again = [row for row in second if row["reason"]["task"] == "upper"]
    assert len(first) == 3
    assert not {row["id"] for row in first} & {row["id"] for row in again}
    shutil.rmtree(run.path / "stages" / "03-length")
    inscl.run(settings)
    assert (run.path / "stages" / "03-length" / "replay.jsonl").read_text() == plans[1]
    # Planned without training, the same examples are taken: nothing of the plan depends on the model's state.
    planned = plan_stream(settings, None, task="length")
    assert [pick.example.id for pick in planned[0].picks] == [row["id"] for row in second]
