"""Whole states at an address: kills at every call of the storage, two writers, damage, and what erasing leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from inscl.errors import WorkspaceError
from inscl.storage.objects.working_copy import ConflictError, WorkingCopy, copies_dir
from storage.objects.machines import Killed, Machine, contents

FIRST = {"workspace.json": "one", "memory/a": "apple", "memory/b": "secret word"}
SECOND = {"workspace.json": "two", "memory/b": None, "memory/c": "cherry", "memory/d": "apple"}
AFTER = {"workspace.json": "two", "memory/a": "apple", "memory/c": "cherry", "memory/d": "apple"}


def test_another_machine_sees_what_was_written(machine: Callable[[str], Machine], memory: str) -> None:
    machine("one").write(memory, FIRST)
    assert machine("two").read(memory) == FIRST
    machine("two").write(memory, SECOND)
    assert machine("one").read(memory) == AFTER


def test_killed_at_any_call_the_old_state_counts_or_the_new_one_and_the_same_command_ends_it(
    machine: Callable[[str], Machine],
    memory: str,
    strike: Callable[..., list[str]],
    objects_in_memory: Callable[[], dict[str, bytes]],
) -> None:
    machine("one").write(memory, FIRST)
    undisturbed = strike(None)
    machine("one").write(memory, SECOND)
    from fsspec.implementations.memory import MemoryFileSystem

    total, seen = len(undisturbed), set()
    assert total > 10
    for number in range(1, total + 1):
        # Between two calls only this machine changes anything, which matters around the generation's.
        for after in (False, True) if undisturbed[number - 1].startswith("generations/") else (True,):
            MemoryFileSystem.store.clear()
            strike(None)
            one = machine(f"{number}{after}")
            one.write(memory, FIRST)
            strike(number, after)
            with pytest.raises(Killed):
                one.write(memory, SECOND)
            strike(None)
            found = machine(f"reader {number}{after}").read(memory)
            assert found in (FIRST, AFTER), (number, after)
            seen.add(found == AFTER)
            one.here()
            written = "memory/b" not in contents(WorkingCopy.at(memory).folder)
            one.write(memory, {} if written else SECOND)
            assert machine(f"later {number}{after}").read(memory) == AFTER, (number, after)
            left = objects_in_memory()
            assert sum(name.startswith("objects/") for name in left) == 3, left.keys()
            assert not any(b"secret" in content for content in left.values()), (number, after)
    assert seen == {False, True}


def test_killed_while_a_copy_is_brought_up_to_date(
    machine: Callable[[str], Machine], memory: str, strike: Callable[..., list[str]]
) -> None:
    machine("one").write(memory, FIRST)
    readers = [machine(f"reader {number}") for number in range(1, 7)]
    assert all(reader.read(memory) == FIRST for reader in readers)
    machine("one").write(memory, SECOND)
    struck = 0
    for number, reader in enumerate(readers, start=1):
        strike(number, True)
        try:
            reader.read(memory)
        except Killed:
            struck += 1
        strike(None)
        assert reader.read(memory) == AFTER, number
    assert struck > 3


def test_of_two_writers_one_wins_and_the_other_is_told_and_loses_nothing(
    machine: Callable[[str], Machine], memory: str, tmp_path: Path
) -> None:
    machine("one").write(memory, FIRST)
    loser, winner = machine("loser"), machine("winner")
    with pytest.raises(ConflictError, match=r"changed by another writer \(generation 2: host .*Nothing is lost here"):
        loser.write(memory, {"mine": "kept"}, during=lambda: winner.write(memory, SECOND) and None)
    assert machine("third").read(memory) == AFTER
    with pytest.raises(ConflictError, match="changed by another writer"):  # whatever is asked of it
        loser.read(memory)
    folder = WorkingCopy.at(memory).folder
    assert contents(folder) == {**FIRST, "mine": "kept"}
    shutil.move(folder, tmp_path / "elsewhere")
    assert loser.read(memory) == AFTER
    shutil.rmtree(folder)  # a copy that is deleted is no work: it comes back, and nothing is published for it
    loser.write(memory, {})
    assert loser.read(memory) == machine("third").read(memory) == AFTER
    assert WorkingCopy.of(tmp_path / "elsewhere") is None


def test_of_two_that_create_the_same_generation_at_the_same_instant_one_wins(
    machine: Callable[[str], Machine], memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inscl.storage.objects.generations import Generations

    machine("one").write(memory, FIRST)
    create, raced = Generations.create, []

    def late(self: Generations, generation: object) -> bool:
        if not raced:  # the loser has uploaded all and is about to create: just then the winner does
            raced.append(1)
            machine("winner").write(memory, SECOND)
            loser.here()
        return create(self, generation)  # type: ignore[arg-type]

    monkeypatch.setattr(Generations, "create", late)
    loser = machine("loser")
    with pytest.raises(ConflictError, match="another writer"):
        loser.write(memory, {"memory/c": "cherry"})  # also what the winner has: the winner's object must stay
    assert machine("third").read(memory) == AFTER


def test_work_of_an_interrupted_command_stays_until_the_same_command_publishes_it(
    machine: Callable[[str], Machine], memory: str
) -> None:
    def fails() -> None:
        raise ValueError

    one = machine("one")
    one.write(memory, FIRST)
    with pytest.raises(ValueError):
        one.write(memory, {"new": "unpublished"}, during=fails)
    assert one.read(memory) == {**FIRST, "new": "unpublished"}
    assert machine("two").read(memory) == FIRST
    one.write(memory, {})
    assert machine("two").read(memory) == {**FIRST, "new": "unpublished"}


def test_nothing_is_uploaded_where_nothing_changed(
    machine: Callable[[str], Machine], memory: str, objects_in_memory: Callable[[], dict[str, bytes]]
) -> None:
    machine("one").write(memory, FIRST)
    before = objects_in_memory()
    machine("one").write(memory, {})
    assert objects_in_memory() == before
    machine("one").write(memory, {"memory/e": "apple"})  # content that is there under another name
    assert sum(name.startswith("objects/") for name in objects_in_memory()) == 3


def test_damaged_and_lost_objects_are_named(machine: Callable[[str], Machine], memory: str) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    machine("one").write(memory, FIRST)
    name = next(name for name in MemoryFileSystem.store if "/objects/" in name)
    content = MemoryFileSystem.store[name].getvalue()
    MemoryFileSystem(skip_instance_cache=True).pipe_file(name, b"#" + content[1:])
    with pytest.raises(WorkspaceError, match=rf"{memory}/objects/\w+\.1 is damaged"):
        machine("two").read(memory)
    del MemoryFileSystem.store[name]
    with pytest.raises(WorkspaceError, match="has lost objects that its generation 1 names"):
        machine("two").read(memory)
    machine("one").read(memory)  # which has them all


def test_a_folder_that_was_deleted_at_its_address_is_not_made_again_unasked(
    machine: Callable[[str], Machine], memory: str
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    machine("one").write(memory, FIRST)
    MemoryFileSystem.store.clear()
    with pytest.raises(WorkspaceError, match=r"nothing is at memory://shelf/run any more.*is in .*ordinary folder"):
        machine("one").read(memory)


def test_machines_that_run_cells_of_one_grid_unite_their_records(
    machine: Callable[[str], Machine], memory: str
) -> None:
    machine("one").write(memory, {"records/a.json": "a", "table.csv": "a"})
    machine("two").write(
        memory,
        {"records/b.json": "b", "table.csv": "a b", "runs/b/big": "weights"},
        during=lambda: machine("one").write(memory, {"records/c.json": "c", "table.csv": "a c"}) and None,
    )
    found = machine("three").read(memory)
    assert {name for name in found if name.startswith("records/")} == {f"records/{k}.json" for k in "abc"}
    assert not any(name.startswith("runs/") for name in found)


def test_the_state_says_no_more_than_it_must(machine: Callable[[str], Machine], memory: str) -> None:
    machine("one").write(memory, FIRST)
    (state,) = copies_dir().glob("*/.inscl-copy.json")
    value = json.loads(state.read_text())
    assert set(value) == {"schema", "address", "base", "intent", "mixed"}
    assert set(value["base"]["writer"]) == {"host", "when"}
