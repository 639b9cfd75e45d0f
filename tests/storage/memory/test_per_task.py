"""What plans made of tasks, on disk: as it was, gone with the tasks, and told when damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from inscl.contract import Task
from inscl.contract.made import MadeOfTasks
from inscl.contract.task_summary import TaskSummary
from inscl.contract.task_tags import TaskTags
from inscl.errors import WorkspaceError
from inscl.storage.memory import table
from inscl.storage.memory.store import MemoryStore
from inscl.testing import made_task

A, B, C = made_task("a", 9), made_task("b", 12), made_task("c", 5)


def summary(seed: int, of: str = "x") -> TaskSummary:
    rng = np.random.default_rng(seed)
    return TaskSummary(of, rng.normal(size=(4, 6)).astype(np.float32), rng.random(4), float(rng.random()))


def kept(folder: Path) -> dict[str, TaskSummary]:
    store = MemoryStore(folder)
    return dict(store.memory(map(store.task, store.keys())).summaries)


def keep(store: MemoryStore, summaries: dict[str, TaskSummary]) -> None:
    store.keep_made(MadeOfTasks(summaries), {key: key for key in summaries})


def same(one: TaskSummary, other: TaskSummary) -> bool:
    return (one.of, one.spread, one.points.tobytes(), one.weights.tobytes()) == (
        other.of,
        other.spread,
        other.points.tobytes(),
        other.weights.tobytes(),
    ) and one.points.shape == other.points.shape


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = MemoryStore(tmp_path / "memory")
    for key, task in (("1", A), ("2", B), ("3", C)):
        store.add(key, task, {}, {})
    keep(store, {"1": summary(1), "2": summary(2), "9": summary(9)})
    return tmp_path / "memory"


def test_they_come_back_by_the_names_of_tasks(folder: Path) -> None:
    found = kept(folder)
    assert found.keys() == {"a", "b"}
    assert same(found["a"], summary(1))
    assert MemoryStore(folder).verify() == []


def test_a_summary_of_something_else_takes_the_place(folder: Path) -> None:
    keep(MemoryStore(folder), {"1": summary(5, "y"), "2": summary(6)})
    found = kept(folder)
    assert same(found["a"], summary(5, "y"))
    assert same(found["b"], summary(2))


def test_they_leave_the_disk_with_their_task(folder: Path) -> None:
    points = summary(2).points.tobytes()
    holding = lambda: [f for f in folder.rglob("*") if f.is_file() and points in f.read_bytes()]  # noqa: E731
    assert holding()
    MemoryStore(folder).drop(["2"])
    assert kept(folder).keys() == {"a"}
    assert not holding()


@pytest.mark.parametrize("how", ["erased", "replaced"])
def test_a_task_that_changes_loses_its_summary(folder: Path, how: str) -> None:
    store = MemoryStore(folder)
    if how == "erased":
        store.erase([], lambda example: example == A.train[0])
    else:
        store.add("1", Task("a", A.train[1:]), {}, {})
    assert kept(folder).keys() == {"b"}


def test_many_stages_leave_few_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_FRAGMENTS", 3)
    for k in range(8):
        keep(MemoryStore(folder), {"3": summary(k, str(k))})
    assert len(list((folder / "summaries.lance" / "data").iterdir())) <= 3
    found = kept(folder)
    assert same(found["c"], summary(7, "7"))
    assert same(found["a"], summary(1))


def test_a_memory_says_that_an_older_inscl_cannot_keep_it(tmp_path: Path, folder: Path) -> None:
    MemoryStore(tmp_path / "plain").add("1", A, {}, {})
    schema = lambda path: json.loads((path / "memory.json").read_text())["schema"]  # noqa: E731
    assert (schema(tmp_path / "plain"), schema(folder)) == (1, 2)


def test_a_damaged_summary_is_told(folder: Path) -> None:
    (file,) = (folder / "summaries.lance" / "data").glob("*.lance")
    content = bytearray(file.read_bytes())
    at = content.index(summary(1).points.tobytes()[:16])
    content[at] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(WorkspaceError, match=file.name):
        kept(folder)


def test_a_summary_goes_with_the_train_split_that_it_was_made_of(folder: Path) -> None:
    MemoryStore(folder).replace_train("1", A.train[:1])
    assert kept(folder).keys() == {"b"}


def tags(word: str) -> TaskTags:
    return TaskTags(
        "x",
        np.array([2**64 - 1, 7], np.uint64),
        (word, "\ud800 lone", "\0"),
        np.array([1, 2], np.int32),
        np.array([2, 0, 1], np.int32),
    )


def test_tags_come_back_and_leave_the_disk_with_their_task(folder: Path) -> None:
    store = MemoryStore(folder)
    store.keep_made(MadeOfTasks(tagged={"a": tags("sort mail"), "b": tags("grade poems")}), {"a": "1", "b": "2"})
    found = store.memory(map(store.task, store.keys())).tagged
    assert found.keys() == {"a", "b"}
    one, other = found["a"], tags("sort mail")
    assert (one.of, one.labels) == (other.of, other.labels)
    for field in ("keys", "sizes", "numbers"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        assert getattr(one, field).dtype == getattr(other, field).dtype
    store.drop(["2"])
    assert MemoryStore(folder).memory([]).tagged.keys() == {"a"}
    assert not [f for f in folder.rglob("*") if f.is_file() and b"grade poems" in f.read_bytes()]
