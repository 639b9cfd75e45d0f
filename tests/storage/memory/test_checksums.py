from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inscl.errors import WorkspaceError
from inscl.storage.memory import checksums as memory_checksums
from inscl.storage.memory.store import MemoryStore
from inscl.testing import made_task

A, B = made_task("a", 40, 4, 5), made_task("b", 300, 50, 5)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    vectors = {text: np.arange(5, dtype=np.float32) for text in B.instructions}
    MemoryStore(tmp_path / "memory").add("1", A, {}, {text: ("tag", text) for text in A.instructions})
    MemoryStore(tmp_path / "memory").add("2", B, vectors, {})
    return tmp_path / "memory"


def everything(path: Path) -> list[Any]:
    store = MemoryStore(path)
    tasks = list(map(store.task, store.keys()))
    seen: list[Any] = [
        [t.name, list(t.train), list(t.test), t.instruction_counts, t.instruction_index.tolist(), t.train_ids]
        for t in tasks
    ]
    known = store.memory(tasks)
    return [*seen, {text: vector.tolist() for text, vector in known.vectors.items()}, dict(known.tags)]


def damages(path: Path, flips: int) -> Iterator[tuple[Path, str]]:
    """Every file of the store truncated, emptied, with single bits flipped, and gone; whole again afterwards."""
    chance = random.Random(0)
    for file in sorted(f for f in path.rglob("*") if f.is_file()):
        whole = file.read_bytes()
        for kind in ["cut", "emptied", "gone", *["flipped"] * flips]:
            broken = bytearray(whole)
            if kind == "flipped":
                # Half of them at the end, where a file says where its columns are.
                place = chance.choice([chance.randrange(len(whole)), max(0, len(whole) - 1 - chance.randrange(300))])
                broken[place] ^= 1 << chance.randrange(8)
            file.write_bytes(broken if kind == "flipped" else whole[: len(whole) // 2] if kind == "cut" else b"")
            if kind == "gone":
                file.unlink()
            yield file, kind
            file.write_bytes(whole)


def test_every_damaged_file_is_named_when_it_is_met_and_by_verify(memory: Path) -> None:
    good = everything(memory)
    count = 0
    for file, kind in damages(memory, flips=3):
        (said,) = MemoryStore(memory).verify()
        assert file.name in said, kind
        # The log of a transaction is never read.
        if file.suffix == ".txn":
            assert everything(memory) == good
        else:
            with pytest.raises(WorkspaceError, match=file.name.replace(".", r"\.")):
                everything(memory)
        count += 1
    assert count > 40
    assert everything(memory) == good


def test_of_a_large_file_the_rows_that_are_read_are_checked(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = everything(memory)
    monkeypatch.setattr(memory_checksums, "_WHOLE", -1)
    named = 0
    for file, _ in damages(memory, flips=6):
        if file.parent.name != "data":
            continue
        said = None
        try:
            assert everything(memory) == good
        except WorkspaceError as error:
            said = str(error)
        assert said is None or file.name in said
        named += said is not None
    assert named > 10


def test_a_damaged_task_can_be_dropped_and_the_others_read(memory: Path) -> None:
    (first, second) = sorted((memory / "examples.lance" / "data").iterdir(), key=lambda f: f.stat().st_size)
    second.write_bytes(b"nothing of the kind")
    store = MemoryStore(memory)
    assert store.task("1") == A
    with pytest.raises(WorkspaceError, match=second.name):
        list(store.task("2").train)
    store.drop(["2"])
    assert store.keys() == ("1",)
    assert store.verify() == []
    assert first.exists()


def test_a_newer_schema_is_refused_in_any_case(memory: Path) -> None:
    catalog = memory / "memory.json"
    catalog.write_text(catalog.read_text().replace('"schema": 1', '"schema": 9'))
    for attempt in (lambda s: s.keys(), lambda s: s.task("1"), lambda s: s.drop(["1"]), lambda s: s.memory([A])):
        with pytest.raises(
            WorkspaceError, match=r"memory\.json was written by a newer inscl \(schema 9\): update inscl"
        ):
            attempt(MemoryStore(memory))
    assert "newer inscl" in MemoryStore(memory).verify()[0]
