"""The context of a task: the tokens of its demonstrations, the role of each, and how far each has moved."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inscl.contract.erased import Erased
from inscl.errors import ModelError

__all__ = ["INPUT", "INPUT_TEMPLATE", "LABEL", "OUTPUT_TEMPLATE", "SEPARATOR", "Context", "Member", "roles_of"]

SEPARATOR, INPUT_TEMPLATE, INPUT, OUTPUT_TEMPLATE, LABEL = range(5)
"""Roles of tokens, numbered as in PEFT. The types of demonstration k (from 0) are these plus 4k, separators apart."""

_ROLES = 4
_MEMBERS = ("demonstrations", "taught")

Member = tuple[str, str]
"""An example that a context was made from: the name of its task, and its id."""


def roles_of(types: NDArray[np.int64]) -> NDArray[np.int64]:
    """The role of each token, from its type."""
    found = (types - 1) % _ROLES + 1
    return np.where(types > 0, found, SEPARATOR)


@dataclass(frozen=True, eq=False)
class Context:
    r"""What stands in the prompt before each question of a task.

    Token j is read as :math:`E[\mathrm{tokens}_j] + \delta_j`.

    Attributes:
        task: Name of the task.
        instructions: By which a question is known to be of this task.
        demonstrations: Its demonstrations, in the order of the prompt.
        taught: Every example that `delta` depends on.
        tokens: Token ids, shape (p,), int64.
        types: Role and demonstration of each token, shape (p,), int64; see `SEPARATOR`.
        delta: How far each embedding has moved, shape (p, hidden size), float32.
    """

    task: str
    instructions: tuple[str, ...]
    demonstrations: tuple[Member, ...]
    taught: tuple[Member, ...]
    tokens: NDArray[np.int64]
    types: NDArray[np.int64]
    delta: NDArray[np.float32]

    @property
    def blocks(self) -> NDArray[np.int64]:
        """Which demonstration each token belongs to, shape (p,); a separator to the one that it ends."""
        own = np.where(self.types > 0, (self.types - 1) // _ROLES, 0)
        return np.maximum.accumulate(own) if len(own) else own

    @property
    def labels(self) -> NDArray[np.int64]:
        """Where the tokens of answers stand."""
        return np.flatnonzero(roles_of(self.types) == LABEL)

    def radii(self, of_input: float, of_format: float) -> NDArray[np.float32]:
        r"""How far each token may move, shape (p,).

        .. math:: \epsilon_j = \epsilon_{role(j)} \sqrt{d / 2048}

        with d the hidden size, and 0 for answers and separators (PEFT's ``CPTEmbedding.get_epsilon``).
        """
        roles = roles_of(self.types)
        formats = (roles == INPUT_TEMPLATE) | (roles == OUTPUT_TEMPLATE)
        found = np.where(roles == INPUT, of_input, np.where(formats, of_format, 0.0))
        radii: NDArray[np.float32] = (found * np.sqrt(self.delta.shape[1] / 2048)).astype(np.float32)
        return radii

    def decayed(self, decay: float) -> NDArray[np.float32]:
        r"""What each label weighs in the loss: :math:`\gamma` in the last demonstration, :math:`\gamma^2` before it."""
        weights: NDArray[np.float32] = np.float32(decay) ** (len(self.demonstrations) - self.blocks[self.labels])
        return weights.astype(np.float32)

    def without(self, erased: Erased) -> Context:
        """What stays after an erasure: an empty context of no task where the whole task goes.

        Demonstrations that go are cut out. Where anything goes that `delta` depends on, it is set back to zero.
        """
        if self.task in erased.tasks:
            nothing = np.zeros(0, dtype=np.int64)
            return Context("", (), (), (), nothing, nothing, np.zeros((0, self.delta.shape[1]), dtype=np.float32))
        gone = [number for number, member in enumerate(self.demonstrations) if erased.takes(*member)]
        instructions = tuple(text for text in self.instructions if not erased.takes(self.task, "", text))
        taught = tuple(member for member in self.taught if not erased.takes(*member))
        if not gone and len(instructions) == len(self.instructions) and len(taught) == len(self.taught):
            return self
        blocks = self.blocks
        stay = ~np.isin(blocks, gone)
        before = np.array([sum(other < number for other in gone) for number in blocks[stay]], dtype=np.int64)
        types = self.types[stay]
        return replace(
            self,
            instructions=instructions,
            demonstrations=tuple(one for number, one in enumerate(self.demonstrations) if number not in gone),
            taught=taught,
            tokens=self.tokens[stay],
            types=np.where(types > 0, types - _ROLES * before, SEPARATOR),
            delta=self.delta[stay] * np.float32(len(taught) == len(self.taught)),
        )

    def write(self, path: Path) -> None:
        """Write one file of safetensors; equal contexts give equal bytes."""
        from safetensors.numpy import save_file

        said = {
            "task": self.task,
            "instructions": self.instructions,
            "demonstrations": self.demonstrations,
            "taught": self.taught,
        }
        about = np.frombuffer(json.dumps(said).encode(), dtype=np.uint8)
        save_file({"about": about, "tokens": self.tokens, "types": self.types, "delta": self.delta}, path)

    @classmethod
    def read(cls, path: Path) -> Context:
        """What `write` wrote.

        Raises:
            ModelError: The file is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(path)
            said = json.loads(arrays["about"].tobytes())
            shown, taught = (
                tuple((str(task), str(example)) for task, example in said[name])
                for name in ("demonstrations", "taught")
            )
            tokens, types, delta = arrays["tokens"], arrays["types"], arrays["delta"]
            found = cls(str(said["task"]), tuple(said["instructions"]), shown, taught, tokens, types, delta)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise ModelError(f"can't read the context {path}: {error}") from error
        sizes = {len(found.tokens), len(found.types), len(found.delta)}
        if len(sizes) > 1 or found.delta.ndim != 2 or int(found.blocks.max(initial=-1)) >= len(found.demonstrations):
            raise ModelError(f"{path} is damaged: its arrays aren't of the demonstrations that it names")
        return found
