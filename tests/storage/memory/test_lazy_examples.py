from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inscl.contract import Example, Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.seams import ReplayStrategy
from inscl.replay.diverse_instruction import DiverseInstruction
from inscl.replay.full import FullReplay
from inscl.replay.ifd import HighestIFD
from inscl.replay.inscl import InsCL
from inscl.replay.kpig import KPIG
from inscl.replay.loss import HighestLoss
from inscl.replay.prototype_data import PrototypeData
from inscl.replay.prototype_instruction import PrototypeInstruction
from inscl.replay.random import RandomReplay
from inscl.replay.reservoir import Reservoir
from inscl.storage.memory import lazy_examples
from inscl.storage.memory import rows as memory_rows
from inscl.storage.memory.lazy_examples import TaskRows
from inscl.storage.memory.store import MemoryStore
from inscl.testing import fake_embedder, fake_tagger, made_task

MIXED = Task(
    "mixed",
    tuple(Example(f"way {k * k % 7}", f"input {k}", (f"{k}",), "mixed") for k in range(50)),
    tuple(Example(f"way {k % 4 + 5}", f"asked {k}", (f"{k}",), "mixed") for k in range(9)),
)


@pytest.fixture(params=[1024, 8])
def task(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Task:
    """The same from a store, read in one block or in several."""
    monkeypatch.setattr(memory_rows, "ROWS", request.param)
    monkeypatch.setattr(lazy_examples, "ROWS", request.param)
    store = MemoryStore(tmp_path)
    store.add("before", made_task("before", 7), {}, {})
    store.add("1", MIXED, {}, {})
    return store.task("1")


def test_it_is_a_sequence(task: Task) -> None:
    for lazy, plain in ((task.train, MIXED.train), (task.test, MIXED.test)):
        assert len(lazy) == len(plain)
        assert list(lazy) == list(plain)
        assert [lazy[k] for k in range(len(plain))] == list(plain)
        assert [lazy[k] for k in (-1, 3, -len(plain))] == [plain[k] for k in (-1, 3, -len(plain))]
        for piece in (slice(2, 7), slice(None, None, -3), slice(5, 5), slice(-3, None)):
            assert lazy[piece] == plain[piece]
        assert plain[5] in lazy
        assert lazy.index(plain[4]) == 4
        assert lazy == plain
        assert plain == lazy
        assert hash(lazy) == hash(plain)
        assert lazy != plain[1:]
        for outside in (len(plain), -len(plain) - 1):
            with pytest.raises(IndexError):
                lazy[outside]


def test_what_is_known_of_all_examples_is_what_counting_them_gives(task: Task) -> None:
    assert list(task.instruction_counts.items()) == list(MIXED.instruction_counts.items())
    assert task.instructions == MIXED.instructions
    assert task.instruction_index.tolist() == MIXED.instruction_index.tolist()
    assert (task.train_ids, task.test_ids) == ([e.id for e in MIXED.train], [e.id for e in MIXED.test])
    assert task.fingerprint == MIXED.fingerprint
    asked, lazy = Task("asked", MIXED.test), Task("asked", task.test)
    assert list(lazy.instruction_counts.items()) == list(asked.instruction_counts.items())
    assert lazy.instruction_index.tolist() == asked.instruction_index.tolist()
    assert [asked.instructions[k] for k in asked.instruction_index] == [e.instruction for e in MIXED.test]
    assert task.examples_at([4, 1, 4, 30]) == [MIXED.train[k] for k in (4, 1, 4, 30)]
    assert task.examples_at([]) == []


def test_long_texts_are_read_in_smaller_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_rows, "CHARACTERS", 1000)
    monkeypatch.setattr(lazy_examples, "CHARACTERS", 1000)
    long = Task("long", tuple(Example("q", f"{k}" * 300, ("",), "long") for k in range(10)))
    store = MemoryStore(tmp_path)
    store.add("1", long, {}, {})
    sizes: list[int] = []
    made = TaskRows._made

    def watched(self: TaskRows, table: Any) -> list[Example]:
        sizes.append(table.num_rows)
        return made(self, table)

    monkeypatch.setattr(TaskRows, "_made", watched)
    assert store.task("1") == long
    assert max(sizes) <= 3


def uneven(examples: Sequence[Example]) -> NDArray[np.float64]:
    """Losses that differ from example to example."""
    return np.array([len(example.prompt) * 0.37 % 1 for example in examples])


STRATEGIES: dict[str, Callable[[], ReplayStrategy]] = {
    "inscl": lambda: InsCL(fake_embedder, fake_tagger),
    "random": RandomReplay,
    "prototype_data": lambda: PrototypeData(fake_embedder),
    "prototype_instruction": lambda: PrototypeInstruction(fake_embedder),
    "diverse_instruction": lambda: DiverseInstruction(fake_embedder),
    "reservoir": Reservoir,
    "loss": lambda: HighestLoss(uneven, candidates=2),
    "ifd": lambda: HighestIFD(uneven, candidates=2),
    "kpig": lambda: KPIG(uneven, sample=6),
    "full": FullReplay,
}
READ_ALL = {"prototype_data", "full"}


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_plan_from_the_store_is_the_plan_from_memory_and_reads_what_it_picks(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = (MIXED, made_task("b", 60, 9), made_task("c", 30, 2))
    store = MemoryStore(tmp_path)
    for number, task in enumerate(plain):
        store.add(str(number), task, {}, {})
    read = 0
    made = TaskRows._made

    def watched(self: TaskRows, table: Any) -> list[Example]:
        nonlocal read
        read += table.num_rows
        return made(self, table)

    monkeypatch.setattr(TaskRows, "_made", watched)
    for budget in (Budget(per_task=6), Budget(total=70), Budget(tokens=300)):
        read = 0
        lazy = Memory(tuple(map(store.task, store.keys())))
        new = made_task("new", 10)
        plan, expected = (
            STRATEGIES[name]().plan(memory, new, budget, np.random.default_rng(3)) for memory in (lazy, Memory(plain))
        )
        assert plan == expected
        # Whoever counts tokens has to read them; pools are twice as large as what is taken; kpig scores 6 of each task.
        if budget.tokens is None and name not in READ_ALL:
            scored = 6 * len(plain) if name == "kpig" else 0
            assert read <= (3 if name in ("loss", "ifd") else 1) * len(plan.picks) + scored
