from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inscl.storage.objects import bucket as objects
from storage.objects.machines import Killed, Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Machine]:
    return lambda name: Machine(name, tmp_path / "machines", monkeypatch)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address in this process's memory: the protocol without the network."""
    from fsspec.implementations.memory import MemoryFileSystem

    monkeypatch.setattr(objects, "DELAYS", (0.0, 0.0))
    monkeypatch.setattr(os, "fsync", lambda file: None)  # no power fails here
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield "memory://shelf/run"
    MemoryFileSystem.store.clear()


@pytest.fixture
def strike(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None, bool], list[str]]:
    """Kills at the n-th call of the storage, before or after it is carried out; returns the calls as they come."""
    original = objects.Bucket._patiently

    def at(number: int | None, after: bool = False) -> list[str]:
        calls: list[str] = []

        def call(self: Any, what: Callable[[], Any], name: str) -> Any:
            calls.append(name)
            struck = number == len(calls)
            if struck and not after:
                raise Killed
            result = original(self, what, name)
            if struck:
                raise Killed
            return result

        monkeypatch.setattr(objects.Bucket, "_patiently", call)
        return calls

    return at


@pytest.fixture
def objects_in_memory() -> Callable[[], dict[str, bytes]]:
    """Every object that is kept in memory, by name below ``/shelf/run``."""
    from fsspec.implementations.memory import MemoryFileSystem

    return lambda: {
        name.removeprefix("/shelf/run/"): bytes(one.getvalue()) for name, one in MemoryFileSystem.store.items()
    }
