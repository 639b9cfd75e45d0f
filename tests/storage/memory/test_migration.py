"""A run folder written before the memory was a Lance store; it was made by that inscl and is never made again."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from inscl.contract import Example, Task
from inscl.data import load_stream
from inscl.errors import WorkspaceError
from inscl.storage.memory.store import MemoryStore
from inscl.testing import made_task

FROZEN = Path(__file__).parent / "frozen" / "schema-1"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FROZEN / "run", tmp_path / "run"))


def old_tasks() -> list[Task]:
    """What the run learned, read from its stream: the old memory kept no test split."""
    stream = load_stream({"path": str(FROZEN / "stream"), "order": ["upper", "backwards", "length"]}, seed=0)
    return [Task(task.name, task.train) for task in stream]


def digests(folder: Path) -> dict[str, str]:
    return {str(f): hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.rglob("*") if f.is_file()}


def test_an_old_memory_is_read_as_it_is(run: Path) -> None:
    before = digests(run)
    store = MemoryStore(run / "memory")
    assert store.keys() == ("0001", "0002", "0003")
    assert [store.task(key) for key in ("0001", "0002", "0003")] == old_tasks()
    memory = store.memory(old_tasks())
    texts = {text for task in old_tasks() for text in task.instructions}
    assert set(memory.vectors) == set(memory.tags) == texts
    assert {vector.shape for vector in memory.vectors.values()} == {next(iter(memory.vectors.values())).shape}
    assert store.verify() == []
    assert digests(run) == before


def test_the_first_write_moves_it(run: Path) -> None:
    before = MemoryStore(run / "memory").memory(old_tasks())
    new = made_task("new", 5)
    MemoryStore(run / "memory").add("0004", new, {}, {})
    store = MemoryStore(run / "memory")
    assert not (run / "memory" / "memory.sqlite").exists()
    assert store.keys() == ("0001", "0002", "0003", "0004")
    assert list(map(store.task, store.keys())) == [*old_tasks(), new]
    after = store.memory(old_tasks())
    assert after.tags == before.tags
    assert {t: v.tobytes() for t, v in after.vectors.items()} == {t: v.tobytes() for t, v in before.vectors.items()}


@pytest.mark.parametrize("left", [False, True])
def test_killed_while_it_is_moved_nothing_is_lost(run: Path, left: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    # Before the commit and after it.
    name = "inscl.storage.memory.migration.SqliteMemory.delete" if left else "inscl.storage.memory.place.write_text"
    with monkeypatch.context() as patched:
        patched.setattr(name, kill)
        with pytest.raises(Killed):
            MemoryStore(run / "memory").drop(["0003"])
    assert [MemoryStore(run / "memory").task(key) for key in ("0001", "0002", "0003")] == old_tasks()
    MemoryStore(run / "memory").drop(["0003"])
    assert MemoryStore(run / "memory").keys() == ("0001", "0002")
    assert not (run / "memory" / "memory.sqlite").exists()


def test_an_erasure_reaches_the_old_file(run: Path) -> None:
    word = old_tasks()[0].train[0].input
    MemoryStore(run / "memory").erase(["0001"], lambda text: word in text)
    assert not [f for f in (run / "memory").rglob("*") if f.is_file() and word.encode() in f.read_bytes()]


def test_what_a_killed_old_process_left_is_undone_without_touching_it(tmp_path: Path) -> None:
    shutil.copytree(FROZEN / "run" / "memory", tmp_path / "memory")
    path = tmp_path / "memory" / "memory.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA cache_size = 0")
        connection.execute("PRAGMA cache_spill = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM examples")
        connection.executemany(
            "INSERT INTO examples VALUES (1, ?, 'i', 'q', ?, '[]', '')", [(k, "x" * 3000) for k in range(200)]
        )
        shutil.copytree(tmp_path / "memory", tmp_path / "killed")
    assert (tmp_path / "killed" / "memory.sqlite-journal").exists()
    before = digests(tmp_path / "killed")
    assert MemoryStore(tmp_path / "killed").task("0001") == old_tasks()[0]
    assert digests(tmp_path / "killed") == before


def test_texts_that_utf_8_does_not_hold(tmp_path: Path, run: Path) -> None:
    path = run / "memory" / "memory.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        # As the old store wrote them: JSON behind a NUL, and a text that begins with NUL as it is.
        connection.execute("UPDATE examples SET input = ? WHERE stage = 1 AND position = 0", ('\0"a \\ud800"',))
        connection.execute("UPDATE examples SET input = ? WHERE stage = 1 AND position = 1", ("\0 plain",))
    MemoryStore(run / "memory").learn_facts({"q": np.ones(2, np.float32)}, {})
    train: list[Example] = list(MemoryStore(run / "memory").task("0001").train)
    assert [example.input for example in train[:2]] == ["a \ud800", "\0 plain"]


def test_a_damaged_file_and_a_newer_schema_are_refused(tmp_path: Path) -> None:
    for name, content in (("bad", b"not a database" * 100), ("new", None)):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "memory.sqlite"
        if content:
            path.write_bytes(content)
        else:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA user_version = 99")
    for read in (lambda store: store.keys(), lambda store: store.add("1", made_task("a", 3), {}, {})):
        with pytest.raises(WorkspaceError, match=r"bad.memory\.sqlite can't be read"):
            read(MemoryStore(tmp_path / "bad"))
        with pytest.raises(WorkspaceError, match=r"memory\.sqlite was written by a newer inscl \(schema 99\)"):
            read(MemoryStore(tmp_path / "new"))
    assert "bad" in MemoryStore(tmp_path / "bad").verify()[0]
