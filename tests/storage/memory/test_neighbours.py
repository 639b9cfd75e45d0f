"""Neighbours of tags on disk: what each stage adds, and nothing of what was erased."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inscl.contract.made import MadeOfTasks
from inscl.contract.task_tags import TagNeighbours
from inscl.errors import WorkspaceError
from inscl.storage.memory.store import MemoryStore
from inscl.testing import made_task

A, B = made_task("a", 9), made_task("b", 12)
NAMES = {"a": "1", "b": "2"}


def neighbours(count: int, of: str = "x", first: str = "tag") -> TagNeighbours:
    """Every tag beside itself and the one before it."""
    pairs = [pair for k in range(count) for pair in ([(k, k - 1), (k - 1, k), (k, k)] if k else [(k, k)])]
    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)[:count]
    return TagNeighbours(of, tuple(f"{first} {k}" for k in range(count)), rows, np.array(pairs, np.int32).T)


def same(one: TagNeighbours | None, other: TagNeighbours) -> bool:
    assert one is not None
    return (
        (one.of, one.tags) == (other.of, other.tags)
        and one.directions.tobytes() == other.directions.tobytes()
        and one.pairs.tobytes() == other.pairs.tobytes()
    )


def kept(folder: Path) -> TagNeighbours | None:
    return MemoryStore(folder).memory([]).neighbours


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = MemoryStore(tmp_path / "memory")
    store.add("1", A, {}, {})
    store.add("2", B, {}, {})
    for count in (3, 7, 7, 12):
        store.keep_made(MadeOfTasks(neighbours=neighbours(count)), NAMES)
    return tmp_path / "memory"


def test_stages_add_to_it(folder: Path) -> None:
    assert same(kept(folder), neighbours(12))
    assert len(list((folder / "neighbours.lance" / "data").iterdir())) == 3
    # A stage that is done anew knows less: what is kept stays.
    MemoryStore(folder).keep_made(MadeOfTasks(neighbours=neighbours(5)), NAMES)
    assert same(kept(folder), neighbours(12))


@pytest.mark.parametrize("found", [neighbours(14, of="y"), neighbours(20, first="other")])
def test_what_was_found_otherwise_gives_way(folder: Path, found: TagNeighbours) -> None:
    MemoryStore(folder).keep_made(MadeOfTasks(neighbours=found), NAMES)
    assert same(kept(folder), found)


@pytest.mark.parametrize("change", ["drop", "erase", "replace", "let go"])
def test_where_data_go_all_tags_go(folder: Path, change: str) -> None:
    store = MemoryStore(folder)
    if change == "drop":
        store.drop(["2"])
    elif change == "erase":
        store.erase([], lambda example: example == A.train[0])
    elif change == "replace":
        store.add("2", A, {}, {})
    else:
        store.replace_train("1", A.train[:1])
    assert kept(folder) is None
    assert not [f for f in folder.rglob("*") if f.is_file() and b"tag 11" in f.read_bytes()]


def test_damage_is_told(folder: Path) -> None:
    wanted = neighbours(12).directions[8:12].tobytes()
    (file,) = (f for f in (folder / "neighbours.lance" / "data").iterdir() if wanted in f.read_bytes())
    content = bytearray(file.read_bytes())
    content[content.index(wanted)] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(WorkspaceError, match=file.name):
        kept(folder)
