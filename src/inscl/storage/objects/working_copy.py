"""The local copy of a folder on object storage: brought up to date when it is opened, published when something counts.

The copy is an ordinary folder; beside it stands ``.inscl-copy.json``, which says where it belongs and which generation
it was last the same as. It makes three questions decidable after a kill at any instant:

- Has this machine work that the address lacks? Then the files aren't those of that generation.
- Was a generation that was being created created? Its nonce was noted first.
- Was the copy being brought up to date? Then its files are of two generations, and nobody's work.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inscl.errors import WorkspaceError
from inscl.storage.files.atomic import read_json, write_json
from inscl.storage.files.claim import claimed
from inscl.storage.files.integrity import digest
from inscl.storage.objects.bucket import Bucket
from inscl.storage.objects.generations import OBJECTS, Generation, Generations, Stored, object_name
from inscl.storage.objects.survey import is_kept, survey

__all__ = ["ConflictError", "WorkingCopy", "copies_dir"]

STATE = ".inscl-copy.json"
_TRIES = 5


class ConflictError(WorkspaceError):
    """Another writer's state counts now, and this machine has work of its own."""


def copies_dir() -> Path:
    """Where local copies are: ``$INSCL_COPIES``, else ``~/.local/share/inscl/copies``."""
    given = os.environ.get("INSCL_COPIES")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "inscl" / "copies"


@dataclass(frozen=True)
class _State:
    """What ``.inscl-copy.json`` holds.

    Attributes:
        address: Where the folder belongs.
        base: What the copy was last the same as; None before anything was.
        intent: What is being created from the copy as it is.
        mixed: Whether the copy is being brought up to date.
    """

    address: str
    base: Generation | None = None
    intent: Generation | None = None
    mixed: bool = False

    @classmethod
    def read(cls, path: Path) -> _State:
        value = read_json(path)
        base, intent = (value[key] and Generation.of_json(value[key], str(path)) for key in ("base", "intent"))
        return cls(value["address"], base, intent, value["mixed"])

    def to_json(self) -> dict[str, Any]:
        made = {key: one and one.to_json() for key, one in (("base", self.base), ("intent", self.intent))}
        return {"schema": 1, "address": self.address, **made, "mixed": self.mixed}


