"""Vectors and tags in a store: read when they are looked at, and only those."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inscl.contract import Example, Task
from inscl.contract.stored_facts import known_of
from inscl.storage.memory import facts, table
from inscl.storage.memory.store import MemoryStore

TEXTS = [f"\0{k} \ud800" if k % 7 == 0 else f"do job {k}" for k in range(90)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(table, "_FRAGMENTS", 4)
    store = MemoryStore(tmp_path)
    for k in range(0, 90, 10):
        part = TEXTS[k : k + 10]
        store.learn_facts({one: np.full(3, k, np.float32) for one in part}, {one: (one, str(k)) for one in part})
    store.learn_facts({}, {TEXTS[3]: ("said later",)})
    return tmp_path


def test_opening_a_memory_reads_no_vectors_and_a_few_are_read_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns: list[list[str]] = []
    scan = table.Table.scan
    monkeypatch.setattr(
        table.Table,
        "scan",
        lambda self, f, names, *more, **else_: columns.append(names) or scan(self, f, names, *more, **else_),
    )
    memory = MemoryStore(folder).memory([Task("t", tuple(Example(text, "", ("",)) for text in TEXTS))])
    asked = [TEXTS[3], TEXTS[70], "unknown"]
    assert {t: v.tolist() for t, v in known_of(memory.vectors, asked).items()} == {
        asked[0]: [0] * 3,
        asked[1]: [70] * 3,
    }
    assert known_of(memory.tags, asked) == {asked[0]: ("said later",), asked[1]: (asked[1], "70")}
    assert known_of(memory.vectors, []) == {}
    assert not any("vector" in names for names in columns)
    # As a mapping it holds all that the tasks ask for.
    assert list(memory.vectors) == TEXTS
    assert memory.tags[TEXTS[9]] == (TEXTS[9], "0")
    assert any("vector" in names for names in columns)
    assert len(MemoryStore(folder).memory([Task("t", (Example(TEXTS[1], "", ("",)),))]).vectors) == 1


def test_what_is_learned_later_is_seen(folder: Path) -> None:
    store = MemoryStore(folder)
    memory = store.memory([])
    assert known_of(memory.tags, ["new"]) == {}
    store.learn_facts({}, {"new": ("tag",)})
    assert known_of(memory.tags, ["new"]) == {"new": ("tag",)}


def test_many_files_become_few_and_lose_nothing(folder: Path) -> None:
    assert len(list((folder / "facts.lance" / "data").iterdir())) <= 4
    vectors, tags = facts.read_facts(MemoryStore(folder)._reading(lambda catalog, tables: tables["facts"]))
    assert vectors.keys() == tags.keys() == set(TEXTS)
    assert tags[TEXTS[3]] == ("said later",)
