"""The memory's commit point: one small JSON file that says which version of which table counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from inscl.errors import WorkspaceError
from inscl.storage.memory.place import Place

__all__ = ["CATALOG", "RESTORE", "SCHEMA", "Catalog", "TaskEntry"]

CATALOG = "memory.json"
RESTORE = "restore it from a backup"
SCHEMA = 4
_SCHEMAS = {"neighbours": 4, "tagged": 4, "pictures": 3, "summaries": 2}
"""Tables that an older inscl doesn't know, and would leave in it what it erases elsewhere; without them it is 1."""


@dataclass(frozen=True)
class TaskEntry:
    """Where the rows of one task are.

    Attributes:
        key: Its key in the store.
        name: Its name.
        max_new_tokens: As in `Task`.
        train: Number of train examples; they are the first rows.
        test: Number of test examples; they follow.
        characters: Length of all their texts.
        examples: Fragments of the table ``examples`` with their numbers of rows, in order.
        instructions: The same of the table ``instructions``.
        digests: What the columns that plans read must hash to; under ``distinct`` how many instructions the train
            examples have, which older memories don't say.
    """

    key: str
    name: str
    max_new_tokens: int | None
    train: int
    test: int
    characters: int
    examples: tuple[tuple[int, int], ...]
    instructions: tuple[tuple[int, int], ...]
    digests: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> TaskEntry:
        """The inverse of `dataclasses.asdict`."""
        parts = {name: tuple((int(a), int(b)) for a, b in row[name]) for name in ("examples", "instructions")}
        return cls(**{**row, **parts})


@dataclass(frozen=True)
class Catalog:
    """One committed state of a memory.

    Attributes:
        tasks: What is kept, in the order in which it was added, by key.
        versions: Table name to its Lance version.
        files: Path inside the memory's folder to size in bytes and SHA-256; empty on object storage.
    """

    tasks: Mapping[str, TaskEntry] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def with_tasks(self, tasks: Mapping[str, TaskEntry]) -> Catalog:
        """The same with other tasks."""
        return replace(self, tasks=dict(tasks))

    def to_text(self) -> str:
        """The file's content; its last entry is the digest of the rest."""
        content = {
            "schema": max((schema for table, schema in _SCHEMAS.items() if table in self.versions), default=1),
            "versions": dict(self.versions),
            "tasks": [asdict(entry) for entry in self.tasks.values()],
            "files": {path: list(known) for path, known in self.files.items()},
        }
        return json.dumps({**content, "digest": _digest(content)}, indent=1) + "\n"

    @classmethod
    def of(cls, place: Place, found: bytes) -> Catalog:
        """The inverse of `to_text`.

        Args:
            place: Whose state it is; for messages.
            found: The content of its `CATALOG`.

        Raises:
            WorkspaceError: The content is damaged, or a newer inscl wrote it.
        """
        try:
            content = json.loads(found)
            schema = content["schema"]
            if isinstance(schema, int) and schema > SCHEMA:
                raise WorkspaceError(f"{place}/{CATALOG} was written by a newer inscl (schema {schema}): update inscl")
            if content.pop("digest") != _digest(content):
                raise ValueError("its digest doesn't match its content")
            tasks = [TaskEntry.from_json(row) for row in content["tasks"]]
            files = {path: (int(size), str(digest)) for path, (size, digest) in content["files"].items()}
            return cls({entry.key: entry for entry in tasks}, dict(content["versions"]), files)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WorkspaceError(f"{place}/{CATALOG} is damaged ({error}): {RESTORE}") from error


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
