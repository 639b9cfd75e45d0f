"""Which parts of instructions a model heeds: those whose masking costs most likelihood of the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example
from inscl.contract.key_parts import masked

__all__ = ["Heeded", "costliest_parts"]


@dataclass(frozen=True)
class Heeded:
    """The key parts of one instruction.

    Attributes:
        parts: What is masked, all together.
        gains: For each example with this instruction, by how much its answer's loss rises, nats an answer token.
    """

    parts: tuple[str, ...]
    gains: tuple[float, ...]


def costliest_parts(
    examples: Sequence[Example],
    choices: Sequence[Sequence[tuple[str, ...]]],
    losses: Callable[[Sequence[Example]], NDArray[Any]],
    mask: str,
) -> dict[str, Heeded]:
    """Of each instruction the choice of parts whose masking costs its examples' answers most likelihood.

    Args:
        examples: Any examples.
        choices: For each example what may be masked, as `inscl.contract.key_parts.key_part_choices` gives it.
        losses: n examples to n losses, nats an answer token.
        mask: What stands in place of a key part.

    Returns:
        Instruction -> its key parts, in order of first appearance; instructions without any are left out.
    """
    rows: list[tuple[int, tuple[str, ...]]] = []
    asked: list[Example] = []
    for k, (example, own) in enumerate(zip(examples, choices, strict=True)):
        for parts in own:
            if (hidden := masked(example, parts, mask)) is not None:
                rows.append((k, parts))
                asked.append(hidden)
    if not rows:
        return {}
    known = losses([*examples, *asked])
    gains: dict[str, dict[tuple[str, ...], list[float]]] = {}
    for (k, parts), loss in zip(rows, known[len(examples) :], strict=True):
        gains.setdefault(examples[k].instruction, {}).setdefault(parts, []).append(float(loss - known[k]))
    found = {}
    for instruction, by_parts in gains.items():
        best = max(by_parts, key=lambda parts: float(np.mean(by_parts[parts])))
        found[instruction] = Heeded(best, tuple(by_parts[best]))
    return found
