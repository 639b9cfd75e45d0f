"""The datastore: for every position of a learned answer the state that predicts it, and the token that followed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inscl.contract.erased import Erased
from inscl.errors import ModelError
from inscl.storage.files.atomic import jsonl_text

__all__ = ["Datastore", "Reference"]

_FILE = "datastore.safetensors"


@dataclass(frozen=True, eq=False)
class Reference:
    """What is kept of one example, whose answer has t tokens, the end of sequence among them.

    Attributes:
        task: Name of its task.
        id: `Example.id`.
        answer: Its first reference answer, the value of its first position in a choice.
        keys: The states that predict the answer's tokens, shape (t, d), float32.
        values: The tokens, shape (t,), int64.
        log_probabilities: What the language model alone gives them, nats, shape (t,), float32.
        turn: By how many places its options were rotated; 0 is the example as it is.
    """

    task: str
    id: str
    answer: str
    keys: NDArray[np.float32]
    values: NDArray[np.int64]
    log_probabilities: NDArray[np.float32]
    turn: int = 0


class Datastore:
    """References in an order of their own, so that the order in which they were learned leaves no trace.

    Args:
        references: Of several with the same task, id and turn the first counts.
    """

    def __init__(self, references: Iterable[Reference] = ()) -> None:
        distinct: dict[tuple[str, str, int], Reference] = {}
        for one in references:
            distinct.setdefault((one.task, one.id, one.turn), one)
        self.references = tuple(distinct[name] for name in sorted(distinct))

    def __len__(self) -> int:
        return sum(len(one.values) for one in self.references)

    def adding(self, references: Iterable[Reference]) -> Datastore:
        """This and more; what is there already stays as it is."""
        return Datastore([*self.references, *references])

    def without(self, erased: Erased) -> Datastore:
        """What stays after an erasure; nothing of it depends on what goes."""
        return Datastore(one for one in self.references if not erased.takes(one.task, one.id))

    @cached_property
    def keys(self) -> NDArray[np.float32]:
        """Of all n positions, shape (n, d)."""
        kept = [one.keys for one in self.references]
        return np.concatenate(kept) if kept else np.zeros((0, 0), dtype=np.float32)

    @cached_property
    def values(self) -> NDArray[np.int64]:
        """The token of each position, shape (n,)."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *(one.values for one in self.references)])

    @cached_property
    def log_probabilities(self) -> NDArray[np.float32]:
        """What the language model alone gives the token of each position, nats, shape (n,)."""
        return np.concatenate([np.zeros(0, dtype=np.float32), *(one.log_probabilities for one in self.references)])

    @cached_property
    def firsts(self) -> NDArray[np.int64]:
        """Where each reference begins, shape (number of references,)."""
        return np.cumsum([0, *(len(one.values) for one in self.references)])[:-1]

    def write(self, folder: Path) -> None:
        """Write one file of safetensors, the references as JSON lines among its arrays; equal stores give equal bytes.

        One file, since an erasure replaces files one by one and may be interrupted in between.
        """
        from safetensors.numpy import save_file

        rows = (
            {
                "task": one.task,
                "id": one.id,
                "answer": one.answer,
                "positions": len(one.values),
                **({"turn": one.turn} if one.turn else {}),
            }
            for one in self.references
        )
        said = np.frombuffer(jsonl_text(rows).encode(errors="surrogatepass"), dtype=np.uint8)
        arrays = {"keys": self.keys, "values": self.values, "log_probabilities": self.log_probabilities}
        save_file({**arrays, "references": said}, folder / _FILE)

    @classmethod
    def read(cls, folder: Path) -> Datastore:
        """What `write` wrote.

        Raises:
            ModelError: The file is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(folder / _FILE)
            said = arrays["references"].tobytes().decode(errors="surrogatepass")
            rows = [json.loads(line) for line in said.split("\n") if line]
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ModelError(f"can't read the datastore {folder / _FILE}: {error}") from error
        ends, names = np.cumsum([0, *(row["positions"] for row in rows)]), ("keys", "values", "log_probabilities")
        if {len(arrays[name]) for name in names} != {int(ends[-1])}:
            raise ModelError(f"{folder / _FILE} is damaged: its arrays aren't of the references that it names")
        return cls(
            Reference(
                row["task"],
                row["id"],
                row["answer"],
                turn=row.get("turn", 0),
                **{name: arrays[name][start:end] for name in names},
            )
            for row, start, end in zip(rows, ends, ends[1:], strict=False)
        )

    @classmethod
    def forget(cls, folder: Path, erased: Erased) -> None:
        """Take erased references out of the files in `folder`."""
        before = cls.read(folder)
        after = before.without(erased)
        if len(after.references) < len(before.references):
            after.write(folder)
