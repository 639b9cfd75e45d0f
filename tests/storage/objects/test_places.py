"""Folders by path or by address, and what is told where the storage doesn't answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inscl.errors import UserError
from inscl.storage.files.lock import locked
from inscl.storage.objects.bucket import UnreachableError
from inscl.storage.objects.places import called, held, local_folder, publish, published
from inscl.storage.objects.working_copy import copies_dir
from object_server import ObjectServer, Strike
from storage.objects.machines import Machine


def test_a_path_is_itself(tmp_path: Path) -> None:
    assert local_folder(tmp_path / "run") == tmp_path / "run"
    with held(tmp_path / "run"):
        publish(tmp_path / "run", lambda message: None)
    with published(tmp_path / "run"):
        pass
    assert called(tmp_path / "run") == str(tmp_path / "run")


def test_an_address_that_holds_nothing_leaves_nothing(machine: Callable[[str], Machine], memory: str) -> None:
    machine("one").here()
    with pytest.raises(UserError, match=f"nothing is at {memory}"):
        local_folder(memory)
    assert not copies_dir().exists()
    folder = local_folder(Path(memory), new=True)  # as a command line gives it, with one slash
    assert called(folder) == memory
    assert folder.name == "run"


def test_who_reads_while_this_machine_writes_sees_its_copy(machine: Callable[[str], Machine], memory: str) -> None:
    machine("one").write(memory, {"a": "1"})
    seen: list[object] = []
    machine("one").write(memory, {"a": "2"}, during=lambda: seen.append(machine("one").read(memory)))
    assert seen == [{"a": "2"}]
    folder = local_folder(memory)
    with locked(folder), published(folder):  # the page of a run that goes on is published with the run
        (folder / "report.html").write_text("page")
    assert "report.html" not in machine("two").read(memory)


def test_a_server_that_fails_in_the_middle_stops_no_work_and_gets_everything_later(
    bucket: str, object_server: ObjectServer, machine: Callable[[str], Machine]
) -> None:
    address, told = f"{bucket}/run", list[str]()
    machine("one").here()
    folder = local_folder(address, new=True)
    with held(folder):
        (folder / "a").write_text("1")
        with object_server.strike(Strike("PUT", "/objects/", times=99, status=503)):
            publish(folder, told.append)
        (folder / "b").write_text("2")
        with object_server.strike(Strike("PUT", "/generations/", times=99, status=500, lost=True)):
            publish(folder, told.append)  # what was made and never confirmed is recognised
        assert len(told) == 1
        assert told[0].startswith(f"not yet at {address}, work goes on: {address}/objects/")
        assert machine("two").read(address) == {"a": "1", "b": "2"}
        machine("one").here()
        (folder / "c").write_text("3")
    assert machine("two").read(address) == {"a": "1", "b": "2", "c": "3"}


def test_an_end_that_the_server_prevents_is_told_and_made_up_for(
    bucket: str, object_server: ObjectServer, machine: Callable[[str], Machine]
) -> None:
    one, address = machine("one"), f"{bucket}/run"
    one.write(address, {"a": "1"})
    with (
        object_server.strike(Strike("PUT", "/generations/", times=99, status=503)),
        pytest.raises(UnreachableError, match="try again when the storage answers"),
    ):
        one.write(address, {"a": "2"})
    assert machine("two").read(address) == {"a": "1"}
    one.write(address, {})
    assert machine("two").read(address) == {"a": "2"}


def test_who_may_not_write_is_told_before_the_work(
    bucket: str, object_server: ObjectServer, machine: Callable[[str], Machine]
) -> None:
    begun = list[int]()
    with (
        object_server.strike(Strike("PUT", "/", times=99, status=403)),
        pytest.raises(UnreachableError, match="may list, read, write and delete"),
    ):
        machine("one").write(f"{bucket}/run", {"a": "1"}, during=lambda: begun.append(1))
    with pytest.raises(UnreachableError, match="see that the bucket exists"):
        machine("one").write("s3://no-such-bucket/run", {"a": "1"}, during=lambda: begun.append(1))
    assert begun == []
