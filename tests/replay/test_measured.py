from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import inscl
from inscl.contract import Example, Memory, Question
from inscl.contract.plan import PastStage, ReplayPlan, TaskShare
from inscl.errors import ConfigError
from inscl.learners.fine_tune import FineTune
from inscl.replay import Budget
from inscl.replay.inscl import InsCL
from inscl.replay.measured import MeasuredForgetting
from inscl.testing import check_strategy, fake_embedder, fake_tagger, made_task
from streams import toy_config, toy_stream

MEMORY = Memory(tuple(made_task(name, 30) for name in ("one", "two", "three")))
NEW = made_task("new", 20)
PARTS = {"embedder": fake_embedder, "tagger": fake_tagger}


def losses(values: dict[str, float]) -> object:
    return lambda examples: np.array([values[example.task] for example in examples])


def probed(before: dict[str, float], now: dict[str, float], **params: object) -> ReplayPlan:
    shares = (TaskShare(n, 30, 0, 1.0, reason={"probe_loss": loss, "probes": 8}) for n, loss in before.items())
    memory = replace(MEMORY, past=(PastStage(ReplayPlan("n", "measured", shares=tuple(shares))),))
    strategy = MeasuredForgetting(losses(now), **PARTS, signal="probes", **params)  # type: ignore[arg-type]
    return strategy.plan(memory, NEW, Budget(total=30), np.random.default_rng(0))


def test_shares_follow_the_equation() -> None:
    before, now = dict.fromkeys(("one", "two", "three"), 1.0), {"one": 0.5, "two": 1.4, "three": 1.2}
    params = {"explore": 0.2, "tau": 2.0, "distance": 0.5, "cap": 3.0, "shrink": 1e-9}
    plan = probed(before, now, **params)
    distances = InsCL(fake_embedder, fake_tagger).distances(MEMORY, NEW)  # type: ignore[arg-type]
    wanted = np.array([0.0, 0.4**2, 0.2**2]) * np.sqrt(distances)
    shares = 0.8 * wanted / wanted.sum() + 0.2 / 3
    assert [share.weight for share in plan.shares] == pytest.approx(shares, abs=1e-6)
    assert [share.reason["rise"] for share in plan.shares] == pytest.approx([-0.5, 0.4, 0.2])
    counts = [share.allocation for share in plan.shares]
    assert sum(counts) == 30
    assert counts[0] == 2
    assert any("24 probes were read" in note for note in plan.notes)


def test_no_task_has_more_than_its_limit_and_the_level_of_a_loss_does_not_count() -> None:
    plan = probed({"one": 9.0, "two": 1.0, "three": 1.0}, {"one": 9.0, "two": 5.0, "three": 1.0}, cap=1.5, explore=0.0)
    assert [share.weight for share in plan.shares][1] == pytest.approx(0.5)
    assert plan.shares[0].allocation <= 30


@pytest.mark.parametrize("fit", ["additive", "rank_one"])
def test_where_no_loss_rose_distances_decide(fit: str) -> None:
    same = dict.fromkeys(("one", "two", "three"), 1.0)
    plan = probed(same, same, explore=0.0, fit=fit)
    distances = InsCL(fake_embedder, fake_tagger).distances(MEMORY, NEW)  # type: ignore[arg-type]
    assert [share.weight for share in plan.shares] == pytest.approx(distances / distances.sum())
    assert any("distances alone" in note for note in plan.notes)


@pytest.mark.parametrize("signal", ["visits", "probes"])
def test_it_keeps_the_contract_of_strategies(signal: str) -> None:
    def by_length(examples: Sequence[Example]) -> np.ndarray:
        return np.array([len(example.prompt) % 7 for example in examples], dtype=float)

    check_strategy(lambda: MeasuredForgetting(by_length, **PARTS, signal=signal))  # type: ignore[arg-type]


def test_values_that_cannot_be_are_refused() -> None:
    wrong = {"signal": "probe", "probes": 0, "explore": 1.5, "tau": 0, "distance": -1, "cap": 0.5, "shrink": 0}
    with pytest.raises(ConfigError) as told:
        MeasuredForgetting(fit="rank1", **wrong)  # type: ignore[arg-type]
    assert {problem.key for problem in told.value.problems} == {*wrong, "fit"}
    with pytest.raises(ConfigError, match="probes need losses"):
        MeasuredForgetting(**PARTS, signal="probes").plan(MEMORY, NEW, Budget(per_task=1), np.random.default_rng(0))  # type: ignore[arg-type]


def test_a_run_measures_by_what_training_sees(tiny_model: Path, tmp_path: Path) -> None:
    settings = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run", strategy="measured")
    run = inscl.run(settings)
    stages = [run.path / "stages" / name for name in ("01-upper", "02-backwards", "03-length")]
    visits = [
        {row["id"]: row for row in map(json.loads, (stage / "visits.jsonl").read_text().splitlines())}
        for stage in stages
    ]
    replayed = [json.loads(line) for line in (stages[1] / "replay.jsonl").read_text().splitlines()]
    rises = [visits[1][row["id"]]["first"] - visits[0][row["id"]]["last"] for row in replayed]
    reason = json.loads((stages[2] / "plan.json").read_text())["tasks"][0]["reason"]
    assert reason["rows"] == len(rises) == 3
    assert reason["rise"] == pytest.approx(np.mean(rises), abs=1e-5)
    assert "visits" not in json.loads((stages[0] / "learn.json").read_text())
    plain = inscl.run(
        {**settings, "replay": {**settings["replay"], "strategy": "random"}, "output_dir": str(tmp_path / "r")}
    )
    assert not list(plain.path.rglob("visits.jsonl"))
    with pytest.raises(ConfigError, match="reports losses from training"):
        inscl.run({**settings, "training": {"learner": "icl"}, "output_dir": str(tmp_path / "no")})


def test_a_visits_loss_is_that_of_a_plain_forward_pass(tiny_model: Path) -> None:
    """One batch of everything, no dropout: the first visit sees the model as it came."""
    learner = FineTune(
        str(tiny_model),
        adapter={"kind": "lora", "dropout": 0.0},
        epochs=4,
        batch_size=8,
        precision="fp32",
        batching="pack",
    )
    task = made_task("t", 8)
    expected = [
        one.loss
        for one in learner.log_likelihoods(
            [Question.of(example) for example in task.train], [example.output for example in task.train]
        )
    ]
    learner.measure_visits = True
    visits = learner.learn(task, ReplayPlan.nothing("t")).visits
    assert [visits[example.id][0] for example in task.train] == pytest.approx(expected, rel=1e-4)
    assert all(last != first for first, last in visits.values())
