"""One example to learn, and the conversation that it may be part of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

from inscl.errors import DataError

__all__ = ["LINEAGE", "MARKER", "Example", "Image", "Turn"]

Role = Literal["system", "user", "assistant"]

MARKER = "<image>"
"""What stands for a picture in a question of an example with pictures, as LLaVA and ShareGPT have it."""

LINEAGE = frozenset({"parent", "ancestors", "refiner", "version", "parameters"})
"""What provenance says in ids, names and digests; the rest is text that a refiner wrote."""


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation.

    Attributes:
        role: ``system``, ``user`` or ``assistant``.
        content: What was said.
        learn: Whether training carries loss on it; only for turns of the assistant that stand before the answer.
    """

    role: Role
    content: str
    learn: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values, as chat messages are written."""
        row: dict[str, Any] = {"role": self.role, "content": self.content}
        return {**row, "learn": True} if self.learn else row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Turn:
        """The inverse of `to_json`."""
        return cls(cast(Role, row["role"]), row["content"], bool(row.get("learn", False)))


@dataclass(frozen=True)
class Image:
    """A picture that belongs to a question.

    Attributes:
        path: What the data calls it, for people; two names of the same bytes are one picture.
        digest: SHA-256 of its bytes, 64 hex digits.
        read: Gives its bytes when they are needed; None where the name alone is known, as in a record of a stage.
    """

    path: str
    digest: str = ""
    read: Callable[[], bytes] | None = field(default=None, compare=False, repr=False)

    @property
    def content(self) -> bytes:
        """Its bytes.

        Raises:
            DataError: They aren't kept here, can't be read any more, or aren't those that `digest` names.
        """
        if self.read is None:
            raise DataError("the bytes of this picture are not at hand, its name alone is known", self.path)
        try:
            found = self.read()
        except OSError as error:
            raise DataError(f"the picture can't be read any more: {error.strerror or error}", self.path) from error
        if hashlib.sha256(found).hexdigest() != self.digest:
            raise DataError("the picture has changed since it was read: give the same command again", self.path)
        return found

    def to_json(self) -> dict[str, str]:
        """Plain values: its name, and what tells its bytes."""
        return {"path": self.path, "sha256": self.digest}

    @classmethod
    def from_json(cls, row: Mapping[str, str]) -> Image:
        """The inverse of `to_json`, but for the bytes."""
        return cls(row["path"], row["sha256"])


@dataclass(frozen=True)
class Example:
    """One example to learn: an instruction, its input, and the reference answers.

    Attributes:
        instruction: What is asked, shared by many examples of a task. In a conversation it is the system turn, or the
            first turn of the user; distances and tags are taken from it.
        input: What it is asked about; may be empty. In a conversation it is the last turn of the user.
        outputs: One or more reference answers. Training uses the first, scoring uses the best.
        task: Name of the task it belongs to.
        source: Where it came from: a source task's name, or ``file:line``.
        turns: The whole conversation before the answer, the last turn being the user's question; empty where it is one
            user turn, the `prompt`.
        options: The closed answers among which the right one is; empty where any answer may be given.
        images: Pictures that belong to the question.
        metadata: Whatever else the data says of it; plain JSON values.
        provenance: Of an example that a refiner made: ``parent`` (an id, or a list of them), ``refiner``, ``version``,
            ``how``, and what the refiner adds. Where a strategy wrote it, ``refiner`` is its name, and ``described`` is
            true if it was made from the description of its task. Empty where the example is as it was read.
    """

    instruction: str
    input: str
    outputs: tuple[str, ...]
    task: str = ""
    source: str = ""
    turns: tuple[Turn, ...] = ()
    options: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    provenance: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def output(self) -> str:
        """The answer to train on: the first reference."""
        return self.outputs[0]

    @property
    def prompt(self) -> str:
        """Instruction, blank line, input: the paper's plain form (InsCL, its code). No input: instruction alone."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything of it that a search for a text must look at."""
        said = (*(turn.content for turn in self.turns), *(image.path for image in self.images))
        written = {key: value for key, value in self.provenance.items() if key not in LINEAGE}
        more = filter(None, (self.metadata, written))
        kept = [json.dumps(one, ensure_ascii=False, sort_keys=True) for one in more]
        return (self.instruction, self.input, self.prompt, self.source, *self.outputs, *said, *self.options, *kept)

    @cached_property
    def id(self) -> str:
        """64-bit hex digest of what it says: the same content has the same id everywhere.

        That is: instruction, input and outputs, and turns and the pictures' bytes where it has any.
        """
        content: list[Any] = [self.instruction, self.input, list(self.outputs)]
        if self.turns or self.images:
            content += [[turn.to_json() for turn in self.turns], [image.digest for image in self.images]]
        return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the order in which a person reads them; what it doesn't have is left out."""
        row: dict[str, Any] = {
            "task": self.task,
            "instruction": self.instruction,
            "input": self.input,
            "outputs": list(self.outputs),
            "source": self.source,
        }
        more: dict[str, Any] = {
            "turns": [turn.to_json() for turn in self.turns],
            "options": list(self.options),
            "images": [image.to_json() for image in self.images],
            "metadata": dict(self.metadata),
            "provenance": dict(self.provenance),
        }
        return {**row, **{key: value for key, value in more.items() if value}}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Example:
        """The inverse of `to_json`; unknown keys are left aside."""
        return cls(
            row["instruction"],
            row["input"],
            tuple(row["outputs"]),
            row.get("task", ""),
            row.get("source", ""),
            tuple(Turn.from_json(turn) for turn in row.get("turns") or ()),
            tuple(row.get("options") or ()),
            tuple(map(Image.from_json, row.get("images") or ())),
            dict(row.get("metadata") or {}),
            dict(row.get("provenance") or {}),
        )
