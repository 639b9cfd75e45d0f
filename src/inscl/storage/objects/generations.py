"""Generations: the small objects that name, one after the other, the whole states of a folder on object storage.

A generation counts from the instant in which it is created, which only one writer can do for each number. An object's
name ends with the generation that it was uploaded for. Generation g names objects that g - 1 names and objects uploaded
for g. So an object that was uploaded for g or earlier and that g doesn't name is named by no later one either, and may
be deleted, whoever writes at the same time. No clock is asked.

The numbers stay: an earlier generation is replaced by a stub, so that nobody who was away for long creates it again.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from inscl.data.quoting import excerpt
from inscl.errors import WorkspaceError
from inscl.storage.files.integrity import seal, sealed_value
from inscl.storage.files.provenance import now
from inscl.storage.objects.bucket import Bucket

__all__ = ["OBJECTS", "Generation", "Generations", "Stored", "object_name"]

SCHEMA = 1
GENERATIONS, OBJECTS = "generations", "objects"
_TRIES = 10


@dataclass(frozen=True)
class Stored:
    """One file: the name of its object, the SHA-256 of its bytes, and how many they are."""

    object: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Generation:
    """A whole state of a folder.

    Attributes:
        number: From 1.
        nonce: Tells it from another of the same number.
        files: Path in the folder, with forward slashes -> where its bytes are.
        writer: Who wrote it: host and time.
    """

    number: int
    nonce: str
    files: Mapping[str, Stored]
    writer: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def after(cls, before: Generation | None, files: Mapping[str, Stored]) -> Generation:
        """The next one, by this machine."""
        number = before.number + 1 if before else 1
        return cls(number, os.urandom(16).hex(), files, {"host": socket.gethostname(), "when": now()})

    def is_same(self, other: Generation | None) -> bool:
        """Whether both are one."""
        return other is not None and (self.number, self.nonce) == (other.number, other.nonce)

    def to_json(self) -> dict[str, Any]:
        """With a checksum of itself."""
        return seal({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def of_json(cls, value: Any, where: str) -> Generation:
        """The inverse.

        Raises:
            WorkspaceError: It is damaged, or a newer inscl wrote it.
        """
        found = sealed_value(value)
        if isinstance(value, dict) and isinstance(value.get("schema"), int) and value["schema"] > SCHEMA:
            raise WorkspaceError(f"{where} was written by a newer inscl: update inscl")
        if found is None:
            raise WorkspaceError(f"{where} is damaged: restore it from a backup")
        try:
            files = {name: Stored(**one) for name, one in found["files"].items()}
            made = cls(int(found["number"]), str(found["nonce"]), files, dict(found["writer"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise WorkspaceError(f"{where} isn't as inscl writes it: {error}") from error
        if strange := [name for name, one in files.items() if not (_is_inside(name) and _OBJECT.fullmatch(one.object))]:
            raise WorkspaceError(f"{where} isn't as inscl writes it: it names the file {excerpt(strange[0])}")
        return made


class Generations:
    """The generations at an address.

    Args:
        bucket: What is there.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def latest(self) -> Generation | None:
        """The one that counts; None where nothing was ever written.

        Raises:
            UnreachableError: The storage can't be read.
            WorkspaceError: It is damaged.
        """
        for _ in range(_TRIES):
            if not (numbers := self._sizes()):
                return None
            name = _name(max(numbers))
            content = self.bucket.read(name)
            if content and (value := _parsed(content, f"{self.bucket.address}/{name}")).get("files") is not None:
                return Generation.of_json(value, f"{self.bucket.address}/{name}")
        raise WorkspaceError(f"{self.bucket.address} is being changed all the time: try again later")

    def nonce(self, number: int) -> str | None:
        """Which one was created under a number; None where none was."""
        content = self.bucket.read(_name(number))
        return str(_parsed(content, _name(number)).get("nonce")) if content else None

    def create(self, generation: Generation) -> bool:
        """Make a generation count; False if another of its number does, or did."""
        content = json.dumps(generation.to_json(), indent=1).encode()
        return self.bucket.create(_name(generation.number), content, generation.nonce.encode())

    def collect(self, generation: Generation, *, always: bool = True) -> None:
        """Delete what a generation that counts made superfluous: objects without a name, and what earlier ones said.

        Args:
            generation: The one that counts.
            always: False does so only if its writer didn't finish it.
        """
        earlier = {number: size for number, size in self._sizes().items() if number < generation.number}
        full = [number for number, size in earlier.items() if size > _STUB]
        if not (always or full):
            return
        kept = {one.object for one in generation.files.values()}
        found = [name for name in self.bucket.names(OBJECTS) if _uploaded_for(name) <= generation.number]
        self.bucket.delete(f"{OBJECTS}/{name}" for name in sorted(set(found) - kept))
        # Last, since a full one says that there may be something left to delete.
        for number in full:
            stub = {"schema": SCHEMA, "number": number, "nonce": self.nonce(number), "files": None}
            self.bucket.write(_name(number), json.dumps(stub).encode())

    def refuses(self) -> bool:
        """See that the storage can be written; whether it also refuses to make an object that exists.

        Raises:
            UnreachableError: It can't be written.
        """
        return self.bucket.refuses(f"probes/{os.urandom(8).hex()}")

    def _sizes(self) -> dict[int, int]:
        names = self.bucket.names(GENERATIONS)
        return {int(name[:8]): size for name, size in names.items() if name[:8].isdecimal() and name[8:] == ".json"}


_OBJECT = re.compile(r"[0-9a-f]{64}\.[0-9]{1,15}")
_STUB = 200
"""Bytes: a stub has fewer, a generation more."""


def object_name(sha256: str, generation: int) -> str:
    """What the bytes of a file are called that is uploaded for a generation."""
    return f"{sha256}.{generation}"


def _is_inside(name: str) -> bool:
    """Whether a path stays in the folder: whoever can write at the address must not write elsewhere on a machine."""
    return "\0" not in name and not any(part in ("", ".", "..") for part in name.split("/"))


def _uploaded_for(name: str) -> int:
    number = name.rpartition(".")[2]
    return int(number) if number.isdecimal() else 0


def _name(number: int) -> str:
    return f"{GENERATIONS}/{number:08d}.json"


def _parsed(content: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise WorkspaceError(f"{where} is damaged: restore it from a backup")
    return value
