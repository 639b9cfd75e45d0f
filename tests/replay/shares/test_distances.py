"""Distances from summaries: within their bounds, made once, and never those of another task."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import inscl
from inscl.contract import Example, Memory, Task
from inscl.contract.task_summary import TaskSummary
from inscl.engine.parts import Parts
from inscl.errors import ConfigError
from inscl.replay import Budget
from inscl.replay.inscl import InsCL
from inscl.replay.shares import distances
from inscl.storage.memory.store import MemoryStore
from inscl.testing import fake_tagger
from streams import toy_config, toy_stream

SIZE = 6


def stream(count: int = 6, instructions: int = 30) -> tuple[Task, ...]:
    names = [f"task{t}" for t in range(count)]
    return tuple(
        Task(
            name,
            tuple(Example(f"{name} asks {k}", str(n), ("x",)) for k in range(instructions) for n in range(1 + k % 3)),
        )
        for name in names
    )


class Embedder:
    """Vectors around a direction of the task's own; remembers what it was asked for."""

    fingerprint = "one"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        rows = []
        for text in texts:
            near = np.random.default_rng(list(text.split()[0].encode())).normal(size=16)
            rows.append(near + 0.4 * np.random.default_rng(list(text.encode())).normal(size=16))
        return np.array(rows, dtype=np.float32)


def planned(strategy: InsCL, memory: Memory, new: Task, total: int = 200):
    return strategy.plan(memory, new, Budget(total=total), np.random.default_rng(0))


@pytest.mark.parametrize("weights", ["real", "uniform"])
def test_a_plan_from_summaries_says_bounds_that_hold_the_exact_distances(weights: str) -> None:
    *earlier, new = stream()
    memory = Memory(tuple(earlier))
    exact = planned(InsCL(Embedder(), fake_tagger, weights=weights), memory, new)
    strategy = InsCL(Embedder(), fake_tagger, weights=weights, summarise="always", summary_size=SIZE)
    found = planned(strategy, memory, new)
    for one, other in zip(found.shares, exact.shares, strict=True):
        low, high = one.reason["distance_bounds"]
        assert low <= other.reason["distance"] <= high
        assert low < one.reason["distance"] <= high
        assert "distance_bounds" not in other.reason
    assert f"summaries of {SIZE} points" in found.notes[0]
    assert not any("summaries" in note for note in exact.notes)
    moved = sum(abs(found.allocation[name] - exact.allocation[name]) for name in exact.allocation) / 2
    assert moved <= 4
    assert found.parameters["summary_size"] == SIZE
    assert "summary_size" not in exact.parameters


def test_summaries_are_taken_beyond_the_number_of_pairs_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    *earlier, new = stream(3)
    memory = Memory(tuple(earlier))
    monkeypatch.setattr(distances, "EXACT_PAIRS", 2 * 30 * 30 - 1)
    assert "distance_bounds" in planned(InsCL(Embedder(), fake_tagger), memory, new).shares[0].reason
    for exact in (
        planned(InsCL(Embedder(), fake_tagger, summarise="never"), memory, new),
        planned(InsCL(Embedder(), fake_tagger, transport="entropic"), memory, new),
    ):
        assert "distance_bounds" not in exact.shares[0].reason
    monkeypatch.setattr(distances, "EXACT_PAIRS", 2 * 30 * 30)
    assert "distance_bounds" not in planned(InsCL(Embedder(), fake_tagger), memory, new).shares[0].reason


def test_what_the_memory_keeps_is_not_made_again_and_gives_the_same_plan() -> None:
    *earlier, new = stream()
    strategy = InsCL(Embedder(), fake_tagger, summarise="always", summary_size=SIZE)
    first = planned(strategy, Memory(tuple(earlier)), new)
    embedder = Embedder()
    again = InsCL(embedder, fake_tagger, summarise="always", summary_size=SIZE)
    kept = Memory(tuple(earlier), summaries=dict(strategy.summaries))
    assert planned(again, kept, new).to_json() == first.to_json()
    assert set(embedder.asked) == set(new.instructions)
    # The next stage needs the vectors of the task learned last, and no others.
    embedder.asked.clear()
    later = stream(7)[6]
    planned(again, replace(kept, tasks=(*earlier, new)), later)
    assert set(embedder.asked) == {*new.instructions, *later.instructions}


@pytest.mark.parametrize("change", ["task", "embedder", "setting"])
def test_a_summary_of_anything_else_is_made_anew(change: str) -> None:
    *earlier, new = stream(3)
    strategy = InsCL(Embedder(), fake_tagger, summarise="always", summary_size=SIZE)
    planned(strategy, Memory(tuple(earlier)), new)
    kept, embedder = dict(strategy.summaries), Embedder()
    if change == "task":
        earlier[0] = Task(earlier[0].name, earlier[0].train[:-1])
    elif change == "embedder":
        embedder.fingerprint = "another"
    again = InsCL(embedder, fake_tagger, summarise="always", summary_size=SIZE + (change == "setting"))
    planned(again, Memory(tuple(earlier), summaries=kept), new)
    assert set(earlier[0].instructions) <= set(embedder.asked)
    assert (set(earlier[1].instructions) <= set(embedder.asked)) == (change != "task")
    assert isinstance(again.summaries["task0"], TaskSummary)


def test_a_task_is_at_distance_zero_from_itself() -> None:
    *earlier, new = stream(3)
    strategy = InsCL(Embedder(), fake_tagger, summarise="always", summary_size=SIZE)
    found = planned(strategy, Memory((*earlier, Task("twin", new.train[::-1]))), new)
    assert found.shares[-1].reason["distance"] == 0
    assert found.shares[0].reason["distance"] > 0


def test_a_run_keeps_summaries_and_goes_on_from_them(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    asked: list[list[str]] = []
    known = Parts.known
    monkeypatch.setattr(Parts, "known", lambda self, tasks: asked.append([t.name for t in tasks]) or known(self, tasks))
    settings = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run")
    settings["replay"]["params"] = {"summarise": "always", "summary_size": 2}
    run = inscl.run(settings)
    # What the first task lacked is made for the second plan; then it isn't looked at again.
    assert asked == [["upper"], ["upper", "backwards"], ["length"]]
    plan = (run.path / "stages" / "03-length" / "plan.json").read_text()
    low, high = json.loads(plan)["tasks"][0]["reason"]["distance_bounds"]
    assert low < high
    store = MemoryStore(run.path / "memory")
    kept = store.memory(map(store.task, store.keys())).summaries
    assert {name: len(one.points) for name, one in kept.items()} == {"upper": 2, "backwards": 2}
    shutil.rmtree(run.path / "stages" / "03-length")
    inscl.run(settings)
    assert (run.path / "stages" / "03-length" / "plan.json").read_text() == plan


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError) as caught:
        InsCL(summarise="sometimes", summary_size=0)
    assert [problem.key for problem in caught.value.problems] == ["summarise", "summary_size"]
    with pytest.raises(ConfigError, match="transport must be exact"):
        InsCL(summarise="always", transport="entropic")
