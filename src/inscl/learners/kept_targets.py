"""The soft targets of the examples learned so far: part of a learner's state, and erased with their examples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract.erased import Erased
from inscl.contract.objective import SoftTargets
from inscl.errors import ModelError
from inscl.models.prompts import Encoded
from inscl.storage.files.atomic import jsonl_text

__all__ = ["FILE", "Kept", "KeptTargets"]

FILE = "soft_targets.safetensors"


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of one example, whose answer has t tokens, the end of sequence among them.

    Attributes:
        answer: The tokens, shape (t,), int32: targets of an answer that has become other tokens don't fit.
        soft: What was held likely at each.
    """

    answer: NDArray[np.int32]
    soft: SoftTargets

    @classmethod
    def of(cls, encoded: Encoded, soft: SoftTargets) -> Kept:
        """What is kept of an example as it was taught."""
        return cls(np.array(encoded.tokens[encoded.prompt_length :], dtype=np.int32), soft)


class KeptTargets:
    """Soft targets by task and `Example.id`; nothing of one entry depends on another.

    Args:
        kept: By the name of the task and the id.
    """

    def __init__(self, kept: Mapping[tuple[str, str], Kept] | None = None) -> None:
        self._kept = dict(kept or {})

    def __len__(self) -> int:
        return len(self._kept)

    def adding(self, kept: Mapping[tuple[str, str], Kept]) -> KeptTargets:
        """These and more; an example that its task taught again gets the new ones."""
        return KeptTargets({**self._kept, **kept})

    def of(self, task: str, example: str, encoded: Encoded) -> SoftTargets | None:
        """The targets of an example of a task, if they were kept for an answer of the same tokens."""
        found = self._kept.get((task, example))
        if found is None or found.answer.tolist() != list(encoded.tokens[encoded.prompt_length :]):
            return None
        return found.soft

    def write(self, folder: Path) -> None:
        """Write one file of safetensors, tasks and ids as JSON lines among its arrays; equal targets, equal bytes.

        Positions stand one after the other. The k likeliest tokens are padded on the right where some have fewer, as
        when k was changed: with probability 0, and how many count is said for each example.
        """
        from safetensors.numpy import save_file

        names = sorted(self._kept)
        widest = max((self._kept[name].soft.tokens.shape[1] for name in names), default=0)
        rows = []
        for task, example in names:
            positions, width = self._kept[task, example].soft.tokens.shape
            rows.append({"task": task, "id": example, "positions": positions, "tokens": width})
        said = np.frombuffer(jsonl_text(rows).encode(errors="surrogatepass"), dtype=np.uint8)
        soft = [self._kept[name].soft for name in names]
        arrays = {
            "answers": _joined((self._kept[name].answer for name in names), np.int32),
            "tokens": _joined((_widened(one.tokens, widest, 0) for one in soft), np.int32),
            "log_probabilities": _joined(
                (_widened(one.log_probabilities, widest, -np.inf) for one in soft), np.float32
            ),
        }
        save_file({**arrays, "examples": said}, folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> KeptTargets:
        """What `write` wrote; nothing where there is no file.

        Raises:
            ModelError: The file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not (folder / FILE).exists():
            return cls()
        names = ("answers", "tokens", "log_probabilities")
        try:
            arrays = load_file(folder / FILE)
            answers, tokens, nats = (arrays[name] for name in names)
            said = arrays["examples"].tobytes().decode(errors="surrogatepass")
            rows = [json.loads(line) for line in said.split("\n") if line]
            ends = np.cumsum([0, *(row["positions"] for row in rows)])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ModelError(f"can't read the soft targets {folder / FILE}: {error}") from error
        if {len(arrays[name]) for name in names} != {int(ends[-1])}:
            raise ModelError(f"{folder / FILE} is damaged: its arrays aren't of the examples that it names")
        kept = {}
        for row, start, end in zip(rows, ends, ends[1:], strict=False):
            width = row["tokens"]
            soft = SoftTargets(tokens[start:end, :width], nats[start:end, :width])
            kept[row["task"], row["id"]] = Kept(answers[start:end], soft)
        return cls(kept)

    @classmethod
    def forget(cls, folder: Path, erased: Erased) -> None:
        """Take erased examples out of the file in `folder`, if there is one."""
        before = cls.read(folder)
        after = {name: one for name, one in before._kept.items() if not erased.takes(*name)}
        if len(after) < len(before):
            cls(after).write(folder)


def _widened(values: NDArray[Any], width: int, fill: float) -> NDArray[Any]:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=fill)


def _joined(values: Iterable[NDArray[Any]], dtype: type) -> NDArray[Any]:
    pieces = list(values)
    return np.concatenate(pieces).astype(dtype) if pieces else np.zeros(0, dtype=dtype)