class WorkingCopy:
    """The local copy of what is at an address.

    Attributes:
        address: The address.
        folder: The copy.

    Args:
        root: The folder that holds the copy and its state.
        state: What the state is.
    """

    def __init__(self, root: Path, state: _State) -> None:
        self._root, self._state = root, state
        self.address = state.address
        self.folder = root / (re.sub(r"[^\w.-]+", "_", state.address.rpartition("/")[2]) or "folder")
        self._generations_opened: Generations | None = None

    @classmethod
    def at(cls, address: str) -> WorkingCopy:
        """The copy for an address, which may not be there yet; nothing is made."""
        name = re.sub(r"[^\w.-]+", "_", address.partition("://")[2])[-60:]
        root = copies_dir() / f"{name}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"
        return cls(root, _State.read(root / STATE) if (root / STATE).exists() else _State(address))

    @classmethod
    def of(cls, folder: Path) -> WorkingCopy | None:
        """The copy whose folder this is; None for any other folder."""
        state = folder.parent / STATE
        if not state.is_file():
            return None
        found = cls(folder.parent, _State.read(state))
        return found if found.folder.name == folder.name else None

    @property
    def _generations(self) -> Generations:
        if self._generations_opened is None:
            self._generations_opened = Generations(Bucket(self.address))
        return self._generations_opened

    def exists(self) -> bool:
        """Whether anything is at the address, or was begun on this machine."""
        return self._state.base is not None or (self.folder.is_dir() and bool(survey(self.folder)))

    def make(self) -> None:
        """Make the folder, with the note of where it belongs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self._root / STATE).exists():
            self._keep(self._state)

    def refresh(self, is_held: Callable[[], bool] = lambda: False) -> None:
        """Bring the copy up to date with the address.

        Work of this machine that the address lacks stays: of a command that was interrupted, say.

        Args:
            is_held: Whether another process of this machine works in the copy, which is newer than the address then.

        Raises:
            ConflictError: The copy has work that the address lacks, and the address has work that the copy lacks.
            UnreachableError: The storage can't be read.
            WorkspaceError: It is damaged, or the copy can't be written.
        """
        if not (self._root / STATE).exists() and self._generations.latest() is None:
            return  # nothing is made for an address that may be wrong
        with claimed(self._root / ".refreshing", wait=True):
            if (self._root / STATE).exists():
                self._state = _State.read(self._root / STATE)
            if not is_held():
                self._refresh(self._generations.latest())

    def check_writable(self) -> bool:
        """See that the address can be written, and finish what a killed writer left to be deleted there.

        Returns:
            Whether the storage refuses to create an object that exists: only then are two writers kept apart for
            certain.

        Raises:
            UnreachableError: It can't be written.
        """
        refuses = self._generations.refuses()
        if self._state.base:
            self._generations.collect(self._state.base, always=False)
        return refuses

    def publish(self) -> None:
        """Make the copy, as it is, what counts at the address. Only while nobody else writes in the copy.

        Raises:
            ConflictError: Another writer was first. Nothing is changed at the address or here.
            UnreachableError: The storage can't be written; what counted there still does.
            WorkspaceError: A file here is damaged or can't be read.
        """
        self._state = _State.read(self._root / STATE)
        for _ in range(_TRIES):
            if (newer := self._publish()) is None:
                return
            if not self._unite(newer):
                raise self._conflict(newer)
        raise WorkspaceError(f"{self.address} is being changed all the time: give the same command again later")

    def _publish(self) -> Generation | None:
        """Create the next generation, if there is anything new; what counts instead if another writer was first."""
        found = survey(self.folder)
        if self._state.intent is None and self._state.base is not None and _same(self._state.base, found):
            return None
        latest = self._generations.latest()
        self._settle(latest)
        base = self._state.base
        if latest is not None and not latest.is_same(base):
            return latest
        if base is not None and _same(base, found):
            return None
        known = {} if base is None else base.files
        number = base.number + 1 if base else 1
        kept = {one.sha256: one.object for one in known.values()}
        files = {
            name: Stored(kept.get(sha256) or object_name(sha256, number), sha256, size)
            for name, (sha256, size) in found.items()
        }
        self._upload({name: one for name, one in files.items() if one.sha256 not in kept})
        made = Generation.after(base, files)
        self._keep(replace(self._state, intent=made))
        if not self._generations.create(made):
            self._keep(replace(self._state, intent=None))
            if (winner := self._generations.latest()) is None:
                raise self._conflict(None)
            return winner
        self._keep(_State(self.address, made))
        self._generations.collect(made)
        return None

    def _unite(self, newer: Generation) -> bool:
        """Take over the records of a grid that another machine made; False where the folder is no grid's.

        Records stand under the key of what they are of, so that those of several machines belong together.
        """
        records = {name: one for name, one in newer.files.items() if name.startswith("records/")}
        if not records or not (self.folder / "records").is_dir():
            return False
        for name, one in records.items():
            if not (target := self.folder / name).exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                part = target.with_name(f".{target.name[:40]}.part")
                if not self._bring(one, part):
                    return True  # a still newer generation names others
                part.replace(target)
        self._keep(_State(self.address, newer))
        return True

    def _upload(self, files: Mapping[str, Stored]) -> None:
        there = self._generations.bucket.names(OBJECTS)
        for name, one in files.items():
            if there.get(one.object) == one.size:
                continue  # an attempt that was interrupted had uploaded it; it is there as a whole or not at all
            if digest(self.folder / name) != one.sha256:
                raise WorkspaceError(f"{self.folder / name} is damaged: its checksum isn't the one it was written with")
            self._generations.bucket.upload(self.folder / name, f"{OBJECTS}/{one.object}")
            there[one.object] = one.size

    def _refresh(self, latest: Generation | None) -> None:
        self._settle(latest)
        if self._is_empty():  # moved elsewhere, or deleted: that is nobody's work
            self._keep(_State(self.address))
        base = self._state.base
        if latest is None and base is None:
            return
        if latest is not None and not self._state.mixed and latest.is_same(base):
            return
        if not self._state.mixed and self._has_work(latest):
            if latest is not None and self._unite(latest):
                return
            raise self._conflict(latest)
        if latest is None:
            raise WorkspaceError(
                f"nothing is at {self.address} any more. What it held when this machine last saw it is in "
                f"{self.folder}, which is an ordinary folder once you move it elsewhere"
            )
        for _ in range(_TRIES):
            self._keep(replace(self._state, intent=None, mixed=True))
            if self._take(latest):
                self._keep(_State(self.address, latest))
                return
            newer = self._generations.latest()
            if newer is None or newer.is_same(latest):
                break
            latest = newer
        raise WorkspaceError(
            f"{self.address} has lost objects that its generation {latest.number} names: restore them from a backup"
        )

    def _settle(self, latest: Generation | None) -> None:
        """Find out whether a generation that was being created by a process that was killed counts."""
        intent = self._state.intent
        if intent is None:
            return
        counts = latest is not None and latest.number >= intent.number
        ours = counts and self._generations.nonce(intent.number) == intent.nonce
        self._keep(replace(self._state, intent=None, base=intent if ours else self._state.base))

    def _is_empty(self) -> bool:
        return not any(path.is_file() and path.name != ".lock" for path in self.folder.rglob("*"))

    def _has_work(self, latest: Generation | None) -> bool:
        """Whether the copy isn't what its base or the latest generation names."""
        found = survey(self.folder)
        return not (_same(self._state.base, found) or _same(latest, found))

    def _take(self, generation: Generation) -> bool:
        """Make the copy what a generation names; False if the storage lacks an object of it."""
        incoming = self._root / "incoming"
        for folder in (incoming, self.folder):
            folder.mkdir(parents=True, exist_ok=True)
        here = survey(self.folder, trusting=False)
        wanted = {name: one for name, one in generation.files.items() if here.get(name) != (one.sha256, one.size)}
        if not all(
            self._bring(one, incoming / one.sha256) for one in {one.sha256: one for one in wanted.values()}.values()
        ):
            return False
        finished = {_stage_of(name) for name in generation.files} - {None}
        names = {path: path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()}
        unnamed = {path: name for path, name in names.items() if name not in generation.files}
        for path in [p for p, name in unnamed.items() if _stage_of(name) in finished or is_kept(self.folder, name)]:
            path.unlink()
            for parent in path.parents:
                if parent == self.folder or any(parent.iterdir()):
                    break
                parent.rmdir()
        for name, one in wanted.items():
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(incoming / one.sha256, part := target.with_name(f".{target.name[:40]}.part"))
            part.replace(target)
        shutil.rmtree(incoming)
        return True

    def _bring(self, one: Stored, target: Path) -> bool:
        """Have the bytes of an object in a file; False if the storage lacks it."""
        if target.exists() and digest(target) == one.sha256:
            return True  # an attempt that was interrupted had brought it
        if not self._generations.bucket.download(f"{OBJECTS}/{one.object}", target):
            return False
        if digest(target, durable=True) != one.sha256:
            raise WorkspaceError(
                f"{self.address}/{OBJECTS}/{one.object} is damaged: its checksum isn't the one it was written with. "
                "Restore it from a backup"
            )
        return True

    def _conflict(self, latest: Generation | None) -> WorkspaceError:
        if latest is None:
            return ConflictError(f"nothing is at {self.address} any more. {self._where()}")
        by = ", ".join(f"{key} {value}" for key, value in latest.writer.items())
        return ConflictError(
            f"{self.address} was changed by another writer (generation {latest.number}: {by}) while this machine had "
            f"work of its own. Nothing was overwritten there. {self._where()}"
        )

    def _where(self) -> str:
        return (
            f"Nothing is lost here: the work of this machine is in {self.folder}, which is an ordinary folder once you "
            "move it elsewhere. Then give the same command again; it goes on from what the address holds"
        )

    def _keep(self, state: _State) -> None:
        self._state = state
        write_json(self._root / STATE, state.to_json())


def _same(generation: Generation | None, found: Mapping[str, tuple[str, int]]) -> bool:
    """Whether files are those of a generation; of none, where there is no file."""
    files = {} if generation is None else generation.files
    return {name: (one.sha256, one.size) for name, one in files.items()} == found


def _stage_of(name: str) -> str | None:
    """The folder of the stage that a file belongs to; None for other files."""
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] in ("stages", "experts") and len(parts) > 2 else None
