"""A workspace at an address: several machines, one after the other and at once, and erasing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from inscl import Workspace
from inscl.errors import UserError
from inscl.storage.objects.bucket import Bucket
from inscl.storage.objects.working_copy import ConflictError
from workspace.conftest import SETTINGS, results


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Go to another machine."""
    return lambda name: monkeypatch.setenv("INSCL_COPIES", str(tmp_path / "machines" / name))


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address in this process's memory, which takes less time than a server."""
    from fsspec.implementations.memory import MemoryFileSystem

    monkeypatch.setattr(os, "fsync", lambda file: None)  # no power fails here
    MemoryFileSystem.store.clear()
    yield "memory://team/support"
    MemoryFileSystem.store.clear()


def objects(address: str) -> dict[str, bytes]:
    bucket = Bucket(address)
    names = [f"{folder}/{name}" for folder in ("objects", "generations", "probes") for name in bucket.names(folder)]
    return {name: bucket.read(name) or b"" for name in names}


def test_machines_take_turns_and_end_where_one_folder_does(
    memory: str, on: Callable[[str], None], stub: None, model: Path, data: Callable[..., Path], tmp_path: Path
) -> None:
    address = memory
    on("one")
    made = Workspace.init(address, str(model), changes=SETTINGS)
    made.learn(data("upper"))
    on("two")
    two = Workspace.open(address)
    assert [task.name for task in two.status().tasks] == ["upper"]
    assert yaml.safe_load((two.path / "inscl.yaml").read_text().rpartition("\n#")[0])["output_dir"] == address
    two.learn(data("backwards"), data("length"))
    on("one")
    one = Workspace.open(address)
    assert len(one.status().tasks) == 3
    one.rollback(2)
    on("three")
    Workspace.open(address).learn(data("first"))
    on("two")
    final = Workspace.open(address)
    plain = Workspace.init(tmp_path / "plain", str(model), changes=SETTINGS)
    plain.learn(data("upper"))
    plain.learn(data("backwards"), data("length"))
    plain.rollback(2)
    plain.learn(data("first"))
    assert results(final.path) == results(plain.path)
    assert [event.what for event in final.log()] == [event.what for event in plain.log()]


def test_what_is_erased_is_in_no_object_any_more(
    bucket: str, on: Callable[[str], None], stub: None, model: Path, data: Callable[..., Path]
) -> None:
    address = f"{bucket}/support"
    on("one")
    made = Workspace.init(address, str(model), changes=SETTINGS)
    made.learn(data("upper", word="zanzibar"))
    assert any(b"zanzibar" in content for content in objects(address).values())
    on("two")
    Workspace.open(address).erase("upper")
    assert not any(b"zanzibar" in content for content in objects(address).values())
    on("one")
    path = Workspace.open(address).path
    assert not any(b"zanzibar" in file.read_bytes() for file in path.rglob("*") if file.is_file())


def test_who_learns_while_another_machine_does_is_told_and_keeps_the_work(
    memory: str, on: Callable[[str], None], stub: None, model: Path, data: Callable[..., Path], tmp_path: Path
) -> None:
    address = memory
    on("one")
    one = Workspace.init(address, str(model), changes=SETTINGS)

    def meanwhile(_: object) -> bool:
        on("two")
        Workspace.open(address).learn(data("backwards"))
        on("one")
        return True

    with pytest.raises(ConflictError, match=f"{address} was changed by another writer"):
        one.learn(data("upper"), agreed=meanwhile)
    with pytest.raises(ConflictError, match="Nothing is lost here"):
        Workspace.open(address)
    (kept := tmp_path / "kept").parent.mkdir(exist_ok=True)
    one.path.rename(kept)
    assert [task.name for task in Workspace.open(kept).status().tasks] == ["upper"]
    again = Workspace.open(address)
    again.learn(data("upper"))
    assert [task.name for task in again.status().tasks] == ["backwards", "upper"]


def test_an_address_without_a_workspace(memory: str, on: Callable[[str], None]) -> None:
    on("one")
    with pytest.raises(UserError, match=f"nothing is at {memory}"):
        Workspace.open(memory)
