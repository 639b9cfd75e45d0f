"""Tags of tasks are made once, and again where they would come out otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inscl.contract import Memory, Task
from inscl.contract.made import MadeOfTasks
from inscl.errors import ConfigError
from inscl.replay import Budget, inscl
from inscl.replay.inscl import InsCL
from inscl.replay.shares.tagged import TaggedTasks
from inscl.storage.memory.store import MemoryStore
from inscl.testing import fake_embedder, fake_tagger, made_task

A, B, C, NEW = (made_task(name, 12) for name in ("a", "b", "c", "new"))


class Tagger:
    """Remembers what it was asked for."""

    def __init__(self, fingerprint: str = "one") -> None:
        self.asked: list[str] = []
        self.fingerprint = fingerprint

    def __call__(self, texts: list[str]) -> list[list[str]]:
        self.asked += texts
        return fake_tagger(texts)


def test_made_once_as_long_as_nothing_changes() -> None:
    tagger = Tagger()
    tagged = TaggedTasks(tagger)
    first = tagged(Memory((A, B)), C)
    assert sorted(tagger.asked) == sorted({*A.instructions, *B.instructions, *C.instructions})
    tagger.asked.clear()
    second = tagged(Memory((A, B, C)), NEW)
    assert second[:3] == first
    assert tagger.asked == list(NEW.instructions)
    tagger.asked.clear()
    said = dict.fromkeys(A.instructions, ("said",))
    assert tagged(Memory((A, B), tags=said), NEW)[0].labels == ("say",)
    assert tagged(Memory((replace(A, train=A.train[:1]), B), tags=said), NEW)[0].sizes.tolist() == [1]
    assert tagger.asked == []


def test_without_tags_and_tagger_nothing_goes() -> None:
    with pytest.raises(ConfigError, match="3 instructions have no tags"):
        TaggedTasks(None)(Memory((A,), tags=dict.fromkeys(A.instructions, ("x",))), NEW)


def plan(strategy: InsCL, memory: Memory, new: Task) -> dict:
    return strategy.plan(memory, new, Budget(total=9), np.random.default_rng(0)).to_json()


def test_another_process_goes_on_from_what_the_memory_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inscl, "KEPT", 5)

    class Embedder:
        fingerprint = "fake"
        asked = 0

        def __call__(self, texts: list[str]) -> np.ndarray:
            self.asked += len(texts)
            return fake_embedder(texts)

    store, names = MemoryStore(tmp_path), {}
    for task in (A, B, C):
        store.add(task.name, task, {}, {})
        names[task.name] = task.name
    first = InsCL(fake_embedder, Tagger(), Embedder(), merge_min_samples=2)
    plan(first, store.memory([store.task("a"), store.task("b")]), C)
    store.keep_made(MadeOfTasks(first.summaries, first.tagged, first.neighbours), names)

    memory = MemoryStore(tmp_path).memory(map(MemoryStore(tmp_path).task, store.keys()))
    assert memory.tagged.keys() == {"a", "b", "c"}
    tagger, embedder = Tagger(), Embedder()
    again = plan(InsCL(fake_embedder, tagger, embedder, merge_min_samples=2), memory, NEW)
    assert tagger.asked == list(NEW.instructions)
    plain = InsCL(fake_embedder, Tagger(), merge_min_samples=2, tag_embedder=fake_embedder)
    assert again == plan(plain, Memory((A, B, C)), NEW)
    # Of the tags, those of the new task alone are embedded.
    assert 0 < embedder.asked <= sum(map(len, fake_tagger(list(NEW.instructions))))
    # Another tagger's tags are others.
    other = Tagger("two")
    plan(InsCL(fake_embedder, other), memory, NEW)
    assert set(A.instructions) <= set(other.asked)


def test_little_is_not_kept() -> None:
    strategy = InsCL(fake_embedder, fake_tagger)
    plan(strategy, Memory((A, B)), NEW)
    assert not strategy.tagged
    assert strategy.neighbours is None
